//! Reads a request's authentication: from the `Authorization` header, from the query, or none.

mod header_form;
mod query_form;

use http::{
    HeaderName,
    header::{AUTHORIZATION, HOST},
};

use crate::{
    canonical::query_pairs,
    claim::Authentication,
    error::{Error, Malformed},
    header, parameter,
    payload::Payload,
    request::RequestView,
};

/// Reads how a request authenticates, and refuses what is ambiguous, incomplete or of another kind.
///
/// Nothing is proved yet: see [`crate::verify`]. On success every `x-amz-*` header that arrived (but
/// `x-amz-content-sha256`, whose value is part of every signature that counts) is among the signed ones, and `host` too,
/// which arrived.
pub fn parse(view: &RequestView<'_>) -> Result<Authentication, Error> {
    let pairs = query_pairs(view.query);
    let has = |wanted: &str| pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));

    let authorization = view.only(AUTHORIZATION.as_str()).map_err(|_| Error::SeveralMechanisms)?;
    let presigned = [parameter::ALGORITHM, parameter::CREDENTIAL, parameter::SIGNATURE].into_iter().any(has);
    let version_2 = has("AWSAccessKeyId") || (has("Signature") && has("Expires"));

    let claim = match (authorization, presigned, version_2) {
        (Some(_), true, _) | (Some(_), _, true) | (None, true, true) => return Err(Error::SeveralMechanisms),
        (None, false, true) => return Err(Error::SignatureVersion2),
        (None, false, false) => return anonymous(view),
        (Some(value), false, false) => header_form::parse(view, value)?,
        (None, true, false) => query_form::parse(view, &pairs)?,
    };
    check_coverage(view, &claim.signed_headers)?;
    Ok(Authentication::Signed(Box::new(claim)))
}

fn anonymous(view: &RequestView<'_>) -> Result<Authentication, Error> {
    Ok(Authentication::Anonymous { payload: payload_without_signed_chunks(view)? })
}

/// The body's form where nothing signs chunks: `Unsigned` when no header says.
pub(crate) fn payload_without_signed_chunks(view: &RequestView<'_>) -> Result<Payload, Error> {
    let payload = match content_sha256(view)? {
        None => Payload::Unsigned,
        Some(value) => parse_content_sha256(value)?,
    };
    if payload.has_signed_chunks() { Err(Error::StreamingNotAllowed) } else { Ok(payload) }
}

/// The `x-amz-content-sha256` header, if it arrived; not twice.
fn content_sha256<'a>(view: &RequestView<'a>) -> Result<Option<&'a [u8]>, Error> {
    view.only(header::CONTENT_SHA256)
        .map_err(|_| Error::ContentSha256Invalid { value: "more than one value".to_owned() })
}

fn parse_content_sha256(value: &[u8]) -> Result<Payload, Error> {
    Payload::parse(value)
        .ok_or_else(|| Error::ContentSha256Invalid { value: String::from_utf8_lossy(value).into_owned() })
}

/// `a;b;c` as sorted header names; none twice, none empty.
fn parse_signed_headers(text: &str) -> Result<Vec<HeaderName>, Malformed> {
    const FORM: Malformed =
        Malformed::Syntax("names of signed headers, each once, with semicolons between them");
    let mut names = Vec::new();
    for name in text.split(';') {
        names.push(HeaderName::from_bytes(name.as_bytes()).map_err(|_| FORM)?);
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    let repeated = names.windows(2).any(|pair| pair[0] == pair[1]);
    if repeated { Err(FORM) } else { Ok(names) }
}

/// What must be signed is signed, and `host` has arrived.
///
/// Any other header that is named as signed and did not arrive counts as an empty one, as at S3: a signature that was made with a value of
/// it does not match, and one of a client whose empty headers got lost on the way does. A header that arrives unsigned could have been added by anybody on the way: `x-amz-copy-source` on a presigned PUT
/// would read another object with the signer's rights.
fn check_coverage(view: &RequestView<'_>, signed: &[HeaderName]) -> Result<(), Error> {
    let is_signed =
        |name: &HeaderName| signed.binary_search_by(|each| each.as_str().cmp(name.as_str())).is_ok();
    let must_be_signed =
        |name: &&HeaderName| name.as_str().starts_with("x-amz-") && name.as_str() != header::CONTENT_SHA256;
    let mut unsigned: Vec<String> = view
        .headers
        .keys()
        .filter(must_be_signed)
        .chain([&HOST])
        .filter(|name| !is_signed(name))
        .map(|name| name.as_str().to_owned())
        .collect();
    if !unsigned.is_empty() {
        unsigned.sort_unstable();
        return Err(Error::HeadersNotSigned(unsigned));
    }
    if view.has(&HOST) { Ok(()) } else { Err(Error::HostAbsent) }
}
