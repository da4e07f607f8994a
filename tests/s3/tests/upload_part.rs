//! UploadPart.

use harness::{Server, checksum_of, content, md5_base64, md5_hex};
use types::ChecksumAlgorithm;

use crate::support::{PART_SIZE_MIN, assert_same};

#[test]
fn a_part_is_stored_under_its_number() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    for number in [1, 7, 10_000] {
        let data = content(1000 * number as usize % 70_001, u64::from(number));
        let stored = upload.part(number, &data).ok();
        assert_eq!(stored.etag(), format!("\"{}\"", md5_hex(&data)));
        assert!(stored.body.is_empty());
    }
    let parts = upload.parts();
    assert_eq!(parts.all("Part/PartNumber"), ["1", "7", "10000"]);
    assert!(bucket.keys().is_empty());
}

#[test]
fn a_part_can_be_uploaded_again() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let first = upload.put(1, "first");
    let second = upload.put(1, "the second");
    assert_eq!(upload.parts().all("Part/Size"), ["10"]);
    upload.complete(&[(1, &first)]).refused(400, "InvalidPart");
    upload.complete(&[(1, &second)]).ok();
    assert_eq!(bucket.get("key").ok().body, b"the second");
}

#[test]
fn part_numbers_are_1_to_10000() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    for number in ["0", "10001", "-1", "x", "", "65537", "1.0"] {
        let part = upload.request(http::Method::PUT).query("partNumber", number).body("content");
        let error = part.refused(400, "InvalidArgument");
        assert_eq!(error.get("ArgumentName"), "partNumber");
    }
    upload.request(http::Method::PUT).body("content").refused(400, "InvalidArgument");
    assert!(upload.parts().elements("Part").is_empty());
}

#[test]
fn uploads_that_are_not_there_take_no_parts() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let astray = |key: &str, id: &str| {
        let part = bucket.put(key, "content").query("partNumber", 1).query("uploadId", id);
        part.refused(404, "NoSuchUpload");
    };
    astray("key", "0123456789abcdef0123456789abcdef");
    astray("key", "nonsense");
    astray("key", "");
    astray("another key", &upload.id);
    let other = upload.bucket.through(server.client());
    server
        .bucket()
        .put("key", "content")
        .query("partNumber", 1)
        .query("uploadId", &upload.id)
        .refused(404, "NoSuchUpload");
    assert!(other.keys().is_empty());
    upload.abort().send().expect(204);
    astray("key", &upload.id);
    let missing = server.client().existing_bucket("missing").put("key", "content");
    missing.query("partNumber", 1).query("uploadId", &upload.id).refused(404, "NoSuchBucket");
}

#[test]
fn a_part_that_is_not_what_was_announced_is_not_stored() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let wrong = |algorithm| checksum_of(algorithm, b"something else");
    upload.part(1, "content").header("content-md5", md5_base64(b"other")).refused(400, "BadDigest");
    upload.part(1, "content").sha256_of(b"other").refused(400, "XAmzContentSHA256Mismatch");
    for algorithm in ChecksumAlgorithm::ALL {
        let name = algorithm.header_name();
        upload.part(1, "content").header(name, wrong(algorithm)).refused(400, "BadDigest");
        upload.part(1, "content").unsigned_trailer(8192, name, &wrong(algorithm)).refused(400, "BadDigest");
        upload.part(1, "content").signed_trailer(8192, name, &wrong(algorithm)).refused(400, "BadDigest");
    }
    assert!(upload.parts().elements("Part").is_empty());
}

/// A part is checked by the algorithm that it comes with, and kept with that of its upload.
#[test]
fn checksums_are_those_of_the_upload() {
    let server = Server::start();
    let bucket = server.bucket();
    for algorithm in ChecksumAlgorithm::ALL {
        let create = bucket.create_upload("key").header("x-amz-checksum-algorithm", algorithm.name());
        let upload = bucket.upload_with("key", create);
        let (name, value) = (algorithm.header_name(), checksum_of(algorithm, b"content"));
        // Where the object's checksum is composed of those of its parts, each must have one.
        let part = upload.part(1, "content");
        if algorithm == ChecksumAlgorithm::Crc64nvme {
            assert_eq!(part.ok().get(name), value);
        } else {
            let error = part.refused(400, "InvalidRequest");
            assert!(error.get("Message").ends_with("actual checksum Type: null"), "{error:?}");
        }
        for part in [
            upload.part(1, "content").header(name, &value),
            upload.part(1, "content").unsigned_trailer(8192, name, &value),
            upload.part(1, "content").signed_trailer(8192, name, &value),
        ] {
            assert_eq!(part.ok().get(name), value);
        }
        let other =
            ChecksumAlgorithm::ALL.into_iter().find(|other| *other != algorithm).expect("there are five");
        let part = upload.part(2, "content").header(other.header_name(), checksum_of(other, b"content"));
        part.refused(400, "InvalidRequest");
        let listed = upload.parts();
        assert_eq!(listed.get("ChecksumAlgorithm"), algorithm.name());
        assert_eq!(listed.all(&format!("Part/Checksum{}", algorithm.name())), [value]);
    }
    // No algorithm was named, so any will do, and none is shown that nobody spoke of.
    let upload = bucket.upload("key");
    assert_eq!(upload.part(1, "content").ok().header("x-amz-checksum-crc64nvme"), None);
    let sum = checksum_of(ChecksumAlgorithm::Crc64nvme, b"content");
    let part = upload.part(1, "content").header("x-amz-checksum-crc64nvme", &sum).ok();
    assert_eq!(part.get("x-amz-checksum-crc64nvme"), sum);
    for algorithm in ChecksumAlgorithm::ALL {
        upload.part(1, "content").header(algorithm.header_name(), checksum_of(algorithm, b"content")).ok();
    }
}

#[test]
fn parts_come_in_every_payload_form() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let parts = [1, 2, 3, 4].map(|seed| content(PART_SIZE_MIN + 17, seed));
    let checksum = |part: &[u8]| checksum_of(ChecksumAlgorithm::Crc32, part);
    let etags: Vec<String> = [
        upload.part(1, &parts[0]).unsigned_payload(),
        upload.part(2, &parts[1]).signed_chunks(1 << 20),
        upload.part(3, &parts[2]).unsigned_trailer(64 << 10, "x-amz-checksum-crc32", &checksum(&parts[2])),
        upload.part(4, &parts[3]).unsigned_payload().presigned(60),
    ]
    .into_iter()
    .map(|part| part.ok().etag().to_owned())
    .collect();
    let named: Vec<(u32, &str)> = (1..).zip(etags.iter().map(String::as_str)).collect();
    upload.complete(&named).ok();
    assert_same(&bucket.get("key").ok().body, &parts.concat());
}

#[test]
fn a_length_is_required() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    upload.part(1, "").no_content_length().refused(411, "MissingContentLength");
    upload.part(1, "content").unsigned_payload().transfer_chunked().refused(411, "MissingContentLength");
    assert!(upload.parts().elements("Part").is_empty());
}
