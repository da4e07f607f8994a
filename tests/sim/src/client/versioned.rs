//! Requests of the bucket with versions.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{COPY_SOURCE, Client, SIZES, VERSIONED, between, key_number, tag};
use crate::{
    content::{Value, content},
    s3::{Answer, Call},
    versions::{Action, Made, NULL, Name},
};

/// What versioning of the bucket is.
const ENABLED: Value = Value(1);
const SUSPENDED: Value = Value(2);

impl Client {
    /// One request of the bucket with versions.
    pub(super) async fn work_on_versions(&mut self) {
        let key = self.rng.pick(&self.versioned_keys).clone();
        match self.rng.below(100) {
            0..28 => drop(self.put_version(&key).await),
            28..40 => drop(self.get_current(&key).await),
            40..54 => {
                if let Some(name) = self.some_version(&key) {
                    drop(self.get_version(&key, name).await);
                }
            }
            54..66 => self.make_marker(&key).await,
            66..78 => {
                if let Some(name) = self.some_version(&key) {
                    self.remove_version(&key, name).await;
                }
            }
            78..83 => drop(self.list_versions(&key).await),
            83..88 => self.page_versions().await,
            88..94 => self.copy_to_version(&key).await,
            _ => {
                let enabled = !self.rng.once_in(3);
                self.set_versioning(enabled).await;
            }
        }
    }

    pub(super) fn some_version(&mut self, key: &str) -> Option<Name> {
        let seen = self.history.seen(key);
        (!seen.is_empty()).then(|| *self.rng.pick(&seen))
    }

    pub(super) fn target(&self, key: &str, name: Name) -> String {
        format!("/{VERSIONED}/{key}?versionId={}", self.history.id(name))
    }

    /// An answer that tells something; `None` if nothing was done, or if nobody knows.
    pub(super) fn check(&self, answer: Option<Answer>) -> Option<Answer> {
        let answer = answer?;
        let is_told = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
        match answer.status {
            StatusCode::FORBIDDEN => None,
            status if status.is_client_error() && !is_told => {
                panic!("{}: a good request was refused with {status}: {}", self.name, answer.text())
            }
            status if status.is_success() || is_told => Some(answer),
            _ => None,
        }
    }

    /// Notes a write that was not answered as it should be.
    fn note_failed(&self, action: Action, start: u64, is_refused: bool) {
        if is_refused { self.history.refused() } else { self.history.untold(action, start) }
    }

    /// Notes a version that a write made, and what its id says of the bucket.
    pub(super) fn note_made(&self, key: &str, id: &str, made: Made, start: u64) {
        let name = self.history.name(key, id);
        self.history.told(Action::Make(self.history.key(key), Some(name), made), start);
        self.note_versioning(Some(name), start);
    }

    /// Notes what the name of a version that was made after `start` says of the bucket.
    pub(super) fn note_versioning(&self, made: Option<Name>, start: u64) {
        self.history.saw_versioning(if made == Some(NULL) { SUSPENDED } else { ENABLED }, start);
    }

    /// Puts an object. Whether it was taken.
    async fn put_version(&mut self, key: &str) -> bool {
        let value = self.history.new_value();
        let body = content(value, *self.rng.pick(SIZES));
        self.history.know(value, body.clone());
        self.site.trace.event(
            "put version",
            &self.name,
            [u64::from(value.0), body.len() as u64, key_number(key)],
        );
        let start = self.history.moment();
        let answer = self.send(Method::PUT, format!("/{VERSIONED}/{key}"), body).await;
        self.ever.look(&self.site).await;
        let is_refused = answer.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN);
        let made = Made::Object(value);
        match self.check(answer) {
            Some(answer) => {
                match answer.header("x-amz-version-id") {
                    Some(id) => self.note_made(key, id, made, start),
                    // The bucket has no versions yet.
                    None => {
                        let name = self.history.name(key, "null");
                        self.history.told(Action::Make(self.history.key(key), Some(name), made), start);
                    }
                }
                true
            }
            None => {
                self.note_failed(Action::Make(self.history.key(key), None, made), start, is_refused);
                false
            }
        }
    }

    async fn make_marker(&mut self, key: &str) {
        self.site.trace.event("make marker", &self.name, [0, 0, key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::DELETE, format!("/{VERSIONED}/{key}"), Bytes::new()).await;
        let is_refused = answer.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN);
        match self.check(answer) {
            Some(answer) => {
                assert_eq!(answer.header("x-amz-delete-marker"), Some("true"), "a delete makes a marker");
                let id = answer.header("x-amz-version-id").expect("a delete names its marker");
                self.note_made(key, id, Made::Marker, start);
            }
            None => {
                let action = Action::Make(self.history.key(key), None, Made::Marker);
                self.note_failed(action, start, is_refused);
            }
        }
    }

    async fn remove_version(&mut self, key: &str, name: Name) {
        self.site.trace.event("remove version", &self.name, [0, u64::from(name.0), key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::DELETE, self.target(key, name), Bytes::new()).await;
        let is_refused = answer.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN);
        match self.check(answer) {
            Some(answer) => {
                let id = self.history.id(name);
                assert_eq!(answer.header("x-amz-version-id"), Some(&*id), "an answer names what was removed");
                let was_marker = answer.header("x-amz-delete-marker") == Some("true");
                self.history.told(Action::Remove(self.history.key(key), name, Some(was_marker)), start);
            }
            None => {
                self.note_failed(Action::Remove(self.history.key(key), name, None), start, is_refused);
            }
        }
    }

    /// Copies the newest or some version of some key on top of a key.
    async fn copy_to_version(&mut self, key: &str) {
        let source = self.rng.pick(&self.versioned_keys).clone();
        let name = if source == key || self.rng.once_in(2) {
            let Some(name) = self.some_version(&source) else { return };
            Some(name)
        } else {
            None
        };
        let numbers = [name.map_or(0, |name| u64::from(name.0) + 1), key_number(&source), key_number(key)];
        self.site.trace.event("copy version", &self.name, numbers);
        let start = self.history.moment();
        let mut call = Call::new(Method::PUT, format!("/{VERSIONED}/{key}"), Bytes::new());
        call.headers.push((
            COPY_SOURCE,
            match name {
                Some(name) => self.target(&source, name),
                None => format!("/{VERSIONED}/{source}"),
            },
        ));
        let answer = self.call(call).await;
        self.ever.look(&self.site).await;
        match answer {
            Some(answer) if answer.status == StatusCode::OK => {
                let tag = between(answer.text(), "<ETag>&quot;", "&quot;</ETag>");
                let value = self.history.value_of_etag(&tag);
                let value =
                    value.unwrap_or_else(|| panic!("{source} was copied with a tag that nobody wrote"));
                self.note_source(&source, name, value, &answer, start);
                // A null version that is made is not named.
                let id = answer.header("x-amz-version-id").unwrap_or("null");
                self.note_made(key, id, Made::Object(value), start);
            }
            // The source is not there, or is a delete marker: which of both, this answer need not tell.
            Some(Answer { status: StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST, .. }) => {}
            Some(Answer { status: StatusCode::FORBIDDEN, .. }) => self.history.refused(),
            Some(answer) if answer.status.is_client_error() => {
                panic!("{}: a good copy was refused with {}: {}", self.name, answer.status, answer.text())
            }
            _ => self.history.untold(Action::Make(self.history.key(key), None, Made::Copy), start),
        }
    }

    /// Notes what was copied of the newest or of one version of a key.
    pub(super) fn note_source(
        &self,
        source: &str,
        asked: Option<Name>,
        value: Value,
        answer: &Answer,
        start: u64,
    ) {
        let from = answer.header("x-amz-copy-source-version-id").expect("a copy names its source");
        let from = self.history.name(source, from);
        assert!(asked.is_none_or(|name| name == from), "another version of {source} was copied");
        let key = self.history.key(source);
        let read = match asked {
            Some(name) => Action::Read(key, name, Some(Some(value))),
            None => Action::ReadCurrent(key, Some((from, Some(value)))),
        };
        self.history.told(read, start);
    }

    /// Reads the newest version. What it is, with its entity tag, if there was an answer.
    pub(crate) async fn get_current(&mut self, key: &str) -> Option<Option<(Value, String)>> {
        self.site.trace.event("get current", &self.name, [0, 0, key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::GET, format!("/{VERSIONED}/{key}"), Bytes::new()).await;
        let Some(answer) = self.check(answer) else {
            self.history.refused();
            return None;
        };
        let id = answer.header("x-amz-version-id");
        let seen = match answer.status {
            StatusCode::NOT_FOUND if answer.header("x-amz-delete-marker").is_none() => None,
            StatusCode::NOT_FOUND => Some((id, None)),
            _ => Some((id, Some(self.value(key, &answer)))),
        };
        let seen = seen
            .map(|(id, content)| (self.history.name(key, id.expect("an answer names the version")), content));
        self.history.told(Action::ReadCurrent(self.history.key(key), seen), start);
        Some(seen.and_then(|(_, content)| Some((content?, tag(&answer)))))
    }

    fn value(&self, key: &str, answer: &Answer) -> Value {
        let value = self.history.value_of(&answer.body);
        value.unwrap_or_else(|| {
            panic!("{}: {key} has {} bytes that nobody wrote", self.name, answer.body.len())
        })
    }

    /// Reads a version. What it is, with its entity tag, if there was an answer.
    pub(crate) async fn get_version(&mut self, key: &str, name: Name) -> Option<Option<(Value, String)>> {
        self.site.trace.event("get version", &self.name, [0, u64::from(name.0), key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::GET, self.target(key, name), Bytes::new()).await;
        let Some(answer) = self.check(answer) else {
            self.history.refused();
            return None;
        };
        let seen = match answer.status {
            StatusCode::NOT_FOUND => None,
            StatusCode::METHOD_NOT_ALLOWED => Some(None),
            _ => {
                let id = self.history.id(name);
                assert_eq!(answer.header("x-amz-version-id"), Some(&*id), "another version was read");
                Some(Some(self.value(key, &answer)))
            }
        };
        self.history.told(Action::Read(self.history.key(key), name, seen), start);
        Some(seen.flatten().map(|value| (value, tag(&answer))))
    }

    /// Enables or suspends versioning. Whether that was answered.
    pub(super) async fn set_versioning(&mut self, enabled: bool) -> bool {
        let (text, value) = if enabled { ("Enabled", ENABLED) } else { ("Suspended", SUSPENDED) };
        self.site.trace.event("versioning", &self.name, [u64::from(enabled), 0, 0]);
        let start = self.history.moment();
        let body =
            format!("<VersioningConfiguration><Status>{text}</Status></VersioningConfiguration>").into();
        let answer = self.send(Method::PUT, format!("/{VERSIONED}?versioning="), body).await;
        let is_refused = answer.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN);
        let is_answered = self.check(answer).is_some();
        match (is_answered, is_refused) {
            (true, _) => self.history.set_versioning(value, start, true),
            (false, true) => self.history.refused(),
            (false, false) => self.history.set_versioning(value, start, false),
        }
        is_answered
    }

    /// Gives each key a version from before there were versions, and enables them. Whether all was answered.
    pub(crate) async fn begin_versions(&mut self) -> bool {
        for key in self.versioned_keys.clone() {
            if !self.put_version(&key).await {
                return false;
            }
        }
        self.set_versioning(true).await
    }
}
