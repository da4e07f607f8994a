//! Inventories: lists of what is in a bucket, written to another as files. Amazon S3 User Guide, "Cataloging and analyzing your
//! data with S3 Inventory". What is asked for is here, and what the files and their manifests look like; the worker makes them.

use types::{BucketName, Timestamp};

use crate::{date::xml_date, percent};

/// Most inventory configurations of a bucket. Source: User Guide, "Configuring Amazon S3 Inventory".
pub const INVENTORIES_MAX: usize = 1000;

/// What is to be listed, how often, and where the list goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Its name in the bucket.
    pub id: String,
    /// Whether lists are made.
    pub enabled: bool,
    /// What keys begin with that are listed.
    pub prefix: Option<String>,
    /// Where lists go.
    pub destination: Destination,
    /// Which versions are listed.
    pub versions: IncludedVersions,
    /// What is said of each beside its key, as it was asked for.
    pub fields: Vec<Field>,
    /// How often.
    pub frequency: Frequency,
}

/// Where lists go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The account that the bucket belongs to, if that was said.
    pub account: Option<String>,
    /// The bucket.
    pub bucket: BucketName,
    /// What the files are.
    pub format: Format,
    /// What the keys of the files begin with.
    pub prefix: Option<String>,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// S3's word.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The value of a word.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }
    };
}

words! {
    /// What the files of a list are.
    Format {
        /// Comma-separated values, compressed by gzip.
        Csv = "CSV",
        /// Apache Parquet.
        Parquet = "Parquet",
    }
}

words! {
    /// Which versions are listed.
    IncludedVersions {
        /// All, and delete markers, with the fields that tell them apart.
        All = "All",
        /// Current ones.
        Current = "Current",
    }
}

words! {
    /// How often a list is made.
    Frequency {
        /// Every day.
        Daily = "Daily",
        /// Every Sunday.
        Weekly = "Weekly",
    }
}

words! {
    /// What is said of each object where it was asked for, in the order of the columns.
    Field {
        /// Bytes.
        Size = "Size",
        /// When it was made.
        LastModifiedDate = "LastModifiedDate",
        /// Entity tag.
        ETag = "ETag",
        /// Storage class.
        StorageClass = "StorageClass",
        /// Whether it was uploaded in parts.
        IsMultipartUploaded = "IsMultipartUploaded",
        /// Whether it was replicated: empty, as of what no rule of replication is about.
        ReplicationStatus = "ReplicationStatus",
        /// How the server encrypts it: `NOT-SSE`.
        EncryptionStatus = "EncryptionStatus",
        /// Until when it is retained.
        ObjectLockRetainUntilDate = "ObjectLockRetainUntilDate",
        /// How firmly it is retained.
        ObjectLockMode = "ObjectLockMode",
        /// Whether it is held.
        ObjectLockLegalHoldStatus = "ObjectLockLegalHoldStatus",
        /// Of which algorithm its checksum is.
        ChecksumAlgorithm = "ChecksumAlgorithm",
        /// Whose it is.
        ObjectOwner = "ObjectOwner",
    }
}

impl Field {
    /// S3's words for what this store has nothing to say of.
    pub const UNKNOWN: [&'static str; 4] = [
        "IntelligentTieringAccessTier",
        "BucketKeyStatus",
        "ObjectAccessControlList",
        "LifecycleExpirationDate",
    ];
}

/// A column of a list. Source: User Guide, "Amazon S3 Inventory list", and the schemas in "Locating your inventory list".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The bucket.
    Bucket,
    /// The key.
    Key,
    /// The version id, with all versions.
    VersionId,
    /// Whether it is the key's newest, with all versions.
    IsLatest,
    /// Whether it is a delete marker, with all versions.
    IsDeleteMarker,
    /// What was asked for.
    Field(Field),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// Milliseconds since 1970.
    Time,
}

impl Column {
    /// Its name in the schema of a CSV file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "Bucket",
            Self::Key => "Key",
            Self::VersionId => "VersionId",
            Self::IsLatest => "IsLatest",
            Self::IsDeleteMarker => "IsDeleteMarker",
            Self::Field(field) => field.name(),
        }
    }

    /// Its name in a Parquet file: that of CSV in lower case, with an underscore between words.
    pub fn snake_name(self) -> String {
        let mut out = String::new();
        for character in self.name().chars() {
            if character.is_ascii_uppercase() && !out.is_empty() {
                out.push('_');
            }
            out.push(character.to_ascii_lowercase());
        }
        out
    }

    /// What it holds.
    pub fn kind(self) -> ColumnType {
        match self {
            Self::IsLatest | Self::IsDeleteMarker | Self::Field(Field::IsMultipartUploaded) => {
                ColumnType::Boolean
            }
            Self::Field(Field::Size) => ColumnType::Number,
            Self::Field(Field::LastModifiedDate | Field::ObjectLockRetainUntilDate) => ColumnType::Time,
            Self::Bucket | Self::Key | Self::VersionId | Self::Field(_) => ColumnType::Text,
        }
    }

    /// Whether every row has a value.
    pub fn is_required(self) -> bool {
        matches!(self, Self::Bucket | Self::Key)
    }
}

/// A value in a row; `None` where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(u64),
    /// A time.
    Time(Timestamp),
}

impl Inventory {
    /// The columns of its lists.
    pub fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::Bucket, Column::Key];
        if self.versions == IncludedVersions::All {
            columns.extend([Column::VersionId, Column::IsLatest, Column::IsDeleteMarker]);
        }
        let fields = Field::ALL.iter().copied().filter(|field| self.fields.contains(field));
        columns.extend(fields.map(Column::Field));
        columns
    }

    /// What the manifest calls the columns.
    pub fn schema(&self) -> String {
        let columns = self.columns();
        match self.destination.format {
            Format::Csv => {
                let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
                names.join(", ")
            }
            Format::Parquet => parquet_schema(&columns),
        }
    }

    /// What the keys of a source bucket's lists begin with: the prefix, the source and this configuration.
    pub fn folder(&self, source: &BucketName) -> String {
        let prefix = self.destination.prefix.as_deref().unwrap_or_default();
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        format!("{prefix}{slash}{}/{}", source.as_str(), self.id)
    }
}

/// The schema of a Parquet file of these columns.
pub fn parquet_schema(columns: &[Column]) -> String {
    let fields = columns.iter().map(|column| {
        let repetition = if column.is_required() { "required" } else { "optional" };
        let (physical, logical) = match column.kind() {
            ColumnType::Text => ("binary", " (UTF8)"),
            ColumnType::Boolean => ("boolean", ""),
            ColumnType::Number => ("int64", ""),
            ColumnType::Time => ("int64", " (TIMESTAMP_MILLIS)"),
        };
        format!(" {repetition} {physical} {}{logical};", column.snake_name())
    });
    format!("message s3.inventory {{{} }}", fields.collect::<String>())
}

/// Writes a row of a CSV file: every value in quotes, keys encoded as in a URL.
pub fn write_csv_row(columns: &[Column], row: &[Option<Value>], out: &mut Vec<u8>) {
    for (number, (column, value)) in columns.iter().zip(row).enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.push(b'"');
        match value {
            Some(Value::Text(text)) if *column == Column::Key => percent::encode_url(text.as_bytes(), out),
            // Nothing else that is listed has a quote in it, or it is not quoted alone.
            Some(Value::Text(text)) => out.extend_from_slice(text.replace('"', "\"\"").as_bytes()),
            Some(Value::Boolean(value)) => out.extend_from_slice(value.to_string().as_bytes()),
            Some(Value::Number(value)) => out.extend_from_slice(value.to_string().as_bytes()),
            Some(Value::Time(time)) => out.extend_from_slice(xml_date(*time).as_bytes()),
            None => {}
        }
        out.push(b'"');
    }
    out.push(b'\n');
}

/// `2016-11-06T21-32Z`, the folder of a manifest, of when the list was begun.
pub fn manifest_time(begun: Timestamp) -> String {
    let text = xml_date(begun);
    format!("{}Z", text.as_str()[..16].replace(':', "-"))
}

/// `2016-11-06-21-32`, the partition of a Hive table.
pub fn hive_time(begun: Timestamp) -> String {
    xml_date(begun).as_str()[..16].replace([':', 'T'], "-")
}

#[cfg(test)]
mod tests {
    use types::{BucketName, Timestamp};

    use super::{
        Destination, Field, Format, Frequency, IncludedVersions, Inventory, Value, hive_time, manifest_time,
        write_csv_row,
    };

    fn inventory(format: Format) -> Inventory {
        Inventory {
            id: "daily".to_owned(),
            enabled: true,
            prefix: None,
            destination: Destination {
                account: None,
                bucket: BucketName::new("lists").unwrap(),
                format,
                prefix: Some("of".to_owned()),
            },
            versions: IncludedVersions::All,
            fields: vec![Field::ETag, Field::IsMultipartUploaded, Field::Size, Field::LastModifiedDate],
            frequency: Frequency::Daily,
        }
    }

    #[test]
    fn schemas_are_those_of_s3() {
        assert_eq!(
            inventory(Format::Csv).schema(),
            "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, IsMultipartUploaded"
        );
        assert_eq!(
            inventory(Format::Parquet).schema(),
            "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); \
             optional binary version_id (UTF8); optional boolean is_latest; optional boolean is_delete_marker; \
             optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); \
             optional boolean is_multipart_uploaded; }"
        );
        let current = Inventory { versions: IncludedVersions::Current, ..inventory(Format::Csv) };
        assert!(current.schema().starts_with("Bucket, Key, Size, "), "{}", current.schema());
    }

    #[test]
    fn rows_and_names_are_written_as_s3_writes_them() {
        let inventory = inventory(Format::Csv);
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let time = Timestamp(1_478_467_935_000);
        let row = [
            text("bucket"),
            text("a b\"\n,é"),
            text("null"),
            Some(Value::Boolean(true)),
            Some(Value::Boolean(false)),
            Some(Value::Number(7)),
            Some(Value::Time(time)),
            None,
            None,
        ];
        let mut out = Vec::new();
        write_csv_row(&inventory.columns(), &row, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"bucket\",\"a+b%22%0A%2C%C3%A9\",\"null\",\"true\",\"false\",\"7\",\"2016-11-06T21:32:15.000Z\",\"\",\"\"\n"
        );
        assert_eq!(
            (manifest_time(time).as_str(), hive_time(time).as_str()),
            ("2016-11-06T21-32Z", "2016-11-06-21-32")
        );
        let source = BucketName::new("source").unwrap();
        assert_eq!(inventory.folder(&source), "of/source/daily");
    }
}
