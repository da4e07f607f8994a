//! Bodies about how a bucket's new objects are encrypted.

use bytes::Bytes;

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::{
    error::{ErrorCode, S3Error},
    header::ServerSideEncryption,
};

/// Largest body of PutBucketEncryption in bytes.
pub const ENCRYPTION_BODY_MAX: usize = 16 << 10;

/// Reads a body of PutBucketEncryption: the one rule's algorithm. `MalformedXML` for what is no configuration,
/// `NotImplemented` naming the field for keys of a key management service, bucket keys and blocked types,
/// `InvalidArgument` for the id of a key that would not be used. Source: API Reference, "PutBucketEncryption",
/// "ServerSideEncryptionByDefault".
pub fn parse_encryption(body: &[u8]) -> Result<ServerSideEncryption, S3Error> {
    let mut reader = XmlReader::open(body, ENCRYPTION_BODY_MAX, "ServerSideEncryptionConfiguration")?;
    let mut rule = None;
    while let Some(name) = reader.next_child()? {
        if name != "Rule" {
            return Err(S3Error::malformed_xml());
        }
        let mut default = None;
        while let Some(name) = reader.next_child()? {
            match name.as_str() {
                "ApplyServerSideEncryptionByDefault" => set(&mut default, by_default(&mut reader)?)?,
                "BucketKeyEnabled" if !reader.boolean()? => {}
                "BucketKeyEnabled" => return Err(S3Error::field_not_implemented("BucketKeyEnabled")),
                "BlockedEncryptionTypes" => {
                    return Err(S3Error::field_not_implemented("BlockedEncryptionTypes"));
                }
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        set(&mut rule, default.ok_or_else(S3Error::malformed_xml)?)?;
    }
    reader.finish()?;
    rule.ok_or_else(S3Error::malformed_xml)
}

/// The default that is open.
fn by_default(reader: &mut XmlReader<'_>) -> Result<ServerSideEncryption, S3Error> {
    let (mut algorithm, mut key) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "SSEAlgorithm" => set(&mut algorithm, reader.word()?)?,
            "KMSMasterKeyID" => set(&mut key, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    match (algorithm.as_deref(), key) {
        (Some("AES256"), None) => Ok(ServerSideEncryption::SseS3),
        (Some("AES256"), Some(key)) => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        )
        .field("ArgumentName", "KMSMasterKeyID")
        .field("ArgumentValue", key)),
        (Some("aws:kms" | "aws:kms:dsse"), _) => Err(S3Error::field_not_implemented("SSEAlgorithm")),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// The body of GetBucketEncryption.
pub fn encryption(default: ServerSideEncryption) -> Bytes {
    let mut document = Document::new("ServerSideEncryptionConfiguration", 512);
    document.open("Rule");
    document.open("ApplyServerSideEncryptionByDefault");
    document.element("SSEAlgorithm", default.name());
    document.close("ApplyServerSideEncryptionByDefault");
    document.boolean("BucketKeyEnabled", false);
    document.close("Rule");
    document.finish("ServerSideEncryptionConfiguration")
}

#[cfg(test)]
mod tests {
    use super::{encryption, parse_encryption};
    use crate::{error::ErrorCode, header::ServerSideEncryption};

    fn parsed(inner: &str) -> Result<ServerSideEncryption, ErrorCode> {
        let body = format!("<ServerSideEncryptionConfiguration>{inner}</ServerSideEncryptionConfiguration>");
        parse_encryption(body.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn a_configuration_is_one_rule() {
        let rule = |inner: &str| {
            format!(
                "<Rule><ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault></Rule>"
            )
        };
        let plain = rule("<SSEAlgorithm>AES256</SSEAlgorithm>");
        let with = |beside: &str| plain.replace("</Rule>", &format!("{beside}</Rule>"));
        for (inner, expected) in [
            (plain.clone(), Ok(ServerSideEncryption::SseS3)),
            (with("<BucketKeyEnabled>false</BucketKeyEnabled>"), Ok(ServerSideEncryption::SseS3)),
            (with("<BucketKeyEnabled>true</BucketKeyEnabled>"), Err(ErrorCode::NotImplemented)),
            (with("<BucketKeyEnabled>yes</BucketKeyEnabled>"), Err(ErrorCode::MalformedXML)),
            (
                with(
                    "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>",
                ),
                Err(ErrorCode::NotImplemented),
            ),
            (rule("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), Err(ErrorCode::NotImplemented)),
            (
                rule("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>a</KMSMasterKeyID>"),
                Err(ErrorCode::InvalidArgument),
            ),
            (rule("<SSEAlgorithm>aes</SSEAlgorithm>"), Err(ErrorCode::MalformedXML)),
            (rule(""), Err(ErrorCode::MalformedXML)),
            ("<Rule/>".to_owned(), Err(ErrorCode::MalformedXML)),
            (String::new(), Err(ErrorCode::MalformedXML)),
            (plain.repeat(2), Err(ErrorCode::MalformedXML)),
            ("<Other/>".to_owned(), Err(ErrorCode::MalformedXML)),
        ] {
            assert_eq!(parsed(&inner), expected, "{inner}");
        }
        let kept = encryption(ServerSideEncryption::SseS3);
        assert_eq!(parse_encryption(&kept).map_err(|error| error.code), Ok(ServerSideEncryption::SseS3));
    }
}
