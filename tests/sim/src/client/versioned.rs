//! Requests of the bucket with versions.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Client, SIZES, VERSIONED, between, key_number};
use crate::{
    content::{Value, content, etag, value_of},
    history,
    s3::{Answer, Call},
    versions::{Action, Made, NULL, Name, Version},
};

/// The register of whether versioning is enabled or suspended, as one more key of the history.
const VERSIONING: &str = "?versioning";
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
                    self.get_version(&key, name).await;
                }
            }
            54..66 => self.make_marker(&key).await,
            66..78 => {
                if let Some(name) = self.some_version(&key) {
                    self.remove_version(&key, name).await;
                }
            }
            78..86 => drop(self.list_versions(&key).await),
            86..94 => self.copy_to_version(&key).await,
            _ => {
                let enabled = !self.rng.once_in(3);
                self.set_versioning(enabled).await;
            }
        }
    }

    fn some_version(&mut self, key: &str) -> Option<Name> {
        let seen = self.history.seen(key);
        (!seen.is_empty()).then(|| *self.rng.pick(&seen))
    }

    fn target(&self, key: &str, name: Name) -> String {
        format!("/{VERSIONED}/{key}?versionId={}", self.history.id(name))
    }

    /// An answer that tells something; `None` if nothing was done, or if nobody knows.
    fn check(&self, answer: Option<Answer>) -> Option<Answer> {
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
    fn note_failed(&self, key: &str, action: Action, start: u64, is_refused: bool) {
        if is_refused { self.history.refused() } else { self.history.untold(key, action, start) }
    }

    /// Notes a version that a write made, and what its id says of the bucket.
    pub(super) fn note_made(&self, key: &str, id: &str, made: Made, start: u64) {
        let name = self.history.name(key, id);
        self.history.told(key, Action::Make(Some(name), made), start);
        let versioning = if name == NULL { SUSPENDED } else { ENABLED };
        self.history.answered(VERSIONING, history::Action::Read(Some(versioning)), start);
    }

    /// Puts an object. Whether it was taken.
    async fn put_version(&mut self, key: &str) -> bool {
        let value = self.history.new_value();
        let body = content(value, *self.rng.pick(SIZES));
        self.history.know_etag(etag(&body), value);
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
                        self.history.told(key, Action::Make(Some(name), made), start);
                    }
                }
                true
            }
            None => {
                self.note_failed(key, Action::Make(None, made), start, is_refused);
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
            None => self.note_failed(key, Action::Make(None, Made::Marker), start, is_refused),
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
                self.history.told(key, Action::Remove(name, Some(was_marker)), start);
            }
            None => self.note_failed(key, Action::Remove(name, None), start, is_refused),
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
        call.copy_source = Some(match name {
            Some(name) => self.target(&source, name),
            None => format!("/{VERSIONED}/{source}"),
        });
        let answer = self.call(call).await;
        self.ever.look(&self.site).await;
        match answer {
            Some(answer) if answer.status == StatusCode::OK => {
                let tag = between(answer.text(), "<ETag>&quot;", "&quot;</ETag>");
                let value = self.history.value_of_etag(&tag);
                let value =
                    value.unwrap_or_else(|| panic!("{source} was copied with a tag that nobody wrote"));
                let from = answer.header("x-amz-copy-source-version-id").expect("a copy names its source");
                let from = self.history.name(&source, from);
                assert!(name.is_none_or(|name| name == from), "another version of {source} was copied");
                let read = match name {
                    Some(name) => Action::Read(name, Some(Some(value))),
                    None => Action::ReadCurrent(Some((from, Some(value)))),
                };
                self.history.told(&source, read, start);
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
            _ => self.history.untold(key, Action::Make(None, Made::Copy), start),
        }
    }

    /// Reads the newest version. Whether there was an answer.
    pub(crate) async fn get_current(&mut self, key: &str) -> bool {
        self.site.trace.event("get current", &self.name, [0, 0, key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::GET, format!("/{VERSIONED}/{key}"), Bytes::new()).await;
        let Some(answer) = self.check(answer) else {
            self.history.refused();
            return false;
        };
        let id = answer.header("x-amz-version-id");
        let seen = match answer.status {
            StatusCode::NOT_FOUND if answer.header("x-amz-delete-marker").is_none() => None,
            StatusCode::NOT_FOUND => Some((id, None)),
            _ => Some((id, Some(self.value(key, &answer)))),
        };
        let seen = seen
            .map(|(id, content)| (self.history.name(key, id.expect("an answer names the version")), content));
        self.history.told(key, Action::ReadCurrent(seen), start);
        true
    }

    fn value(&self, key: &str, answer: &Answer) -> Value {
        let value = value_of(&answer.body);
        value.unwrap_or_else(|| {
            panic!("{}: {key} has {} bytes that nobody wrote", self.name, answer.body.len())
        })
    }

    /// Reads a version. Whether there was an answer.
    pub(crate) async fn get_version(&mut self, key: &str, name: Name) -> bool {
        self.site.trace.event("get version", &self.name, [0, u64::from(name.0), key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::GET, self.target(key, name), Bytes::new()).await;
        let Some(answer) = self.check(answer) else {
            self.history.refused();
            return false;
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
        self.history.told(key, Action::Read(name, seen), start);
        true
    }

    /// Lists the versions of a key, all at one moment. Whether there was an answer.
    pub(crate) async fn list_versions(&mut self, key: &str) -> bool {
        self.site.trace.event("list versions", &self.name, [0, 0, key_number(key)]);
        let start = self.history.moment();
        let answer =
            self.send(Method::GET, format!("/{VERSIONED}?versions=&prefix={key}"), Bytes::new()).await;
        let Some(answer) = self.check(answer) else {
            self.history.refused();
            return false;
        };
        assert!(!answer.text().contains("<IsTruncated>true"), "one page has room for every version");
        let versions = version_elements(answer.text()).map(|element| self.listed(key, element)).collect();
        self.history.told(key, Action::List(versions), start);
        true
    }

    fn listed(&self, key: &str, (is_first, element, is_marker): (bool, &str, bool)) -> Version {
        assert_eq!(between(element, "<Key>", "</Key>"), key, "a listing shows what was asked for");
        let is_latest = between(element, "<IsLatest>", "</IsLatest>") == "true";
        assert_eq!(is_latest, is_first, "the newest version, and no other, is the latest one");
        let name = self.history.name(key, &between(element, "<VersionId>", "</VersionId>"));
        let content = (!is_marker).then(|| {
            let tag = between(element, "<ETag>&quot;", "&quot;</ETag>");
            let value = self.history.value_of_etag(&tag);
            value.unwrap_or_else(|| panic!("{key} is listed with a tag that nobody wrote"))
        });
        (name, content)
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
            (true, _) => self.history.answered(VERSIONING, history::Action::Write(Some(value)), start),
            (false, true) => self.history.refused(),
            (false, false) => self.history.unknown(VERSIONING, Some(value), start),
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

/// The versions and markers of a listing in their order: whether it is the first, its text, and whether it is a marker.
fn version_elements(text: &str) -> impl Iterator<Item = (bool, &str, bool)> {
    let starts = text.match_indices('<').filter_map(|(start, _)| {
        let rest = &text[start..];
        let is_marker = rest.starts_with("<DeleteMarker>");
        (is_marker || rest.starts_with("<Version>")).then_some((rest, is_marker))
    });
    starts.enumerate().map(|(position, (rest, is_marker))| (position == 0, rest, is_marker))
}
