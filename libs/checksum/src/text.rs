//! Checksums as text: the values of `x-amz-checksum-*` headers and trailers, and of `Content-MD5`.

use base64::{Engine, engine::general_purpose::STANDARD};
use types::{ChecksumAlgorithm, ChecksumValue, PART_NUMBER_MAX};

/// Longest text worth decoding: a SHA-512 in base64 and `-10000`.
const LENGTH_MAX: usize = 88 + 6;

/// The text is not a checksum by this algorithm; S3 answers InvalidRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("value for {} header is invalid", .0.header_name())]
pub struct InvalidChecksumError(pub ChecksumAlgorithm);

/// The text is not 16 bytes in base64; S3 answers InvalidDigest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content-md5 is not 16 bytes in base64")]
pub struct InvalidContentMd5Error;

/// A checksum as it stands in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChecksumText {
    /// The value.
    pub value: ChecksumValue,
    /// N of `VALUE-N`, 1 to 10,000: the value is composite. `None` where the text was `VALUE` alone.
    pub parts: Option<u16>,
}

/// Reads `VALUE` or, for a composite checksum, `VALUE-N`; base64 with padding as RFC 4648 section 4 has it.
///
/// Callers that allow no composite value here (an upload's own header, say) refuse `parts: Some(_)`.
pub fn parse_checksum(
    algorithm: ChecksumAlgorithm,
    text: &str,
) -> Result<ChecksumText, InvalidChecksumError> {
    let error = InvalidChecksumError(algorithm);
    if text.len() > LENGTH_MAX {
        return Err(error);
    }
    let (digits, parts) = match text.split_once('-') {
        None => (text, None),
        Some((digits, count)) => (digits, Some(parse_count(count).ok_or(error)?)),
    };
    let bytes = STANDARD.decode(digits).map_err(|_| error)?;
    let value = ChecksumValue::new(algorithm, &bytes).ok_or(error)?;
    Ok(ChecksumText { value, parts })
}

/// A number from 1 to 10,000 in plain digits: no sign, no leading zero.
fn parse_count(text: &str) -> Option<u16> {
    let count: u16 = text.parse().ok()?;
    ((1..=PART_NUMBER_MAX).contains(&count) && count.to_string() == text).then_some(count)
}

/// `VALUE`: base64 with padding.
pub fn format_checksum(value: &ChecksumValue) -> String {
    STANDARD.encode(value.as_bytes())
}

/// `VALUE-N`: a composite checksum of N parts.
pub fn format_composite(value: &ChecksumValue, parts: u16) -> String {
    format!("{}-{parts}", format_checksum(value))
}

/// Reads a `Content-MD5` header: exactly 16 bytes in base64.
pub fn parse_content_md5(text: &str) -> Result<[u8; 16], InvalidContentMd5Error> {
    if text.len() != 24 {
        return Err(InvalidContentMd5Error);
    }
    let bytes = STANDARD.decode(text).map_err(|_| InvalidContentMd5Error)?;
    bytes.try_into().map_err(|_| InvalidContentMd5Error)
}

/// An MD5 as `Content-MD5` carries it.
pub fn format_content_md5(md5: &[u8; 16]) -> String {
    STANDARD.encode(md5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::{CHECKSUM_LENGTH_MAX, ChecksumAlgorithm, ChecksumValue};

    use super::{
        ChecksumText, InvalidContentMd5Error, format_checksum, format_composite, format_content_md5,
        parse_checksum, parse_content_md5,
    };

    #[test]
    fn known_texts() {
        let value = ChecksumValue::new(ChecksumAlgorithm::Crc32, &[0xcb, 0xf4, 0x39, 0x26]).expect("4 bytes");
        assert_eq!(format_checksum(&value), "y/Q5Jg==");
        assert_eq!(format_composite(&value, 12), "y/Q5Jg==-12");
        assert_eq!(
            parse_checksum(ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
            Ok(ChecksumText { value, parts: None })
        );
        assert_eq!(
            parse_checksum(ChecksumAlgorithm::Crc32, "y/Q5Jg==-10000"),
            Ok(ChecksumText { value, parts: Some(10_000) })
        );
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for text in [
            "",
            "y/Q5Jg",
            "y/Q5Jg=",
            "y/Q5Jg===",
            "y/Q5Jh==",
            "y_Q5Jg==",
            " y/Q5Jg==",
            "y/Q5Jg== ",
            "y/Q5",
            "-",
            "-1",
            "y/Q5JgAA",
            "y/Q5Jg==-",
            "y/Q5Jg==-0",
            "y/Q5Jg==-01",
            "y/Q5Jg==-+1",
            "y/Q5Jg==-10001",
            "y/Q5Jg==-1-1",
            "y/Q5Jg==-99999999999999999999",
            "\u{e9}\u{e9}",
        ] {
            assert!(parse_checksum(ChecksumAlgorithm::Crc32, text).is_err(), "{text}");
        }
        let long = "A".repeat(1 << 20);
        assert!(parse_checksum(ChecksumAlgorithm::Sha256, &long).is_err());
    }

    #[test]
    fn content_md5_is_sixteen_bytes_or_invalid() {
        let empty =
            [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];
        assert_eq!(format_content_md5(&empty), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(parse_content_md5("1B2M2Y8AsgTpgAmY7PhCfg=="), Ok(empty));
        for text in [
            "",
            "1B2M2Y8AsgTpgAmY7PhCfg",
            "1B2M2Y8AsgTpgAmY7PhCfg=",
            "1B2M2Y8AsgTpgAmY7Phd",
            "not base64",
            "1B2M2Y8AsgTpgAmY7PhCfgAA",
            "1B2M2Y8AsgTpgAmY7PhCfh==",
            "1B2M2Y8AsgTpgAmY7PhCfgA=",
            "d41d8cd98f00b204e9800998ecf8427e",
            "1B2M2Y8AsgTpgAmY7PhCfg==1B2M2Y8AsgTpgAmY7PhCfg==",
        ] {
            assert_eq!(parse_content_md5(text), Err(InvalidContentMd5Error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn values_round_trip(
            bytes in prop::collection::vec(any::<u8>(), CHECKSUM_LENGTH_MAX), parts in 1..=10_000u16,
        ) {
            for algorithm in ChecksumAlgorithm::ALL {
                let value = ChecksumValue::new(algorithm, &bytes[..algorithm.length()]).expect("its length");
                prop_assert_eq!(
                    parse_checksum(algorithm, &format_checksum(&value)),
                    Ok(ChecksumText { value, parts: None })
                );
                prop_assert_eq!(
                    parse_checksum(algorithm, &format_composite(&value, parts)),
                    Ok(ChecksumText { value, parts: Some(parts) })
                );
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            for algorithm in ChecksumAlgorithm::ALL {
                let _ = parse_checksum(algorithm, &text);
            }
            let _ = parse_content_md5(&text);
        }
    }
}
