//! The documents of inventory configurations. S3 API Reference, "InventoryConfiguration" and the page of each operation.

use bytes::Bytes;
use types::BucketName;

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::{
    error::{ErrorCode, S3Error},
    inventory::{Destination, Field, Format, Frequency, IncludedVersions, Inventory},
};

/// Longest body of PutBucketInventoryConfiguration.
pub const INVENTORY_BODY_MAX: usize = 32 << 10;

const ROOT: &str = "InventoryConfiguration";

/// Longest name of a configuration.
const ID_MAX: usize = 64;

/// Longest prefix of a destination, in bytes: with what follows it, a key has at most 1,024.
const PREFIX_MAX: usize = 512;

/// Checks the name of a configuration. Source: API Reference, "PutBucketInventoryConfiguration".
pub fn check_inventory_id(id: &str) -> Result<(), S3Error> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=ID_MAX).contains(&id.len()) && id.bytes().all(is_good) {
        return Ok(());
    }
    Err(S3Error::invalid_argument(
        "The specified configuration id is not valid: it has 1 to 64 letters, digits and any of '-', '_', '.'.",
        "id",
        id,
    ))
}

/// Reads a configuration. Errors: `MalformedXML`; `InvalidArgument` for an id or a prefix that cannot be;
/// `InvalidS3DestinationBucket` for what is no ARN of a bucket; `NotImplemented` naming the field for ORC files, encryption, and
/// optional fields that this store has nothing to say of.
pub fn parse_inventory(body: &[u8]) -> Result<Inventory, S3Error> {
    let mut reader = XmlReader::open(body, INVENTORY_BODY_MAX, ROOT)?;
    let (mut id, mut enabled, mut filter, mut destination) = (None, None, None, None);
    let (mut versions, mut fields, mut frequency) = (None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Id" => set(&mut id, reader.word()?)?,
            "IsEnabled" => set(&mut enabled, reader.boolean()?)?,
            "Filter" => set(&mut filter, read_filter(&mut reader)?)?,
            "Destination" => set(&mut destination, read_destination(&mut reader)?)?,
            "IncludedObjectVersions" => {
                set(&mut versions, of_word(&mut reader, IncludedVersions::from_name)?)?;
            }
            "OptionalFields" => set(&mut fields, read_fields(&mut reader)?)?,
            "Schedule" => set(&mut frequency, read_schedule(&mut reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    let id: String = id.ok_or_else(S3Error::malformed_xml)?;
    check_inventory_id(&id)?;
    Ok(Inventory {
        id,
        enabled: enabled.ok_or_else(S3Error::malformed_xml)?,
        prefix: filter,
        destination: destination.ok_or_else(S3Error::malformed_xml)?,
        versions: versions.ok_or_else(S3Error::malformed_xml)?,
        fields: fields.unwrap_or_default(),
        frequency: frequency.ok_or_else(S3Error::malformed_xml)?,
    })
}

fn of_word<T>(reader: &mut XmlReader<'_>, value: impl Fn(&str) -> Option<T>) -> Result<T, S3Error> {
    value(&reader.word()?).ok_or_else(S3Error::malformed_xml)
}

/// The only child of the current element.
fn only<T>(
    reader: &mut XmlReader<'_>,
    wanted: &str,
    read: impl Fn(&mut XmlReader<'_>) -> Result<T, S3Error>,
) -> Result<T, S3Error> {
    let mut found = None;
    while let Some(name) = reader.next_child()? {
        if name != wanted {
            return Err(S3Error::malformed_xml());
        }
        set(&mut found, read(reader)?)?;
    }
    found.ok_or_else(S3Error::malformed_xml)
}

fn read_filter(reader: &mut XmlReader<'_>) -> Result<String, S3Error> {
    let prefix = only(reader, "Prefix", |reader| reader.key())?;
    if prefix.len() > types::KEY_LENGTH_MAX {
        return Err(S3Error::invalid_argument("The prefix is longer than any key.", "Prefix", &prefix));
    }
    Ok(prefix)
}

fn read_schedule(reader: &mut XmlReader<'_>) -> Result<Frequency, S3Error> {
    only(reader, "Frequency", |reader| of_word(reader, Frequency::from_name))
}

fn read_fields(reader: &mut XmlReader<'_>) -> Result<Vec<Field>, S3Error> {
    let mut fields = Vec::new();
    while let Some(name) = reader.next_child()? {
        if name != "Field" {
            return Err(S3Error::malformed_xml());
        }
        let word = reader.word()?;
        let field = match Field::from_name(&word) {
            Some(field) => field,
            None if Field::UNKNOWN.contains(&word.as_str()) => {
                return Err(S3Error::field_not_implemented(&word));
            }
            None => return Err(S3Error::malformed_xml()),
        };
        if fields.contains(&field) {
            return Err(S3Error::malformed_xml());
        }
        fields.push(field);
    }
    Ok(fields)
}

fn read_destination(reader: &mut XmlReader<'_>) -> Result<Destination, S3Error> {
    only(reader, "S3BucketDestination", |reader| {
        let (mut account, mut bucket, mut format, mut prefix) = (None, None, None, None);
        while let Some(name) = reader.next_child()? {
            match name.as_str() {
                "AccountId" => set(&mut account, reader.word()?)?,
                "Bucket" => set(&mut bucket, bucket_of_arn(&reader.word()?)?)?,
                "Format" => set(&mut format, read_format(reader)?)?,
                "Prefix" => set(&mut prefix, read_prefix(reader)?)?,
                "Encryption" => return Err(S3Error::field_not_implemented("Encryption")),
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        Ok(Destination {
            account,
            bucket: bucket.ok_or_else(S3Error::malformed_xml)?,
            format: format.ok_or_else(S3Error::malformed_xml)?,
            prefix,
        })
    })
}

fn read_format(reader: &mut XmlReader<'_>) -> Result<Format, S3Error> {
    match reader.word()?.as_str() {
        "ORC" => Err(S3Error::field_not_implemented("Format").field("Value", "ORC")),
        word => Format::from_name(word).ok_or_else(S3Error::malformed_xml),
    }
}

fn read_prefix(reader: &mut XmlReader<'_>) -> Result<String, S3Error> {
    let prefix = reader.key()?;
    if prefix.len() > PREFIX_MAX {
        let message = format!("The prefix of the destination is longer than {PREFIX_MAX} bytes.");
        return Err(S3Error::invalid_argument(message, "Prefix", &prefix));
    }
    Ok(prefix)
}

fn bucket_of_arn(arn: &str) -> Result<BucketName, S3Error> {
    let name = arn.strip_prefix("arn:aws:s3:::").and_then(|name| BucketName::new(name).ok());
    name.ok_or_else(|| {
        S3Error::with_message(
            ErrorCode::InvalidS3DestinationBucket,
            "The destination is not the ARN of a bucket, such as arn:aws:s3:::bucket.",
        )
        .field("Bucket", arn)
    })
}

/// The body of GetBucketInventoryConfiguration.
pub fn inventory(inventory: &Inventory) -> Bytes {
    let mut document = Document::new(ROOT, 1024);
    write(inventory, &mut document);
    document.finish(ROOT)
}

/// The body of ListBucketInventoryConfigurations: a page, where it began and where the next one does.
pub fn list_inventories<'a>(
    inventories: impl IntoIterator<Item = &'a Inventory>,
    token: Option<&str>,
    next: Option<&str>,
) -> Bytes {
    const LIST: &str = "ListInventoryConfigurationsResult";
    let mut document = Document::new(LIST, 4096);
    for inventory in inventories {
        document.open(ROOT);
        write(inventory, &mut document);
        document.close(ROOT);
    }
    document.boolean("IsTruncated", next.is_some());
    document.optional("ContinuationToken", token);
    document.optional("NextContinuationToken", next);
    document.finish(LIST)
}

fn write(inventory: &Inventory, document: &mut Document) {
    let destination = &inventory.destination;
    document.open("Destination");
    document.open("S3BucketDestination");
    document.optional("AccountId", destination.account.as_deref());
    document.element("Bucket", &format!("arn:aws:s3:::{}", destination.bucket.as_str()));
    document.element("Format", destination.format.name());
    if let Some(prefix) = &destination.prefix {
        document.key("Prefix", prefix, false);
    }
    document.close("S3BucketDestination");
    document.close("Destination");
    document.boolean("IsEnabled", inventory.enabled);
    if let Some(prefix) = &inventory.prefix {
        document.open("Filter");
        document.key("Prefix", prefix, false);
        document.close("Filter");
    }
    document.element("Id", &inventory.id);
    document.element("IncludedObjectVersions", inventory.versions.name());
    if !inventory.fields.is_empty() {
        document.open("OptionalFields");
        for field in &inventory.fields {
            document.element("Field", field.name());
        }
        document.close("OptionalFields");
    }
    document.open("Schedule");
    document.element("Frequency", inventory.frequency.name());
    document.close("Schedule");
}

#[cfg(test)]
mod tests {
    use types::BucketName;

    use super::{INVENTORY_BODY_MAX, inventory, list_inventories, parse_inventory};
    use crate::{
        error::ErrorCode,
        inventory::{Destination, Field, Format, Frequency, IncludedVersions, Inventory},
    };

    const DESTINATION: &str = "<Destination><S3BucketDestination><Bucket>arn:aws:s3:::lists</Bucket><Format>CSV</Format>\
        </S3BucketDestination></Destination>";
    const REST: &str = "<Id>a</Id><IsEnabled>true</IsEnabled><IncludedObjectVersions>All</IncludedObjectVersions>\
        <Schedule><Frequency>Daily</Frequency></Schedule>";

    fn wrap(inner: &str) -> String {
        format!("<InventoryConfiguration>{inner}</InventoryConfiguration>")
    }

    fn with(more: &str) -> String {
        wrap(&format!("{DESTINATION}{REST}{more}"))
    }

    fn destination(inner: &str) -> String {
        wrap(&format!("<Destination><S3BucketDestination>{inner}</S3BucketDestination></Destination>{REST}"))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let whole = Inventory {
            id: "A-b_c.9".to_owned(),
            enabled: false,
            prefix: Some(" a&<b>\r\n\u{1}/".to_owned()),
            destination: Destination {
                account: Some("account".to_owned()),
                bucket: BucketName::new("lists").unwrap(),
                format: Format::Parquet,
                prefix: Some(" p/".to_owned()),
            },
            versions: IncludedVersions::Current,
            fields: Field::ALL.iter().rev().copied().collect(),
            frequency: Frequency::Weekly,
        };
        let least = parse_inventory(with("").as_bytes()).unwrap();
        assert_eq!((least.prefix.as_deref(), least.fields.len()), (None, 0));
        for configured in [&whole, &least] {
            assert_eq!(parse_inventory(&inventory(configured)).as_ref(), Ok(configured));
        }
        let list = list_inventories([&whole, &least], Some("here"), Some("there"));
        let list = String::from_utf8(list.to_vec()).unwrap();
        assert_eq!(list.matches("<InventoryConfiguration>").count(), 2);
        for part in [
            "<IsTruncated>true</IsTruncated>",
            "<ContinuationToken>here</ContinuationToken>",
            "<NextContinuationToken>there</NextContinuationToken>",
        ] {
            assert!(list.contains(part), "{list}");
        }
        assert!(parse_inventory(with("<OptionalFields/>").as_bytes()).is_ok());
    }

    #[test]
    fn other_documents_are_refused() {
        use ErrorCode::{InvalidArgument, InvalidS3DestinationBucket, MalformedXML, NotImplemented};
        let bucket = "<Bucket>arn:aws:s3:::lists</Bucket>";
        let arn = |arn: &str| destination(&format!("<Bucket>{arn}</Bucket><Format>CSV</Format>"));
        let id = |id: &str| with("").replace("<Id>a</Id>", &format!("<Id>{id}</Id>"));
        let field = |name: &str| with(&format!("<OptionalFields><Field>{name}</Field></OptionalFields>"));
        let long = "p".repeat(1025);
        for (bad, code) in [
            (String::new(), MalformedXML),
            ("<Inventory/>".to_owned(), MalformedXML),
            (wrap(""), MalformedXML),
            (wrap(DESTINATION), MalformedXML),
            (wrap(REST), MalformedXML),
            (with("<Other/>"), MalformedXML),
            (with("<Id>a</Id>"), MalformedXML),
            (with("<Filter/>"), MalformedXML),
            (with("<Filter><Suffix>a</Suffix></Filter>"), MalformedXML),
            (field("Colour"), MalformedXML),
            (with("<OptionalFields><Field>Size</Field><Field>Size</Field></OptionalFields>"), MalformedXML),
            (with("").replace("Daily", "Hourly"), MalformedXML),
            (with("").replace("All", "None"), MalformedXML),
            (with("").replace("true", "yes"), MalformedXML),
            (destination(bucket), MalformedXML),
            (destination("<Format>CSV</Format>"), MalformedXML),
            (destination(&format!("{bucket}<Format>XML</Format>")), MalformedXML),
            (destination(&format!("{bucket}<Format>CSV</Format><Other/>")), MalformedXML),
            (wrap(&format!("<Destination/>{REST}")), MalformedXML),
            (id(""), InvalidArgument),
            (id("a b"), InvalidArgument),
            (id(&"a".repeat(65)), InvalidArgument),
            (with(&format!("<Filter><Prefix>{long}</Prefix></Filter>")), InvalidArgument),
            (destination(&format!("{bucket}<Format>CSV</Format><Prefix>{long}</Prefix>")), InvalidArgument),
            (arn("lists"), InvalidS3DestinationBucket),
            (arn("arn:aws:s3::1:lists"), InvalidS3DestinationBucket),
            (arn("arn:aws:s3:::LISTS"), InvalidS3DestinationBucket),
            (destination(&format!("{bucket}<Format>ORC</Format>")), NotImplemented),
            (
                destination(&format!("{bucket}<Format>CSV</Format><Encryption><SSE-S3/></Encryption>")),
                NotImplemented,
            ),
            (field("BucketKeyStatus"), NotImplemented),
            (field("ObjectAccessControlList"), NotImplemented),
            (field("IntelligentTieringAccessTier"), NotImplemented),
            (field("LifecycleExpirationDate"), NotImplemented),
        ] {
            assert_eq!(parse_inventory(bad.as_bytes()).map_err(|error| error.code), Err(code), "{bad:.400}");
        }
        let large = with(&format!("<!--{}-->", "x".repeat(INVENTORY_BODY_MAX)));
        assert!(parse_inventory(large.as_bytes()).is_err());
    }
}
