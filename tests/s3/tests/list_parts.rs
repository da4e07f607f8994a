//! ListParts.

use harness::{Server, md5_hex};

use crate::support::race;

#[test]
fn parts_are_listed_by_number() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    for number in [10, 9, 10_000, 2] {
        upload.put(number, format!("part {number}"));
    }
    let listed = upload.parts();
    assert_eq!(listed.name, "ListPartsResult");
    assert_eq!((listed.get("Bucket"), listed.get("Key")), (&*bucket.name, "key"));
    assert_eq!((listed.get("UploadId"), listed.get("StorageClass")), (&*upload.id, "STANDARD"));
    assert_eq!((listed.get("MaxParts"), listed.get("IsTruncated")), ("1000", "false"));
    assert_eq!((listed.get("PartNumberMarker"), listed.get("NextPartNumberMarker")), ("0", "10000"));
    assert!(!listed.get("Owner/ID").is_empty() && !listed.get("Initiator/ID").is_empty());
    let numbers = ["2", "9", "10", "10000"];
    assert_eq!(listed.all("Part/PartNumber"), numbers);
    let etags = numbers.map(|number| format!("\"{}\"", md5_hex(format!("part {number}").as_bytes())));
    assert_eq!(listed.all("Part/ETag"), etags);
    assert_eq!(listed.all("Part/Size"), ["6", "6", "7", "10"]);
    assert!(listed.all("Part/LastModified").iter().all(|date| date.ends_with(".000Z")));
    // No checksum was agreed on.
    assert_eq!(
        (listed.find("ChecksumAlgorithm"), listed.elements("Part/ChecksumCRC64NVME").len()),
        (None, 0)
    );
}

#[test]
fn pages_of_any_size_hold_every_part_once() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let numbers = ["1", "3", "4", "9", "10000"];
    for number in numbers {
        upload.put(number.parse().expect("a number"), number);
    }
    for max_parts in [1, 2, 4, 5] {
        let (mut found, mut marker) = (Vec::<String>::new(), "0".to_owned());
        loop {
            let page =
                upload.list().query("max-parts", max_parts).query("part-number-marker", &marker).ok().xml();
            assert_eq!(
                (page.get("PartNumberMarker"), page.get("MaxParts")),
                (&*marker, &*max_parts.to_string())
            );
            let parts = page.all("Part/PartNumber");
            assert!(parts.len() <= max_parts);
            found.extend(parts.iter().map(|part| (*part).to_owned()));
            if page.get("IsTruncated") == "false" {
                break;
            }
            assert_eq!(parts.last(), Some(&page.get("NextPartNumberMarker")));
            marker = page.get("NextPartNumberMarker").to_owned();
        }
        assert_eq!(found, numbers, "pages of {max_parts}");
    }
    for (marker, left) in [("5", 2), ("10000", 0), ("99999", 0)] {
        let page = upload.list().query("part-number-marker", marker).ok().xml();
        assert_eq!((page.elements("Part").len(), page.get("IsTruncated")), (left, "false"));
    }
}

#[test]
fn a_page_has_a_thousand_parts_at_most() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    race(16, |worker| {
        for number in (worker..1003).step_by(16) {
            upload.put(number as u32 + 1, "content");
        }
    });
    for asked in [None, Some(5000)] {
        let list = || asked.into_iter().fold(upload.list(), |list, asked| list.query("max-parts", asked));
        let page = list().ok().xml();
        assert_eq!((page.elements("Part").len(), page.get("IsTruncated")), (1000, "true"));
        let rest = list().query("part-number-marker", page.get("NextPartNumberMarker")).ok().xml();
        assert_eq!(
            (rest.all("Part/PartNumber"), rest.get("IsTruncated")),
            (vec!["1001", "1002", "1003"], "false")
        );
    }
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    upload.put(1, "content");
    for name in ["max-parts", "part-number-marker"] {
        for value in ["-1", "x"] {
            let error = upload.list().query(name, value).refused(400, "InvalidArgument");
            assert_eq!(error.get("ArgumentName"), name);
        }
    }
    let page = upload.list().query("max-parts", 0).ok().xml();
    assert_eq!((page.elements("Part").len(), page.get("IsTruncated")), (0, "false"));
    let unknown = bucket.get("key").query("uploadId", "0123456789abcdef0123456789abcdef");
    unknown.refused(404, "NoSuchUpload");
    bucket.get("other").query("uploadId", &upload.id).refused(404, "NoSuchUpload");
    let missing = server.client().existing_bucket("missing").get("key").query("uploadId", &upload.id);
    missing.refused(404, "NoSuchBucket");
}
