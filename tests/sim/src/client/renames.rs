//! Renames. Those with a token are sent again when they are not answered, as the same request.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{BUCKET, Client, TRIES, VERSIONED, key_number};
use crate::{
    content::Value,
    linear::{self, Token},
    s3::{Answer, Call},
    time, versions,
};

/// What a client asks for.
struct Rename {
    is_versioned: bool,
    from: String,
    to: String,
    /// What the object has to be, with its entity tag, if that is a condition.
    condition: Option<(Value, String)>,
    token: Option<Token>,
}

impl Rename {
    fn call(&self) -> Call {
        let bucket = if self.is_versioned { VERSIONED } else { BUCKET };
        let mut call = Call::new(Method::PUT, format!("/{bucket}/{}?renameObject=", self.to), Bytes::new());
        call.headers.push(("x-amz-rename-source", self.from.clone()));
        if let Some((_, tag)) = &self.condition {
            call.headers.push(("x-amz-rename-source-if-match", tag.clone()));
        }
        if let Some(Token(token)) = self.token {
            call.headers.push(("x-amz-client-token", format!("token-{token}")));
        }
        call
    }
}

impl Client {
    /// Renames an object of either bucket: whatever it is, or as it has just been read.
    pub(super) async fn rename(&mut self) {
        let is_versioned = self.rng.once_in(3);
        let keys = if is_versioned { &self.versioned_keys } else { &self.keys };
        let (from, to) = (self.rng.pick(keys).clone(), self.rng.pick(keys).clone());
        // Renaming a key to itself is refused, and not tried.
        if from == to {
            return;
        }
        let condition = if self.rng.once_in(2) {
            let seen = if is_versioned { self.get_current(&from).await } else { self.get(&from).await };
            let Some(seen) = seen.flatten() else { return };
            Some(seen)
        } else {
            None
        };
        let token = self.rng.once_in(2).then(|| self.history.new_token());
        self.send_rename(&Rename { is_versioned, from, to, condition, token }).await;
    }

    async fn send_rename(&mut self, rename: &Rename) {
        let began = self.history.moment();
        for attempt in 0..if rename.token.is_some() { TRIES } else { 1 } {
            let numbers = [u64::from(attempt), key_number(&rename.from), key_number(&rename.to)];
            self.site.trace.event("rename", &self.name, numbers);
            if attempt > 0 {
                self.history.count(|counts| counts.repeated += 1);
            }
            let start = self.history.moment();
            let answer = self.call(rename.call()).await;
            match answer {
                Some(answer) if answer.status == StatusCode::OK => {
                    self.history.count(|counts| counts.renamed += 1);
                    return self.note_renamed(rename, &answer, began, start);
                }
                Some(Answer { status: StatusCode::NOT_FOUND, .. }) if rename.is_versioned => {
                    let from = self.history.key(&rename.from);
                    return self.history.told(versions::Action::HasNone(from), start);
                }
                Some(Answer { status: StatusCode::NOT_FOUND, .. }) => {
                    return self.history.read(&rename.from, None, start);
                }
                // The object is another by now, or one of both ends changed at each attempt: nothing was done.
                Some(Answer { status: StatusCode::PRECONDITION_FAILED, .. })
                    if rename.condition.is_some() =>
                {
                    return;
                }
                Some(Answer { status: StatusCode::CONFLICT, .. }) => return,
                Some(Answer { status: StatusCode::FORBIDDEN, .. }) => return self.history.refused(),
                Some(answer) if answer.status.is_client_error() => {
                    panic!(
                        "{}: a good rename was refused with {}: {}",
                        self.name,
                        answer.status,
                        answer.text()
                    )
                }
                _ => self.note_unknown_rename(rename, start),
            }
            time::sleep_ms(200).await;
        }
    }

    /// Notes a rename that was answered, of which the first attempt began before.
    fn note_renamed(&self, rename: &Rename, answer: &Answer, began: u64, start: u64) {
        if !rename.is_versioned {
            return self.history.answered(linear::Action::Rename(self.plain(rename)), start);
        }
        // A null version that is made is not named.
        let id = answer.header("x-amz-version-id").unwrap_or("null");
        let made = Some(self.history.name(&rename.to, id));
        self.history.told(self.of_versions(rename, made), start);
        self.note_versioning(made, began);
    }

    fn note_unknown_rename(&self, rename: &Rename, start: u64) {
        if rename.is_versioned {
            self.history.untold(self.of_versions(rename, None), start);
        } else {
            self.history.unknown(linear::Action::Rename(self.plain(rename)), start);
        }
    }

    fn plain(&self, rename: &Rename) -> linear::Rename {
        linear::Rename {
            from: self.history.key(&rename.from),
            to: self.history.key(&rename.to),
            value: rename.condition.as_ref().map(|(value, _)| *value),
            token: rename.token,
        }
    }

    fn of_versions(&self, rename: &Rename, made: Option<versions::Name>) -> versions::Action {
        let linear::Rename { from, to, value, token } = self.plain(rename);
        versions::Action::Rename(versions::Rename { from, to, value, token, made })
    }
}
