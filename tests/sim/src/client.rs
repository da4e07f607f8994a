//! Clients that write, read, list and delete, and note what they were told.

mod multipart;
mod pages;
mod part_copies;
mod renames;
mod versioned;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::{
    audit::EverNamed,
    content::{Value, content},
    history::History,
    linear::Action,
    process::Process,
    rng::Rng,
    s3::{Answer, Call, S3},
    site::Site,
    time,
};

/// The bucket without versions.
pub(crate) const BUCKET: &str = "simulated";

/// The bucket with versions, which are enabled and suspended.
pub(crate) const VERSIONED: &str = "versioned";

/// Sizes of objects: inline, whole copies, one cell, several cells, several stripes.
const SIZES: &[usize] = &[16, 300, 300, 2_000, 2_000, 6_000, 20_000, 70_000, 180_000];

/// Size of an object whose shards are streamed, which few are.
const STREAMED: usize = 850_000;

/// Requests for the same thing as long as none is answered.
const TRIES: u32 = 3;

/// The header that names what is copied.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// A client's view of the world.
pub(crate) struct Client {
    pub(crate) name: Arc<str>,
    pub(crate) s3: S3,
    /// For requests at the same time as another.
    pub(crate) other_s3: S3,
    pub(crate) rng: Rng,
    pub(crate) history: History,
    pub(crate) site: Arc<Site>,
    pub(crate) ever: EverNamed,
    pub(crate) gateways: Vec<Arc<Process>>,
    pub(crate) keys: Vec<String>,
    /// Keys of the bucket with versions.
    pub(crate) versioned_keys: Vec<String>,
}

impl Client {
    /// Makes this many requests.
    pub(crate) async fn work(&mut self, requests: u32) {
        for _ in 0..requests {
            let pause = self.rng.between(0, 1500);
            time::sleep_ms(pause).await;
            let key = self.rng.pick(&self.keys).clone();
            match self.rng.below(100) {
                0..22 => self.put(&key).await,
                22..38 => drop(self.get(&key).await),
                38..44 => {
                    let source = self.rng.pick(&self.keys).clone();
                    self.copy(&source, &key).await;
                }
                44..52 => self.delete(&key).await,
                52..60 => drop(self.list().await),
                60..70 => self.upload().await,
                70..78 => self.rename().await,
                _ => self.work_on_versions().await,
            }
        }
    }

    async fn send(&mut self, method: Method, target: String, body: Bytes) -> Option<Answer> {
        self.call(Call::new(method, target, body)).await
    }

    async fn call(&mut self, call: Call) -> Option<Answer> {
        let gateway = self.rng.pick(&self.gateways).clone();
        let answer = self.s3.send(&gateway, call).await.ok();
        let status = answer.as_ref().map_or(0, |answer| u64::from(answer.status.as_u16()));
        self.site.trace.event("answer", &self.name, [status, u64::from(gateway.machine.0), 0]);
        answer
    }

    async fn put(&mut self, key: &str) {
        let value = self.history.new_value();
        let length = if self.rng.once_in(80) { STREAMED } else { *self.rng.pick(SIZES) };
        let body = content(value, length);
        self.history.know(value, body.clone());
        self.site.trace.event("put", &self.name, [u64::from(value.0), length as u64, key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::PUT, format!("/{BUCKET}/{key}"), body).await;
        self.ever.look(&self.site).await;
        self.note_write(key, Some(value), start, answer);
    }

    /// Copies an object: reads one key and writes another at one moment. Copying a key to itself is refused, and not tried.
    async fn copy(&mut self, source: &str, key: &str) {
        if source == key {
            return;
        }
        self.site.trace.event("copy", &self.name, [0, key_number(source), key_number(key)]);
        let start = self.history.moment();
        let mut call = Call::new(Method::PUT, format!("/{BUCKET}/{key}"), Bytes::new());
        call.headers.push((COPY_SOURCE, format!("/{BUCKET}/{source}")));
        let answer = self.call(call).await;
        self.ever.look(&self.site).await;
        match answer {
            Some(Answer { status: StatusCode::OK, body, .. }) => {
                let body = std::str::from_utf8(&body).expect("an answer is text");
                let tag = between(body, "<ETag>&quot;", "&quot;</ETag>");
                let value = self.history.value_of_etag(&tag);
                assert!(value.is_some(), "{}: {source} was copied with a tag that nobody wrote", self.name);
                self.history.read(source, value, start);
                self.history.answered(Action::Write(self.history.key(key), value), start);
            }
            Some(Answer { status: StatusCode::NOT_FOUND, .. }) => {
                self.history.read(source, None, start);
            }
            Some(Answer { status: StatusCode::FORBIDDEN, .. }) => self.history.refused(),
            Some(Answer { status, body, .. }) if status.is_client_error() => {
                panic!("{}: a good copy was refused with {status}: {body:?}", self.name)
            }
            _ => self.history.unknown(Action::WriteSome(self.history.key(key)), start),
        }
    }

    async fn delete(&mut self, key: &str) {
        self.site.trace.event("delete", &self.name, [0, 0, key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::DELETE, format!("/{BUCKET}/{key}"), Bytes::new()).await;
        self.note_write(key, None, start, answer);
    }

    fn note_write(&self, key: &str, value: Option<Value>, start: u64, answer: Option<Answer>) {
        let action = Action::Write(self.history.key(key), value);
        match answer.map(|answer| answer.status) {
            Some(status) if status.is_success() => self.history.answered(action, start),
            // The gateway's clock was turned between the signature and its check: nothing was done.
            Some(StatusCode::FORBIDDEN) => self.history.refused(),
            Some(status) if status.is_client_error() => {
                panic!("{}: a good request was refused with {status}", self.name)
            }
            _ => self.history.unknown(action, start),
        }
    }

    /// Reads a key. What it has, with its entity tag, if there was an answer.
    pub(crate) async fn get(&mut self, key: &str) -> Option<Option<(Value, String)>> {
        self.site.trace.event("get", &self.name, [0, 0, key_number(key)]);
        let start = self.history.moment();
        let answer = self.send(Method::GET, format!("/{BUCKET}/{key}"), Bytes::new()).await;
        match answer {
            Some(answer) if answer.status == StatusCode::OK => {
                let length = answer.body.len();
                let value = self.history.value_of(&answer.body);
                assert!(value.is_some(), "{}: {key} has {length} bytes that nobody wrote", self.name);
                self.history.read(key, value, start);
                Some(value.map(|value| (value, tag(&answer))))
            }
            Some(Answer { status: StatusCode::NOT_FOUND, .. }) => {
                self.history.read(key, None, start);
                Some(None)
            }
            Some(Answer { status, body, .. })
                if status.is_client_error() && status != StatusCode::FORBIDDEN =>
            {
                panic!("{}: a good request was refused with {status}: {body:?}", self.name)
            }
            _ => {
                self.history.refused();
                None
            }
        }
    }

    /// Lists the bucket, page by page: each page tells of every key in its range at one moment. Whether there was an
    /// answer to all of it.
    pub(crate) async fn list(&mut self) -> bool {
        let page_size = self.rng.between(1, 4);
        let mut after = String::new();
        loop {
            self.site.trace.event("list", &self.name, [page_size, 0, key_number(&after)]);
            let start = self.history.moment();
            let query = format!("/{BUCKET}?list-type=2&max-keys={page_size}&start-after={after}");
            let answer = self.send(Method::GET, query, Bytes::new()).await;
            let page = match answer {
                Some(Answer { status: StatusCode::OK, body, .. }) => body,
                Some(Answer { status, body, .. })
                    if status.is_client_error() && status != StatusCode::FORBIDDEN =>
                {
                    panic!("{}: a good listing was refused with {status}: {body:?}", self.name)
                }
                _ => {
                    self.history.refused();
                    return false;
                }
            };
            let page = std::str::from_utf8(&page).expect("a listing is text");
            let entries = self.entries(page);
            let truncated = page.contains("<IsTruncated>true</IsTruncated>");
            assert!(!truncated || entries.len() as u64 == page_size, "a page that is not the last is full");
            let last = entries.last().map(|(key, _)| key.clone());
            let in_page = |key: &&String| {
                **key > after && (!truncated || last.as_ref().is_some_and(|last| *key <= last))
            };
            let told = self.keys.iter().filter(in_page).map(|key| {
                let value = entries.iter().find(|(listed, _)| listed == key).map(|(_, value)| *value);
                (self.history.key(key), value)
            });
            self.history.answered(Action::Read(told.collect()), start);
            match last {
                Some(last) if truncated => after = last,
                _ => return true,
            }
        }
    }

    /// A page's keys and the writes that their entity tags show.
    fn entries(&self, page: &str) -> Vec<(String, Value)> {
        let entries: Vec<_> = page
            .split("<Contents>")
            .skip(1)
            .map(|entry| {
                let key = between(entry, "<Key>", "</Key>");
                let tag = between(entry, "<ETag>&quot;", "&quot;</ETag>");
                let value = self.history.value_of_etag(&tag);
                (key.clone(), value.unwrap_or_else(|| panic!("{key} is listed with a tag that nobody wrote")))
            })
            .collect();
        assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "a listing is in order: {entries:?}");
        for (key, _) in &entries {
            assert!(self.keys.contains(key), "{key} is listed and nobody wrote it");
        }
        entries
    }
}

/// The entity tag of an answer, as a condition names it.
fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("an object has an entity tag").to_owned()
}

/// The text between two others, which are there.
fn between(text: &str, open: &str, close: &str) -> String {
    let start = text.find(open).expect("an answer names keys and tags") + open.len();
    let length = text[start..].find(close).expect("what is opened is closed");
    text[start..start + length].to_owned()
}

/// A key's place among the keys, for the trace.
fn key_number(key: &str) -> u64 {
    key.bytes().fold(0, |number, byte| number << 8 | u64::from(byte))
}
