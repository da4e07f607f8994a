use proptest::prelude::*;
use types::{
    Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, ETag, PartNumber, Sequence, Timestamp,
    UploadId, VersionId, Versioning,
};

use super::{testing::leaves, *};
use crate::{ErrorCode, S3Error, header::DeleteCondition};

const TAG: &str = "d41d8cd98f00b204e9800998ecf8427e";
const TIME: Timestamp = Timestamp(1_138_985_109_250);
const DATE: &str = "2006-02-03T16:45:09.000Z";
const OWNER: Owner<'static> = Owner { id: "owner-id", display_name: None };
const VERSION: VersionId = VersionId::Numbered { sequence: Sequence(77), nonce: 1 };
const UPLOAD: UploadId = UploadId([0xab; 16]);

fn tag(text: &str) -> ETag {
    text.parse().expect("an entity tag")
}

fn crc32() -> ChecksumValue {
    ChecksumValue::new(ChecksumAlgorithm::Crc32, &[0xcb, 0xf4, 0x39, 0x26]).expect("four bytes")
}

/// The document's leaves, with the root's name left out.
fn found(document: &[u8], root: &str) -> Vec<(String, String)> {
    let leaves = leaves(document);
    let text = std::str::from_utf8(document).expect("UTF-8");
    assert!(text.contains(&format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">")), "{text}");
    let inner =
        |path: String| path.strip_prefix(root).expect("inside the root").trim_start_matches('/').to_owned();
    leaves.into_iter().map(|(path, value)| (inner(path), value)).collect()
}

fn expect(document: &[u8], root: &str, leaves: &[(&str, &str)]) {
    let leaves: Vec<_> =
        leaves.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    assert_eq!(found(document, root), leaves);
}

#[test]
fn deletes_as_clients_send_them() {
    let body = br#"<?xml version="1.0" encoding="UTF-8"?>
        <!-- x --><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Quiet> true </Quiet>
        <Object><Key>a&amp;b&#10;&#x1F600; c</Key><VersionId>null</VersionId></Object>
        <ns:Object xmlns:ns="x"><ns:Key><![CDATA[<d>]]>e&#1;</ns:Key></ns:Object>
        <Object><Size>7</Size><Key> f </Key><ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag>
        <LastModifiedTime>2006-02-03T16:45:09.000Z</LastModifiedTime><VersionId/></Object></Delete>"#;
    let delete = parse_delete(body).expect("valid");
    assert!(delete.quiet);
    let keys: Vec<&str> = delete.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a&b\n😀 c", "<d>e\u{1}", " f "]);
    assert_eq!(delete.objects[0].version(), Ok(Some(VersionId::Null)));
    assert_eq!(delete.objects[1].version_id, None);
    assert_eq!(delete.objects[1].version(), Ok(None));
    let empty = delete.objects[2].version().expect_err("an empty id is none");
    assert_eq!(empty.code, ErrorCode::NoSuchVersion);
    let condition = DeleteCondition {
        exists: false,
        etag: Some(tag(TAG)),
        last_modified: Some(Timestamp(1_138_985_109_000)),
        size: Some(7),
    };
    assert_eq!(delete.objects[2].condition, condition);
    assert!(delete.objects[0].condition.is_empty());
    let any = parse_delete(b"<Delete><Object><Key>k</Key><ETag>*</ETag></Object></Delete>").expect("valid");
    assert!(any.objects[0].condition.exists && !any.quiet);
}

#[test]
fn what_is_wrong_with_one_object_is_its_own_error() {
    let long = "k".repeat(1025);
    let body = format!("<Delete><Object><Key>{long}</Key><VersionId>x</VersionId></Object></Delete>");
    let delete = parse_delete(body.as_bytes()).expect("valid");
    assert_eq!(delete.objects[0].object_key().expect_err("long").code, ErrorCode::KeyTooLongError);
    assert_eq!(delete.objects[0].version().expect_err("no id").code, ErrorCode::NoSuchVersion);
}

#[test]
fn line_ends_in_text_are_normalised_and_escaped_ones_are_not() {
    let key = |text: &str| {
        let body = format!("<Delete><Object><Key>{text}</Key></Object></Delete>");
        parse_delete(body.as_bytes()).map(|delete| delete.objects[0].key.clone())
    };
    assert_eq!(key("a\r\nb\rc\nd\te").as_deref(), Ok("a\nb\nc\nd\te"));
    assert_eq!(key("a&#13;&#10;b&#xD;c").as_deref(), Ok("a\r\nb\rc"));
    assert_eq!(key("a&apos;&quot;&gt;&lt;").as_deref(), Ok("a'\"><"));
    for text in
        ["\u{1}", "\u{ffff}", "&#xD800;", "&#x110000;", "&#;", "&#x;", "&#+1;", "&x;", "&", "&amp", "<b/>"]
    {
        assert_eq!(key(text).expect_err(text).code, ErrorCode::MalformedXML, "{text:?}");
    }
}

#[test]
fn malformed_deletes_are_refused() {
    let object = "<Object><Key>k</Key></Object>";
    let many = |count: usize| format!("<Delete>{}</Delete>", object.repeat(count));
    assert_eq!(parse_delete(many(1000).as_bytes()).map(|delete| delete.objects.len()), Ok(1000));
    let deep = format!("<Delete>{}{}</Delete>", "<Object>".repeat(40), "</Object>".repeat(40));
    for body in [
        "",
        " ",
        "x",
        "<Delete/>",
        "<Delete></Delete>",
        "<Delete>",
        "<Other><Object><Key>k</Key></Object></Other>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><Key/></Object></Delete>",
        "<Delete><Object><Key>k</Key><Key>l</Key></Object></Delete>",
        "<Delete><Object><Key>k</Key><Other/></Object></Delete>",
        "<Delete><Object><Key>k</Key></Object>text</Delete>",
        "<Delete><Object><Key>k</Key></Object></Delete><Delete/>",
        "<Delete><Object><Key>k</Key></Object></Delete>x",
        "<Delete><Object><Key>k</Other></Object></Delete>",
        "<Delete><Object><Key>k</Key></Object><Quiet>maybe</Quiet></Delete>",
        "<Delete><Object><Key>k</Key><Size>big</Size></Object></Delete>",
        "<Delete><Object><Key>k</Key><LastModifiedTime>now</LastModifiedTime></Object></Delete>",
        "<!DOCTYPE Delete [<!ENTITY a \"b\">]><Delete><Object><Key>&a;</Key></Object></Delete>",
        "<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>",
        &many(1001),
        &deep,
    ] {
        let error = parse_delete(body.as_bytes()).expect_err(body);
        assert_eq!(error.code, ErrorCode::MalformedXML, "{body}");
    }
    assert!(parse_delete(b"<Delete><Object><Key>\xff</Key></Object></Delete>").is_err());
    assert!(parse_delete(&vec![b' '; DELETE_BODY_MAX + 1]).is_err());
    assert!(parse_delete(format!("\u{feff}{}", many(1)).as_bytes()).is_ok());
}

#[test]
fn completes_as_clients_send_them() {
    let body = format!(
        "<CompleteMultipartUpload xmlns=\"x\"><Part><ETag>&quot;{TAG}&quot;</ETag><PartNumber>10000</PartNumber></Part>\n\
         <Part><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32><PartNumber> 2 </PartNumber><ETag>other</ETag></Part></CompleteMultipartUpload>"
    );
    let parts = parse_complete(body.as_bytes()).expect("valid");
    let number = |n| PartNumber::new(n).expect("a part number");
    assert_eq!(parts[0], CompletedPart { number: number(10_000), etag: tag(TAG), checksum: None });
    assert_eq!((parts[1].number, parts[1].checksum), (number(2), Some(crc32())));
    assert_eq!(parts[1].etag.parts, Some(0));
    assert_eq!(check_part_order(&parts).expect_err("descending").code, ErrorCode::InvalidPartOrder);
    assert_eq!(check_part_order(&[parts[1], parts[0]]), Ok(()));
    assert_eq!(check_part_order(&[parts[0], parts[0]]).expect_err("equal").code, ErrorCode::InvalidPartOrder);
}

#[test]
fn malformed_completes_are_refused() {
    let part =
        |inner: &str| format!("<CompleteMultipartUpload><Part>{inner}</Part></CompleteMultipartUpload>");
    let tagged = |inner: &str| part(&format!("<ETag>{TAG}</ETag>{inner}"));
    for (body, code) in [
        (String::new(), ErrorCode::MalformedXML),
        ("<CompleteMultipartUpload/>".to_owned(), ErrorCode::MalformedXML),
        (part(""), ErrorCode::MalformedXML),
        (tagged(""), ErrorCode::MalformedXML),
        (part("<PartNumber>1</PartNumber>"), ErrorCode::MalformedXML),
        (tagged("<PartNumber>a</PartNumber>"), ErrorCode::MalformedXML),
        (tagged("<PartNumber>1</PartNumber><Other/>"), ErrorCode::MalformedXML),
        (tagged("<PartNumber>0</PartNumber>"), ErrorCode::InvalidArgument),
        (tagged("<PartNumber>-1</PartNumber>"), ErrorCode::InvalidArgument),
        (tagged("<PartNumber>10001</PartNumber>"), ErrorCode::InvalidArgument),
        (tagged("<PartNumber>1</PartNumber><ChecksumCRC32>x</ChecksumCRC32>"), ErrorCode::InvalidArgument),
        (tagged("<PartNumber>1</PartNumber><ChecksumBLAKE3>x</ChecksumBLAKE3>"), ErrorCode::NotImplemented),
    ] {
        assert_eq!(parse_complete(body.as_bytes()).expect_err(&body).code, code, "{body}");
    }
    let longest = format!(
        "<Part>\n<ChecksumSHA256>{}</ChecksumSHA256>\n<ETag>&quot;{TAG}-10000&quot;</ETag>\n<PartNumber>10000</PartNumber>\n</Part>\n",
        "a".repeat(44)
    );
    assert!(longest.len() * PARTS_MAX < COMPLETE_BODY_MAX);
    let list = |count: usize| {
        format!(
            "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
            "<Part><ETag>a</ETag><PartNumber>1</PartNumber></Part>".repeat(count)
        )
    };
    assert_eq!(parse_complete(list(10_000).as_bytes()).map(|parts| parts.len()), Ok(10_000));
    assert!(parse_complete(list(10_001).as_bytes()).is_err());
}

#[test]
fn bucket_configurations() {
    let create = |body: &str| parse_create_bucket(body.as_bytes()).map_err(|e| e.code);
    let located = |location: &str| NewBucket { location: Some(location.to_owned()), tags: Vec::new() };
    let wrap =
        |inner: &str| format!("<CreateBucketConfiguration xmlns=\"x\">{inner}</CreateBucketConfiguration>");
    for nothing in [" \n", &wrap(""), &wrap("<LocationConstraint/>"), &wrap("<Tags/>")] {
        assert_eq!(create(nothing), Ok(NewBucket::default()), "{nothing}");
    }
    assert_eq!(create(&wrap("<LocationConstraint>eu-west-1</LocationConstraint>")), Ok(located("eu-west-1")));
    let tags = "<Tags><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value/></Tag></Tags>";
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let tagged = NewBucket { location: None, tags: vec![pair("a", "b"), pair("c", "")] };
    assert_eq!(create(&wrap(tags)), Ok(tagged));
    assert_eq!(create(&wrap(&format!("{tags}{tags}"))), Err(ErrorCode::MalformedXML));
    assert_eq!(create(&wrap("<Tags><Tag/></Tags>")), Err(ErrorCode::MalformedXML));
    let twice = "<Tag><Key>a</Key><Value>b</Value></Tag>".repeat(2);
    assert_eq!(create(&wrap(&format!("<Tags>{twice}</Tags>"))), Err(ErrorCode::InvalidTag));
    assert_eq!(create(&wrap("<Location/>")), Err(ErrorCode::NotImplemented));
    assert_eq!(create(&wrap("<Other/>")), Err(ErrorCode::MalformedXML));
    assert_eq!(create("<Other/>"), Err(ErrorCode::MalformedXML));
    let parse = |inner: &str| {
        let body = format!("<VersioningConfiguration>{inner}</VersioningConfiguration>");
        parse_versioning(body.as_bytes()).map_err(|e| e.code)
    };
    assert_eq!(parse("<Status>Enabled</Status>"), Ok(Versioning::Enabled));
    assert_eq!(parse("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>"), Ok(Versioning::Suspended));
    assert_eq!(
        parse("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"),
        Err(ErrorCode::NotImplemented)
    );
    assert_eq!(parse("<Status>enabled</Status>"), Err(ErrorCode::MalformedXML));
    assert_eq!(parse("<Status>Enabled</Status><ExcludedPrefixes/>"), Err(ErrorCode::MalformedXML));
    assert_eq!(parse(""), Err(ErrorCode::IllegalVersioningConfigurationException));
    for (state, status) in [(Versioning::Enabled, "Enabled"), (Versioning::Suspended, "Suspended")] {
        expect(&versioning(state), "VersioningConfiguration", &[("Status", status)]);
        assert_eq!(parse_versioning(&versioning(state)), Ok(state));
    }
    expect(&versioning(Versioning::Unversioned), "VersioningConfiguration", &[("", "")]);
    expect(&location_constraint("us-east-1"), "LocationConstraint", &[("", "")]);
    expect(&location_constraint("eu-west-1"), "LocationConstraint", &[("", "eu-west-1")]);
}

#[test]
fn a_list_of_buckets() {
    let answer = ListBuckets { owner: OWNER, prefix: Some("a"), continuation_token: Some("t&") };
    let rows = [
        BucketRow { name: "abc", created: TIME, region: None },
        BucketRow { name: "abd", created: TIME, region: Some("r") },
    ];
    expect(
        &list_buckets(&answer, rows),
        "ListAllMyBucketsResult",
        &[
            ("Owner/ID", "owner-id"),
            ("Buckets/Bucket/Name", "abc"),
            ("Buckets/Bucket/CreationDate", DATE),
            ("Buckets/Bucket/Name", "abd"),
            ("Buckets/Bucket/CreationDate", DATE),
            ("Buckets/Bucket/BucketRegion", "r"),
            ("ContinuationToken", "t&"),
            ("Prefix", "a"),
        ],
    );
}

fn object(key: &str) -> ObjectRow<'_> {
    ObjectRow {
        key,
        last_modified: TIME,
        etag: tag(TAG),
        checksum: Some((ChecksumAlgorithm::Crc64nvme, ChecksumType::FullObject)),
        size: 7,
        storage_class: "STANDARD",
        restore: None,
        owner: Some(OWNER),
    }
}

fn object_leaves(key: &str, owner: bool) -> Vec<(String, String)> {
    let quoted = format!("\"{TAG}\"");
    let all = [
        ("Key", key),
        ("LastModified", DATE),
        ("ETag", &quoted),
        ("ChecksumAlgorithm", "CRC64NVME"),
        ("ChecksumType", "FULL_OBJECT"),
        ("Size", "7"),
        ("Owner/ID", "owner-id"),
        ("StorageClass", "STANDARD"),
    ];
    let shown = all.into_iter().filter(|(name, _)| owner || *name != "Owner/ID");
    shown.map(|(name, value)| (format!("Contents/{name}"), value.to_owned())).collect()
}

fn pairs(leaves: &[(&str, &str)]) -> Vec<(String, String)> {
    leaves.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn listings_of_objects() {
    let answer = ListObjects {
        name: "bucket",
        prefix: "a b",
        marker: "",
        next_marker: Some("a b/z"),
        max_keys: 2,
        delimiter: Some("/"),
        url: false,
        is_truncated: true,
    };
    let expected = [
        pairs(&[
            ("Name", "bucket"),
            ("Prefix", "a b"),
            ("Marker", ""),
            ("NextMarker", "a b/z"),
            ("MaxKeys", "2"),
            ("Delimiter", "/"),
            ("IsTruncated", "true"),
        ]),
        object_leaves("a b&<\r\n\t>", true),
        pairs(&[("CommonPrefixes/Prefix", "a b/")]),
    ];
    let document = list_objects(&answer, [object("a b&<\r\n\t>")], ["a b/"]);
    assert_eq!(found(&document, "ListBucketResult"), expected.concat());

    let answer = ListObjectsV2 {
        name: "bucket",
        prefix: "a b",
        start_after: Some("a+"),
        continuation_token: Some("old"),
        next_continuation_token: Some("new"),
        key_count: 2,
        max_keys: 1000,
        delimiter: Some("%"),
        url: true,
        is_truncated: false,
    };
    let expected = [
        pairs(&[
            ("Name", "bucket"),
            ("Prefix", "a+b"),
            ("StartAfter", "a%2B"),
            ("ContinuationToken", "old"),
            ("NextContinuationToken", "new"),
            ("KeyCount", "2"),
            ("MaxKeys", "1000"),
            ("Delimiter", "%25"),
            ("EncodingType", "url"),
            ("IsTruncated", "false"),
        ]),
        object_leaves("%01%0A/%C3%A9", false),
        pairs(&[("CommonPrefixes/Prefix", "a+b/")]),
    ];
    let row = ObjectRow { owner: None, ..object("\u{1}\n/é") };
    let document = list_objects_v2(&answer, [row], ["a b/"]);
    assert_eq!(found(&document, "ListBucketResult"), expected.concat());
}

#[test]
fn keys_that_xml_lacks_are_referred_to_in_listings_and_replaced_in_echoes() {
    let answer = ListObjects {
        name: "bucket",
        prefix: "",
        marker: "",
        next_marker: None,
        max_keys: 1,
        delimiter: None,
        url: false,
        is_truncated: false,
    };
    let document = list_objects(&answer, [object("\u{1}")], []);
    assert!(std::str::from_utf8(&document).expect("UTF-8").contains("<Key>&#x1;</Key>"));
    let document = initiate_multipart_upload("bucket", "\u{1}", UPLOAD);
    let root = "InitiateMultipartUploadResult";
    expect(&document, root, &[("Bucket", "bucket"), ("Key", "\u{fffd}"), ("UploadId", &UPLOAD.to_string())]);
}

#[test]
fn listings_of_versions() {
    let answer = ListObjectVersions {
        name: "bucket",
        prefix: "",
        key_marker: "k",
        version_id_marker: "null",
        next_key_marker: Some("x"),
        next_version_id_marker: Some(VERSION),
        max_keys: 3,
        delimiter: None,
        url: false,
        is_truncated: true,
    };
    let entries = [
        VersionEntry::DeleteMarker(DeleteMarkerRow {
            key: "x",
            version_id: VERSION,
            is_latest: true,
            last_modified: TIME,
            owner: OWNER,
        }),
        VersionEntry::Version(VersionRow {
            key: "x",
            version_id: VersionId::Null,
            is_latest: false,
            last_modified: TIME,
            etag: tag(TAG),
            checksum: None,
            size: 0,
            storage_class: "STANDARD",
            restore: None,
            owner: OWNER,
        }),
    ];
    expect(
        &list_object_versions(&answer, entries, ["p/"]),
        "ListVersionsResult",
        &[
            ("Name", "bucket"),
            ("Prefix", ""),
            ("KeyMarker", "k"),
            ("VersionIdMarker", "null"),
            ("NextKeyMarker", "x"),
            ("NextVersionIdMarker", &VERSION.to_string()),
            ("MaxKeys", "3"),
            ("IsTruncated", "true"),
            ("DeleteMarker/Key", "x"),
            ("DeleteMarker/VersionId", &VERSION.to_string()),
            ("DeleteMarker/IsLatest", "true"),
            ("DeleteMarker/LastModified", DATE),
            ("DeleteMarker/Owner/ID", "owner-id"),
            ("Version/Key", "x"),
            ("Version/VersionId", "null"),
            ("Version/IsLatest", "false"),
            ("Version/LastModified", DATE),
            ("Version/ETag", &format!("\"{TAG}\"")),
            ("Version/Size", "0"),
            ("Version/Owner/ID", "owner-id"),
            ("Version/StorageClass", "STANDARD"),
            ("CommonPrefixes/Prefix", "p/"),
        ],
    );
}

#[test]
fn listings_of_parts_and_uploads() {
    let named = Some((ChecksumAlgorithm::Crc32, ChecksumType::Composite));
    let number = PartNumber::new(3).expect("a part number");
    let answer = ListParts {
        bucket: "bucket",
        key: "k",
        upload_id: UPLOAD,
        initiator: OWNER,
        owner: Owner { id: "o", display_name: Some("name") },
        storage_class: "STANDARD",
        part_number_marker: 2,
        next_part_number_marker: Some(number),
        max_parts: 1,
        is_truncated: true,
        checksum: named,
    };
    let part = PartRow { number, last_modified: TIME, etag: tag(TAG), size: 5, checksum: Some(crc32()) };
    expect(
        &list_parts(&answer, [part]),
        "ListPartsResult",
        &[
            ("Bucket", "bucket"),
            ("Key", "k"),
            ("UploadId", &UPLOAD.to_string()),
            ("Initiator/ID", "owner-id"),
            ("Owner/ID", "o"),
            ("Owner/DisplayName", "name"),
            ("StorageClass", "STANDARD"),
            ("PartNumberMarker", "2"),
            ("NextPartNumberMarker", "3"),
            ("MaxParts", "1"),
            ("IsTruncated", "true"),
            ("ChecksumAlgorithm", "CRC32"),
            ("ChecksumType", "COMPOSITE"),
            ("Part/PartNumber", "3"),
            ("Part/LastModified", DATE),
            ("Part/ETag", &format!("\"{TAG}\"")),
            ("Part/Size", "5"),
            ("Part/ChecksumCRC32", "y/Q5Jg=="),
        ],
    );
    let answer = ListMultipartUploads {
        bucket: "bucket",
        key_marker: "",
        upload_id_marker: "",
        next_key_marker: Some("a k"),
        next_upload_id_marker: Some(UPLOAD),
        prefix: "a ",
        delimiter: Some("/"),
        max_uploads: 10,
        url: true,
        is_truncated: true,
    };
    let upload = UploadRow {
        key: "a k",
        upload_id: UPLOAD,
        initiator: OWNER,
        owner: OWNER,
        storage_class: "STANDARD",
        initiated: TIME,
        checksum: named,
    };
    expect(
        &list_multipart_uploads(&answer, [upload], ["a /"]),
        "ListMultipartUploadsResult",
        &[
            ("Bucket", "bucket"),
            ("KeyMarker", ""),
            ("UploadIdMarker", ""),
            ("NextKeyMarker", "a+k"),
            ("NextUploadIdMarker", &UPLOAD.to_string()),
            ("Prefix", "a+"),
            ("MaxUploads", "10"),
            ("Delimiter", "/"),
            ("EncodingType", "url"),
            ("IsTruncated", "true"),
            ("Upload/Key", "a+k"),
            ("Upload/UploadId", &UPLOAD.to_string()),
            ("Upload/Initiator/ID", "owner-id"),
            ("Upload/Owner/ID", "owner-id"),
            ("Upload/StorageClass", "STANDARD"),
            ("Upload/Initiated", DATE),
            ("Upload/ChecksumAlgorithm", "CRC32"),
            ("Upload/ChecksumType", "COMPOSITE"),
            ("CommonPrefixes/Prefix", "a+/"),
        ],
    );
}

#[test]
fn answers_of_writes() {
    let composite = Checksum { value: crc32(), kind: ChecksumType::Composite };
    let etag = tag(&format!("{TAG}-3"));
    let quoted = format!("\"{TAG}-3\"");
    let result = CopyResult { etag, last_modified: TIME, checksum: Some(composite) };
    let leaves = [
        ("ETag", quoted.as_str()),
        ("LastModified", DATE),
        ("ChecksumType", "COMPOSITE"),
        ("ChecksumCRC32", "y/Q5Jg==-3"),
    ];
    expect(&copy_object(&result), "CopyObjectResult", &leaves);
    let whole = Checksum { value: crc32(), kind: ChecksumType::FullObject };
    let part = CopyResult { etag: tag(TAG), last_modified: TIME, checksum: Some(whole) };
    let leaves = [("ETag", &*format!("\"{TAG}\"")), ("LastModified", DATE), ("ChecksumCRC32", "y/Q5Jg==")];
    expect(&copy_part(&part), "CopyPartResult", &leaves);
    let complete = CompleteMultipartUpload {
        location: "http://h/bucket/k%20",
        bucket: "bucket",
        key: "k ",
        etag,
        checksum: Some(composite),
    };
    let leaves = [
        ("Location", "http://h/bucket/k%20"),
        ("Bucket", "bucket"),
        ("Key", "k "),
        ("ETag", quoted.as_str()),
        ("ChecksumType", "COMPOSITE"),
        ("ChecksumCRC32", "y/Q5Jg==-3"),
    ];
    expect(&complete_multipart_upload(&complete), "CompleteMultipartUploadResult", &leaves);
}

#[test]
fn results_of_deletes() {
    let error = S3Error::new(ErrorCode::AccessDenied);
    let rows = [
        DeleteRow::Deleted { key: "a", version_id: None, delete_marker: Some(VERSION) },
        DeleteRow::Deleted { key: "b\n", version_id: Some("null"), delete_marker: None },
        DeleteRow::Error { key: "c", version_id: Some("x"), error: &error },
    ];
    expect(
        &delete_result(rows),
        "DeleteResult",
        &[
            ("Deleted/Key", "a"),
            ("Deleted/DeleteMarker", "true"),
            ("Deleted/DeleteMarkerVersionId", &VERSION.to_string()),
            ("Deleted/Key", "b\n"),
            ("Deleted/VersionId", "null"),
            ("Error/Key", "c"),
            ("Error/VersionId", "x"),
            ("Error/Code", "AccessDenied"),
            ("Error/Message", "Access Denied"),
        ],
    );
    expect(&delete_result([]), "DeleteResult", &[("", "")]);
}

proptest! {
    #[test]
    fn no_body_panics_a_parser(body in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "(<(/?(Delete|Object|Key|Part|ETag|PartNumber|Status|!\\[CDATA\\[|!--|\\?x)>?)|&(amp|#[0-9]{0,7}|#x[0-9a-f]{0,7}|zz);|\\PC{0,3}|\\]\\]>|-->){0,20}".prop_map(String::into_bytes),
    ]) {
        for prefix in ["", "<Delete><Object><Key>", "<CompleteMultipartUpload><Part>", "<VersioningConfiguration>"] {
            let body = [prefix.as_bytes(), &body].concat();
            let _ = parse_delete(&body);
            let _ = parse_complete(&body);
            let _ = parse_create_bucket(&body);
            let _ = parse_versioning(&body);
        }
    }

    #[test]
    fn every_key_that_xml_can_carry_round_trips(key in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{fffe}\\u{ffff}]{1,40}") {
        let document = delete_result([DeleteRow::Deleted { key: &key, version_id: None, delete_marker: None }]);
        prop_assert_eq!(&leaves(&document)[0].1, &key);
        let escaped = std::str::from_utf8(&document).expect("UTF-8");
        let start = escaped.find("<Key>").expect("a key");
        let end = escaped.find("</Key>").expect("a key");
        let body = format!("<Delete><Object>{}</Key></Object></Delete>", &escaped[start..end]);
        prop_assert_eq!(&parse_delete(body.as_bytes()).expect("valid").objects[0].key, &key);
    }

    #[test]
    fn every_key_round_trips_when_it_is_url_encoded(key in any::<String>()) {
        let answer = ListObjectsV2 {
            name: "bucket",
            prefix: &key,
            start_after: None,
            continuation_token: None,
            next_continuation_token: None,
            key_count: 0,
            max_keys: 0,
            delimiter: None,
            url: true,
            is_truncated: false,
        };
        let document = list_objects_v2(&answer, [], []);
        let prefix = leaves(&document).swap_remove(1).1;
        let decoded = crate::percent::decode(prefix.as_bytes(), crate::percent::Plus::Space).expect("valid escapes");
        prop_assert_eq!(&*decoded, key.as_bytes());
    }
}
