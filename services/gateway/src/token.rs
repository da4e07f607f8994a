//! Continuation tokens: where a listing goes on, in a form that any gateway understands.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use s3_wire::S3Error;

/// Longest token: a key of 1,024 bytes.
const LENGTH_MAX: usize = 2048;

/// The format of tokens, in front of each.
const FORMAT: u8 = 1;

/// A token for a place in a listing.
pub(crate) fn encode(place: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(place.len() + 1);
    bytes.push(FORMAT);
    bytes.extend_from_slice(place);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place of a token; `InvalidArgument` when it is none of ours.
pub(crate) fn decode(token: &str) -> Result<Vec<u8>, S3Error> {
    let bytes = (token.len() <= LENGTH_MAX).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten();
    match bytes.as_deref() {
        Some([FORMAT, place @ ..]) => Ok(place.to_vec()),
        _ => Err(S3Error::invalid_argument(
            "The continuation token provided is incorrect",
            "continuation-token",
            token,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn tokens_bring_any_key_back() {
        for place in ["", "a", "a//b", "\n\u{1f600}"] {
            assert_eq!(decode(&encode(place.as_bytes())), Ok(place.as_bytes().to_vec()));
        }
        for token in ["", "x", "????", "AA"] {
            assert!(decode(token).is_err(), "{token}");
        }
    }
}
