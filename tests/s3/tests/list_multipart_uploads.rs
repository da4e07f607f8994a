//! ListMultipartUploads.

use std::{thread, time::Duration};

use harness::{Bucket, Element, Server};

use crate::support::race;

fn rows(page: &Element) -> Vec<(String, String)> {
    let row = |upload: &Element| (upload.get("Key").to_owned(), upload.get("UploadId").to_owned());
    page.elements("Upload").into_iter().map(row).collect()
}

/// A bucket with open uploads, and these as they have to be listed: by key, then by the time they were opened.
fn filled(server: &Server) -> (Bucket, Vec<(String, String)>) {
    let bucket = server.bucket();
    let mut opened: Vec<(String, String)> = Vec::new();
    for key in ["b", "a/x", "b", "a/y", "c", "b"] {
        opened.push((key.to_owned(), bucket.upload(key).id));
        // Times are told apart by the millisecond.
        thread::sleep(Duration::from_millis(3));
    }
    opened.sort_by(|one, other| one.0.cmp(&other.0));
    (bucket, opened)
}

#[test]
fn open_uploads_are_listed_by_key_and_age() {
    let server = Server::start();
    let (bucket, expected) = filled(&server);
    let closed = bucket.upload("aborted");
    closed.abort().send().expect(204);
    let completed = bucket.upload("completed");
    let etag = completed.put(1, "content");
    completed.complete(&[(1, &etag)]).ok();

    let page = bucket.list_uploads().ok().xml();
    assert_eq!(page.name, "ListMultipartUploadsResult");
    assert_eq!(rows(&page), expected);
    assert_eq!(
        (page.get("Bucket"), page.get("MaxUploads"), page.get("IsTruncated")),
        (&*bucket.name, "1000", "false")
    );
    for upload in page.elements("Upload") {
        assert_eq!(upload.get("StorageClass"), "STANDARD");
        assert!(upload.get("Initiated").ends_with(".000Z") && !upload.get("Owner/ID").is_empty());
        assert!(!upload.get("Initiator/ID").is_empty());
    }
}

#[test]
fn pages_of_any_size_hold_every_upload_once() {
    let server = Server::start();
    let (bucket, expected) = filled(&server);
    for max_uploads in 1..=7 {
        let (mut found, mut markers) = (Vec::new(), None::<(String, String)>);
        loop {
            let mut list = bucket.list_uploads().query("max-uploads", max_uploads);
            if let Some((key, id)) = &markers {
                list = list.query("key-marker", key).query("upload-id-marker", id);
            }
            let page = list.ok().xml();
            assert!(rows(&page).len() <= max_uploads);
            found.extend(rows(&page));
            if page.get("IsTruncated") == "false" {
                break;
            }
            markers = Some((page.get("NextKeyMarker").to_owned(), page.get("NextUploadIdMarker").to_owned()));
        }
        assert_eq!(found, expected, "pages of {max_uploads}");
    }
    let page = bucket.list_uploads().query("key-marker", "b").ok().xml();
    assert_eq!(rows(&page), expected[5..]);
    // Without a key marker the other one does not count.
    let page = bucket.list_uploads().query("upload-id-marker", &expected[3].1).ok().xml();
    assert_eq!(rows(&page), expected);
}

#[test]
fn prefixes_and_delimiters_choose() {
    let server = Server::start();
    let (bucket, expected) = filled(&server);
    assert_eq!(rows(&bucket.list_uploads().query("prefix", "a/").ok().xml()), expected[..2]);
    assert!(rows(&bucket.list_uploads().query("prefix", "x").ok().xml()).is_empty());
    let page = bucket.list_uploads().query("delimiter", "/").ok().xml();
    assert_eq!((page.all("CommonPrefixes/Prefix"), rows(&page)), (vec!["a/"], expected[2..].to_vec()));
    let page = bucket.list_uploads().query("delimiter", "/").query("max-uploads", 1).ok().xml();
    assert_eq!((page.all("CommonPrefixes/Prefix"), page.get("IsTruncated")), (vec!["a/"], "true"));
    let rest = bucket.list_uploads().query("delimiter", "/").query("key-marker", page.get("NextKeyMarker"));
    assert_eq!(rows(&rest.ok().xml()), expected[2..]);
}

#[test]
fn the_agreed_checksum_is_shown() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.create_upload("key").header("x-amz-checksum-algorithm", "SHA256").ok();
    let page = bucket.list_uploads().ok().xml();
    assert_eq!(
        (page.get("Upload/ChecksumAlgorithm"), page.get("Upload/ChecksumType")),
        ("SHA256", "COMPOSITE")
    );
}

#[test]
fn keys_can_be_asked_for_encoded() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.upload("a b");
    let page = bucket.list_uploads().query("encoding-type", "url").query("prefix", "a ").ok().xml();
    assert_eq!((page.get("Upload/Key"), page.get("Prefix"), page.get("EncodingType")), ("a+b", "a+", "url"));
}

#[test]
fn a_page_has_a_thousand_uploads_at_most() {
    let server = Server::start();
    let bucket = server.bucket();
    race(16, |worker| {
        for number in (worker..1003).step_by(16) {
            bucket.create_upload(&format!("{number:04}")).ok();
        }
    });
    for asked in [None, Some(5000)] {
        let list = || {
            let list = bucket.list_uploads();
            asked.into_iter().fold(list, |list, asked| list.query("max-uploads", asked))
        };
        let page = list().ok().xml();
        assert_eq!((page.elements("Upload").len(), page.get("IsTruncated")), (1000, "true"));
        let (key, id) = (page.get("NextKeyMarker"), page.get("NextUploadIdMarker"));
        let rest = list().query("key-marker", key).query("upload-id-marker", id).ok().xml();
        assert_eq!(
            (rest.all("Upload/Key"), rest.get("IsTruncated")),
            (vec!["1000", "1001", "1002"], "false")
        );
    }
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    let server = Server::start();
    let (bucket, _) = filled(&server);
    bucket.list_uploads().query("max-uploads", "x").refused(400, "InvalidArgument");
    let nonsense = bucket.list_uploads().query("key-marker", "a").query("upload-id-marker", "nonsense");
    nonsense.refused(400, "InvalidArgument");
    let page = bucket.list_uploads().query("max-uploads", 0).ok().xml();
    assert_eq!((rows(&page).len(), page.get("IsTruncated")), (0, "false"));
    server.client().existing_bucket("missing").list_uploads().refused(404, "NoSuchBucket");
}
