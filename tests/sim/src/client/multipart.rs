//! Multipart uploads: parts that are sent again, completions that are repeated, aborts, and both at once.

use bytes::Bytes;
use http::{Method, StatusCode};
use md5::{Digest, Md5};

use super::{BUCKET, Client, TRIES, VERSIONED, between, key_number};
use crate::{
    content::{Value, content, etag},
    linear::Action,
    s3::{Answer, Call},
    time,
    versions::{self, Made},
};

/// Sizes of parts: whole copies, one cell, several stripes.
const PART_SIZES: &[usize] = &[200, 2_000, 2_000, 6_000, 20_000, 70_000];

/// An open upload.
pub(super) struct Upload {
    bucket: &'static str,
    key: String,
    id: String,
    /// What its object will be.
    value: Value,
    /// Numbers and entity tags of the parts that make the object.
    parts: Vec<(u32, String)>,
    /// A part may have been replaced by bytes that are not the object's, by a request that nobody heard of again.
    is_unsure: bool,
}

impl Upload {
    pub(super) fn target(&self, query: &str) -> String {
        format!("/{}/{}?{query}uploadId={}", self.bucket, self.key, self.id)
    }

    /// The entity tag of the object: the MD5 of the parts' MD5s and their number.
    fn etag(&self) -> String {
        let digests: Vec<u8> =
            self.parts.iter().flat_map(|(_, tag)| hex::decode(tag).expect("an MD5")).collect();
        format!("{}-{}", hex::encode(Md5::digest(digests)), self.parts.len())
    }

    fn completion(&self) -> Call {
        let part = |(number, tag): &(u32, String)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{tag}\"</ETag></Part>")
        };
        let parts: String = self.parts.iter().map(part).collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        Call::new(Method::POST, self.target(""), body.into())
    }

    fn abort(&self) -> Call {
        Call::new(Method::DELETE, self.target(""), Bytes::new())
    }
}

/// What a completion was answered with.
#[derive(Debug, PartialEq, Eq)]
enum Completion {
    /// The object was made; with its version's id in a bucket with versions.
    Made(Option<String>),
    /// There is no such upload.
    Gone,
    /// A part is not the one that was named.
    InvalidPart,
    /// It was not looked at.
    Refused,
    Unknown,
}

/// What an abort was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abort {
    Done,
    Gone,
    Unknown,
}

impl Client {
    /// Uploads an object in parts, to either bucket, and completes or aborts it.
    pub(super) async fn upload(&mut self) {
        let is_versioned = self.rng.once_in(3);
        let bucket = if is_versioned { VERSIONED } else { BUCKET };
        let keys = if is_versioned { &self.versioned_keys } else { &self.keys };
        let key = self.rng.pick(keys).clone();
        let call = Call::new(Method::POST, format!("/{bucket}/{key}?uploads="), Bytes::new());
        let id = match self.call(call).await {
            Some(answer) if answer.status == StatusCode::OK => {
                between(answer.text(), "<UploadId>", "</UploadId>")
            }
            answer => return self.refused_or_lost(answer),
        };
        let value = self.history.new_value();
        let mut upload = Upload { bucket, key, id, value, parts: Vec::new(), is_unsure: false };
        if self.send_parts(&mut upload).await {
            self.finish(&upload).await;
        } else {
            self.abort(&upload).await;
        }
        self.ever.look(&self.site).await;
    }

    /// Notes that a request that makes nothing visible failed.
    pub(super) fn refused_or_lost(&self, answer: Option<Answer>) {
        if let Some(Answer { status, body, .. }) = answer
            && status.is_client_error()
            && status != StatusCode::FORBIDDEN
        {
            panic!("{}: a good request was refused with {status}: {body:?}", self.name);
        }
        self.history.refused();
    }

    /// Sends the parts, some of them more than once, and copies others. Whether all were taken that make the object.
    async fn send_parts(&mut self, upload: &mut Upload) -> bool {
        let count = self.rng.between(1, 3);
        let lengths: Vec<usize> = (0..count).map(|_| *self.rng.pick(PART_SIZES)).collect();
        let own = content(upload.value, lengths.iter().sum());
        // The first part is its own, so that no other object begins as it does.
        let mut whole = Vec::with_capacity(own.len());
        self.site.trace.event(
            "upload",
            &self.name,
            [u64::from(upload.value.0), own.len() as u64, key_number(&upload.key)],
        );
        let (mut number, mut start) = (0, 0);
        for length in lengths {
            number += u32::try_from(self.rng.between(1, 3)).expect("few");
            let body = own.slice(start..start + length);
            start += length;
            if self.rng.once_in(3) {
                self.send_other(upload, number, &body).await;
            }
            let mut is_taken = false;
            for _ in 0..TRIES {
                if self.send_part(upload, number, body.clone()).await {
                    is_taken = true;
                    // Sometimes once more, as a client does that did not see the answer.
                    if !self.rng.once_in(6) {
                        break;
                    }
                }
            }
            if !is_taken {
                return false;
            }
            upload.parts.push((number, etag(&body)));
            whole.extend_from_slice(&body);
            if self.rng.once_in(3) {
                number += 1;
                if let Some(copied) = self.copy_part(upload, number).await {
                    upload.parts.push((number, etag(&copied)));
                    whole.extend_from_slice(&copied);
                }
            }
        }
        if self.rng.once_in(4) {
            // One that the completion will not name.
            let junk = self.junk(2_000);
            self.send_part(upload, number + 1, junk).await;
        }
        self.history.know_etag(upload.etag(), upload.value);
        // By its own entity tag, too: a copy in another storage class is written whole.
        self.history.know(upload.value, whole.into());
        true
    }

    fn junk(&mut self, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        self.rng.fill(&mut bytes);
        bytes.into()
    }

    /// Sends other bytes as a part, before the right ones or at the same time.
    async fn send_other(&mut self, upload: &mut Upload, number: u32, body: &Bytes) {
        let length = *self.rng.pick(PART_SIZES);
        let junk = self.junk(length);
        let is_taken = if self.rng.once_in(2) {
            self.send_part(upload, number, junk).await
        } else {
            let target = upload.target(&format!("partNumber={number}&"));
            let call = |body| Call::new(Method::PUT, target.clone(), body);
            let (right, other) = self.both(call(body.clone()), call(junk)).await;
            self.check_part(right);
            self.check_part(other)
        };
        upload.is_unsure |= !is_taken;
    }

    /// Sends a part. Whether it was taken.
    async fn send_part(&mut self, upload: &Upload, number: u32, body: Bytes) -> bool {
        let target = upload.target(&format!("partNumber={number}&"));
        let tag = etag(&body);
        let answer = self.call(Call::new(Method::PUT, target, body)).await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.status == StatusCode::OK) {
            assert_eq!(answer.header("etag"), Some(&*format!("\"{tag}\"")), "a part's tag is its MD5");
        }
        self.check_part(answer)
    }

    fn check_part(&self, answer: Option<Answer>) -> bool {
        let is_taken = answer.as_ref().is_some_and(|answer| answer.status == StatusCode::OK);
        if !is_taken {
            self.refused_or_lost(answer);
        }
        is_taken
    }

    /// Sends two requests at the same time.
    async fn both(&mut self, one: Call, other: Call) -> (Option<Answer>, Option<Answer>) {
        let gateways = [self.rng.pick(&self.gateways).clone(), self.rng.pick(&self.gateways).clone()];
        let Self { s3, other_s3, .. } = self;
        let (one, other) =
            tokio::join!(biased; s3.send(&gateways[0], one), other_s3.send(&gateways[1], other));
        let status = |answer: &Result<Answer, _>| {
            answer.as_ref().map_or(0, |answer: &Answer| u64::from(answer.status.as_u16()))
        };
        self.site.trace.event("answers", &self.name, [status(&one), status(&other), 0]);
        (one.ok(), other.ok())
    }

    /// Completes the upload, or aborts it, or both at once.
    async fn finish(&mut self, upload: &Upload) {
        let start = self.history.moment();
        let (mut completion, abort) = match self.rng.below(8) {
            0 => return self.abort(upload).await,
            1 | 2 => {
                self.history.count(|counts| counts.raced += 1);
                let (completion, abort) = self.both(upload.completion(), upload.abort()).await;
                (self.completion(upload, completion), Some(self.aborted(abort)))
            }
            _ => {
                let answer = self.call(upload.completion()).await;
                (self.completion(upload, answer), None)
            }
        };
        let mut is_unknown = completion == Completion::Unknown;
        for _ in 1..TRIES {
            if completion != Completion::Unknown {
                break;
            }
            time::sleep_ms(200).await;
            let answer = self.call(upload.completion()).await;
            completion = self.completion(upload, answer);
        }
        is_unknown &= !matches!(completion, Completion::Made(_));
        self.note_completion(upload, start, &completion, abort, is_unknown).await;
        if matches!(completion, Completion::Made(_)) && self.rng.once_in(3) {
            let answer = self.call(upload.completion()).await;
            let again = self.completion(upload, answer);
            let is_same = again == completion || matches!(again, Completion::Unknown | Completion::Refused);
            assert!(is_same, "{}: {completion:?}, and repeated {again:?}", self.name);
        }
    }

    /// Notes what was heard of a completion, the last of several of which others had no answer if `is_unknown`.
    async fn note_completion(
        &mut self,
        upload: &Upload,
        start: u64,
        completion: &Completion,
        abort: Option<Abort>,
        is_unknown: bool,
    ) {
        let aborted = match (completion, abort) {
            (Completion::Made(id), None | Some(Abort::Gone | Abort::Unknown)) => {
                self.history.count(|counts| counts.completed += 1);
                return self.note_object(upload, start, id.as_deref());
            }
            (Completion::Made(_), Some(Abort::Done)) => {
                panic!("{}: an upload was both completed and aborted", self.name)
            }
            (Completion::Gone, Some(Abort::Done | Abort::Unknown)) => {
                return self.history.count(|counts| counts.aborted += 1);
            }
            (Completion::Gone, None | Some(Abort::Gone)) => {
                panic!("{}: an upload is gone that nobody completed or aborted", self.name)
            }
            (Completion::InvalidPart, _) if !upload.is_unsure => {
                panic!("{}: a part that was taken is not the upload's", self.name)
            }
            (Completion::InvalidPart | Completion::Refused | Completion::Unknown, Some(abort)) => abort,
            (Completion::InvalidPart | Completion::Refused | Completion::Unknown, None) => {
                let answer = self.call(upload.abort()).await;
                self.aborted(answer)
            }
        };
        match aborted {
            // No completion that is still under way finds the upload.
            Abort::Done => self.history.count(|counts| counts.aborted += 1),
            Abort::Gone if !is_unknown => {
                panic!("{}: an upload is gone that nobody completed", self.name)
            }
            Abort::Gone | Abort::Unknown if is_unknown => self.note_unknown(upload, start),
            Abort::Gone | Abort::Unknown => self.history.refused(),
        }
    }

    /// Notes the object that a completion made.
    fn note_object(&mut self, upload: &Upload, start: u64, id: Option<&str>) {
        if upload.bucket == VERSIONED {
            // A null version that is made is not named.
            self.note_made(&upload.key, id.unwrap_or("null"), Made::Object(upload.value), start);
        } else {
            let key = self.history.key(&upload.key);
            self.history.answered(Action::Write(key, Some(upload.value)), start);
        }
    }

    fn note_unknown(&self, upload: &Upload, start: u64) {
        let key = self.history.key(&upload.key);
        if upload.bucket == VERSIONED {
            let made = versions::Action::Make(key, None, Made::Object(upload.value));
            self.history.untold(made, start);
        } else {
            self.history.unknown(Action::Write(key, Some(upload.value)), start);
        }
    }

    fn completion(&self, upload: &Upload, answer: Option<Answer>) -> Completion {
        let Some(answer) = answer else { return Completion::Unknown };
        match answer.status {
            StatusCode::OK => {
                let tag = between(answer.text(), "<ETag>&quot;", "&quot;</ETag>");
                assert_eq!(tag, upload.etag(), "{}: an upload became another object", self.name);
                Completion::Made(answer.header("x-amz-version-id").map(str::to_owned))
            }
            StatusCode::NOT_FOUND if answer.text().contains("NoSuchUpload") => Completion::Gone,
            StatusCode::BAD_REQUEST if answer.text().contains("InvalidPart<") => Completion::InvalidPart,
            StatusCode::FORBIDDEN => Completion::Refused,
            status if status.is_client_error() => {
                panic!("{}: a good completion was refused with {status}: {}", self.name, answer.text())
            }
            _ => Completion::Unknown,
        }
    }

    async fn abort(&mut self, upload: &Upload) {
        let answer = self.call(upload.abort()).await;
        match self.aborted(answer) {
            Abort::Done => self.history.count(|counts| counts.aborted += 1),
            Abort::Unknown => {}
            Abort::Gone => panic!("{}: an upload is gone that nobody completed or aborted", self.name),
        }
    }

    fn aborted(&self, answer: Option<Answer>) -> Abort {
        match answer.as_ref().map(|answer| answer.status) {
            Some(StatusCode::NO_CONTENT) => Abort::Done,
            Some(StatusCode::NOT_FOUND) => Abort::Gone,
            _ => {
                self.refused_or_lost(answer);
                Abort::Unknown
            }
        }
    }

    /// Aborts what is open. Whether nothing is open any more.
    pub(crate) async fn abort_all(&mut self, bucket: &str) -> bool {
        let call = Call::new(Method::GET, format!("/{bucket}?uploads="), Bytes::new());
        let Some(answer) = self.call(call).await.filter(|answer| answer.status == StatusCode::OK) else {
            return false;
        };
        let mut is_done = true;
        for upload in answer.text().split("<Upload>").skip(1) {
            let (key, id) =
                (between(upload, "<Key>", "</Key>"), between(upload, "<UploadId>", "</UploadId>"));
            let target = format!("/{bucket}/{key}?uploadId={id}");
            self.call(Call::new(Method::DELETE, target, Bytes::new())).await;
            is_done = false;
        }
        is_done
    }
}
