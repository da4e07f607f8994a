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

/// How a bucket's new objects are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultEncryption {
    /// The algorithm.
    pub algorithm: ServerSideEncryption,
    /// The key of SSE-KMS, as it is named; `None` for the store's own.
    pub key: Option<String>,
    /// What is said of bucket keys. They are of SSE-KMS, so it means nothing for SSE-S3; S3 takes it and shows it nevertheless.
    pub bucket_key_enabled: bool,
}

/// Reads a body of PutBucketEncryption: its one rule. `MalformedXML` for what is no configuration,
/// `NotImplemented` naming the field for encryption in two layers and blocked types,
/// `InvalidArgument` for the id of a key that would not be used. Source: API Reference, "PutBucketEncryption",
/// "ServerSideEncryptionByDefault".
pub fn parse_encryption(body: &[u8]) -> Result<DefaultEncryption, S3Error> {
    let mut reader = XmlReader::open(body, ENCRYPTION_BODY_MAX, "ServerSideEncryptionConfiguration")?;
    let mut rule = None;
    while let Some(name) = reader.next_child()? {
        if name != "Rule" {
            return Err(S3Error::malformed_xml());
        }
        let (mut default, mut bucket_key) = (None, None);
        while let Some(name) = reader.next_child()? {
            match name.as_str() {
                "ApplyServerSideEncryptionByDefault" => set(&mut default, by_default(&mut reader)?)?,
                "BucketKeyEnabled" => set(&mut bucket_key, reader.boolean()?)?,
                "BlockedEncryptionTypes" => {
                    return Err(S3Error::field_not_implemented("BlockedEncryptionTypes"));
                }
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        let (algorithm, key) = default.ok_or_else(S3Error::malformed_xml)?;
        let bucket_key_enabled = bucket_key.unwrap_or(false);
        set(&mut rule, DefaultEncryption { algorithm, key, bucket_key_enabled })?;
    }
    reader.finish()?;
    rule.ok_or_else(S3Error::malformed_xml)
}

/// The default that is open.
fn by_default(reader: &mut XmlReader<'_>) -> Result<(ServerSideEncryption, Option<String>), S3Error> {
    let (mut algorithm, mut key) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "SSEAlgorithm" => set(&mut algorithm, reader.word()?)?,
            "KMSMasterKeyID" => set(&mut key, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    match (algorithm.as_deref(), key) {
        (Some("AES256"), None) => Ok((ServerSideEncryption::SseS3, None)),
        (Some("aws:kms"), key) => Ok((ServerSideEncryption::SseKms, key)),
        (Some("AES256"), Some(key)) => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        )
        .field("ArgumentName", "KMSMasterKeyID")
        .field("ArgumentValue", key)),
        (Some("aws:kms:dsse"), _) => Err(S3Error::field_not_implemented("SSEAlgorithm")),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// The body of GetBucketEncryption.
pub fn encryption(default: &DefaultEncryption) -> Bytes {
    let mut document = Document::new("ServerSideEncryptionConfiguration", 512);
    document.open("Rule");
    document.open("ApplyServerSideEncryptionByDefault");
    document.element("SSEAlgorithm", default.algorithm.name());
    if let Some(key) = &default.key {
        document.element("KMSMasterKeyID", key);
    }
    document.close("ApplyServerSideEncryptionByDefault");
    document.boolean("BucketKeyEnabled", default.bucket_key_enabled);
    document.close("Rule");
    document.finish("ServerSideEncryptionConfiguration")
}

/// What an UpdateObjectEncryption asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEncryption {
    /// The ARN of the key.
    pub key_arn: String,
    /// Whether there is to be a bucket key.
    pub bucket_key_enabled: bool,
}

/// Reads a body of UpdateObjectEncryption. `MalformedXML` for everything but SSE-KMS with a key. Source: API Reference,
/// "UpdateObjectEncryption", "ObjectEncryption", "SSEKMSEncryption".
pub fn parse_object_encryption(body: &[u8]) -> Result<ObjectEncryption, S3Error> {
    let mut reader = XmlReader::open(body, ENCRYPTION_BODY_MAX, "ObjectEncryption")?;
    let mut by_kms = None;
    while let Some(name) = reader.next_child()? {
        if name != "SSE-KMS" {
            return Err(S3Error::malformed_xml());
        }
        let (mut key, mut bucket_key) = (None, None);
        while let Some(name) = reader.next_child()? {
            match name.as_str() {
                "KMSKeyArn" => set(&mut key, reader.word()?)?,
                "BucketKeyEnabled" => set(&mut bucket_key, reader.boolean()?)?,
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        let key_arn = key.ok_or_else(S3Error::malformed_xml)?;
        let bucket_key_enabled = bucket_key.unwrap_or(false);
        set(&mut by_kms, ObjectEncryption { key_arn, bucket_key_enabled })?;
    }
    reader.finish()?;
    by_kms.ok_or_else(S3Error::malformed_xml)
}

#[cfg(test)]
mod tests {
    use super::{DefaultEncryption, ObjectEncryption, encryption, parse_encryption, parse_object_encryption};
    use crate::{error::ErrorCode, header::ServerSideEncryption};

    fn parsed(inner: &str) -> Result<DefaultEncryption, ErrorCode> {
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
        let sse_s3 = |bucket_key_enabled| DefaultEncryption {
            algorithm: ServerSideEncryption::SseS3,
            key: None,
            bucket_key_enabled,
        };
        let sse_kms = |key: Option<&str>| DefaultEncryption {
            algorithm: ServerSideEncryption::SseKms,
            key: key.map(str::to_owned),
            bucket_key_enabled: false,
        };
        for (inner, expected) in [
            (plain.clone(), Ok(sse_s3(false))),
            (with("<BucketKeyEnabled>false</BucketKeyEnabled>"), Ok(sse_s3(false))),
            (with("<BucketKeyEnabled>true</BucketKeyEnabled>"), Ok(sse_s3(true))),
            (with(&"<BucketKeyEnabled>true</BucketKeyEnabled>".repeat(2)), Err(ErrorCode::MalformedXML)),
            (with("<BucketKeyEnabled>yes</BucketKeyEnabled>"), Err(ErrorCode::MalformedXML)),
            (
                with(
                    "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>",
                ),
                Err(ErrorCode::NotImplemented),
            ),
            (rule("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), Ok(sse_kms(None))),
            (
                rule("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/a</KMSMasterKeyID>"),
                Ok(sse_kms(Some("alias/a"))),
            ),
            (rule("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"), Err(ErrorCode::NotImplemented)),
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
        for kept in [sse_s3(false), sse_s3(true), sse_kms(None), sse_kms(Some("a&b"))] {
            assert_eq!(parse_encryption(&encryption(&kept)).map_err(|error| error.code), Ok(kept));
        }
    }

    #[test]
    fn an_update_names_a_key() {
        let parsed = |inner: &str| {
            let body = format!("<ObjectEncryption>{inner}</ObjectEncryption>");
            parse_object_encryption(body.as_bytes()).map_err(|error| error.code)
        };
        let arn = "<KMSKeyArn>arn:x</KMSKeyArn>";
        let by_kms = |inner: &str| format!("<SSE-KMS>{inner}</SSE-KMS>");
        let read =
            |bucket_key_enabled| Ok(ObjectEncryption { key_arn: "arn:x".to_owned(), bucket_key_enabled });
        for (inner, expected) in [
            (by_kms(arn), read(false)),
            (by_kms(&format!("{arn}<BucketKeyEnabled>true</BucketKeyEnabled>")), read(true)),
            (by_kms(&arn.repeat(2)), Err(ErrorCode::MalformedXML)),
            (by_kms(arn).repeat(2), Err(ErrorCode::MalformedXML)),
            (by_kms("<BucketKeyEnabled>true</BucketKeyEnabled>"), Err(ErrorCode::MalformedXML)),
            (by_kms("<Other/>"), Err(ErrorCode::MalformedXML)),
            ("<SSE-S3/>".to_owned(), Err(ErrorCode::MalformedXML)),
            (String::new(), Err(ErrorCode::MalformedXML)),
        ] {
            assert_eq!(parsed(&inner), expected, "{inner}");
        }
    }
}
