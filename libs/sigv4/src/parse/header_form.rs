//! `Authorization: AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`.

use http::header::DATE;

use super::{content_sha256, parse_content_sha256, parse_signed_headers};
use crate::{
    ALGORITHM,
    claim::{Claim, Mechanism},
    error::{Error, Malformed},
    header,
    request::RequestView,
    scope::{RequestTime, Scope},
};

/// Reads the claim of an `Authorization` header and of the headers that go with it.
pub(super) fn parse(view: &RequestView<'_>, authorization: &[u8]) -> Result<Claim, Error> {
    let fields = Fields::parse(authorization)?;
    let (access_key_id, scope) =
        Scope::parse_credential(fields.credential).map_err(Error::HeaderMalformed)?;
    let signed_headers = parse_signed_headers(fields.signed_headers).map_err(Error::HeaderMalformed)?;
    let sha256 = content_sha256(view)?.ok_or(Error::ContentSha256Missing)?;
    Ok(Claim {
        access_key_id: access_key_id.to_owned(),
        session_token: session_token(view)?,
        scope,
        time: request_time(view)?,
        mechanism: Mechanism::Header,
        signed_headers,
        payload: parse_content_sha256(sha256)?,
        payload_text: String::from_utf8_lossy(sha256).into_owned(),
        signature: fields.signature.to_owned(),
    })
}

/// The three fields, in any order, each once.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(authorization: &'a [u8]) -> Result<Self, Error> {
        const FORM: Error =
            Error::HeaderMalformed(Malformed::Syntax("Credential=..., SignedHeaders=..., Signature=..."));
        let text = std::str::from_utf8(authorization).map_err(|_| FORM)?.trim();
        let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        match scheme {
            ALGORITHM => {}
            "AWS" => return Err(Error::SignatureVersion2),
            _ => return Err(Error::UnsupportedMechanism),
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in rest.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(FORM)?;
            let (slot, name) = match name {
                "Credential" => (&mut credential, "Credential"),
                "SignedHeaders" => (&mut signed_headers, "SignedHeaders"),
                "Signature" => (&mut signature, "Signature"),
                _ => return Err(FORM),
            };
            if slot.replace(value).is_some() {
                return Err(Error::HeaderMalformed(Malformed::Repeated(name)));
            }
        }
        let missing = |name| move || Error::HeaderMalformed(Malformed::Missing(name));
        Ok(Self {
            credential: credential.ok_or_else(missing("Credential"))?,
            signed_headers: signed_headers.ok_or_else(missing("SignedHeaders"))?,
            signature: signature.ok_or_else(missing("Signature"))?,
        })
    }
}

/// `x-amz-date`, or `Date` where that did not arrive.
fn request_time(view: &RequestView<'_>) -> Result<RequestTime, Error> {
    let time = match view.only(header::DATE).map_err(|_| Error::DateMissing)? {
        Some(text) => RequestTime::parse(text),
        None => {
            view.only(DATE.as_str()).map_err(|_| Error::DateMissing)?.and_then(RequestTime::parse_date_header)
        }
    };
    time.ok_or(Error::DateMissing)
}

fn session_token(view: &RequestView<'_>) -> Result<Option<String>, Error> {
    let problem = |problem| Error::HeaderMalformed(problem);
    match view.only(header::SECURITY_TOKEN) {
        Err(_) => Err(problem(Malformed::Repeated(header::SECURITY_TOKEN))),
        Ok(None) => Ok(None),
        Ok(Some(token)) => match std::str::from_utf8(token) {
            Ok(token) => Ok(Some(token.to_owned())),
            Err(_) => Err(problem(Malformed::Syntax("a session token in ASCII"))),
        },
    }
}
