//! GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle, and that what has expired goes.

use std::{
    thread,
    time::{Duration, Instant},
};

use harness::{Bucket, Request, Server, md5_base64};
use http::Method;

use crate::object_lock_configuration::locking_bucket;

fn lifecycle(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("lifecycle")
}

fn rules(rules: &[&str]) -> String {
    let rules: String =
        rules.iter().map(|rule| format!("<Rule><Status>Enabled</Status>{rule}</Rule>")).collect();
    format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
}

const DAYS: &str = "<Filter/><Expiration><Days>1</Days></Expiration>";

/// A server for which a day has a second.
fn fast() -> Server {
    Server::start_with(1, |config| config.lifecycle.lifecycle_day_seconds = 1)
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn rules_are_kept_replaced_and_deleted() {
    let server = Server::start();
    let bucket = server.bucket();
    lifecycle(&bucket, Method::GET).refused(404, "NoSuchLifecycleConfiguration");
    lifecycle(&bucket, Method::PUT).body(rules(&[&format!("<ID>one</ID>{DAYS}"), DAYS])).ok();
    let found = lifecycle(&bucket, Method::GET).ok().xml();
    let ids = found.all("Rule/ID");
    assert_eq!((ids[0], ids.len(), ids[1].is_empty()), ("one", 2, false));
    assert_eq!(found.all("Rule/Expiration/Days"), ["1", "1"]);
    let again = lifecycle(&bucket, Method::GET).ok().xml();
    assert_eq!(again.all("Rule/ID"), ids, "a name that was given stays");

    for (body, status, code) in [
        (rules(&[]), 400, "MalformedXML"),
        (rules(&["<Filter/>"]), 400, "InvalidRequest"),
        (rules(&["<Filter/><Expiration><Days>0</Days></Expiration>"]), 400, "InvalidArgument"),
        (
            rules(&["<Filter/><Transition><Days>1</Days><StorageClass>COLD</StorageClass></Transition>"]),
            400,
            "InvalidStorageClass",
        ),
        (
            rules(&["<Filter/><NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays>\
                 <StorageClass>COLD</StorageClass></NoncurrentVersionTransition>"]),
            400,
            "InvalidStorageClass",
        ),
        (
            rules(&["<Filter/><Transition><Days>1</Days><StorageClass>STANDARD</StorageClass></Transition>"]),
            400,
            "MalformedXML",
        ),
    ] {
        lifecycle(&bucket, Method::PUT).body(&body).refused(status, code);
    }
    assert_eq!(lifecycle(&bucket, Method::GET).ok().xml().all("Rule/ID"), ids);
    let error = lifecycle(&server.bucket(), Method::GET).refused(404, "NoSuchLifecycleConfiguration");
    assert!(error.get("BucketName").len() > 2);
    for _ in 0..2 {
        lifecycle(&bucket, Method::DELETE).send().expect(204);
        lifecycle(&bucket, Method::GET).refused(404, "NoSuchLifecycleConfiguration");
    }
    lifecycle(&server.client().existing_bucket("missing"), Method::PUT)
        .body(rules(&[DAYS]))
        .refused(404, "NoSuchBucket");
}

/// GetBucketLifecycle and PutBucketLifecycle, as old clients know them, have the prefix beside the actions and no filter.
#[test]
fn rules_of_the_first_version_are_kept_as_they_are() {
    let server = Server::start();
    let bucket = server.bucket();
    let old = "<ID>old</ID><Prefix>logs/</Prefix><Expiration><Days>30</Days></Expiration>";
    let all = "<ID>all</ID><Prefix/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    lifecycle(&bucket, Method::PUT).body(rules(&[old, all])).ok();
    let found = lifecycle(&bucket, Method::GET).ok().xml();
    assert_eq!((found.all("Rule/ID"), found.all("Rule/Prefix")), (vec!["old", "all"], vec!["logs/", ""]));
    assert!(found.elements("Rule/Filter").is_empty());
    assert!(bucket.put("logs/1", "content").ok().get("x-amz-expiration").ends_with("rule-id=\"old\""));
    let newer = "<Prefix>a</Prefix><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
        <NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>";
    for (mixed, message) in [
        (rules(&[old, DAYS]), "Filter element can only be used in Lifecycle V2."),
        (
            rules(&[DAYS, old]),
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
        ),
        (rules(&[newer]), "NewerNoncurrentVersions element can only be used in Lifecycle V2."),
    ] {
        let error = lifecycle(&bucket, Method::PUT).body(&mixed).refused(400, "InvalidRequest");
        assert_eq!(error.get("Message"), message);
    }
    let alone = "<Filter><And><Prefix>a</Prefix></And></Filter><Expiration><Days>1</Days></Expiration>";
    lifecycle(&bucket, Method::PUT).body(rules(&[alone])).refused(400, "MalformedXML");
    assert_eq!(lifecycle(&bucket, Method::GET).ok().xml().all("Rule/ID"), ["old", "all"]);
}

#[test]
fn objects_expire_that_a_rule_is_about_and_others_stay() {
    let server = fast();
    let (bucket, other) = (server.bucket(), server.bucket());
    bucket.put("tmp/small", "1").ok();
    bucket.put("tmp/large", "0123456789").ok();
    bucket.put("kept/small", "1").ok();
    bucket.put("tagged", "1").header("x-amz-tagging", "keep=no&more=x").ok();
    bucket.put("tagged otherwise", "1").header("x-amz-tagging", "keep=yes").ok();
    other.put("tmp/small", "1").ok();
    let document = rules(&[
        "<Filter><And><Prefix>tmp/</Prefix><ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>\
         <Expiration><Days>1</Days></Expiration>",
        "<Filter><Tag><Key>keep</Key><Value>no</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>",
        // One that is about everything and not in force.
        DAYS,
    ]);
    let (in_force, last) = document.rsplit_once("Enabled").expect("the last rule's status");
    lifecycle(&bucket, Method::PUT).body(format!("{in_force}Disabled{last}")).ok();
    wait_until("both have gone", || bucket.keys() == ["kept/small", "tagged otherwise", "tmp/large"]);
    // Rules for others' ages: nothing goes that is not of age, however often one looks.
    let late = rules(&["<Filter/><Expiration><Days>3650</Days></Expiration>"]);
    lifecycle(&bucket, Method::PUT).body(late).ok();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(bucket.keys().len(), 3);
    assert_eq!(other.keys(), ["tmp/small"]);
}

#[test]
fn versions_and_markers_expire() {
    let server = fast();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    bucket.put_version("key", "1");
    bucket.put_version("key", "2");
    let document = rules(&["<Filter/><Expiration><Days>1</Days></Expiration>\
         <NoncurrentVersionExpiration><NoncurrentDays>4</NoncurrentDays></NoncurrentVersionExpiration>"]);
    lifecycle(&bucket, Method::PUT).body(document).ok();
    wait_until("the key has expired", || bucket.keys().is_empty());
    // A delete marker takes its place; what is below it goes later, and it goes last.
    wait_until("nothing is left", || {
        let versions = bucket.list_versions().ok().xml();
        versions.elements("Version").is_empty() && versions.elements("DeleteMarker").is_empty()
    });
}

/// Keys of the versions that are left, the markers' after a slash of their own.
fn left(bucket: &Bucket) -> Vec<String> {
    let versions = bucket.list_versions().ok().xml();
    let keys = |element: &str| -> Vec<String> {
        versions.all(&format!("{element}/Key")).into_iter().map(str::to_owned).collect()
    };
    let markers = keys("DeleteMarker").into_iter().map(|key| format!("marker {key}"));
    keys("Version").into_iter().chain(markers).collect()
}

#[test]
fn objects_expire_at_a_date_that_has_come() {
    let server = fast();
    let bucket = server.bucket();
    for key in ["gone/1", "gone/2", "later/1", "other"] {
        bucket.put(key, "content").ok();
    }
    let at = |prefix: &str, date: &str| {
        format!(
            "<Filter><Prefix>{prefix}</Prefix></Filter><Expiration><Date>{date}T00:00:00Z</Date></Expiration>"
        )
    };
    let document = rules(&[&at("gone/", "2020-01-01"), &at("later/", "2999-01-01")]);
    lifecycle(&bucket, Method::PUT).body(document).ok();
    wait_until("its date has come", || bucket.keys() == ["later/1", "other"]);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(bucket.keys(), ["later/1", "other"]);
}

#[test]
fn objects_expire_that_have_all_tags_and_are_larger() {
    let server = fast();
    let bucket = server.bucket();
    bucket.put("both", "0123456789").header("x-amz-tagging", "a=1&b=2&c=3").ok();
    bucket.put("one tag", "0123456789").header("x-amz-tagging", "a=1").ok();
    bucket.put("other value", "0123456789").header("x-amz-tagging", "a=1&b=3").ok();
    bucket.put("small", "01234").header("x-amz-tagging", "a=1&b=2").ok();
    bucket.put("untagged", "0123456789").ok();
    bucket.put("large", "0123456789+").ok();
    let document = rules(&[
        "<Filter><And><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>\
         <ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter><Expiration><Days>1</Days></Expiration>",
        "<Filter><ObjectSizeGreaterThan>10</ObjectSizeGreaterThan></Filter><Expiration><Days>1</Days></Expiration>",
    ]);
    lifecycle(&bucket, Method::PUT).body(document).ok();
    let rest = ["one tag", "other value", "small", "untagged"];
    wait_until("what has both tags has gone, and what is large", || bucket.keys() == rest);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(bucket.keys(), rest);
}

#[test]
fn the_newest_noncurrent_versions_stay() {
    let server = fast();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let versions: Vec<String> = (0..5).map(|number| bucket.put_version("key", format!("{number}"))).collect();
    bucket.put_version("kept", "1");
    let document = rules(&["<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
         <NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>"]);
    lifecycle(&bucket, Method::PUT).body(document).ok();
    wait_until("two of four are left", || left(&bucket).len() == 4);
    thread::sleep(Duration::from_secs(2));
    let found = bucket.list_versions().ok().xml();
    let ids: Vec<&str> = versions[2..].iter().rev().map(String::as_str).collect();
    assert_eq!(found.all("Version/Key"), ["kept", "key", "key", "key"]);
    assert_eq!(found.all("Version/VersionId")[1..], ids);
}

#[test]
fn a_delete_marker_goes_below_which_nothing_is() {
    let server = fast();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    bucket.put_marker("alone");
    let version = bucket.put_version("covered", "1");
    bucket.put_marker("covered");
    bucket.put_version("there", "1");
    let rule =
        "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    lifecycle(&bucket, Method::PUT).body(rules(&[rule])).ok();
    wait_until("the lone marker has gone", || left(&bucket) == ["covered", "there", "marker covered"]);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(left(&bucket), ["covered", "there", "marker covered"]);
    bucket.delete("covered").query("versionId", &version).send().expect(204);
    wait_until("the other is alone, too", || left(&bucket) == ["there"]);
}

#[test]
fn versions_that_are_locked_or_held_do_not_expire() {
    let server = fast();
    let bucket = locking_bucket(&server, "locking");
    let held = bucket.put("held", "1").header("x-amz-object-lock-legal-hold", "ON").ok().version_id();
    let locked = bucket
        .put("locked", "1")
        .header("content-md5", md5_base64(b"1"))
        .header("x-amz-object-lock-mode", "GOVERNANCE")
        .header("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00Z")
        .ok()
        .version_id();
    bucket.put_version("plain", "1");
    let rule = "<Filter/><Expiration><Days>1</Days></Expiration>\
         <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
    lifecycle(&bucket, Method::PUT).body(rules(&[rule])).ok();
    // Markers cover all three, as whoever may not delete a version may delete the object; the one of `plain` has nothing to cover then.
    let rest = ["held", "locked", "marker held", "marker locked"];
    wait_until("only what must not go is left", || left(&bucket) == rest);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(left(&bucket), rest);
    for (key, version) in [("held", &held), ("locked", &locked)] {
        assert_eq!(bucket.get(key).query("versionId", version).ok().body, b"1");
    }
}

#[test]
fn uploads_that_nobody_completes_are_aborted() {
    let server = fast();
    let bucket = server.bucket();
    let old = bucket.upload("tmp/old");
    old.put(1, "content");
    bucket.upload("kept/old");
    let document = rules(&["<Filter><Prefix>tmp/</Prefix></Filter>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"]);
    lifecycle(&bucket, Method::PUT).body(document).ok();
    wait_until("it is aborted", || bucket.list_uploads().ok().xml().all("Upload/Key") == ["kept/old"]);
    old.part(2, "content").refused(404, "NoSuchUpload");
}
