//! AWS Signature Version 2, for tools that know no other: headers, presigned URLs and forms.
//!
//! It covers neither the body nor the whole query, and is made with the secret itself. So only a parameter that it covers,
//! or one that changes nothing but which part of a listing is shown, may stand in such a request; with any other the holder
//! of a presigned URL could ask for something else than was signed.
//!
//! Source: Amazon S3 Developer Guide (API version 2006-03-01), "Signing and Authenticating REST Requests".

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{
    HeaderName,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE},
};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::{
    SKEW_MAX_SECONDS,
    canonical::decoded_component,
    error::{Error, SignatureMismatch},
    header,
    parse::payload_without_signed_chunks,
    payload::Payload,
    request::RequestView,
    scope::RequestTime,
};

/// Query parameters that are part of what is signed.
const SIGNED_PARAMETERS: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Query parameters that are not, and may be there: those of listings and of the signature itself.
const FREE_PARAMETERS: &[&str] = &[
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "x-id",
];

/// What a request says of itself, before it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version2Claim {
    access_key_id: String,
    signature: String,
    moment: Moment,
    payload: Payload,
}

/// When a request was signed, or until when it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Moment {
    /// In the headers, in seconds since 1970.
    Signed(i64),
    /// In the query, in seconds since 1970, as it is written.
    Expires(i64, String),
}

impl Version2Claim {
    /// Reads the claim of a request that [`crate::parse`] refused with [`Error::SignatureVersion2`].
    pub fn parse(view: &RequestView<'_>) -> Result<Self, Error> {
        let authorization = view.only(AUTHORIZATION.as_str()).map_err(|_| Error::SeveralMechanisms)?;
        let pairs = decoded_pairs(view.query);
        for (name, _) in &pairs {
            if !SIGNED_PARAMETERS.contains(&name.as_str()) && !FREE_PARAMETERS.contains(&name.as_str()) {
                return Err(Error::Version2Parameter(name.clone()));
            }
        }
        let payload = payload_without_signed_chunks(view)?;
        if let Some(value) = authorization {
            let text = std::str::from_utf8(value).map_err(|_| Error::Version2Malformed)?;
            let credential = text.strip_prefix("AWS ").ok_or(Error::Version2Malformed)?.trim();
            let (access_key_id, signature) = credential.rsplit_once(':').ok_or(Error::Version2Malformed)?;
            let (access_key_id, signature) = (access_key_id.to_owned(), signature.to_owned());
            let moment = Moment::Signed(signed_seconds(view)?);
            return Ok(Self { access_key_id, signature, moment, payload });
        }
        let only = |wanted: &str| {
            let mut found = pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
            match (found.next(), found.next()) {
                (Some(value), None) => Ok(value.clone()),
                _ => Err(Error::Version2Malformed),
            }
        };
        if payload.is_streaming() {
            return Err(Error::StreamingNotAllowed);
        }
        let expires = only("Expires")?;
        let seconds = expires.parse().map_err(|_| Error::Version2Malformed)?;
        Ok(Self {
            access_key_id: only("AWSAccessKeyId")?,
            signature: only("Signature")?,
            moment: Moment::Expires(seconds, expires),
            payload,
        })
    }

    /// Whose secret to look up.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The body's form, which the signature does not cover.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Proves the claim that was read from this same request. `bucket_in_host` is the bucket that the `Host` header names,
    /// `now_seconds` our time since 1970. The time is checked first, then the signature in constant time.
    pub fn verify(
        &self,
        view: &RequestView<'_>,
        bucket_in_host: Option<&str>,
        secret_access_key: &str,
        now_seconds: i64,
    ) -> Result<(), Error> {
        match self.moment {
            Moment::Signed(request_seconds) => {
                if request_seconds.abs_diff(now_seconds) > SKEW_MAX_SECONDS.unsigned_abs() {
                    return Err(Error::RequestTimeTooSkewed { request_seconds, server_seconds: now_seconds });
                }
            }
            Moment::Expires(expires_seconds, _) => {
                if now_seconds > expires_seconds {
                    return Err(Error::Version2Expired { expires_seconds, server_seconds: now_seconds });
                }
            }
        }
        let string_to_sign = self.string_to_sign(view, bucket_in_host, view.path)?;
        if verifies(secret_access_key, &string_to_sign, &self.signature) {
            return Ok(());
        }
        // A path with nothing but a bucket is signed with a slash behind it by most tools, and without by others.
        let names_bucket_alone =
            view.path.get(1..).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
        if bucket_in_host.is_none() && names_bucket_alone {
            let with_slash = self.string_to_sign(view, None, &format!("{}/", view.path))?;
            if verifies(secret_access_key, &with_slash, &self.signature) {
                return Ok(());
            }
        }
        Err(Error::SignatureDoesNotMatch(Box::new(SignatureMismatch {
            access_key_id: self.access_key_id.clone(),
            signature_provided: self.signature.clone(),
            string_to_sign: String::from_utf8_lossy(&string_to_sign).into_owned(),
            canonical_request: None,
        })))
    }

    fn string_to_sign(
        &self,
        view: &RequestView<'_>,
        bucket_in_host: Option<&str>,
        path: &str,
    ) -> Result<Vec<u8>, Error> {
        let only = |name: &str| view.only(name).map(Option::unwrap_or_default);
        let malformed = |_| Error::Version2Malformed;
        let date = match &self.moment {
            Moment::Expires(_, text) => text.as_bytes(),
            Moment::Signed(_) if view.headers.contains_key(header::DATE) => b"",
            Moment::Signed(_) => only(DATE.as_str()).map_err(malformed)?,
        };
        let lines = [
            view.method.as_str().as_bytes(),
            only("content-md5").map_err(malformed)?,
            only(CONTENT_TYPE.as_str()).map_err(malformed)?,
            date,
        ];
        let mut out = lines.join(&b"\n"[..]);
        out.push(b'\n');
        let mut names: Vec<&HeaderName> =
            view.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")).collect();
        names.sort_unstable_by_key(|name| name.as_str());
        for name in names {
            let values: Vec<&[u8]> = view.values(name).map(<[u8]>::trim_ascii).collect();
            out.extend_from_slice(name.as_str().as_bytes());
            out.push(b':');
            out.extend_from_slice(&values.join(&b","[..]));
            out.push(b'\n');
        }
        if let Some(bucket) = bucket_in_host {
            out.push(b'/');
            out.extend_from_slice(bucket.as_bytes());
        }
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(signed_query(view.query).as_bytes());
        Ok(out)
    }
}

/// Whether `signature` is that of a form's policy, as it was sent, by this secret.
pub fn verifies_form_version_2(secret_access_key: &str, policy: &str, signature: &str) -> bool {
    verifies(secret_access_key, policy.as_bytes(), signature)
}

fn verifies(secret: &str, string_to_sign: &[u8], signature: &str) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(string_to_sign);
    STANDARD.encode(mac.finalize().into_bytes()).as_bytes().ct_eq(signature.as_bytes()).into()
}

/// The parameters that are signed, sorted, with their values decoded.
fn signed_query(query: Option<&str>) -> String {
    let mut signed: Vec<String> = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| {
            let (name, value) =
                pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
            // As routing reads it, however it is escaped.
            let name = Some(decoded(name)).filter(|name| SIGNED_PARAMETERS.contains(&name.as_str()))?;
            Some(value.map_or(name.clone(), |value| format!("{name}={}", decoded(value))))
        })
        .collect();
    signed.sort_unstable();
    if signed.is_empty() { String::new() } else { format!("?{}", signed.join("&")) }
}

fn decoded_pairs(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&decoded_component(text).collect::<Vec<u8>>()).into_owned()
}

/// `x-amz-date`, or `Date` where that did not arrive.
fn signed_seconds(view: &RequestView<'_>) -> Result<i64, Error> {
    let name = if view.headers.contains_key(header::DATE) { header::DATE } else { DATE.as_str() };
    let value = view.only(name).map_err(|_| Error::DateMissing)?.ok_or(Error::DateMissing)?;
    let time = RequestTime::parse_date_header(value).ok_or(Error::DateMissing)?;
    Ok(time.seconds())
}
