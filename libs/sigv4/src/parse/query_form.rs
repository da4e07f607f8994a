//! Presigned URLs: `?X-Amz-Algorithm=...&X-Amz-Credential=...` and so on.

use super::{content_sha256, parse_content_sha256, parse_signed_headers};
use crate::{
    ALGORITHM, EXPIRES_MAX_SECONDS,
    canonical::decoded_component,
    claim::{Claim, Mechanism},
    error::{Error, Malformed},
    header, parameter,
    payload::Payload,
    request::RequestView,
    scope::{RequestTime, Scope},
};

/// Reads the claim of a presigned URL's parameters.
pub(super) fn parse(view: &RequestView<'_>, pairs: &[(String, String)]) -> Result<Claim, Error> {
    if required(pairs, parameter::ALGORITHM)? != ALGORITHM {
        return Err(refused(parameter::ALGORITHM, Malformed::Syntax(ALGORITHM)));
    }
    let credential = required(pairs, parameter::CREDENTIAL)?;
    let (access_key_id, scope) =
        Scope::parse_credential(&credential).map_err(|problem| refused(parameter::CREDENTIAL, problem))?;
    let time = RequestTime::parse(required(pairs, parameter::DATE)?.as_bytes())
        .ok_or(refused(parameter::DATE, Malformed::Syntax("a time YYYYMMDD'T'HHMMSS'Z'")))?;
    let lifetime_seconds = lifetime(&required(pairs, parameter::EXPIRES)?)?;
    let signed_headers = parse_signed_headers(&required(pairs, parameter::SIGNED_HEADERS)?)
        .map_err(|problem| refused(parameter::SIGNED_HEADERS, problem))?;
    let is_signed = signed_headers.iter().any(|name| name.as_str() == header::CONTENT_SHA256);
    let (payload, payload_text) = payload(view, pairs, is_signed)?;
    Ok(Claim {
        access_key_id: access_key_id.to_owned(),
        session_token: optional(pairs, parameter::SECURITY_TOKEN)?,
        scope,
        time,
        mechanism: Mechanism::Presigned { lifetime_seconds },
        signed_headers,
        payload,
        payload_text,
        signature: required(pairs, parameter::SIGNATURE)?,
    })
}

/// The body's form: what the query says, else what a signed header says, else unsigned.
///
/// An unsigned header says nothing, but it is not let through when it announces a framed body: whoever sent it would
/// have the frames stored as content, or have them taken off on nobody's authority.
fn payload(
    view: &RequestView<'_>,
    pairs: &[(String, String)],
    is_signed: bool,
) -> Result<(Payload, String), Error> {
    let in_query = optional(pairs, parameter::CONTENT_SHA256)?;
    let in_header = content_sha256(view)?;
    let unsigned = || Payload::Unsigned.header_value().into_owned();
    let text = match (&in_query, in_header) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) if is_signed => String::from_utf8_lossy(text).into_owned(),
        (None, _) => unsigned(),
    };
    let payload = parse_content_sha256(text.as_bytes())?;
    let header_streams = in_header.is_some_and(|value| value.starts_with(b"STREAMING-"));
    if payload.is_streaming() || header_streams {
        return Err(Error::StreamingNotAllowed);
    }
    Ok((payload, text))
}

fn lifetime(text: &str) -> Result<u32, Error> {
    const FORM: Malformed = Malformed::Syntax("a whole number of seconds from 1 to 604800");
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(seconds) if plain && (1..=EXPIRES_MAX_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err(refused(parameter::EXPIRES, FORM)),
    }
}

fn required(pairs: &[(String, String)], name: &'static str) -> Result<String, Error> {
    optional(pairs, name)?.ok_or(refused(name, Malformed::Missing(name)))
}

/// The decoded value of a parameter; its name in any case, but once.
fn optional(pairs: &[(String, String)], name: &'static str) -> Result<Option<String>, Error> {
    let mut values =
        pairs.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused(name, Malformed::Repeated(name)));
    }
    match String::from_utf8(decoded_component(value).collect()) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(refused(name, Malformed::Syntax("text in UTF-8"))),
    }
}

fn refused(parameter: &'static str, problem: Malformed) -> Error {
    Error::QueryParameter { parameter, problem }
}
