//! Forms as a browser sends them, signed as their author would: by the published recipe and not by the product's code.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use sha2::Sha256;
use time::{OffsetDateTime, format_description::well_known::Iso8601, macros::format_description};

use crate::{Bucket, Request, now_seconds};

const BOUNDARY: &str = "----HarnessFormBoundary7MA4YWxkTrZu0gW";

/// A form under construction. What a test does not say is as an honest author would have it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Form {
    bucket: Bucket,
    fields: Vec<(String, Vec<u8>)>,
    conditions: Vec<String>,
    expires_seconds: i64,
    signed_seconds: i64,
    policy: Option<String>,
    signature: Option<String>,
    file_name: Option<String>,
    late_field: bool,
}

impl Form {
    pub(crate) fn new(bucket: &Bucket) -> Self {
        let now = now_seconds();
        Self {
            bucket: bucket.clone(),
            fields: Vec::new(),
            conditions: vec![format!("{{\"bucket\": \"{}\"}}", bucket.name)],
            expires_seconds: now + 60,
            signed_seconds: now,
            policy: None,
            signature: None,
            file_name: Some("file.bin".to_owned()),
            late_field: false,
        }
    }

    /// Adds a field, and the condition that allows it.
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.condition(&format!("[\"starts-with\", \"${name}\", \"\"]")).free_field(name, value)
    }

    /// Adds a field and no condition.
    pub fn free_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a condition in JSON.
    pub fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// The policy's end, in seconds since 1970.
    pub fn expires_at(mut self, seconds: i64) -> Self {
        self.expires_seconds = seconds;
        self
    }

    /// When it was signed, in seconds since 1970.
    pub fn signed_at(mut self, seconds: i64) -> Self {
        self.signed_seconds = seconds;
        self
    }

    /// Signs this text in the place of a policy of the conditions.
    pub fn policy(mut self, text: &str) -> Self {
        self.policy = Some(text.to_owned());
        self
    }

    /// Sends this signature.
    pub fn signature(mut self, signature: &str) -> Self {
        self.signature = Some(signature.to_owned());
        self
    }

    /// The file's name; none at all with `None`.
    pub fn file_name(mut self, name: Option<&str>) -> Self {
        self.file_name = name.map(str::to_owned);
        self
    }

    /// Puts a field behind the file.
    pub fn late_field(mut self) -> Self {
        self.late_field = true;
        self
    }

    /// The request with a policy and its signature.
    pub fn signed(mut self, file: impl AsRef<[u8]>) -> Request {
        let client = self.bucket.client().clone();
        let at = OffsetDateTime::from_unix_timestamp(self.signed_seconds).expect("a time");
        let day = at.format(format_description!("[year][month][day]")).expect("a day");
        let time =
            at.format(format_description!("[year][month][day]T[hour][minute][second]Z")).expect("a time");
        let credential =
            format!("{}/{day}/{}/s3/aws4_request", client.credentials().access_key_id, client.region());
        let mut own = vec![
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", credential),
            ("x-amz-date", time),
        ];
        if let Some(token) = &client.credentials().session_token {
            own.push(("x-amz-security-token", token.clone()));
        }
        for (name, value) in own {
            // A test may have put another value there.
            if !self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                self = self.condition(&format!("{{\"{name}\": \"{value}\"}}")).free_field(name, value);
            }
        }
        let end = OffsetDateTime::from_unix_timestamp(self.expires_seconds).expect("a time");
        let end = end.format(&Iso8601::DEFAULT).expect("a time");
        let policy = self.policy.take().unwrap_or_else(|| {
            format!("{{\"expiration\": \"{end}\", \"conditions\": [{}]}}", self.conditions.join(", "))
        });
        let policy = STANDARD.encode(policy);
        let key = format!("AWS4{}", client.credentials().secret_access_key).into_bytes();
        let key = [day.as_str(), client.region(), "s3", "aws4_request"]
            .iter()
            .fold(key, |key, text| hmac(&key, text.as_bytes()));
        let signature = self.signature.take().unwrap_or_else(|| hex::encode(hmac(&key, policy.as_bytes())));
        self.free_field("Policy", policy).free_field("X-Amz-Signature", signature).unsigned(file)
    }

    /// The request as it stands, signed by nobody.
    pub fn unsigned(self, file: impl AsRef<[u8]>) -> Request {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        let file_name =
            self.file_name.as_ref().map_or(String::new(), |name| format!("; filename=\"{name}\""));
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"{file_name}\r\nContent-Type: text/x-ignored\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file.as_ref());
        if self.late_field {
            let late = format!(
                "\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"acl\"\r\n\r\npublic-read"
            );
            body.extend_from_slice(late.as_bytes());
        }
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.bucket.request(Method::POST).anonymous().header("content-type", content_type).body(body)
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}
