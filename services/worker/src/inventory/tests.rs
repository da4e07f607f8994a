use std::{io::Read as _, time::Duration};

use bytes::Bytes;
use flate2::read::GzDecoder;
use metadata_api::{AccountId, ObjectSummary, VersionSummary};
use parquet::file::reader::{FileReader, SerializedFileReader};
use s3_wire::inventory::{Column, Destination, Field, Format, Frequency, IncludedVersions, Inventory, Value};
use types::{
    Attributes, BucketName, ChecksumAlgorithm, ChecksumType, ObjectKey, Sequence, StorageClassName,
    Timestamp, VersionId,
};

use super::{
    file::File,
    manifest,
    publish::Published,
    rows::{Entry, Source},
    schedule::is_due,
    uuid,
};

const DAY: Duration = Duration::from_secs(86_400);

fn inventory(format: Format) -> Inventory {
    let destination = Destination {
        account: None,
        bucket: BucketName::new("lists").unwrap(),
        format,
        prefix: Some("of/".to_owned()),
    };
    Inventory {
        id: "all".to_owned(),
        enabled: true,
        prefix: None,
        destination,
        versions: IncludedVersions::All,
        fields: Field::ALL.to_vec(),
        frequency: Frequency::Daily,
    }
}

fn object(key: &str) -> ObjectSummary {
    ObjectSummary {
        key: ObjectKey::new(key.to_owned()).unwrap(),
        last_modified: Timestamp(1_000),
        etag: "0123456789abcdef0123456789abcdef-2".parse().unwrap(),
        size: 7,
        storage_class: StorageClassName::standard(),
        checksum: Some((ChecksumAlgorithm::Crc64nvme, ChecksumType::FullObject)),
        restore: None,
        owner: None,
    }
}

fn row(columns: &[Column], object: Option<ObjectSummary>) -> Vec<Option<Value>> {
    let version = VersionSummary {
        key: ObjectKey::new("a b").unwrap(),
        version_id: VersionId::Numbered { sequence: Sequence(1), nonce: 2 },
        is_latest: true,
        last_modified: Timestamp(1_000),
        object,
        marker_owner: None,
    };
    let (bucket, owner) = (BucketName::new("source").unwrap(), AccountId("me".to_owned()));
    let mut entry = Entry::version(version);
    entry.set_attributes(&Attributes::default());
    entry.row(columns, &Source { bucket, owner, are_writers_owners: true })
}

#[test]
fn a_list_is_due_once_in_each_day_or_week() {
    let day = |days: i64| Timestamp(days * 86_400_000);
    let due = |frequency, now, listed: Option<i64>| is_due(frequency, DAY, day(now), listed.map(day));
    assert!(due(Frequency::Daily, 5, None) && due(Frequency::Daily, 5, Some(4)));
    assert!(!due(Frequency::Daily, 5, Some(5)) && due(Frequency::Daily, 5, Some(6)));
    let late = Timestamp(5 * 86_400_000 - 1);
    assert!(is_due(Frequency::Daily, DAY, day(5), Some(late)), "a day begins at midnight");
    // 1970-01-04 was a Sunday.
    for (now, listed, expected) in [
        (3, None, true),
        (4, None, true),
        (10, None, true),
        (10, Some(3), true),
        (9, Some(3), false),
        (12, Some(9), true),
        (12, Some(10), false),
        (16, Some(11), false),
        (17, Some(11), true),
        (9, Some(10), true),
    ] {
        assert_eq!(due(Frequency::Weekly, now, listed), expected, "{now} {listed:?}");
    }
    assert!(is_due(Frequency::Daily, Duration::from_secs(1), Timestamp(2_000), Some(Timestamp(1_999))));
}

#[test]
fn csv_files_are_read_again() {
    let inventory = inventory(Format::Csv);
    let columns = inventory.columns();
    let mut file = File::new(Format::Csv, columns.clone()).unwrap();
    file.push(row(&columns, Some(object("a b")))).unwrap();
    file.push(row(&columns, None)).unwrap();
    let (mut text, bytes) = (String::new(), file.finish().unwrap());
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let id = VersionId::Numbered { sequence: Sequence(1), nonce: 2 };
    let date = "1970-01-01T00:00:01.000Z";
    let etag = "0123456789abcdef0123456789abcdef-2";
    assert_eq!(
        text,
        format!(
            "\"source\",\"a+b\",\"{id}\",\"true\",\"false\",\"7\",\"{date}\",\"{etag}\",\"STANDARD\",\"true\",\"\",\"NOT-SSE\",\"\",\"\",\"OFF\",\"CRC64NVME\",\"me\"\n\
             \"source\",\"a+b\",\"{id}\",\"true\",\"true\",\"\",\"{date}\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"me\"\n"
        )
    );
}

#[test]
fn parquet_files_are_read_again() {
    let inventory = inventory(Format::Parquet);
    let columns = inventory.columns();
    let mut file = File::new(Format::Parquet, columns.clone()).unwrap();
    // More than a group of rows.
    for number in 0..10_003 {
        let object = (number % 2 == 0).then(|| object("a b"));
        file.push(row(&columns, object)).unwrap();
    }
    assert!(file.bytes() > 0);
    let reader = SerializedFileReader::new(Bytes::from(file.finish().unwrap())).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 2);
    let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
    assert_eq!(rows.len(), 10_003);
    let first = &rows[0];
    for part in [
        "bucket: \"source\"",
        "key: \"a b\"",
        "is_latest: true",
        "is_delete_marker: false",
        "size: 7",
        "last_modified_date: 1970-01-01 00:00:01",
        "e_tag: \"0123456789abcdef0123456789abcdef-2\"",
        "is_multipart_uploaded: true",
        "replication_status: null",
        "object_lock_retain_until_date: null",
        "checksum_algorithm: \"CRC64NVME\"",
        "object_owner: \"me\"",
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    for part in ["is_delete_marker: true", "size: null", "e_tag: null", "object_owner: \"me\""] {
        assert!(rows[1].contains(part), "{part} is not in {}", rows[1]);
    }
    let empty = File::new(Format::Parquet, columns).unwrap().finish().unwrap();
    let reader = SerializedFileReader::new(Bytes::from(empty)).unwrap();
    assert_eq!(reader.get_row_iter(None).unwrap().count(), 0);
}

#[test]
fn a_manifest_names_its_files() {
    let file = Published {
        key: "of/source/all/data/1.csv.gz".to_owned(),
        version: VersionId::Null,
        size: 11,
        md5: "ab".to_owned(),
    };
    let source = BucketName::new("source").unwrap();
    let manifest = manifest(&inventory(Format::Csv), &source, Timestamp(1_478_467_935_000), &[file]);
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["sourceBucket"], "source");
    assert_eq!(manifest["destinationBucket"], "arn:aws:s3:::lists");
    assert_eq!(manifest["version"], "2016-11-30");
    assert_eq!(manifest["creationTimestamp"], "1478467935000");
    assert_eq!(manifest["fileFormat"], "CSV");
    assert!(manifest["fileSchema"].as_str().unwrap().starts_with("Bucket, Key, VersionId, IsLatest"));
    let files = serde_json::json!([{"key": "of/source/all/data/1.csv.gz", "size": 11, "MD5checksum": "ab"}]);
    assert_eq!(manifest["files"], files);
}

#[test]
fn a_uuid_is_of_version_4() {
    assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
}
