//! `x-amz-rename-source` and `x-amz-client-token`. Source: API Reference, "RenameObject".

use http::HeaderMap;
use types::ObjectKey;

use super::text;
use crate::{
    address::key_too_long,
    error::S3Error,
    percent::{Plus, decode},
};

const SOURCE: &str = "x-amz-rename-source";
const TOKEN: &str = "x-amz-client-token";
const TOKEN_LENGTH_MAX: usize = 64;

/// The key that the object has: URL-encoded, with or without a slash in front, which is not part of it.
/// `InvalidArgument` when there is none or it cannot be decoded, `KeyTooLongError`.
pub fn rename_source(headers: &HeaderMap) -> Result<ObjectKey, S3Error> {
    let invalid = |value| {
        let message = "Rename Source must be the URL-encoded key of an object in the same bucket";
        S3Error::invalid_argument(message, SOURCE, value)
    };
    let value = text(headers, SOURCE)?.ok_or_else(|| invalid(""))?;
    let key = decode(value.as_bytes(), Plus::Literal).map_err(|_| invalid(value))?;
    let key = key.strip_prefix(b"/").unwrap_or(&key);
    ObjectKey::new(key.to_vec()).map_err(|error| match error {
        types::KeyError::TooLong => key_too_long(key.len()),
        types::KeyError::Empty | types::KeyError::NotUtf8 => invalid(value),
    })
}

/// What the client tells the request by when it sends it again: 1 to 64 visible ASCII characters. `InvalidArgument`
/// for anything else.
pub fn client_token(headers: &HeaderMap) -> Result<Option<&str>, S3Error> {
    let Some(token) = text(headers, TOKEN)? else { return Ok(None) };
    if (1..=TOKEN_LENGTH_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Some(token))
    } else {
        let message = "The client token must have 1 to 64 ASCII characters in the range of 33 to 126";
        Err(S3Error::invalid_argument(message, TOKEN, token))
    }
}
