//! GetObject.

use std::{
    thread,
    time::{Duration, Instant},
};

use harness::{Bucket, Logs, Server, checksum_of, content};
use http::Method;
use types::ChecksumAlgorithm;

use crate::support::{PART_SIZE_MIN, assert_content, assert_same};

const PAST: &str = "Tue, 01 Jan 2019 00:00:00 GMT";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

#[test]
fn an_object_is_described_by_its_headers() {
    let server = Server::start();
    let bucket = server.bucket();
    let stored = bucket.put("key", "content").ok();
    let read = bucket.get("key").ok();
    assert_eq!(read.body, b"content");
    assert_eq!(read.get("content-length"), "7");
    assert_eq!(read.get("content-type"), "binary/octet-stream");
    assert_eq!(read.get("accept-ranges"), "bytes");
    assert_eq!(read.etag(), stored.etag());
    let modified = read.get("last-modified");
    assert!(modified.len() == 29 && modified.ends_with(" GMT"), "{modified}");
    for absent in ["x-amz-version-id", "content-range", "x-amz-delete-marker", "x-amz-mp-parts-count"] {
        assert_eq!(read.header(absent), None);
    }
    // The same second as in a listing.
    let listed = bucket.list().ok().xml();
    let day = |text: &str| text[..text.find('T').expect("a time")].rsplit('-').next().map(str::to_owned);
    assert_eq!(day(listed.get("Contents/LastModified")).as_deref(), modified.get(5..7));
    assert_eq!(listed.get("Contents/LastModified")[11..19], modified[17..25]);
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let error = bucket.get("a/key&more").refused(404, "NoSuchKey");
    assert_eq!(error.get("Key"), "a/key&more");
    assert_eq!(error.get("Resource"), format!("/{}/a/key%26more", bucket.name));
    let error = server.client().existing_bucket("missing").get("key").refused(404, "NoSuchBucket");
    assert_eq!(error.get("BucketName"), "missing");
    let unknown = "0000000000000009000000000000000a";
    let error = bucket.get("key").query("versionId", unknown).refused(404, "NoSuchVersion");
    assert_eq!((error.get("Key"), error.get("VersionId")), ("key", unknown));
    for malformed in ["", "x", "0", "NULL", "000000000000000900000000000000zz"] {
        bucket.get("key").query("versionId", malformed).refused(400, "InvalidArgument");
    }
}

/// What `Range` selects of a hundred bytes: first and last, or nothing at all, or the whole as if it were not there.
#[test]
fn ranges_select_bytes() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(100, 1);
    bucket.put("key", &data).ok();
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=10-10", 10, 10),
        ("bytes=99-99", 99, 99),
        ("bytes=90-", 90, 99),
        ("bytes=90-200", 90, 99),
        ("bytes=90-99999999999999999999999", 90, 99),
        ("bytes=0-", 0, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-100", 0, 99),
        ("bytes=-200", 0, 99),
    ] {
        let read = bucket.get("key").header("range", range).send().expect(206);
        assert_eq!(read.body, data[first..=last], "{range}");
        assert_eq!(read.get("content-range"), format!("bytes {first}-{last}/100"), "{range}");
        assert_eq!(read.get("content-length"), (last - first + 1).to_string(), "{range}");
    }
    for range in [
        "bytes=100-",
        "bytes=100-200",
        "bytes=-0",
        "bytes=99999999999999999999999-",
        "bytes= 0100-",
        "BYTES=100-",
    ] {
        let refused = bucket.get("key").header("range", range).send();
        assert_eq!(refused.get("content-range"), "bytes */100", "{range}");
        let error = refused.expect_error(416, "InvalidRange");
        assert_eq!(error.get("ActualObjectSize"), "100", "{range}");
        assert_eq!(error.get("RangeRequested"), range);
    }
    for range in
        ["bytes=9-0", "bytes=a-b", "bytes=", "bytes=-", "items=0-9", "0-9", "bytes=0-1,5-6", "bytes=--1"]
    {
        let read = bucket.get("key").header("range", range).ok();
        assert_eq!((read.body == data, read.header("content-range")), (true, None), "{range}");
    }
}

/// The last bytes of nothing are all of it, which readers of tails rely on; nothing has a first byte.
#[test]
fn only_the_end_of_an_empty_object_can_be_read() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "").ok();
    assert_eq!(bucket.get("key").ok().get("content-length"), "0");
    for range in ["bytes=0-", "bytes=0-0", "bytes=-0"] {
        let error = bucket.get("key").header("range", range).refused(416, "InvalidRange");
        assert_eq!(error.get("ActualObjectSize"), "0");
    }
    for range in ["bytes=-1", "bytes=-65536"] {
        let read = bucket.get("key").header("range", range).ok();
        assert_eq!((read.get("content-length"), read.header("content-range")), ("0", None), "{range}");
    }
}

/// Ranges that begin and end around the borders of cells, in single copies and in coded storage.
#[test]
fn ranges_of_large_objects_are_exact() {
    for folders in [1, 6] {
        let server = Server::start_with(folders, |_| {});
        let bucket = server.bucket();
        let data = content(600_017, 2);
        bucket.put("key", &data).unsigned_payload().ok();
        let borders = [0, 65_535, 65_536, 262_143, 262_145, 600_016];
        for (at, first) in borders.iter().enumerate() {
            for last in &borders[at..] {
                let read =
                    bucket.get("key").header("range", format!("bytes={first}-{last}")).send().expect(206);
                assert_same(&read.body, &data[*first..=*last]);
            }
        }
    }
}

#[test]
fn if_range_decides_whether_a_range_counts() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "0123456789").ok();
    let whole = bucket.get("key").ok();
    let (etag, modified) = (whole.etag().to_owned(), whole.get("last-modified").to_owned());
    for (value, status) in [
        (etag.as_str(), 206),
        (modified.as_str(), 206),
        (&format!("W/{etag}"), 200),
        ("\"d41d8cd98f00b204e9800998ecf8427e\"", 200),
        (PAST, 200),
        (FUTURE, 200),
    ] {
        let read =
            bucket.get("key").header("range", "bytes=2-3").header("if-range", value).send().expect(status);
        assert_eq!(read.body, if status == 206 { &b"23"[..] } else { b"0123456789" }, "{value}");
    }
}

/// The order of RFC 9110, section 13.2.2.
#[test]
fn conditions_are_evaluated_in_order() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let modified = bucket.get("key").ok().get("last-modified").to_owned();
    let (etag, other) = (etag.as_str(), "\"d41d8cd98f00b204e9800998ecf8427e\"");
    let bare = etag.trim_matches('"');
    let (several, weak) = (format!("{other}, {etag}"), format!("W/{etag}"));
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("if-match", etag)], 200),
        (&[("if-match", bare)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", &several)], 200),
        (&[("if-match", other)], 412),
        (&[("if-match", "nonsense")], 412),
        (&[("if-none-match", other)], 200),
        (&[("if-none-match", etag)], 304),
        (&[("if-none-match", bare)], 304),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", &several)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-modified-since", PAST)], 200),
        (&[("if-modified-since", &modified)], 304),
        // As at Amazon S3, what is yet to come is no condition.
        (&[("if-modified-since", FUTURE)], 200),
        (&[("if-modified-since", "not a date")], 200),
        (&[("if-unmodified-since", FUTURE)], 200),
        (&[("if-unmodified-since", &modified)], 200),
        (&[("if-unmodified-since", PAST)], 412),
        (&[("if-match", etag), ("if-unmodified-since", PAST)], 200),
        (&[("if-match", other), ("if-none-match", etag)], 412),
        (&[("if-none-match", other), ("if-modified-since", FUTURE)], 200),
        (&[("if-none-match", etag), ("if-modified-since", PAST)], 304),
        (&[("if-match", etag), ("if-none-match", etag)], 304),
        (&[("if-unmodified-since", PAST), ("if-none-match", etag)], 412),
    ];
    for method in [Method::GET, Method::HEAD] {
        for (headers, status) in cases {
            let read = bucket.object(method.clone(), "key");
            let read = headers.iter().fold(read, |read, (name, value)| read.header(name, value)).send();
            assert_eq!(read.status, *status, "{method} {headers:?} {read:?}");
            match status {
                200 => assert_eq!(read.body, if method == Method::GET { &b"content"[..] } else { b"" }),
                304 => {
                    assert_eq!((read.etag(), read.get("last-modified")), (etag, &*modified), "{headers:?}")
                }
                _ if method == Method::GET => {
                    read.expect_error(412, "PreconditionFailed");
                }
                _ => {}
            }
        }
    }
    let error = bucket.get("key").header("if-match", other).refused(412, "PreconditionFailed");
    assert_eq!(error.get("Condition"), "If-Match");
    bucket.get("missing").header("if-none-match", "*").refused(404, "NoSuchKey");
}

#[test]
fn responses_can_be_given_other_headers() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket
        .put("key", "content")
        .header("content-type", "text/plain")
        .header("cache-control", "no-store")
        .ok();
    let overrides = [
        ("response-content-type", "content-type", "image/png"),
        ("response-content-language", "content-language", "de"),
        ("response-expires", "expires", "Thu, 01 Dec 2050 16:00:00 GMT"),
        ("response-cache-control", "cache-control", "max-age=1"),
        ("response-content-disposition", "content-disposition", "attachment; filename=\"a b+c.txt\""),
        ("response-content-encoding", "content-encoding", "identity"),
    ];
    for method in [Method::GET, Method::HEAD] {
        for presigned in [false, true] {
            let read = bucket.object(method.clone(), "key");
            let read = overrides.iter().fold(read, |read, (name, _, value)| read.query(name, value));
            let read = if presigned { read.presigned(60) } else { read }.ok();
            for (_, header, value) in overrides {
                assert_eq!(read.get(header), value, "{method}");
            }
        }
    }
    assert_eq!(bucket.get("key").ok().get("content-type"), "text/plain");
    bucket.get("key").query("response-content-type", "a\r\nx-injected: 1").refused(400, "InvalidArgument");
    bucket.get("key").query("response-content-type", "image/png").anonymous().refused(403, "AccessDenied");
}

/// A part number selects that part's bytes, and tells how many there are.
#[test]
fn parts_of_a_multipart_object_can_be_read() {
    let server = Server::start();
    let bucket = server.bucket();
    let parts = [content(PART_SIZE_MIN, 1), content(PART_SIZE_MIN + 3, 2), content(10, 3)];
    let upload = bucket.upload("key");
    // Parts count by their place, whatever their numbers were.
    let numbers = [2, 5, 9];
    let etags: Vec<String> =
        numbers.iter().zip(&parts).map(|(number, part)| upload.put(*number, part)).collect();
    let named: Vec<(u32, &str)> =
        numbers.iter().zip(&etags).map(|(number, etag)| (*number, etag.as_str())).collect();
    upload.complete(&named).ok();
    let total: usize = parts.iter().map(Vec::len).sum();
    let mut first = 0;
    for (number, part) in (1..).zip(&parts) {
        let last = first + part.len() - 1;
        for method in [Method::GET, Method::HEAD] {
            let read = bucket.object(method.clone(), "key").query("partNumber", number).send().expect(206);
            assert_eq!(read.get("x-amz-mp-parts-count"), "3");
            assert_eq!(read.get("content-range"), format!("bytes {first}-{last}/{total}"));
            assert_eq!(read.get("content-length"), part.len().to_string());
            if method == Method::GET {
                assert_same(&read.body, part);
            }
        }
        first = last + 1;
    }
    let error = bucket.get("key").query("partNumber", 4).refused(416, "InvalidPartNumber");
    assert_eq!((error.get("PartNumberRequested"), error.get("ActualPartCount")), ("4", "3"));
    let both = bucket.get("key").query("partNumber", 1).header("range", "bytes=0-1");
    both.refused(400, "InvalidRequest");
    for number in ["0", "-1", "10001", "x", ""] {
        bucket.get("key").query("partNumber", number).refused(400, "InvalidArgument");
    }
}

/// A part is shown with its checksum where the object's is composed of those of its parts, or where it is the only one.
#[test]
fn parts_are_shown_with_their_checksums() {
    let server = Server::start();
    let bucket = server.bucket();
    let algorithm = ChecksumAlgorithm::Crc32;
    let parts = [content(PART_SIZE_MIN, 1), content(10, 2)];
    for (kind, count) in [("COMPOSITE", 2), ("COMPOSITE", 1), ("FULL_OBJECT", 2), ("FULL_OBJECT", 1)] {
        let create = bucket.create_upload("key").header("x-amz-checksum-algorithm", algorithm.name());
        let upload = bucket.upload_with("key", create.header("x-amz-checksum-type", kind));
        let sums: Vec<String> = parts[..count].iter().map(|part| checksum_of(algorithm, part)).collect();
        let named: String = (1..)
            .zip(parts.iter().zip(&sums))
            .map(|(number, (part, sum))| {
                let part = upload.part(number, part).unsigned_payload().header(algorithm.header_name(), sum).ok();
                let etag = part.etag().to_owned();
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><ChecksumCRC32>{sum}</ChecksumCRC32></Part>")
            })
            .collect();
        upload.complete_with(&format!("<CompleteMultipartUpload>{named}</CompleteMultipartUpload>")).ok();
        let shown = kind == "COMPOSITE" || count == 1;
        for (number, sum) in (1..).zip(&sums) {
            for method in [Method::GET, Method::HEAD] {
                let part = || bucket.object(method.clone(), "key").query("partNumber", number);
                let read = part().header("x-amz-checksum-mode", "ENABLED").send().expect(206);
                assert_eq!(
                    read.header(algorithm.header_name()),
                    shown.then_some(sum.as_str()),
                    "{kind} {count}"
                );
                assert_eq!(read.header("x-amz-checksum-type"), shown.then_some(kind), "{kind} {count}");
                assert_eq!(part().send().expect(206).header(algorithm.header_name()), None);
            }
        }
    }
    bucket.put("whole", "content").ok();
    let read = bucket.head("whole").query("partNumber", 1).header("x-amz-checksum-mode", "ENABLED");
    let sum = checksum_of(ChecksumAlgorithm::Crc64nvme, b"content");
    assert_eq!(read.send().expect(206).get("x-amz-checksum-crc64nvme"), sum);
}

#[test]
fn an_object_written_whole_is_its_own_first_part() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let read = bucket.get("key").query("partNumber", 1).send().expect(206);
    assert_eq!((read.get("content-range"), &*read.body), ("bytes 0-6/7", &b"content"[..]));
    let error = bucket.get("key").query("partNumber", 2).refused(416, "InvalidPartNumber");
    assert_eq!((error.get("PartNumberRequested"), error.get("ActualPartCount")), ("2", "1"));
    // No range is a part of nothing.
    bucket.put("empty", "").ok();
    for method in [Method::GET, Method::HEAD] {
        let read = bucket.object(method, "empty").query("partNumber", 1).ok();
        assert_eq!((read.get("content-length"), read.header("content-range")), ("0", None));
    }
}

#[test]
fn a_delete_marker_is_not_an_object() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    let marker = bucket.put_marker("key");
    let current = bucket.get("key").send();
    assert_eq!(current.get("x-amz-delete-marker"), "true");
    assert_eq!(current.get("x-amz-version-id"), marker);
    current.expect_error(404, "NoSuchKey");

    let named = bucket.get("key").query("versionId", &marker).send();
    assert_eq!((named.get("x-amz-delete-marker"), named.get("allow")), ("true", "DELETE"));
    assert!(named.get("last-modified").ends_with(" GMT"));
    named.expect_error(405, "MethodNotAllowed");
    assert_eq!(bucket.get("key").query("versionId", version).ok().body, b"content");
}

/// A checksum covers the whole object, so a range is answered without it unless it is all of that.
#[test]
fn a_range_has_no_checksum() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "123456789").ok();
    let upload = bucket.upload("parts");
    let etag = upload.put(1, "123456789");
    upload.complete(&[(1, &etag)]).ok();
    for (key, method) in
        [("key", Method::GET), ("key", Method::HEAD), ("parts", Method::GET), ("parts", Method::HEAD)]
    {
        for (range, is_shown) in [
            ("bytes=0-3", false),
            ("bytes=1-", false),
            ("bytes=-8", false),
            ("bytes=0-8", true),
            ("bytes=0-", true),
            ("bytes=-9", true),
            ("bytes=0-99", true),
        ] {
            let read = || bucket.object(method.clone(), key).header("range", range);
            let shown = read().header("x-amz-checksum-mode", "ENABLED").send().expect(206);
            let expected = is_shown.then_some("rosUhgp5mIg=");
            assert_eq!(shown.header("x-amz-checksum-crc64nvme"), expected, "{method} {key} {range}");
            assert_eq!(read().send().expect(206).header("x-amz-checksum-crc64nvme"), None);
        }
    }
    // Whatever else is wrong, and whether there is anything to read or not.
    for key in ["key", "absent"] {
        bucket.get(key).header("x-amz-checksum-mode", "INVALID").refused(400, "InvalidRequest");
        bucket.head(key).header("x-amz-checksum-mode", "INVALID").send().expect(400);
        let conditional = bucket.get(key).header("if-none-match", "*");
        conditional.header("x-amz-checksum-mode", "INVALID").refused(400, "InvalidRequest");
    }
}

/// A reader that has begun finishes, whatever becomes of the object meanwhile.
#[test]
fn a_read_in_flight_survives_overwrite_and_delete() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(12 << 20, 1);
    let slow_read = |bucket: &Bucket| {
        bucket.put("key", &data).unsigned_payload().ok();
        let get = bucket.get("key").prepare();
        let mut connection = bucket.client().connect();
        // The answer fills the buffers on its way and then waits for its reader.
        connection.send(&get.head());
        connection.wait();
        (get, connection)
    };
    let (get, mut connection) = slow_read(&bucket);
    bucket.put("key", "something else").ok();
    let (other_get, mut other) = slow_read(&bucket);
    bucket.delete("key").send().expect(204);
    for (get, connection) in [(get, &mut connection), (other_get, &mut other)] {
        let read = get.receive(connection).expect(200);
        assert_same(&read.body, &data);
    }
}

/// The same bytes are elsewhere when a read gets to them, and where they were is free.
#[test]
fn a_read_in_flight_survives_a_change_of_coding() {
    let server = Server::start_with(4, |config| {
        config.coding = Some("2+1".parse().expect("a coding"));
        config.garbage_hold = Duration::from_secs(1);
    });
    let bucket = server.bucket();
    let data = content(48 << 20, 1);
    bucket.put("key", &data).unsigned_payload().ok();
    let get = bucket.get("key").prepare();
    let mut connection = bucket.client().connect();
    // The answer fills the buffers on its way and then waits for its reader.
    connection.send(&get.head());
    connection.wait();
    assert!(server.admin(&["class", "recode", "STANDARD", "--coding", "3+1", "--wait"]));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !server.admin(&["audit", "--quiet-cluster"]) {
        assert!(Instant::now() < deadline, "what is replaced is never freed");
        thread::sleep(Duration::from_millis(200));
    }
    let read = get.receive(&mut connection).expect(200);
    assert!(read.complete, "it is broken off");
    assert_same(&read.body, &data);
    for expected in ["shard not read", "bad shard", "window not read"] {
        Logs::start().take(expected);
    }
}

#[test]
fn another_owner_than_expected_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket.get("key").header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
    assert_content(&bucket, "key", b"content");
}
