//! ListObjectsV2.

use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Bucket, Element, Server};

use crate::support::{ODD_KEYS, list_by_hand, race};

/// Keys whose order, prefixes and delimiters are easily confused.
const KEYS: &[&str] = &[
    "a",
    "a-b",
    "a/",
    "a//b",
    "a/b",
    "a/b/c",
    "a/b/d",
    "a/c",
    "a0",
    "aa/b",
    "b",
    "b--c--d",
    "b--c--e",
    "b/",
    "c/d/e/f",
    "\u{ff5e}",
    "\u{10000}",
];

/// Keys and common prefixes of an answer, each in its order.
fn entries(page: &Element) -> (Vec<String>, Vec<String>) {
    let texts = |path| page.all(path).into_iter().map(str::to_owned).collect();
    (texts("Contents/Key"), texts("CommonPrefixes/Prefix"))
}

/// All pages of a listing: keys and common prefixes in the order of the pages.
fn walk(bucket: &Bucket, prefix: &str, delimiter: &str, max_keys: usize) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let mut list = bucket.list().query("prefix", prefix).query("max-keys", max_keys);
        if !delimiter.is_empty() {
            list = list.query("delimiter", delimiter);
        }
        if let Some(token) = &token {
            list = list.query("continuation-token", token);
        }
        let page = list.ok().xml();
        assert_eq!(page.find("ContinuationToken"), token.as_deref());
        let (page_keys, page_prefixes) = entries(&page);
        let count = page_keys.len() + page_prefixes.len();
        assert_eq!(page.get("KeyCount"), count.to_string());
        assert!(count <= max_keys);
        keys.extend(page_keys);
        prefixes.extend(page_prefixes);
        token = page.find("NextContinuationToken").map(str::to_owned);
        assert_eq!(page.get("IsTruncated"), if token.is_some() { "true" } else { "false" });
        if token.is_none() {
            return (keys, prefixes);
        }
        assert_eq!(count, max_keys, "a truncated page is full");
    }
}

fn filled() -> (Server, Bucket) {
    let server = Server::start();
    let bucket = server.bucket();
    for key in KEYS {
        bucket.put(key, "content").ok();
    }
    (server, bucket)
}

#[test]
fn pages_of_any_size_hold_every_entry_once_and_in_order() {
    let (_server, bucket) = filled();
    for prefix in ["", "a", "a/", "a/b", "b--", "x", "\u{ff5e}"] {
        for delimiter in ["", "/", "b", "--", "/b"] {
            let expected = list_by_hand(KEYS, prefix, delimiter, "");
            for max_keys in [1, 2, 3, 1000] {
                let found = walk(&bucket, prefix, delimiter, max_keys);
                assert_eq!(found, expected, "{prefix:?} {delimiter:?} {max_keys}");
            }
        }
    }
}

#[test]
fn a_listing_starts_after_any_text() {
    let (_server, bucket) = filled();
    for prefix in ["", "a", "a/"] {
        for delimiter in ["", "/"] {
            for start in
                ["A", "a", "a/", "a/b", "a/b/c", "a/b0", "a/zzz", "a0", "aa", "b", "c/d", "zzz", "\u{ff5e}"]
            {
                let list = bucket.list().query("prefix", prefix).query("delimiter", delimiter);
                let page = list.query("start-after", start).ok().xml();
                let expected = list_by_hand(KEYS, prefix, delimiter, start);
                assert_eq!(entries(&page), expected, "{prefix:?} {delimiter:?} {start:?}");
                assert_eq!(page.get("StartAfter"), start);
            }
        }
    }
}

#[test]
fn what_was_asked_is_repeated() {
    let (_server, bucket) = filled();
    let page = bucket.list().ok().xml();
    assert_eq!(page.name, "ListBucketResult");
    assert_eq!((page.get("Name"), page.get("Prefix")), (&*bucket.name, ""));
    assert_eq!((page.get("MaxKeys"), page.get("KeyCount")), ("1000", &*KEYS.len().to_string()));
    for absent in ["Delimiter", "StartAfter", "ContinuationToken", "NextContinuationToken", "EncodingType"] {
        assert_eq!(page.find(absent), None, "{absent}");
    }
    let page = bucket.list().query("prefix", "a").query("delimiter", "/").query("max-keys", 3).ok().xml();
    assert_eq!((page.get("Prefix"), page.get("Delimiter"), page.get("MaxKeys")), ("a", "/", "3"));
}

#[test]
fn objects_are_described() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let page = bucket.list().ok().xml();
    assert_eq!(page.get("Contents/ETag"), etag);
    assert_eq!((page.get("Contents/Size"), page.get("Contents/StorageClass")), ("7", "STANDARD"));
    assert!(page.get("Contents/LastModified").ends_with(".000Z"));
    assert_eq!(page.find("Contents/Owner/ID"), None);
    let page = bucket.list().query("fetch-owner", true).ok().xml();
    assert!(!page.get("Contents/Owner/ID").is_empty());
}

/// No key in the answer, but the bucket must be there all the same.
#[test]
fn a_page_of_no_keys_is_complete() {
    let (server, bucket) = filled();
    let page = bucket.list().query("max-keys", 0).ok().xml();
    assert_eq!(entries(&page), (Vec::new(), Vec::new()));
    assert_eq!((page.get("IsTruncated"), page.get("KeyCount"), page.get("MaxKeys")), ("false", "0", "0"));
    let missing = server.client().existing_bucket("missing");
    missing.list().query("max-keys", 0).refused(404, "NoSuchBucket");
    missing.list().refused(404, "NoSuchBucket");
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    let (_server, bucket) = filled();
    for (value, name) in
        [("-1", "maxKeys"), ("x", "max-keys"), ("1.5", "max-keys"), ("2147483648", "maxKeys")]
    {
        let error = bucket.list().query("max-keys", value).refused(400, "InvalidArgument");
        assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), (name, value));
    }
    for token in ["", "not-ours", "////"] {
        let error = bucket.list().query("continuation-token", token).refused(400, "InvalidArgument");
        assert_eq!(error.get("ArgumentName"), "continuation-token");
    }
    bucket.list().query("encoding-type", "base64").refused(400, "InvalidArgument");
    bucket.list().query("prefix", "p".repeat(1025)).refused(400, "InvalidArgument");
    bucket.list().raw_query("prefix=%ff").refused(400, "InvalidURI");
}

/// As AWS encodes: a form, with slashes left alone. Clients decode it as one.
#[test]
fn keys_can_be_asked_for_encoded() {
    let server = Server::start();
    let bucket = server.bucket();
    for (key, encoded) in [
        ("a b", "a+b"),
        ("a+b", "a%2Bb"),
        ("a%2Fb", "a%252Fb"),
        ("a/b", "a/b"),
        ("caf\u{e9}", "caf%C3%A9"),
        ("\u{1}\n", "%01%0A"),
    ] {
        bucket.put(key, "content").ok();
        let page = bucket.list().query("encoding-type", "url").query("prefix", key).ok().xml();
        assert_eq!((page.get("Contents/Key"), page.get("Prefix")), (encoded, encoded));
        assert_eq!(page.get("EncodingType"), "url");
        bucket.delete(key).send().expect(204);
    }
    bucket.put("x y/z", "content").ok();
    let page = bucket.list().query("encoding-type", "url").query("delimiter", "/").ok().xml();
    assert_eq!((page.get("CommonPrefixes/Prefix"), page.get("Delimiter")), ("x+y/", "/"));
}

#[test]
fn odd_keys_are_found_by_their_prefixes() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ODD_KEYS {
        bucket.put(key, "content").ok();
    }
    for key in ODD_KEYS {
        let page = bucket.list().query("prefix", key).ok().xml();
        assert_eq!(entries(&page), list_by_hand(ODD_KEYS, key, "", ""), "{key:?}");
    }
    assert_eq!(walk(&bucket, "", "/", 2), list_by_hand(ODD_KEYS, "", "/", ""));
}

#[test]
fn delete_markers_and_what_they_hide_are_invisible() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    for key in ["gone/a", "gone/b", "half/a", "half/b", "kept"] {
        bucket.put(key, "old").ok();
        bucket.put(key, "content").ok();
    }
    for key in ["gone/a", "gone/b", "half/a", "never"] {
        bucket.put_marker(key);
    }
    assert_eq!(bucket.keys(), ["half/b", "kept"]);
    for max_keys in [1, 2, 1000] {
        let expected = (vec!["kept".to_owned()], vec!["half/".to_owned()]);
        assert_eq!(walk(&bucket, "", "/", max_keys), expected);
        assert_eq!(walk(&bucket, "gone/", "", max_keys), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_page_has_a_thousand_keys_at_most() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = |worker: usize| {
        for number in (worker..1003).step_by(16) {
            bucket.put(&format!("{number:04}"), "").ok();
        }
    };
    race(16, put);
    for asked in [None, Some(5000)] {
        let list = asked.into_iter().fold(bucket.list(), |list, asked| list.query("max-keys", asked));
        let page = list.ok().xml();
        assert_eq!((page.elements("Contents").len(), page.get("IsTruncated")), (1000, "true"));
        let rest = bucket.list().query("continuation-token", page.get("NextContinuationToken")).ok().xml();
        assert_eq!(rest.all("Contents/Key"), ["1000", "1001", "1002"]);
    }
}

/// Keys that are there all the time are in every walk, once, whatever comes and goes around them.
#[test]
fn walks_are_exact_under_concurrent_writes() {
    let server = Server::start();
    let bucket = server.bucket();
    let stable: Vec<String> = (0..20).map(|number| format!("{number:02}/stable")).collect();
    for key in &stable {
        bucket.put(key, "content").ok();
    }
    let done = AtomicBool::new(false);
    race(3, |number| {
        if number < 2 {
            for round in 0.. {
                let key = format!("{:02}/passing-{number}", round % 20);
                bucket.put(&key, "x").ok();
                bucket.delete(&key).send().expect(204);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            return;
        }
        for _ in 0..8 {
            let (keys, _) = walk(&bucket, "", "", 3);
            let seen: Vec<&String> = keys.iter().filter(|key| key.ends_with("stable")).collect();
            assert!(seen.iter().copied().eq(&stable), "{seen:?}");
            assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Clients send with each token what they began with.
#[test]
fn a_token_counts_and_not_where_the_listing_started() {
    let (_server, bucket) = filled();
    let list = || bucket.list().query("max-keys", 2).query("start-after", "a-b");
    let first = list().ok().xml();
    assert_eq!(first.all("Contents/Key"), ["a/", "a//b"]);
    let token = first.get("NextContinuationToken");
    for start in ["a-b", "", "zzz"] {
        let next = bucket.list().query("max-keys", 2).query("start-after", start);
        let next = next.query("continuation-token", token).ok().xml();
        assert_eq!(next.all("Contents/Key"), ["a/b", "a/b/c"], "{start}");
        assert_eq!(next.get("ContinuationToken"), token);
    }
}

/// A page goes on where the last one ended, even if the key that it ended with is gone.
#[test]
fn a_token_outlives_its_key_and_its_gateway() {
    let mut server = Server::start();
    let bucket = server.bucket();
    for key in ["a", "b", "c", "d"] {
        bucket.put(key, "content").ok();
    }
    let page = bucket.list().query("max-keys", 2).ok().xml();
    bucket.delete("b").send().expect(204);
    bucket.delete("c").send().expect(204);
    server.restart();
    let bucket = bucket.through(server.client());
    let rest = bucket.list().query("continuation-token", page.get("NextContinuationToken")).ok().xml();
    assert_eq!(rest.all("Contents/Key"), ["d"]);
}
