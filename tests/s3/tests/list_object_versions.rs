//! ListObjectVersions.

use harness::{Bucket, Element, Server};

use crate::support::delete_document;

/// Key, version id and whether it is a delete marker, as they stand in the answer.
type Row = (String, String, bool);

fn rows(page: &Element) -> Vec<Row> {
    let versions =
        page.children.iter().filter(|child| matches!(child.name.as_str(), "Version" | "DeleteMarker"));
    versions
        .map(|row| (row.get("Key").to_owned(), row.get("VersionId").to_owned(), row.name == "DeleteMarker"))
        .collect()
}

fn put(bucket: &Bucket, key: &str, content: &str) -> Row {
    (key.to_owned(), bucket.put_version(key, content), false)
}

fn mark(bucket: &Bucket, key: &str) -> Row {
    (key.to_owned(), bucket.put_marker(key), true)
}

/// A bucket with a history, and that history as it has to be listed.
fn history(server: &Server) -> (Bucket, Vec<Row>) {
    let bucket = server.bucket();
    bucket.put("b", "before versioning").ok();
    let null = ("b".to_owned(), "null".to_owned(), false);
    bucket.set_versioning("Enabled");
    let (b1, a1, b2) = (put(&bucket, "b", "1"), put(&bucket, "a/x", "1"), mark(&bucket, "b"));
    let (a2, b3, c1) = (put(&bucket, "a/x", "2"), put(&bucket, "b", "3"), mark(&bucket, "c/never"));
    let (a3, d1) = (put(&bucket, "a/y", "1"), put(&bucket, "d", "1"));
    (bucket, vec![a2, a1, a3, b3, b2, b1, null, c1, d1])
}

#[test]
fn versions_are_listed_by_key_and_from_the_newest() {
    let server = Server::start();
    let (bucket, expected) = history(&server);
    let page = bucket.list_versions().ok().xml();
    assert_eq!(page.name, "ListVersionsResult");
    assert_eq!(rows(&page), expected);
    assert_eq!(
        (page.get("Name"), page.get("IsTruncated"), page.get("MaxKeys")),
        (&*bucket.name, "false", "1000")
    );
    let latest: Vec<(&str, &str)> = page
        .children
        .iter()
        .filter(|row| row.find("IsLatest") == Some("true"))
        .map(|row| (row.get("Key"), row.get("VersionId")))
        .collect();
    let newest = |at: usize| (expected[at].0.as_str(), expected[at].1.as_str());
    assert_eq!(latest, [newest(0), newest(2), newest(3), newest(7), newest(8)]);
    for version in page.elements("Version") {
        for field in ["ETag", "Size", "LastModified", "StorageClass", "Owner/ID"] {
            assert!(!version.get(field).is_empty(), "{version:?}");
        }
    }
    for marker in page.elements("DeleteMarker") {
        assert!(
            !marker.get("Owner/ID").is_empty()
                && marker.find("ETag").is_none()
                && marker.find("Size").is_none()
        );
    }
}

#[test]
fn pages_of_any_size_hold_every_version_once() {
    let server = Server::start();
    let (bucket, expected) = history(&server);
    for max_keys in [1, 2, 3, 4, 8, 9] {
        let (mut found, mut markers) = (Vec::new(), None::<(String, String)>);
        loop {
            let mut list = bucket.list_versions().query("max-keys", max_keys);
            if let Some((key, version)) = &markers {
                list = list.query("key-marker", key).query("version-id-marker", version);
            }
            let page = list.ok().xml();
            assert!(rows(&page).len() <= max_keys);
            found.extend(rows(&page));
            markers = page
                .find("NextKeyMarker")
                .map(|key| (key.to_owned(), page.get("NextVersionIdMarker").to_owned()));
            assert_eq!(page.get("IsTruncated"), if markers.is_some() { "true" } else { "false" });
            if markers.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "pages of {max_keys}");
    }
}

/// Whatever stands before the markers is left out; the markers need not name what exists.
#[test]
fn a_listing_goes_on_after_its_markers() {
    let server = Server::start();
    let (bucket, expected) = history(&server);
    for (at, (key, version, _)) in expected.iter().enumerate() {
        let page =
            bucket.list_versions().query("key-marker", key).query("version-id-marker", version).ok().xml();
        assert_eq!(rows(&page), expected[at + 1..], "after {key} {version}");
        let page = bucket.list_versions().query("key-marker", key).ok().xml();
        let later: Vec<Row> = expected.iter().filter(|row| row.0 > *key).cloned().collect();
        assert_eq!(rows(&page), later, "after {key}");
    }
    let page = bucket.list_versions().query("key-marker", "aaa").ok().xml();
    assert_eq!(rows(&page), expected[3..]);
    // The version that a page ended with is gone by the time that the next one is asked for.
    let (key, version, _) = &expected[4];
    bucket.delete(key).query("versionId", version).send().expect(204);
    let page = bucket.list_versions().query("key-marker", key).query("version-id-marker", version).ok().xml();
    assert_eq!(rows(&page), expected[5..]);
}

/// A null version has no id of its own: the marker of a page that ends with one still tells its place, whatever takes that.
#[test]
fn a_listing_goes_on_after_a_null_version_that_was_replaced_or_removed() {
    let server = Server::start();
    for is_replaced in [true, false] {
        let bucket = server.bucket();
        bucket.set_versioning("Enabled");
        let oldest = put(&bucket, "k", "1");
        bucket.set_versioning("Suspended");
        bucket.put("k", "2").ok();
        bucket.set_versioning("Enabled");
        let newest = put(&bucket, "k", "3");
        let page = bucket.list_versions().query("max-keys", 2).ok().xml();
        assert_eq!(rows(&page), [newest, ("k".to_owned(), "null".to_owned(), false)]);
        if is_replaced {
            bucket.set_versioning("Suspended");
            bucket.put("k", "4").ok();
        } else {
            bucket.delete("k").query("versionId", "null").send().expect(204);
        }
        let (key, version) = (page.get("NextKeyMarker"), page.get("NextVersionIdMarker"));
        let page = bucket.list_versions().query("key-marker", key).query("version-id-marker", version);
        assert_eq!(rows(&page.ok().xml()), [oldest], "replaced: {is_replaced}");
    }
}

#[test]
fn prefixes_and_delimiters_choose() {
    let server = Server::start();
    let (bucket, expected) = history(&server);
    let page = bucket.list_versions().query("prefix", "a/").ok().xml();
    assert_eq!(rows(&page), expected[..3]);
    let page = bucket.list_versions().query("delimiter", "/").ok().xml();
    assert_eq!(page.all("CommonPrefixes/Prefix"), ["a/", "c/"], "also of delete markers alone");
    assert_eq!(rows(&page), [&expected[3..7], &expected[8..]].concat());
    let page = bucket.list_versions().query("delimiter", "/").query("max-keys", 1).ok().xml();
    assert_eq!((page.all("CommonPrefixes/Prefix"), page.get("NextKeyMarker")), (vec!["a/"], "a/"));
    let rest = bucket.list_versions().query("delimiter", "/").query("key-marker", "a/").ok().xml();
    assert_eq!((rest.all("CommonPrefixes/Prefix"), rows(&rest).len()), (vec!["c/"], 5));
}

/// Directory markers are ordinary keys; nothing is listed that was not written (seaweedfs/seaweedfs#9884).
#[test]
fn nothing_is_listed_that_was_not_written() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let (file, folder) = (put(&bucket, "deep/down/file", "1"), put(&bucket, "deep/", ""));
    assert_eq!(rows(&bucket.list_versions().ok().xml()), [folder, file]);
}

#[test]
fn unversioned_objects_are_null_versions() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket.put("key", "again").ok();
    assert_eq!(rows(&bucket.list_versions().ok().xml()), [("key".to_owned(), "null".to_owned(), false)]);
}

#[test]
fn keys_can_be_asked_for_encoded() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("a b\u{1}", "content").ok();
    let page = bucket.list_versions().query("encoding-type", "url").query("prefix", "a ").ok().xml();
    assert_eq!(
        (page.get("Version/Key"), page.get("Prefix"), page.get("EncodingType")),
        ("a+b%01", "a+", "url")
    );
}

#[test]
fn a_page_has_a_thousand_versions_at_most() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let keys: Vec<String> = (0..1003).map(|number| format!("{number:04}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for some in keys.chunks(1000) {
        bucket.delete_objects(&delete_document(some)).ok();
    }
    for asked in [None, Some(5000)] {
        let list = || {
            let list = bucket.list_versions();
            asked.into_iter().fold(list, |list, asked| list.query("max-keys", asked))
        };
        let page = list().ok().xml();
        assert_eq!((page.all("DeleteMarker/Key"), page.get("IsTruncated")), (keys[..1000].to_vec(), "true"));
        let (key, version) = (page.get("NextKeyMarker"), page.get("NextVersionIdMarker"));
        let rest = list().query("key-marker", key).query("version-id-marker", version).ok().xml();
        assert_eq!((rest.all("DeleteMarker/Key"), rest.get("IsTruncated")), (keys[1000..].to_vec(), "false"));
    }
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    let error = bucket.list_versions().query("version-id-marker", "null").refused(400, "InvalidArgument");
    assert_eq!(error.get("ArgumentName"), "version-id-marker");
    let nonsense = bucket.list_versions().query("key-marker", "a").query("version-id-marker", "nonsense");
    nonsense.refused(400, "InvalidArgument");
    bucket.list_versions().query("max-keys", "-1").refused(400, "InvalidArgument");
    let page = bucket.list_versions().query("max-keys", 0).ok().xml();
    assert_eq!((rows(&page).len(), page.get("IsTruncated")), (0, "false"));
    server.client().existing_bucket("missing").list_versions().refused(404, "NoSuchBucket");
}
