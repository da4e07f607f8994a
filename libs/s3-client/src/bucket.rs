//! What keeps data in a bucket needs of it: whole objects put, read in ranges, listed and deleted, over connections
//! that are kept, with bounded retries.
//!
//! Every call may be repeated, and is: up to [`ATTEMPTS`] times, with jitter. What a failure says of the outcome is that
//! of all attempts: when one of them may have been carried out, the failure is one that does not promise otherwise.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use checksum::{ObjectHasher, Wanted, crc32c, format_checksum, format_content_md5};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sigv4::{encode_component, encode_path};
use types::{ChecksumAlgorithm, ChecksumValue};

use crate::{Access, Answer, Call, Client, Failure, RequestBody, client::Line, xml};

/// Most attempts for a call.
const ATTEMPTS: u32 = 4;
/// Longest wait before the second attempt; it doubles with each one.
const BACKOFF: Duration = Duration::from_millis(100);
/// Bytes of an object compared at once with what was put.
const COMPARED_AT_ONCE: usize = 8 << 20;
/// Most idle connections kept.
const IDLE_MAX: usize = 64;

/// Most keys in one [`Bucket::delete`] and one [`Page`].
pub const KEYS_MAX: usize = 1000;

const CHECKSUM_CRC32C: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");

/// What must hold for a put to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutCondition<'a> {
    /// There is no such object.
    Absent,
    /// The object has this ETag.
    Matches(&'a str),
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The whole key.
    pub key: String,
    /// Bytes in the object.
    pub size: u64,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Objects in the order of their keys.
    pub objects: Vec<Listed>,
    /// The last key of the page when more follow.
    pub next: Option<String>,
}

/// One bucket of a server.
pub struct Bucket {
    access: Access,
    name: String,
    idle: Mutex<Vec<Line>>,
}

impl Bucket {
    /// The bucket `name` of the server; nothing is asked of it yet.
    pub fn new(access: Access, name: impl Into<String>) -> Self {
        Self { access, name: name.into(), idle: Mutex::default() }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts an object, whole or not at all, and answers its ETag. The server checks the bytes against a CRC-32C.
    /// A condition that does not hold is a failure of status 412. A repeated attempt may meet what an earlier one left:
    /// when the object holds exactly these bytes, the put was carried out. Whoever puts must see to it that nobody, nor an
    /// earlier call, puts the same bytes under the key.
    ///
    /// Once an attempt left open whether it was carried out, it may still be, whatever a later one is told: a refusal
    /// then counts only when the condition did not hold and other bytes were read.
    pub async fn put(&self, key: &str, body: Bytes, condition: PutCondition<'_>) -> Result<String, Failure> {
        self.put_while(key, body, condition, || true).await
    }

    /// The same, and no attempt begins once `may_go_on` answers no: what was not sent before is never sent. Without any
    /// attempt of which the outcome is open the failure is [`Failure::Withheld`].
    pub async fn put_while(
        &self,
        key: &str,
        body: Bytes,
        condition: PutCondition<'_>,
        may_go_on: impl Fn() -> bool,
    ) -> Result<String, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(checksum) = ChecksumValue::new(ChecksumAlgorithm::Crc32c, &crc32c(&body).to_be_bytes()) {
            headers.insert(CHECKSUM_CRC32C, value(&format_checksum(&checksum))?);
        }
        match condition {
            PutCondition::Absent => headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*")),
            PutCondition::Matches(etag) => headers.insert(header::IF_MATCH, value(etag)?),
        };
        let call = || self.call(Method::PUT, self.target(key), &headers, body.clone());
        let (answer, doubt) = self.send_doubting(call, 0, may_go_on).await;
        match (answer, doubt) {
            (Ok(answer), _) => etag_of(&answer),
            (Err(refused), Some(doubt)) if refused.status() == Some(StatusCode::PRECONDITION_FAILED) => {
                match self.holds(key, &body).await {
                    Ok(Some(etag)) => Ok(etag),
                    Ok(None) => Err(refused),
                    Err(_) => Err(doubt),
                }
            }
            (Err(_), Some(doubt)) => Err(doubt),
            (Err(failure), None) => Err(failure),
        }
    }

    /// The ETag of an object that holds exactly these bytes; `None` when it holds others.
    async fn holds(&self, key: &str, bytes: &Bytes) -> Result<Option<String>, Failure> {
        let mut seen: Option<String> = None;
        let mut offset = 0;
        while offset < bytes.len() {
            let piece = &bytes[offset..bytes.len().min(offset + COMPARED_AT_ONCE)];
            let part = self.range(key, offset as u64, piece.len() as u64).await;
            let gone = || Failure::Unexpected("the object is gone".to_owned());
            let part = part?.ok_or_else(gone)?;
            let etag = etag_of(&part)?;
            let same = total_length(&part) == Some(bytes.len() as u64) && part.body[..] == *piece;
            if !same || seen.as_ref().is_some_and(|seen| *seen != etag) {
                return Ok(None);
            }
            seen = Some(etag);
            offset += piece.len();
        }
        seen.map(Some).ok_or_else(|| Failure::Unexpected("an empty object cannot be compared".to_owned()))
    }

    /// Reads an object of 1 to `length_max` bytes and its ETag; `None` when there is none. Another length is a failure.
    pub async fn get(&self, key: &str, length_max: u64) -> Result<Option<(Bytes, String)>, Failure> {
        let Some(answer) = self.range(key, 0, length_max).await? else { return Ok(None) };
        if answer.status != StatusCode::PARTIAL_CONTENT
            || total_length(&answer) != Some(answer.body.len() as u64)
        {
            return Err(Failure::Corrupt(format!(
                "an object of another length than 1 to {length_max} bytes"
            )));
        }
        let etag = etag_of(&answer)?;
        Ok(Some((answer.body, etag)))
    }

    /// Reads `length` bytes of an object from `offset`, at least one; `None` when there is no such object. Fewer bytes
    /// than that, or more, are a failure.
    pub async fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Option<Bytes>, Failure> {
        let Some(answer) = self.range(key, offset, length).await? else { return Ok(None) };
        if answer.status != StatusCode::PARTIAL_CONTENT || answer.body.len() as u64 != length {
            return Err(Failure::Corrupt(format!("{} bytes instead of {length}", answer.body.len())));
        }
        Ok(Some(answer.body))
    }

    async fn range(&self, key: &str, offset: u64, length: u64) -> Result<Option<Answer>, Failure> {
        let mut headers = HeaderMap::new();
        let last = offset.saturating_add(length).saturating_sub(1);
        headers.insert(header::RANGE, value(&format!("bytes={offset}-{last}"))?);
        let call = || self.call(Method::GET, self.target(key), &headers, Bytes::new());
        found(self.send(call, length).await)
    }

    /// Deletes objects, at most [`KEYS_MAX`]; those that are not there are deleted already. Answers the keys that were
    /// refused, each with its failure; the others are deleted.
    pub async fn delete(&self, keys: &[String]) -> Result<Vec<(String, Failure)>, Failure> {
        let mut text = String::from("<Delete><Quiet>true</Quiet>");
        for key in keys {
            text.push_str("<Object><Key>");
            text.push_str(&xml::escape(key));
            text.push_str("</Key></Object>");
        }
        text.push_str("</Delete>");
        let mut headers = HeaderMap::new();
        headers.insert("content-md5", value(&format_content_md5(&md5(text.as_bytes())))?);
        let body = Bytes::from(text);
        let call = || self.call(Method::POST, format!("/{}?delete", self.name), &headers, body.clone());
        let answer = self.send(call, 0).await?;
        let Some(failure) = xml::hidden_failure(answer.status, &answer.body) else { return Ok(Vec::new()) };
        let text = String::from_utf8_lossy(&answer.body);
        let refused: Option<Vec<_>> = xml::elements(&text, "Error")
            .map(|error| {
                let key = xml::unescape(xml::element(error, "Key")?);
                Some((key, xml::failure(answer.status, HeaderMap::new(), error.as_bytes())))
            })
            .collect();
        match refused {
            Some(refused) if !refused.is_empty() => Ok(refused),
            _ => Err(failure),
        }
    }

    /// A page of the objects whose keys begin with `prefix` and lie behind `after`. A listing in any other order than that
    /// of the keys' bytes, one that repeats a key or one that does not begin behind `after` is a failure: where it goes on
    /// could not be told.
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Failure> {
        let mut target = format!(
            "/{}?list-type=2&max-keys={KEYS_MAX}&prefix={}",
            self.name,
            encode_component(prefix.as_bytes())
        );
        if let Some(after) = after {
            target.push_str("&start-after=");
            target.push_str(&encode_component(after.as_bytes()));
        }
        let headers = HeaderMap::new();
        let call = || self.call(Method::GET, target.clone(), &headers, Bytes::new());
        let answer = self.send(call, 0).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let page =
            page(&text).ok_or_else(|| Failure::Unexpected("a listing that cannot be read".to_owned()))?;
        let mut last = after;
        for Listed { key, .. } in &page.objects {
            if !key.starts_with(prefix) || last.is_some_and(|last| key.as_str() <= last) {
                return Err(Failure::Unexpected("a listing that is not in the order of its keys".to_owned()));
            }
            last = Some(key);
        }
        Ok(page)
    }

    fn target(&self, key: &str) -> String {
        format!("/{}/{}", self.name, encode_path(key.as_bytes()))
    }

    fn call(&self, method: Method, target: String, headers: &HeaderMap, body: Bytes) -> Call {
        Call { method, target, headers: headers.clone(), body: RequestBody::Bytes(body) }
    }

    /// Sends a call until it is answered or out of attempts.
    async fn send(&self, call: impl Fn() -> Call, bytes: u64) -> Result<Answer, Failure> {
        self.send_doubting(call, bytes, || true).await.0
    }

    /// The same while `may_go_on`, and the last failure before the answer or the last attempt that left open whether the call
    /// had been carried out.
    async fn send_doubting(
        &self,
        call: impl Fn() -> Call,
        bytes: u64,
        may_go_on: impl Fn() -> bool,
    ) -> (Result<Answer, Failure>, Option<Failure>) {
        let mut doubt: Option<Failure> = None;
        let mut wait = BACKOFF;
        for attempt in 1..=ATTEMPTS {
            if !may_go_on() {
                return (Err(Failure::Withheld), doubt);
            }
            match self.send_once(call(), bytes).await {
                Err(failure) if attempt < ATTEMPTS && failure.may_pass() => {
                    if !failure.promises_nothing_happened() {
                        doubt = Some(failure);
                    }
                }
                settled => return (settled, doubt),
            }
            let range = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            self.access.env.sleep(Duration::from_millis(self.access.env.random_u64() % range)).await;
            wait *= 2;
        }
        (Err(Failure::Withheld), doubt)
    }

    async fn send_once(&self, call: Call, bytes: u64) -> Result<Answer, Failure> {
        let line = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = Client::resume(&self.access, line);
        let answer = client.send_judged(call, bytes, |_| Ok(None)).await;
        if let Some(line) = client.into_line() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(line);
            }
        }
        answer
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bucket({} at {})", self.name, self.access.endpoint)
    }
}

impl Failure {
    /// Whether the same call may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, code, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || code == "ConditionalRequestConflict"
                    || is_timeout(*status, code)
            }
            Self::Unreachable(_) | Self::Connection(_) | Self::TimedOut => true,
            Self::Corrupt(_) | Self::Unexpected(_) | Self::Withheld => false,
        }
    }

    /// Whether the call was certainly not carried out. A refusal and `SlowDown` say so; an internal error, another 503,
    /// which a proxy may answer for a server that it lost, a request that took too long, and a broken connection do not.
    pub fn promises_nothing_happened(&self) -> bool {
        match self {
            Self::Status { status, code, .. } => {
                (status.is_client_error() && !is_timeout(*status, code)) || code == "SlowDown"
            }
            Self::Unreachable(_) | Self::Withheld => true,
            Self::Connection(_) | Self::TimedOut | Self::Corrupt(_) | Self::Unexpected(_) => false,
        }
    }

    /// The status of a refusal or error.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Whether a server or a proxy gave a request up that it did not get in time. S3 answers 400 with this code.
fn is_timeout(status: StatusCode, code: &str) -> bool {
    status == StatusCode::REQUEST_TIMEOUT || code == "RequestTimeout"
}

fn found(answer: Result<Answer, Failure>) -> Result<Option<Answer>, Failure> {
    match answer {
        Err(Failure::Status { code, .. }) if code == "NoSuchKey" => Ok(None),
        answer => answer.map(Some),
    }
}

fn etag_of(answer: &Answer) -> Result<String, Failure> {
    let etag = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
    etag.map(str::to_owned).ok_or_else(|| Failure::Unexpected("an answer without an ETag".to_owned()))
}

/// Length of the whole object of which the answer holds a range.
fn total_length(answer: &Answer) -> Option<u64> {
    let range = answer.headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut hasher = ObjectHasher::new(Wanted { md5: true, ..Wanted::default() });
    hasher.update(bytes);
    hasher.finish().md5().unwrap_or_default()
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::Unexpected("a header that cannot be sent".to_owned()))
}

fn page(text: &str) -> Option<Page> {
    let truncated = xml::element(text, "IsTruncated")? == "true";
    let objects = xml::elements(text, "Contents")
        .map(|entry| {
            let key = xml::unescape(xml::element(entry, "Key")?);
            Some(Listed { key, size: xml::element(entry, "Size")?.parse().ok()? })
        })
        .collect::<Option<Vec<_>>>()?;
    let next = if truncated { Some(objects.last()?.key.clone()) } else { None };
    Some(Page { objects, next })
}

#[cfg(test)]
mod tests;
