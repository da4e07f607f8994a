use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use types::{ChecksumAlgorithm, ChecksumType, ChecksumValue, ETag, Timestamp, VersionId};

use super::*;
use crate::{ErrorCode, Operation};

const TAG: &str = "d41d8cd98f00b204e9800998ecf8427e";
const OTHER: &str = "900150983cd24fb0d6963f7d28e17f72";
/// 1994-11-06T08:49:37.500Z, which headers show without the half second.
const MODIFIED: Timestamp = Timestamp(784_111_777_500);
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";
/// Two seconds later than it was modified.
const NOW: Timestamp = Timestamp(784_111_779_900);
const FUTURE: &str = "Sun, 06 Nov 1994 08:49:40 GMT";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
    }
    map
}

fn tag(text: &str) -> ETag {
    text.parse().expect("an entity tag")
}

#[test]
fn ranges_are_read_or_ignored() {
    for (text, expected) in [
        ("bytes=0-4", Some(RangeSpec::Inclusive(0, 4))),
        ("Bytes=7-7", Some(RangeSpec::Inclusive(7, 7))),
        ("bytes=5-", Some(RangeSpec::From(5))),
        ("bytes=-5", Some(RangeSpec::Suffix(5))),
        ("bytes=-0", Some(RangeSpec::Suffix(0))),
        ("bytes=0-99999999999999999999999", Some(RangeSpec::Inclusive(0, u64::MAX))),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=--1", None),
        ("items=0-4", None),
        ("0-4", None),
        ("", None),
    ] {
        assert_eq!(range(&headers(&[("range", text)])), expected, "{text}");
    }
    assert_eq!(range(&HeaderMap::new()), None);
    assert_eq!(range(&headers(&[("range", "bytes=0-1"), ("range", "bytes=2-3")])), None);
}

#[test]
fn ranges_resolve_to_bytes_of_the_object_or_to_416() {
    for (spec, size, expected) in [
        (RangeSpec::Inclusive(0, 4), 10, Some((0, 5))),
        (RangeSpec::Inclusive(5, u64::MAX), 10, Some((5, 10))),
        (RangeSpec::Inclusive(9, 9), 10, Some((9, 10))),
        (RangeSpec::Inclusive(10, 12), 10, None),
        (RangeSpec::From(0), 10, Some((0, 10))),
        (RangeSpec::From(10), 10, None),
        (RangeSpec::From(0), 0, None),
        (RangeSpec::Suffix(3), 10, Some((7, 10))),
        (RangeSpec::Suffix(30), 10, Some((0, 10))),
        (RangeSpec::Suffix(0), 10, None),
        (RangeSpec::Suffix(1), 0, None),
    ] {
        match (spec.resolve(size, "as asked"), expected) {
            (Ok(range), Some(bytes)) => assert_eq!((range.start(), range.end()), bytes, "{spec:?} {size}"),
            (Err(error), None) => {
                assert_eq!(error.code, ErrorCode::InvalidRange);
                assert!(error.fields.contains(&("RangeRequested", "as asked".to_owned())));
                assert!(error.fields.contains(&("ActualObjectSize", size.to_string())));
                assert_eq!(error.headers[0].1, format!("bytes */{size}"));
            }
            (result, _) => panic!("{spec:?} of {size}: {result:?}"),
        }
    }
}

#[test]
fn read_conditions_follow_the_order_of_the_rfc() {
    let quoted = format!("\"{TAG}\"");
    let weak = format!("W/\"{TAG}\"");
    let list = format!("\"{OTHER}\", \"nonsense\", \"{TAG}\"");
    let (yes, not_modified) = (Outcome::Proceed, Outcome::NotModified);
    let failed = |name| Outcome::PreconditionFailed(name);
    let cases: &[(&[(&str, &str)], Outcome)] = &[
        (&[], yes),
        (&[("if-match", "*")], yes),
        (&[("if-match", TAG)], yes),
        (&[("if-match", &quoted)], yes),
        (&[("if-match", &list)], yes),
        (&[("if-match", OTHER), ("if-match", TAG)], yes),
        (&[("if-match", &weak)], failed("If-Match")),
        (&[("if-match", OTHER)], failed("If-Match")),
        (&[("if-match", "nonsense")], failed("If-Match")),
        (&[("if-match", "")], failed("If-Match")),
        (&[("if-none-match", "*")], not_modified),
        (&[("if-none-match", &quoted)], not_modified),
        (&[("if-none-match", &weak)], not_modified),
        (&[("if-none-match", OTHER)], yes),
        (&[("if-none-match", "nonsense")], yes),
        (&[("if-modified-since", BEFORE)], yes),
        (&[("if-modified-since", SAME)], not_modified),
        (&[("if-modified-since", AFTER)], not_modified),
        (&[("if-modified-since", FUTURE)], yes),
        (&[("if-unmodified-since", FUTURE)], yes),
        (&[("if-modified-since", "nonsense")], yes),
        (&[("if-unmodified-since", BEFORE)], failed("If-Unmodified-Since")),
        (&[("if-unmodified-since", SAME)], yes),
        (&[("if-unmodified-since", AFTER)], yes),
        // A tag condition that holds outweighs the date beside it.
        (&[("if-match", TAG), ("if-unmodified-since", BEFORE)], yes),
        (&[("if-match", OTHER), ("if-unmodified-since", AFTER)], failed("If-Match")),
        (&[("if-none-match", TAG), ("if-modified-since", BEFORE)], not_modified),
        (&[("if-none-match", OTHER), ("if-modified-since", AFTER)], yes),
        (&[("if-match", TAG), ("if-none-match", TAG)], not_modified),
        (&[("if-match", OTHER), ("if-none-match", TAG)], failed("If-Match")),
        (&[("if-unmodified-since", BEFORE), ("if-none-match", TAG)], failed("If-Unmodified-Since")),
    ];
    for (pairs, outcome) in cases {
        let conditions = ReadConditions::for_read(&headers(pairs));
        assert_eq!(conditions.evaluate(&tag(TAG), MODIFIED, NOW), *outcome, "{pairs:?}");
    }
    assert!(ReadConditions::for_read(&headers(&[("if-modified-since", "nonsense")])).is_empty());
    assert!(!ReadConditions::for_read(&headers(&[("if-match", "nonsense")])).is_empty());
}

#[test]
fn a_range_counts_only_for_what_if_range_names() {
    let weak = format!("W/\"{TAG}\"");
    for (value, counts) in [
        (TAG, true),
        (OTHER, false),
        (&weak, false),
        ("*", false),
        ("x", false),
        (SAME, true),
        (BEFORE, false),
        (AFTER, false),
    ] {
        assert_eq!(if_range(&headers(&[("if-range", value)]), &tag(TAG), MODIFIED), counts, "{value}");
    }
    assert!(if_range(&HeaderMap::new(), &tag(TAG), MODIFIED));
}

#[test]
fn a_copy_source_that_is_not_modified_fails() {
    for (pairs, failed) in [
        (vec![("x-amz-copy-source-if-none-match", TAG)], Some("x-amz-copy-source-If-None-Match")),
        (vec![("x-amz-copy-source-if-modified-since", SAME)], Some("x-amz-copy-source-If-Modified-Since")),
        (vec![("x-amz-copy-source-if-modified-since", FUTURE)], None),
        (vec![("x-amz-copy-source-if-match", OTHER)], Some("x-amz-copy-source-If-Match")),
        (
            vec![("x-amz-copy-source-if-unmodified-since", BEFORE)],
            Some("x-amz-copy-source-If-Unmodified-Since"),
        ),
        (vec![("x-amz-copy-source-if-match", TAG), ("x-amz-copy-source-if-unmodified-since", BEFORE)], None),
        // The conditions of the destination are others.
        (vec![("if-none-match", "*")], None),
    ] {
        let outcome = ReadConditions::for_copy_source(&headers(&pairs)).evaluate(&tag(TAG), MODIFIED, NOW);
        assert_eq!(outcome, failed.map_or(Outcome::Proceed, Outcome::PreconditionFailed), "{pairs:?}");
        assert_eq!(outcome.error().map(|e| e.code), failed.map(|_| ErrorCode::PreconditionFailed));
    }
    assert!(ReadConditions::for_copy_source(&HeaderMap::new()).is_empty());
}

#[test]
fn write_conditions() {
    let composite = format!("\"{TAG}-3\"");
    for (pairs, expected) in [
        (vec![], Ok(WriteCondition::None)),
        (vec![("if-none-match", "*")], Ok(WriteCondition::IfAbsent)),
        (vec![("if-match", "*")], Err(ErrorCode::NotImplemented)),
        (vec![("if-match", "\"*\"")], Err(ErrorCode::NotImplemented)),
        (vec![("if-match", composite.as_str())], Ok(WriteCondition::IfMatch(tag(&composite)))),
        (vec![("if-none-match", TAG)], Err(ErrorCode::NotImplemented)),
        (vec![("if-none-match", "*"), ("if-match", TAG)], Err(ErrorCode::NotImplemented)),
    ] {
        assert_eq!(write_condition(&headers(&pairs)).map_err(|e| e.code), expected, "{pairs:?}");
    }
    let unknown = write_condition(&headers(&[("if-match", "other")])).expect("valid");
    assert!(matches!(unknown, WriteCondition::IfMatch(ETag { parts: Some(0), .. })));
}

#[test]
fn delete_conditions() {
    let all = headers(&[
        ("if-match", TAG),
        ("x-amz-if-match-last-modified-time", SAME),
        ("x-amz-if-match-size", "12"),
    ]);
    let expected = DeleteCondition {
        exists: false,
        etag: Some(tag(TAG)),
        last_modified: Some(Timestamp(784_111_777_000)),
        size: Some(12),
    };
    assert_eq!(delete_condition(&all), Ok(expected));
    assert!(delete_condition(&HeaderMap::new()).expect("valid").is_empty());
    assert!(delete_condition(&headers(&[("if-match", "*")])).expect("valid").exists);
    for bad in [("x-amz-if-match-size", "x"), ("x-amz-if-match-last-modified-time", "x")] {
        assert_eq!(delete_condition(&headers(&[bad])).expect_err("bad").code, ErrorCode::InvalidArgument);
    }
}

#[test]
fn copy_sources_are_decoded_once() {
    let version = "000000000000004dfeed000000000001";
    for (text, bucket, key, version_id) in [
        ("bucket/key".to_owned(), "bucket", "key", None),
        ("/bucket/key".to_owned(), "bucket", "key", None),
        ("bucket%2Fa%2fb".to_owned(), "bucket", "a/b", None),
        ("/bucket//key/".to_owned(), "bucket", "/key/", None),
        ("bucket/../%C3%A9%252F".to_owned(), "bucket", "../é%2F", None),
        ("bucket/a+b%2Bc%20d".to_owned(), "bucket", "a b+c d", None),
        ("bucket/raw é".to_owned(), "bucket", "raw é", None),
        ("bucket/a%3Fb%3FversionId=x?".to_owned(), "bucket", "a?b?versionId=x", None),
        ("bucket/key?versionId=%6eull".to_owned(), "bucket", "key", Some(VersionId::Null)),
        (format!("bucket/key?versionId={version}"), "bucket", "key", Some(version.parse().expect("an id"))),
        ("bucket/key?versionId=null".to_owned(), "bucket", "key", Some(VersionId::Null)),
    ] {
        let source =
            copy_source(&headers(&[("x-amz-copy-source", &text)])).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((source.bucket.as_str(), source.key.as_str()), (bucket, key), "{text}");
        assert_eq!(source.version_id, version_id, "{text}");
    }
}

#[test]
fn bad_copy_sources_have_the_errors_of_s3() {
    let long = format!("bucket/{}", "k".repeat(1025));
    for (text, code) in [
        ("", ErrorCode::InvalidArgument),
        ("bucket", ErrorCode::InvalidArgument),
        ("bucket/", ErrorCode::InvalidArgument),
        ("bucket/%zz", ErrorCode::InvalidArgument),
        ("bucket/%ff", ErrorCode::InvalidArgument),
        ("B_/key", ErrorCode::InvalidBucketName),
        (long.as_str(), ErrorCode::KeyTooLongError),
        ("bucket/key?versionId=", ErrorCode::InvalidArgument),
        ("bucket/key?versionId=x", ErrorCode::InvalidArgument),
        ("bucket/key?foo=bar", ErrorCode::InvalidArgument),
        ("bucket/key?versionId=null&foo", ErrorCode::InvalidArgument),
        ("bucket/key?versionId=%zz", ErrorCode::InvalidArgument),
        ("arn:aws:s3:us-east-1:1:accesspoint/a/object/k", ErrorCode::NotImplemented),
    ] {
        let error = copy_source(&headers(&[("x-amz-copy-source", text)])).expect_err(text);
        assert_eq!(error.code, code, "{text}");
    }
    assert_eq!(copy_source(&HeaderMap::new()).expect_err("missing").code, ErrorCode::InvalidArgument);
    let range = |text| copy_source_range(&headers(&[("x-amz-copy-source-range", text)]));
    assert_eq!(range("bytes=0-9"), Ok(Some((0, 9))));
    for text in ["bytes=0-", "bytes=-5", "bytes=9-0", "0-9", "bytes=0-1,2-3"] {
        assert_eq!(range(text).expect_err(text).code, ErrorCode::InvalidArgument);
    }
}

#[test]
fn attributes_are_kept_byte_for_byte() {
    let mut map = headers(&[
        ("content-type", "text/plain; charset=\"x\""),
        ("cache-control", "no-cache,  max-age=0"),
        ("content-disposition", "attachment; filename=\"é.txt\""),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("expires", "not a date"),
        ("x-amz-website-redirect-location", "/there"),
        ("X-Amz-Meta-Upper", "  Value"),
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-a", "2"),
        ("x-amz-meta-mime", "=?UTF-8?B?w6k=?="),
    ]);
    map.insert("x-amz-meta-raw", HeaderValue::from_bytes(b"\xff\xfe").expect("opaque bytes"));
    let found = attributes(&map).expect("valid");
    assert_eq!(found.content_type.as_deref(), Some("text/plain; charset=\"x\""));
    assert_eq!(found.cache_control.as_deref(), Some("no-cache,  max-age=0"));
    assert_eq!(found.content_disposition.as_deref(), Some("attachment; filename=\"é.txt\""));
    assert_eq!(found.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(found.content_language.as_deref(), Some("de"));
    assert_eq!(found.expires.as_deref(), Some("not a date"));
    assert_eq!(found.website_redirect_location.as_deref(), Some("/there"));
    let metadata: Vec<(&str, &[u8])> =
        found.user_metadata.iter().map(|(n, v)| (n.as_str(), v.as_ref())).collect();
    let expected: [(&str, &[u8]); 4] =
        [("a", b"1,2"), ("mime", b"=?UTF-8?B?w6k=?="), ("raw", b"\xff\xfe"), ("upper", b"  Value")];
    assert_eq!(metadata, expected);
}

#[test]
fn framing_is_no_content_encoding() {
    for (lines, kept) in [
        (vec!["aws-chunked"], None),
        (vec!["AWS-chunked"], None),
        (vec!["aws-chunked,gzip"], Some("gzip")),
        (vec!["gzip, aws-chunked"], Some("gzip")),
        (vec!["gzip, aws-chunked, br"], Some("gzip,br")),
        (vec!["aws-chunked", "gzip"], Some("gzip")),
        (vec!["gzip,  br"], Some("gzip,  br")),
        (vec!["zstd", "br"], Some("zstd,br")),
        (vec![""], None),
        (vec![], None),
    ] {
        let pairs: Vec<_> = lines.iter().map(|line| ("content-encoding", *line)).collect();
        assert_eq!(
            attributes(&headers(&pairs)).expect("valid").content_encoding.as_deref(),
            kept,
            "{lines:?}"
        );
    }
}

#[test]
fn bad_attributes_have_the_errors_of_s3() {
    let value = "v".repeat(USER_METADATA_MAX - 1);
    assert!(attributes(&headers(&[("x-amz-meta-a", &value)])).is_ok());
    let error = attributes(&headers(&[("x-amz-meta-ab", &value)])).expect_err("too large");
    assert_eq!((error.code, error.fields[0].1.as_str()), (ErrorCode::MetadataTooLarge, "2049"));
    for location in ["there", "", "//", "HTTP://a", "ftp://a", " /a"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("/{}", "a".repeat(2048))])
    {
        let found = attributes(&headers(&[("x-amz-website-redirect-location", &location)]));
        assert_eq!(
            found.map_err(|error| error.code).err(),
            (location != "//").then_some(ErrorCode::InvalidRedirectLocation),
            "{location}"
        );
    }
    let mut map = HeaderMap::new();
    map.insert("cache-control", HeaderValue::from_bytes(b"\xff").expect("opaque bytes"));
    assert_eq!(attributes(&map).expect_err("bad").code, ErrorCode::InvalidArgument);
    let class = |name| storage_class(&headers(&[("x-amz-storage-class", name)])).map_err(|e| e.code);
    assert_eq!(class("STANDARD_IA").map(|c| c.map(|c| c.to_string())), Ok(Some("STANDARD_IA".to_owned())));
    assert_eq!(class("standard"), Err(ErrorCode::InvalidStorageClass));
    let directive =
        |text| metadata_directive(&headers(&[("x-amz-metadata-directive", text)])).map_err(|e| e.code);
    assert_eq!(directive("REPLACE"), Ok(Directive::Replace));
    assert_eq!(directive("replace"), Err(ErrorCode::InvalidArgument));
    assert_eq!(metadata_directive(&HeaderMap::new()), Ok(Directive::Copy));
}

#[test]
fn one_checksum_in_a_header_or_announced_for_the_trailer() {
    // CRC-32 of "123456789" is cbf43926.
    let crc32 = ChecksumValue::new(ChecksumAlgorithm::Crc32, &[0xcb, 0xf4, 0x39, 0x26]).expect("four bytes");
    let good = RequestChecksum::Header(crc32);
    let trailer = RequestChecksum::Trailer(ChecksumAlgorithm::Crc64nvme);
    for (pairs, expected) in [
        (vec![], Ok(None)),
        (vec![("x-amz-checksum-crc32", "y/Q5Jg==")], Ok(Some(good))),
        (
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-sdk-checksum-algorithm", "crc32")],
            Ok(Some(good)),
        ),
        (
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-sdk-checksum-algorithm", "XXHASH9")],
            Ok(Some(good)),
        ),
        (vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-type", "FULL_OBJECT")], Ok(Some(good))),
        (vec![("x-amz-trailer", "x-amz-checksum-crc64nvme")], Ok(Some(trailer))),
        (vec![("x-amz-trailer", " X-Amz-Checksum-Crc64nvme ,")], Ok(Some(trailer))),
        (vec![("x-amz-sdk-checksum-algorithm", "SHA1")], Err(ErrorCode::InvalidRequest)),
        (vec![("x-amz-sdk-checksum-algorithm", "MD9")], Ok(None)),
        (
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-sha1", "x")],
            Err(ErrorCode::InvalidRequest),
        ),
        (
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32", "y/Q5Jg==")],
            Err(ErrorCode::InvalidRequest),
        ),
        (
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-trailer", "x-amz-checksum-crc32")],
            Err(ErrorCode::InvalidRequest),
        ),
        (
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-sdk-checksum-algorithm", "SHA1")],
            Err(ErrorCode::InvalidRequest),
        ),
        (vec![("x-amz-checksum-crc32", "y/Q5Jg")], Err(ErrorCode::InvalidRequest)),
        (vec![("x-amz-checksum-sha256", "y/Q5Jg==")], Err(ErrorCode::InvalidRequest)),
        (vec![("x-amz-checksum-crc32", "bad")], Err(ErrorCode::InvalidRequest)),
        (vec![("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1")], Err(ErrorCode::InvalidRequest)),
        (vec![("x-amz-trailer", "x-other")], Err(ErrorCode::InvalidRequest)),
        (vec![("x-amz-trailer", "x-amz-checksum-blake3")], Err(ErrorCode::NotImplemented)),
        (
            vec![("x-amz-trailer", "x-amz-checksum-xxhash64")],
            Ok(Some(RequestChecksum::Trailer(ChecksumAlgorithm::Xxhash64))),
        ),
        (vec![("x-amz-checksum-blake3", "aa==")], Err(ErrorCode::NotImplemented)),
        (vec![("x-amz-checksum-sha512", "aa==")], Err(ErrorCode::InvalidRequest)),
    ] {
        assert_eq!(request_checksum(&headers(&pairs)).map_err(|e| e.code), expected, "{pairs:?}");
    }
    let object = |text| object_checksum(&headers(&[("x-amz-checksum-crc32", text)])).map_err(|e| e.code);
    assert_eq!(object("y/Q5Jg=="), Ok(Some(ObjectChecksum { value: crc32, parts: None })));
    assert_eq!(object("y/Q5Jg==-3"), Ok(Some(ObjectChecksum { value: crc32, parts: Some(3) })));
    assert_eq!(object("y/Q5Jg==-x"), Err(ErrorCode::InvalidRequest));
}

#[test]
fn checksums_of_multipart_uploads() {
    use ChecksumAlgorithm::{Crc32, Crc64nvme, Md5, Sha256, Xxhash128};
    use ChecksumType::{Composite, FullObject};
    for (algorithm, kind, expected) in [
        ("", "", Ok(None)),
        ("CRC32", "", Ok(Some((Crc32, Composite)))),
        ("crc32", "FULL_OBJECT", Ok(Some((Crc32, FullObject)))),
        ("CRC64NVME", "", Ok(Some((Crc64nvme, FullObject)))),
        ("SHA256", "COMPOSITE", Ok(Some((Sha256, Composite)))),
        ("CRC64NVME", "COMPOSITE", Err(ErrorCode::InvalidRequest)),
        ("SHA256", "FULL_OBJECT", Err(ErrorCode::InvalidRequest)),
        ("MD5", "", Ok(Some((Md5, Composite)))),
        ("XXHASH128", "COMPOSITE", Ok(Some((Xxhash128, Composite)))),
        ("XXHASH3", "FULL_OBJECT", Err(ErrorCode::InvalidRequest)),
        ("MD4", "", Err(ErrorCode::InvalidRequest)),
        ("CRC32", "HALF", Err(ErrorCode::InvalidRequest)),
        ("", "COMPOSITE", Err(ErrorCode::InvalidRequest)),
    ] {
        let pairs = [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)];
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        assert_eq!(multipart_checksum(&headers(&pairs)).map_err(|e| e.code), expected, "{pairs:?}");
    }
}

#[test]
fn digests_lengths_and_modes() {
    let md5 = |text| content_md5(&headers(&[("content-md5", text)])).map_err(|e| e.code);
    assert_eq!(md5("1B2M2Y8AsgTpgAmY7PhCfg==").map(|d| d.map(|d| d[0])), Ok(Some(0xd4)));
    for text in ["", "x", "1B2M2Y8AsgTpgAmY7PhCfg", "aGVsbG8=", TAG] {
        assert_eq!(md5(text), Err(ErrorCode::InvalidDigest), "{text}");
    }
    assert_eq!(content_md5(&HeaderMap::new()), Ok(None));
    let length = |text| {
        decoded_content_length(&headers(&[("x-amz-decoded-content-length", text)])).map_err(|e| e.code)
    };
    assert_eq!(length("0"), Ok(Some(0)));
    assert_eq!(length("5497558138880"), Ok(Some(5_497_558_138_880)));
    for text in ["", "-1", "+1", "1 ", "99999999999999999999"] {
        assert_eq!(length(text), Err(ErrorCode::InvalidArgument), "{text:?}");
    }
    let mode = |text| checksum_mode_enabled(&headers(&[("x-amz-checksum-mode", text)])).map_err(|e| e.code);
    assert_eq!((mode("ENABLED"), mode("enabled")), (Ok(true), Ok(true)));
    assert_eq!(checksum_mode_enabled(&HeaderMap::new()), Ok(false));
    for text in ["", "DISABLED", "ENABLED,ENABLED"] {
        assert_eq!(mode(text), Err(ErrorCode::InvalidRequest), "{text:?}");
    }
}

#[test]
fn what_is_not_built_is_refused_by_name_unless_it_changes_nothing() {
    for (name, value, operation, refused) in [
        ("x-amz-server-side-encryption", "AES256", Operation::PutObject, false),
        ("x-amz-server-side-encryption-context", "e30=", Operation::PutObject, false),
        ("x-amz-server-side-encryption-aws-kms-key-id", "a", Operation::CreateMultipartUpload, false),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true", Operation::PutObject, false),
        ("x-amz-server-side-encryption-bucket-key-enabled", "false", Operation::PutObject, false),
        ("x-amz-server-side-encryption-customer-key", "a", Operation::GetObject, false),
        ("x-amz-acl", "public-read", Operation::PutObject, false),
        ("x-amz-bucket-namespace", "global", Operation::CreateBucket, false),
        ("x-amz-bucket-namespace", "account-regional", Operation::CreateBucket, true),
        ("x-amz-bucket-namespace", "account-regional", Operation::GetObject, false),
        ("x-amz-tagging", "", Operation::PutObject, false),
        ("x-amz-tagging", "a=b", Operation::PutObject, false),
        ("x-amz-tagging-directive", "REPLACE", Operation::CopyObject, false),
        ("x-amz-write-offset-bytes", "0", Operation::PutObject, true),
        ("x-amz-website-redirect-location", "/a", Operation::PutObject, false),
        ("x-amz-request-payer", "requester", Operation::GetObject, false),
        ("x-amz-meta-acl", "public-read", Operation::PutObject, false),
    ] {
        let answer = refuse_unsupported_headers(operation, &headers(&[(name, value)]));
        match answer {
            Ok(()) => assert!(!refused, "{name}: {value}"),
            Err(error) => {
                assert!(refused, "{name}: {value}");
                assert_eq!((error.code, error.fields[0].1.as_str()), (ErrorCode::NotImplemented, name));
            }
        }
    }
}

#[test]
fn every_unsupported_header_is_refused_somewhere() {
    for entry in UNSUPPORTED_HEADERS {
        let name = entry.name.replace('*', "x");
        let operation = match entry.scope {
            Scope::Parts => Operation::UploadPart,
            Scope::Any | Scope::Create | Scope::Write | Scope::Change => Operation::PutObject,
        };
        let answer = refuse_unsupported_headers(operation, &headers(&[(&name, "unheard-of")]));
        assert_eq!(answer.expect_err(&name).code, ErrorCode::NotImplemented);
        for harmless in entry.harmless {
            assert_eq!(refuse_unsupported_headers(operation, &headers(&[(&name, harmless)])), Ok(()));
        }
    }
}

#[test]
fn conditions_that_a_change_does_not_have_are_refused_by_name() {
    use Operation::*;
    let parts = [CreateMultipartUpload, UploadPart, UploadPartCopy];
    let whole = [PutObject, CopyObject, CompleteMultipartUpload, DeleteObject];
    for (name, operations) in [
        ("if-modified-since", [&parts[..], &whole[..]].concat()),
        ("if-unmodified-since", [&parts[..], &whole[..]].concat()),
        ("if-match", parts.to_vec()),
        ("if-none-match", parts.to_vec()),
    ] {
        let map = headers(&[(name, SAME)]);
        for operation in Operation::ALL {
            let answer = refuse_unsupported_headers(*operation, &map);
            assert_eq!(answer.is_err(), operations.contains(operation), "{operation:?} {name}");
        }
    }
}

#[test]
fn a_write_with_a_header_of_another_operation_is_refused() {
    for (operation, name) in [
        (Operation::PutObject, "x-amz-metadata-directive"),
        (Operation::PutObject, "x-amz-rename-source"),
        (Operation::PutObject, "x-amz-mp-object-size"),
        (Operation::CopyObject, "x-amz-mp-object-size"),
        (Operation::CreateMultipartUpload, "x-amz-copy-source"),
        (Operation::UploadPart, "x-amz-acl"),
        (Operation::UploadPart, "x-amz-copy-source-if-match"),
        (Operation::UploadPartCopy, "x-amz-tagging-directive"),
        (Operation::CompleteMultipartUpload, "x-amz-storage-class"),
    ] {
        let error = refuse_unsupported_headers(operation, &headers(&[(name, "a")])).expect_err(name);
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{operation:?} {name}");
        assert_eq!(error.message, "The specified header is not valid in this context");
        assert_eq!(error.fields, [("ArgumentName", name.to_owned()), ("ArgumentValue", "a".to_owned())]);
    }
    let directive = |value| headers(&[("x-amz-metadata-directive", value)]);
    for (operation, value, refused) in [
        (Operation::CreateMultipartUpload, "REPLACE", false),
        (Operation::CreateMultipartUpload, "COPY", true),
        (Operation::PutObject, "REPLACE", true),
    ] {
        assert_eq!(refuse_unsupported_headers(operation, &directive(value)).is_err(), refused, "{value}");
    }
    let metadata = headers(&[("x-amz-meta-a", "1")]);
    let error = refuse_unsupported_headers(Operation::UploadPart, &metadata).expect_err("metadata of a part");
    assert_eq!(error.message, "Metadata cannot be specified in this context.");
    // What any request may have, what other stores know, and reads.
    for (operation, name) in [
        (Operation::UploadPart, "x-amz-date"),
        (Operation::UploadPart, "x-amz-security-token"),
        (Operation::UploadPart, "x-amz-decoded-content-length"),
        (Operation::UploadPart, "x-amz-trailer"),
        (Operation::UploadPart, "x-amz-request-payer"),
        (Operation::UploadPart, "x-amz-expected-bucket-owner"),
        (Operation::UploadPart, "x-amz-id-2"),
        (Operation::UploadPart, "x-amz-unheard-of"),
        (Operation::UploadPart, "x-minio-extract"),
        (Operation::UploadPart, "amz-sdk-invocation-id"),
        (Operation::UploadPartCopy, "x-amz-copy-source-range"),
        (Operation::CompleteMultipartUpload, "x-amz-mp-object-size"),
        (Operation::GetObject, "x-amz-acl"),
    ] {
        assert_eq!(refuse_unsupported_headers(operation, &headers(&[(name, "a")])), Ok(()), "{name}");
    }
}

#[test]
fn expected_owners_are_read() {
    let map = headers(&[("x-amz-expected-bucket-owner", "1"), ("x-amz-source-expected-bucket-owner", "2")]);
    assert_eq!(expected_bucket_owner(&map), Ok(Some("1")));
    assert_eq!(expected_source_bucket_owner(&map), Ok(Some("2")));
}

proptest! {
    #[test]
    fn no_value_of_any_header_panics(name in 0..NAMES.len(), value in "[ -~\\x80-\\xff]{0,60}|bytes=[0-9,-]{0,50}|[a-z]+/[%a-z0-9?=+]*") {
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { return Ok(()) };
        let mut map = HeaderMap::new();
        map.insert(NAMES[name], value);
        let _ = range(&map).map(|range| range.resolve(10, ""));
        let _ = ReadConditions::for_read(&map).evaluate(&tag(TAG), MODIFIED, NOW);
        let _ = ReadConditions::for_copy_source(&map);
        let _ = (write_condition(&map), delete_condition(&map), copy_source(&map), copy_source_range(&map));
        let _ = (attributes(&map), storage_class(&map), metadata_directive(&map), content_md5(&map));
        let _ = (request_checksum(&map), object_checksum(&map), multipart_checksum(&map));
        let _ = (decoded_content_length(&map), mp_object_size(&map), expected_bucket_owner(&map));
        let _ = refuse_unsupported_headers(Operation::PutObject, &map);
    }
}

const NAMES: [&str; 16] = [
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-if-match-size",
    "x-amz-if-match-last-modified-time",
    "content-encoding",
    "content-md5",
    "x-amz-checksum-crc32",
    "x-amz-checksum-type",
    "x-amz-trailer",
    "x-amz-storage-class",
    "x-amz-decoded-content-length",
];

#[test]
fn the_source_of_a_rename_is_a_key() {
    for (text, expected) in [
        ("key", "key"),
        ("/key", "key"),
        ("//key", "/key"),
        ("a%20b%2Fc", "a b/c"),
        ("a+b", "a+b"),
        ("%C3%A9", "é"),
    ] {
        let source = rename_source(&headers(&[("x-amz-rename-source", text)])).expect("a source");
        assert_eq!(source.as_str(), expected, "{text}");
    }
    for text in ["", "/", "%", "%2", "%ff"] {
        let error = rename_source(&headers(&[("x-amz-rename-source", text)])).expect_err("no source");
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{text}");
    }
    assert!(rename_source(&HeaderMap::new()).is_err());
    let long = "k".repeat(1025);
    let error = rename_source(&headers(&[("x-amz-rename-source", &long)])).expect_err("too long");
    assert_eq!(error.code, ErrorCode::KeyTooLongError);
}

#[test]
fn a_client_token_is_short_and_visible() {
    let longest = "~".repeat(64);
    for token in ["!", "0a1b-2c3d", &longest] {
        assert_eq!(client_token(&headers(&[("x-amz-client-token", token)])), Ok(Some(token)));
    }
    assert_eq!(client_token(&HeaderMap::new()), Ok(None));
    for token in ["", "a b", "é", &"~".repeat(65)] {
        let error = client_token(&headers(&[("x-amz-client-token", token)])).expect_err("no token");
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{token}");
    }
}

/// Where there is no object, only what needs one fails; where there is one, a rename fails where a read has a 304.
#[test]
fn conditions_of_a_rename_name_its_ends() {
    let failed = |outcome: Outcome| match outcome {
        Outcome::Proceed => None,
        Outcome::NotModified => Some("304"),
        Outcome::PreconditionFailed(condition) => Some(condition),
    };
    for (name, value, absent, present) in [
        ("if-match", "*", Some("If-Match"), None),
        ("if-match", TAG, Some("If-Match"), None),
        ("if-match", OTHER, Some("If-Match"), Some("If-Match")),
        ("if-none-match", "*", None, Some("If-None-Match")),
        ("if-modified-since", BEFORE, Some("If-Modified-Since"), None),
        ("if-modified-since", SAME, Some("If-Modified-Since"), Some("If-Modified-Since")),
        ("if-unmodified-since", BEFORE, None, Some("If-Unmodified-Since")),
        ("if-unmodified-since", AFTER, None, None),
    ] {
        let map = headers(&[(name, value)]);
        let conditions = ReadConditions::for_rename_destination(&map);
        assert!(!conditions.is_empty() && ReadConditions::for_rename_source(&map).is_empty());
        assert_eq!(failed(conditions.evaluate_absent()), absent, "{name}: {value}");
        assert_eq!(failed(conditions.evaluate(&tag(TAG), MODIFIED, NOW)), present, "{name}: {value}");
        let conditions =
            ReadConditions::for_rename_source(&headers(&[(&format!("x-amz-rename-source-{name}"), value)]));
        let expected = present.map(|condition| format!("x-amz-rename-source-{condition}"));
        assert_eq!(failed(conditions.evaluate(&tag(TAG), MODIFIED, NOW)).map(str::to_owned), expected);
    }
}
