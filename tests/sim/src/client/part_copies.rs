//! Parts that are copied from an object: whatever it is, or a range of what it has just been read to be.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{BUCKET, COPY_SOURCE, Client, VERSIONED, between, key_number, multipart::Upload};
use crate::{
    content::{Value, etag},
    s3::{Answer, Call},
    versions::{Action, Name},
};

/// Fewest bytes of a part that another may follow.
const PART_SIZE_MIN: usize = 100;

/// What is copied.
struct Source {
    is_versioned: bool,
    key: String,
    name: Option<Name>,
    /// The bytes, and the entity tag that the object has to have, if a range is copied.
    range: Option<(Value, String, std::ops::Range<usize>)>,
}

impl Client {
    /// Copies an object of either bucket, or a range of it, as a part. The part's bytes, if it was taken and is long enough
    /// to be any part of an object.
    pub(super) async fn copy_part(&mut self, upload: &Upload, number: u32) -> Option<Bytes> {
        let source = self.some_source().await?;
        let numbers = [u64::from(number), u64::from(source.range.is_some()), key_number(&source.key)];
        self.site.trace.event("copy part", &self.name, numbers);
        let mut call = Call::new(Method::PUT, upload.target(&format!("partNumber={number}&")), Bytes::new());
        let place = match source.name {
            Some(name) => self.target(&source.key, name),
            None => format!("/{}/{}", if source.is_versioned { VERSIONED } else { BUCKET }, source.key),
        };
        call.headers.push((COPY_SOURCE, place));
        if let Some((_, tag, range)) = &source.range {
            call.headers.push(("x-amz-copy-source-if-match", tag.clone()));
            let range = format!("bytes={}-{}", range.start, range.end - 1);
            call.headers.push(("x-amz-copy-source-range", range));
        }
        let start = self.history.moment();
        let answer = self.call(call).await;
        self.ever.look(&self.site).await;
        let bytes = self.note_copied_part(&source, answer, start)?;
        (bytes.len() >= PART_SIZE_MIN).then_some(bytes)
    }

    async fn some_source(&mut self) -> Option<Source> {
        let is_versioned = self.rng.once_in(2);
        let key = self.rng.pick(if is_versioned { &self.versioned_keys } else { &self.keys }).clone();
        let name = if is_versioned && self.rng.once_in(2) { self.some_version(&key) } else { None };
        let mut source = Source { is_versioned, key, name, range: None };
        if self.rng.once_in(2) {
            let key = source.key.clone();
            let seen = match source.name {
                Some(name) => self.get_version(&key, name).await,
                None if is_versioned => self.get_current(&key).await,
                None => self.get(&key).await,
            };
            let (value, tag) = seen.flatten()?;
            let length = self.history.bytes(value).len() as u64;
            let first = self.rng.below(length);
            let last = self.rng.between(first, length - 1);
            let place = |place: u64| usize::try_from(place).expect("an object is in memory");
            source.range = Some((value, tag, place(first)..place(last + 1)));
        }
        Some(source)
    }

    /// Notes what an answer tells of the source. The bytes of the part, if it was made.
    fn note_copied_part(&self, source: &Source, answer: Option<Answer>, start: u64) -> Option<Bytes> {
        let Source { is_versioned, key, name, range } = source;
        let status = answer.as_ref().map(|answer| answer.status);
        match (status, name) {
            (Some(StatusCode::OK), _) => {}
            (Some(StatusCode::NOT_FOUND), None) if *is_versioned => {
                self.history.told(Action::HasNone(self.history.key(key)), start);
                return None;
            }
            (Some(StatusCode::NOT_FOUND), None) => {
                self.history.read(key, None, start);
                return None;
            }
            (Some(StatusCode::NOT_FOUND), Some(name)) => {
                self.history.told(Action::Read(self.history.key(key), *name, None), start);
                return None;
            }
            // A delete marker.
            (Some(StatusCode::BAD_REQUEST), Some(name)) if range.is_none() => {
                self.history.told(Action::Read(self.history.key(key), *name, Some(None)), start);
                return None;
            }
            // It is another one by now.
            (Some(StatusCode::PRECONDITION_FAILED), _) if range.is_some() => return None,
            (Some(StatusCode::BAD_REQUEST), Some(_)) => return None,
            _ => {
                self.refused_or_lost(answer);
                return None;
            }
        }
        let answer = answer?;
        let tag = between(answer.text(), "<ETag>&quot;", "&quot;</ETag>");
        let (value, bytes) = match range {
            Some((value, _, range)) => {
                let bytes = self.history.bytes(*value).slice(range.clone());
                assert_eq!(
                    tag,
                    etag(&bytes),
                    "{}: other bytes of {key} were copied than asked for",
                    self.name
                );
                self.history.count(|counts| counts.ranges += 1);
                (*value, bytes)
            }
            None => {
                let value = self.history.value_of_etag(&tag);
                let value = value.unwrap_or_else(|| panic!("{key} was copied with a tag that nobody wrote"));
                let bytes = self.history.bytes(value);
                assert_eq!(tag, etag(&bytes), "{}: a part has not the bytes of {key}", self.name);
                (value, bytes)
            }
        };
        self.history.count(|counts| counts.copied += 1);
        if *is_versioned {
            self.note_source(key, *name, value, &answer, start);
        } else {
            self.history.read(key, Some(value), start);
        }
        Some(bytes)
    }
}
