//! Makes signatures, for our own clients and for tests.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, EXPECT, HOST, TRANSFER_ENCODING, USER_AGENT},
};

use crate::{
    ALGORITHM, EXPIRES_MAX_SECONDS, SERVICE,
    canonical::{canonical_request, encode_component, join_names, string_to_sign},
    chunk::ChunkSigner,
    header,
    key::{Credentials, SigningKey},
    parameter,
    payload::Payload,
    request::RequestView,
    scope::{RequestTime, Scope},
};

/// Headers that proxies and HTTP libraries change on the way.
const NEVER_SIGNED: [HeaderName; 6] =
    [ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, EXPECT, TRANSFER_ENCODING, USER_AGENT];

/// A request that cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// There is no `host` header.
    #[error("a request without a host header cannot be signed")]
    HostMissing,
    /// The time is outside the years 0 to 9999.
    #[error("the time is out of range")]
    TimeOutOfRange,
    /// The access key id or the session token holds what a header cannot.
    #[error("the credentials cannot stand in a header")]
    Credentials,
    /// The life of a presigned URL is not 1 to 604,800 s.
    #[error("a presigned URL lives 1 to {EXPIRES_MAX_SECONDS} s")]
    Lifetime,
}

/// Signs requests, to S3 unless another service is named, with one set of credentials, for one region, at one time.
#[derive(Debug, Clone)]
pub struct Signer<'a> {
    credentials: &'a Credentials,
    key: SigningKey,
    scope: Scope,
    time: RequestTime,
}

/// A request's own signature, which seeds those of its chunks.
#[derive(Debug, Clone)]
pub struct Signature {
    text: String,
    key: SigningKey,
    scope: Scope,
    time: RequestTime,
}

impl Signature {
    /// 64 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The signer of the body's chunks, for the payload forms with signed chunks.
    pub fn chunk_signer(&self) -> ChunkSigner {
        ChunkSigner::new(self.key.clone(), self.time, &self.scope, self.text.clone())
    }
}

impl<'a> Signer<'a> {
    /// `now_seconds` counts from 1970. Cheap enough to make for each request.
    pub fn new(credentials: &'a Credentials, region: &str, now_seconds: i64) -> Result<Self, SignError> {
        Self::for_service(SERVICE, credentials, region, now_seconds)
    }

    /// The same for another service than S3.
    pub fn for_service(
        service: &str,
        credentials: &'a Credentials,
        region: &str,
        now_seconds: i64,
    ) -> Result<Self, SignError> {
        let time = RequestTime::from_seconds(now_seconds).ok_or(SignError::TimeOutOfRange)?;
        let scope = Scope::new(now_seconds, region).ok_or(SignError::TimeOutOfRange)?;
        let scope = Scope::of(&scope.day(), region, service).ok_or(SignError::TimeOutOfRange)?;
        let key = SigningKey::derive(&credentials.secret_access_key, &scope);
        Ok(Self { credentials, key, scope, time })
    }

    /// Signs with an `Authorization` header.
    ///
    /// `path` and `query` are as they will be sent (see [`crate::encode_path`]); `headers` holds `host` and whatever
    /// else shall be signed. Sets `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` and `authorization`, and
    /// signs every header but those that proxies and HTTP libraries change.
    pub fn sign_headers(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &mut HeaderMap,
        payload: Payload,
    ) -> Result<Signature, SignError> {
        let payload_text = payload.header_value();
        headers.insert(header::DATE, plain_value(&self.time.to_string())?);
        headers.insert(header::CONTENT_SHA256, plain_value(&payload_text)?);
        match &self.credentials.session_token {
            Some(token) => headers.insert(header::SECURITY_TOKEN, plain_value(token)?),
            None => headers.remove(header::SECURITY_TOKEN),
        };
        let signed_headers = signed_headers(headers)?;
        let view = RequestView { method, path, query, headers };
        let request = canonical_request(&view, false, &signed_headers, &payload_text);
        let signature = self.signature(&request);
        let authorization = format!(
            "{ALGORITHM} Credential={}, SignedHeaders={}, Signature={}",
            self.credential(),
            join_names(&signed_headers),
            signature.text
        );
        headers.insert(AUTHORIZATION, plain_value(&authorization)?);
        Ok(signature)
    }

    /// The query of a presigned URL: that of the request, the parameters of the signature, the signature.
    ///
    /// `headers` holds `host` and whatever else the user of the URL must send exactly so.
    pub fn presign(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        lifetime_seconds: u32,
    ) -> Result<String, SignError> {
        if !(1..=EXPIRES_MAX_SECONDS).contains(&lifetime_seconds) {
            return Err(SignError::Lifetime);
        }
        let signed_headers = signed_headers(headers)?;
        let mut query = query.unwrap_or_default().to_owned();
        let mut push = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.extend([name, "=", encode_component(value.as_bytes()).as_str()]);
        };
        push(parameter::ALGORITHM, ALGORITHM);
        push(parameter::CREDENTIAL, &self.credential());
        push(parameter::DATE, &self.time.to_string());
        push(parameter::EXPIRES, &lifetime_seconds.to_string());
        if let Some(token) = &self.credentials.session_token {
            push(parameter::SECURITY_TOKEN, token);
        }
        push(parameter::SIGNED_HEADERS, &join_names(&signed_headers));
        let view = RequestView { method, path, query: Some(&query), headers };
        let payload = Payload::Unsigned.header_value();
        let signature = self.signature(&canonical_request(&view, true, &signed_headers, &payload));
        Ok(format!("{query}&{}={}", parameter::SIGNATURE, signature.text))
    }

    fn credential(&self) -> String {
        format!("{}/{}", self.credentials.access_key_id, self.scope)
    }

    fn signature(&self, canonical_request: &[u8]) -> Signature {
        let text = self.key.sign(&string_to_sign(self.time, &self.scope, canonical_request));
        Signature { text, key: self.key.clone(), scope: self.scope.clone(), time: self.time }
    }
}

/// Every header but those that change on the way, sorted.
fn signed_headers(headers: &HeaderMap) -> Result<Vec<HeaderName>, SignError> {
    if !headers.contains_key(HOST) {
        return Err(SignError::HostMissing);
    }
    let mut names: Vec<HeaderName> =
        headers.keys().filter(|name| !NEVER_SIGNED.contains(name)).cloned().collect();
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    Ok(names)
}

fn plain_value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::Credentials)
}
