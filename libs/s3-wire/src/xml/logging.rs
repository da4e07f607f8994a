//! The document of PutBucketLogging and GetBucketLogging. S3 API Reference, the page of each, and "LoggingEnabled".

use bytes::Bytes;
use types::{Acl, Permission};

use super::{
    Document,
    access::{read_grant, write_grant},
    read::{XmlReader, set},
};
use crate::{
    acl::NamedGrantee,
    error::S3Error,
    logging::{DateSource, KeyFormat, Logging},
};

/// Longest body of PutBucketLogging.
pub const LOGGING_BODY_MAX: usize = 64 << 10;

const ROOT: &str = "BucketLoggingStatus";

/// Longest prefix, in bytes: with what follows it, a key has at most 1,024.
const PREFIX_MAX: usize = 700;

/// Most grants: with that of its owner a log object has as many as a list may have.
const GRANTS_MAX: usize = Acl::GRANTS_MAX - 1;

/// Reads whether and where to a bucket's requests are logged. Errors: `MalformedXML`; `InvalidArgument` for a prefix that leaves no room for
/// the rest of a key.
pub fn parse_logging(body: &[u8]) -> Result<Option<Logging>, S3Error> {
    let mut reader = XmlReader::open(body, LOGGING_BODY_MAX, ROOT)?;
    let mut logging = None;
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "LoggingEnabled" => set(&mut logging, read_enabled(&mut reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    Ok(logging)
}

fn read_enabled(reader: &mut XmlReader<'_>) -> Result<Logging, S3Error> {
    let (mut bucket, mut prefix, mut format, mut grants) = (None, None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "TargetBucket" => set(&mut bucket, reader.word()?)?,
            "TargetPrefix" => set(&mut prefix, reader.key()?)?,
            "TargetObjectKeyFormat" => set(&mut format, read_format(reader)?)?,
            "TargetGrants" => set(&mut grants, read_grants(reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let target_prefix: String = prefix.ok_or_else(S3Error::malformed_xml)?;
    if target_prefix.len() > PREFIX_MAX {
        return Err(S3Error::invalid_argument(
            format!("The target prefix is longer than {PREFIX_MAX} bytes."),
            "TargetPrefix",
            &target_prefix,
        ));
    }
    let target_bucket = bucket.ok_or_else(S3Error::malformed_xml)?;
    Ok(Logging {
        target_bucket,
        target_prefix,
        key_format: format,
        target_grants: grants.unwrap_or_default(),
    })
}

fn read_grants(reader: &mut XmlReader<'_>) -> Result<Vec<(NamedGrantee, Permission)>, S3Error> {
    let mut grants = Vec::new();
    while let Some(name) = reader.next_child()? {
        if name != "Grant" || grants.len() == GRANTS_MAX {
            return Err(S3Error::malformed_xml());
        }
        grants.push(read_grant(reader)?);
    }
    Ok(grants)
}

fn read_format(reader: &mut XmlReader<'_>) -> Result<KeyFormat, S3Error> {
    let mut format = None;
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "SimplePrefix" => {
                if reader.next_child()?.is_some() {
                    return Err(S3Error::malformed_xml());
                }
                set(&mut format, KeyFormat::Simple)?;
            }
            "PartitionedPrefix" => set(&mut format, KeyFormat::Partitioned(read_source(reader)?))?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    format.ok_or_else(S3Error::malformed_xml)
}

/// Of what the date is; of the requests when nothing is said. Source: API Reference, "PartitionedPrefix".
fn read_source(reader: &mut XmlReader<'_>) -> Result<DateSource, S3Error> {
    let mut source = None;
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "PartitionDateSource" => {
                let given = match reader.word()?.as_str() {
                    "EventTime" => DateSource::EventTime,
                    "DeliveryTime" => DateSource::DeliveryTime,
                    _ => return Err(S3Error::malformed_xml()),
                };
                set(&mut source, given)?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    Ok(source.unwrap_or(DateSource::EventTime))
}

/// The body of GetBucketLogging, with what `name` tells that accounts are called.
pub fn named_logging(logging: &Logging, name: &dyn Fn(&str) -> Option<String>) -> Bytes {
    let mut document = Document::new(ROOT, 512 + 256 * logging.target_grants.len());
    document.open("LoggingEnabled");
    document.element("TargetBucket", &logging.target_bucket);
    if !logging.target_grants.is_empty() {
        document.open("TargetGrants");
        for (grantee, permission) in &logging.target_grants {
            write_grant(grantee, *permission, name, &mut document);
        }
        document.close("TargetGrants");
    }
    document.key("TargetPrefix", &logging.target_prefix, false);
    if let Some(format) = logging.key_format {
        document.open("TargetObjectKeyFormat");
        match format {
            KeyFormat::Simple => document.element("SimplePrefix", ""),
            KeyFormat::Partitioned(source) => {
                document.open("PartitionedPrefix");
                document.element("PartitionDateSource", source.name());
                document.close("PartitionedPrefix");
            }
        }
        document.close("TargetObjectKeyFormat");
    }
    document.close("LoggingEnabled");
    document.finish(ROOT)
}

/// The same without what accounts are called, as it is kept.
pub fn logging(logging: &Logging) -> Bytes {
    named_logging(logging, &|_| None)
}

#[cfg(test)]
mod tests {
    use types::Permission;

    use super::{GRANTS_MAX, LOGGING_BODY_MAX, logging, named_logging, parse_logging};
    use crate::{
        acl::NamedGrantee,
        error::ErrorCode,
        logging::{DateSource, KeyFormat, Logging},
    };

    fn wrap(inner: &str) -> String {
        format!("<BucketLoggingStatus>{inner}</BucketLoggingStatus>")
    }

    fn enabled(inner: &str) -> String {
        let required = "<TargetBucket>logs</TargetBucket><TargetPrefix>p/</TargetPrefix>";
        wrap(&format!("<LoggingEnabled>{required}{inner}</LoggingEnabled>"))
    }

    #[test]
    fn what_is_written_is_read_again() {
        for key_format in [
            None,
            Some(KeyFormat::Simple),
            Some(KeyFormat::Partitioned(DateSource::EventTime)),
            Some(KeyFormat::Partitioned(DateSource::DeliveryTime)),
        ] {
            let target_prefix = " a&<b>\r\n\u{1}/".to_owned();
            let (target_bucket, target_grants) = ("logs".to_owned(), Vec::new());
            let mut configured = Logging { target_bucket, target_prefix, key_format, target_grants };
            assert_eq!(parse_logging(&logging(&configured)), Ok(Some(configured.clone())));
            let grantees = [NamedGrantee::Id("a&b".to_owned()), NamedGrantee::Uri("http://x/y".to_owned())];
            for (grantee, permission) in grantees.into_iter().cycle().zip(Permission::ALL) {
                configured.target_grants.push((grantee, permission));
            }
            assert_eq!(parse_logging(&logging(&configured)), Ok(Some(configured.clone())));
            let named = named_logging(&configured, &|id| Some(format!("name of {id}")));
            assert!(String::from_utf8_lossy(&named).contains("<DisplayName>name of a&amp;b</DisplayName>"));
            assert_eq!(parse_logging(&named), Ok(Some(configured)));
        }
        assert_eq!(parse_logging(b"<BucketLoggingStatus/>"), Ok(None));
        let by_default = enabled("<TargetObjectKeyFormat><PartitionedPrefix/></TargetObjectKeyFormat>");
        let found = parse_logging(by_default.as_bytes()).unwrap().unwrap();
        assert_eq!(found.key_format, Some(KeyFormat::Partitioned(DateSource::EventTime)));
        assert!(parse_logging(enabled("<TargetGrants/>").as_bytes()).is_ok());
    }

    #[test]
    fn other_documents_are_refused() {
        use ErrorCode::{InvalidArgument, MalformedXML};
        let grants = |inner: &str| enabled(&format!("<TargetGrants>{inner}</TargetGrants>"));
        let grant = |kind: &str, grantee: &str, permission: &str| {
            format!(
                "<Grant><Grantee xsi:type=\"{kind}\">{grantee}</Grantee><Permission>{permission}</Permission></Grant>"
            )
        };
        let many = grants(&grant("CanonicalUser", "<ID>a</ID>", "READ").repeat(GRANTS_MAX));
        assert!(parse_logging(many.as_bytes()).is_ok());
        let format =
            |inner: &str| enabled(&format!("<TargetObjectKeyFormat>{inner}</TargetObjectKeyFormat>"));
        let long = "p".repeat(701);
        for (bad, code) in [
            (String::new(), MalformedXML),
            ("<Logging/>".to_owned(), MalformedXML),
            (wrap("<LoggingEnabled/>"), MalformedXML),
            (wrap("<LoggingEnabled><TargetBucket>b</TargetBucket></LoggingEnabled>"), MalformedXML),
            (wrap("<LoggingEnabled><TargetPrefix>b</TargetPrefix></LoggingEnabled>"), MalformedXML),
            (wrap("<Other/>"), MalformedXML),
            (enabled("<Other/>"), MalformedXML),
            (enabled("<TargetBucket>b</TargetBucket>"), MalformedXML),
            (format(""), MalformedXML),
            (format("<SimplePrefix/><PartitionedPrefix/>"), MalformedXML),
            (format("<SimplePrefix><A/></SimplePrefix>"), MalformedXML),
            (
                format(
                    "<PartitionedPrefix><PartitionDateSource>Today</PartitionDateSource></PartitionedPrefix>",
                ),
                MalformedXML,
            ),
            (format("<PartitionedPrefix><Other/></PartitionedPrefix>"), MalformedXML),
            (enabled("<TargetGrants><Grant/></TargetGrants>"), MalformedXML),
            (enabled("<TargetGrants><Other/></TargetGrants>"), MalformedXML),
            (enabled("<TargetGrants/><TargetGrants/>"), MalformedXML),
            (grants(&grant("Group", "<ID>a</ID>", "READ")), MalformedXML),
            (grants(&grant("CanonicalUser", "<ID>a</ID>", "Read")), MalformedXML),
            (grants(&grant("CanonicalUser", "<ID>a</ID>", "READ").repeat(GRANTS_MAX + 1)), MalformedXML),
            (
                wrap(&format!(
                    "<LoggingEnabled><TargetBucket>b</TargetBucket><TargetPrefix>{long}</TargetPrefix></LoggingEnabled>"
                )),
                InvalidArgument,
            ),
        ] {
            assert_eq!(parse_logging(bad.as_bytes()).map_err(|error| error.code), Err(code), "{bad:.300}");
        }
        let large = enabled(&format!("<!--{}-->", "x".repeat(LOGGING_BODY_MAX)));
        assert!(parse_logging(large.as_bytes()).is_err());
    }
}
