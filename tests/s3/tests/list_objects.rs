//! ListObjects, the first version. What it shares with the second is in `list_objects_v2.rs`.

use harness::{Bucket, Server};

use crate::support::list_by_hand;

const KEYS: &[&str] = &["a", "a-b", "a/b", "a/c", "b/", "b/c/d", "b/e", "c", "d--e", "d--f"];

fn filled() -> (Server, Bucket) {
    let server = Server::start();
    let bucket = server.bucket();
    for key in KEYS {
        bucket.put(key, "content").ok();
    }
    (server, bucket)
}

/// Clients go on from NextMarker, or from the last key where there is none.
fn walk(bucket: &Bucket, prefix: &str, delimiter: &str, max_keys: usize) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut marker) = (Vec::<String>::new(), Vec::<String>::new(), String::new());
    loop {
        let mut list =
            bucket.list_v1().query("prefix", prefix).query("max-keys", max_keys).query("marker", &marker);
        if !delimiter.is_empty() {
            list = list.query("delimiter", delimiter);
        }
        let page = list.ok().xml();
        assert_eq!(page.get("Marker"), marker);
        let (page_keys, page_prefixes) = (page.all("Contents/Key"), page.all("CommonPrefixes/Prefix"));
        assert!(page_keys.len() + page_prefixes.len() <= max_keys);
        let last = page_keys.iter().chain(&page_prefixes).max().map(|last| (*last).to_owned());
        keys.extend(page_keys.iter().map(|key| (*key).to_owned()));
        prefixes.extend(page_prefixes.iter().map(|prefix| (*prefix).to_owned()));
        let truncated = page.get("IsTruncated") == "true";
        let next = page.find("NextMarker");
        assert_eq!(
            next.is_some(),
            truncated && !delimiter.is_empty(),
            "NextMarker comes with a delimiter alone"
        );
        if !truncated {
            return (keys, prefixes);
        }
        marker = next.map(str::to_owned).or(last).expect("a truncated page is not empty");
    }
}

#[test]
fn pages_of_any_size_hold_every_entry_once_and_in_order() {
    let (_server, bucket) = filled();
    for prefix in ["", "a", "b/", "d--", "x"] {
        for delimiter in ["", "/", "--"] {
            let expected = list_by_hand(KEYS, prefix, delimiter, "");
            for max_keys in [1, 2, 5, 1000] {
                assert_eq!(
                    walk(&bucket, prefix, delimiter, max_keys),
                    expected,
                    "{prefix:?} {delimiter:?} {max_keys}"
                );
            }
        }
    }
}

#[test]
fn a_marker_may_lie_anywhere() {
    let (_server, bucket) = filled();
    for delimiter in ["", "/"] {
        for marker in ["0", "a", "a/", "a/b", "a/zzz", "b", "b/", "b/c/", "c", "zzz"] {
            let page = bucket.list_v1().query("delimiter", delimiter).query("marker", marker).ok().xml();
            let (keys, prefixes) = list_by_hand(KEYS, "", delimiter, marker);
            assert_eq!(page.all("Contents/Key"), keys, "{delimiter:?} {marker:?}");
            assert_eq!(page.all("CommonPrefixes/Prefix"), prefixes, "{delimiter:?} {marker:?}");
        }
    }
}

#[test]
fn the_answer_is_that_of_version_one() {
    let (_server, bucket) = filled();
    let page = bucket.list_v1().ok().xml();
    assert_eq!(page.name, "ListBucketResult");
    assert_eq!((page.get("Name"), page.get("Prefix"), page.get("Marker")), (&*bucket.name, "", ""));
    assert_eq!((page.get("MaxKeys"), page.get("IsTruncated")), ("1000", "false"));
    for absent in ["KeyCount", "NextContinuationToken", "NextMarker", "Delimiter", "EncodingType"] {
        assert_eq!(page.find(absent), None, "{absent}");
    }
    assert_eq!(page.all("Contents/Owner/ID").len(), KEYS.len());
    assert_eq!(page.all("Contents/StorageClass"), vec!["STANDARD"; KEYS.len()]);
}

#[test]
fn markers_can_be_encoded() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["a b/1", "a b/2", "b c/1"] {
        bucket.put(key, "content").ok();
    }
    let list = bucket.list_v1().query("encoding-type", "url").query("delimiter", "/").query("max-keys", 1);
    let page = list.query("marker", "a a").ok().xml();
    assert_eq!((page.get("Marker"), page.get("NextMarker")), ("a+a", "a+b/"));
    assert_eq!(page.all("CommonPrefixes/Prefix"), ["a+b/"]);
}

#[test]
fn delete_markers_are_invisible() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    for key in ["gone/a", "kept"] {
        bucket.put(key, "content").ok();
    }
    bucket.put_marker("gone/a");
    let page = bucket.list_v1().query("delimiter", "/").ok().xml();
    assert_eq!(page.all("Contents/Key"), ["kept"]);
    assert!(page.elements("CommonPrefixes").is_empty());
}

#[test]
fn errors_are_those_of_version_two() {
    let (server, bucket) = filled();
    server.client().existing_bucket("missing").list_v1().refused(404, "NoSuchBucket");
    bucket.list_v1().query("max-keys", "x").refused(400, "InvalidArgument");
    let error = bucket.list_v1().query("max-keys", "-1").refused(400, "InvalidArgument");
    assert_eq!(error.get("ArgumentName"), "maxKeys");
    bucket.list_v1().query("encoding-type", "base64").refused(400, "InvalidArgument");
    let page = bucket.list_v1().query("max-keys", 0).ok().xml();
    assert_eq!((page.elements("Contents").len(), page.get("IsTruncated")), (0, "false"));
    // Another list type than 2 is none.
    assert_eq!(bucket.list_v1().query("list-type", 1).ok().xml().find("KeyCount"), None);
    bucket.list_v1().header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
}
