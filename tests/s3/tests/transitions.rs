//! Objects that lifecycle rules move to other storage classes, and copies that are made in another class.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{Bucket, Request, Response, Server, content};
use http::Method;

use crate::customer_keys::keyed;

/// A server for which a day has a second, with two more storage classes.
fn fast() -> Server {
    let server = Server::start_with(3, |config| config.lifecycle.lifecycle_day_seconds = 1);
    define_classes(&server);
    server
}

/// Classes are known to the gateway when it has heard of them.
fn define_classes(server: &Server) {
    assert!(server.admin(&["class", "define", "COLD", "--coding", "2+1", "--groups", "4"]));
    assert!(server.admin(&["class", "define", "STANDARD_IA", "--coding", "1+1", "--groups", "4"]));
    let bucket = server.bucket();
    wait_until("both classes are known", || {
        ["COLD", "STANDARD_IA"]
            .iter()
            .all(|class| bucket.put("probe", "").header("x-amz-storage-class", class).send().status == 200)
    });
}

fn lifecycle(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("lifecycle")
}

fn rules(rules: &[&str]) -> String {
    let rules: String =
        rules.iter().map(|rule| format!("<Rule><Status>Enabled</Status>{rule}</Rule>")).collect();
    format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
}

fn to(days: u32, class: &str) -> String {
    format!("<Transition><Days>{days}</Days><StorageClass>{class}</StorageClass></Transition>")
}

#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn class_of(bucket: &Bucket, key: &str) -> Option<String> {
    bucket.head(key).ok().header("x-amz-storage-class").map(str::to_owned)
}

/// Every header but those of one answer alone.
fn facts(response: &Response) -> Vec<(String, String)> {
    let is_fact =
        |name: &str| !["date", "x-amz-request-id", "x-amz-id-2", "x-amz-storage-class"].contains(&name);
    let headers = response.headers.iter().filter(|(name, _)| is_fact(name.as_str()));
    let mut facts: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    facts.sort();
    facts
}

/// Says that it is time to stop when it goes.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn rules_with_transitions_are_kept_as_they_were_put() {
    let server = fast();
    let bucket = server.bucket();
    let body = rules(&[&format!(
        "<ID>down</ID><Filter><Prefix>a/</Prefix></Filter>{}{}<Expiration><Days>90</Days></Expiration>\
         <NoncurrentVersionTransition><NoncurrentDays>3</NoncurrentDays>\
         <NewerNoncurrentVersions>2</NewerNoncurrentVersions><StorageClass>COLD</StorageClass>\
         </NoncurrentVersionTransition>",
        to(30, "STANDARD_IA"),
        to(60, "COLD")
    )]);
    let header = "x-amz-transition-default-minimum-object-size";
    let put = lifecycle(&bucket, Method::PUT).body(&body).ok();
    assert_eq!(put.header(header), Some("all_storage_classes_128K"));
    let found = lifecycle(&bucket, Method::GET).ok();
    assert_eq!(found.header(header), Some("all_storage_classes_128K"));
    let found = found.xml();
    assert_eq!(found.all("Rule/Transition/StorageClass"), ["STANDARD_IA", "COLD"]);
    assert_eq!(found.all("Rule/Transition/Days"), ["30", "60"]);
    let noncurrent = "Rule/NoncurrentVersionTransition";
    assert_eq!(found.all(&format!("{noncurrent}/StorageClass")), ["COLD"]);
    assert_eq!(found.all(&format!("{noncurrent}/NoncurrentDays")), ["3"]);
    assert_eq!(found.all(&format!("{noncurrent}/NewerNoncurrentVersions")), ["2"]);

    let varies = lifecycle(&bucket, Method::PUT).header(header, "varies_by_storage_class").body(&body).ok();
    assert_eq!(varies.header(header), Some("varies_by_storage_class"));
    let found = lifecycle(&bucket, Method::GET).ok();
    assert_eq!(found.header(header), Some("varies_by_storage_class"));
    assert_eq!(found.xml().all("TransitionDefaultMinimumObjectSize").len(), 0);

    for (rule, code) in [
        (format!("<Filter/>{}", to(29, "STANDARD_IA")), "InvalidArgument"),
        (format!("<Filter/>{}{}", to(60, "STANDARD_IA"), to(30, "COLD")), "InvalidArgument"),
        (format!("<Filter/>{}{}", to(1, "COLD"), to(2, "COLD")), "InvalidRequest"),
        (format!("<Filter/>{}<Expiration><Days>5</Days></Expiration>", to(5, "COLD")), "InvalidArgument"),
        (format!("<Filter/>{}", to(1, "GLACIER")), "InvalidStorageClass"),
    ] {
        lifecycle(&bucket, Method::PUT).body(rules(&[&rule])).refused(400, code);
    }
    lifecycle(&bucket, Method::PUT).header(header, "none").body(&body).refused(400, "InvalidRequest");
    let kept = lifecycle(&bucket, Method::GET).ok();
    assert_eq!(kept.header(header), Some("varies_by_storage_class"), "what was refused changed nothing");
    assert_eq!(kept.xml().all("Rule/Transition/Days"), ["30", "60"]);
}

/// By a date that has come, and of versions that are not current all but the newest of them.
#[test]
fn objects_move_at_their_date_and_older_versions_by_their_number() {
    let server = fast();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let large = content(200_000, 1);
    bucket.put("dated/now", &large).ok();
    bucket.put("dated later/never", &large).ok();
    let versions: Vec<String> = (0..4).map(|_| bucket.put_version("versions/key", &large)).collect();
    let at = |prefix: &str, date: &str| {
        format!(
            "<Filter><Prefix>{prefix}/</Prefix></Filter>\
             <Transition><Date>{date}T00:00:00Z</Date><StorageClass>COLD</StorageClass></Transition>"
        )
    };
    let document = rules(&[
        &at("dated", "2020-01-01"),
        &at("dated later", "2999-01-01"),
        "<Filter><Prefix>versions/</Prefix></Filter><NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays>\
         <NewerNoncurrentVersions>1</NewerNoncurrentVersions><StorageClass>COLD</StorageClass></NoncurrentVersionTransition>",
    ]);
    lifecycle(&bucket, Method::PUT).body(document).ok();
    let is_cold = |version: &String| {
        let head = bucket.head("versions/key").query("versionId", version).ok();
        head.header("x-amz-storage-class") == Some("COLD")
    };
    let moved = || versions.iter().map(is_cold).collect::<Vec<_>>();
    wait_until("what is to move has moved", || {
        class_of(&bucket, "dated/now").as_deref() == Some("COLD") && moved() == [true, true, false, false]
    });
    thread::sleep(Duration::from_secs(2));
    assert_eq!(moved(), [true, true, false, false]);
    assert_eq!(class_of(&bucket, "dated later/never"), None);
    assert!(bucket.get("dated/now").ok().body == large);
}

#[test]
fn an_object_moves_and_nothing_else_of_it_changes() {
    let server = fast();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let large = content(3_000_000, 1);
    bucket
        .put("large", &large)
        .header("x-amz-meta-a", "b")
        .header("x-amz-tagging", "k=v")
        .header("x-amz-checksum-algorithm", "SHA256")
        .ok();
    bucket.put("small", content(131_071, 2)).ok();
    bucket.put("filtered/small", content(2000, 3)).ok();
    let upload = bucket.upload("parts");
    let parts = [upload.put(1, content(5 << 20, 4)), upload.put(2, content(1000, 5))];
    upload.complete(&[(1, &parts[0]), (2, &parts[1])]).ok();
    let keys = ["large", "parts", "filtered/small", "small"];
    let whole = |key: &str| bucket.head(key).header("x-amz-checksum-mode", "ENABLED").ok();
    let before = keys.map(|key| facts(&whole(key)));
    let bodies = keys.map(|key| bucket.get(key).ok().body);
    let second = bucket.head("parts").query("partNumber", "2").send().expect(206);

    // Reads go on while it moves.
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also when something fails, so that the reader ends.
        let stopping = Stopping(&stop);
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !stop.load(Ordering::SeqCst) {
                assert!(bucket.get("large").ok().body == large);
                reads += 1;
            }
            reads
        });
        let body = rules(&[
            &format!("<Filter/>{}", to(1, "COLD")),
            &format!(
                "<Filter><And><Prefix>filtered/</Prefix><ObjectSizeLessThan>5000</ObjectSizeLessThan></And></Filter>{}",
                to(0, "COLD")
            ),
        ]);
        lifecycle(&bucket, Method::PUT).body(body).ok();
        wait_until("they have moved", || {
            ["large", "parts", "filtered/small"]
                .iter()
                .all(|key| class_of(&bucket, key).as_deref() == Some("COLD"))
        });
        drop(stopping);
        assert!(reader.join().expect("every read succeeds") > 0);
    });
    thread::sleep(Duration::from_secs(2));
    assert_eq!(class_of(&bucket, "small"), None, "objects under 128 KiB stay");
    for ((key, before), body) in keys.iter().zip(before).zip(bodies) {
        assert_eq!(facts(&whole(key)), before, "{key}");
        assert!(bucket.get(key).ok().body == body, "{key}");
    }
    let again = bucket.head("parts").query("partNumber", "2").send().expect(206);
    assert_eq!(facts(&again), facts(&second));
    let listed = bucket.list_versions().ok().xml();
    assert_eq!(listed.all("Version/Key"), ["filtered/small", "large", "parts", "small"]);
    assert_eq!(listed.all("Version/StorageClass"), ["COLD", "COLD", "COLD", "STANDARD"]);
    assert!(server.admin(&["audit", "--deep"]), "every shard is whole");
}

/// What moves and checks stored bytes has no keys and needs none: a transition, a re-encoding and an audit leave what is
/// encrypted as it is in plain.
#[test]
fn encrypted_objects_move_as_they_are() {
    let mut server = fast();
    server.restart_with(|config| config.front.customer_keys_over_http = true);
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let encrypted = |request: Request| request.header("x-amz-server-side-encryption", "AES256");
    let large = content(3_000_000, 1);
    encrypted(bucket.put("large", &large)).header("x-amz-checksum-algorithm", "SHA256").ok();
    encrypted(bucket.put("filtered/small", content(2000, 3))).ok();
    keyed(bucket.put("keyed", content(200_000, 6)), 1).ok();
    bucket.copy(&format!("{}/large", bucket.name), "shared").ok();
    let upload = bucket.upload_with("parts", encrypted(bucket.create_upload("parts")));
    let parts = [upload.put(1, content(5 << 20, 4)), upload.put(2, content(1000, 5))];
    upload.complete(&[(1, &parts[0]), (2, &parts[1])]).ok();
    let keys = ["filtered/small", "keyed", "large", "parts", "shared"];
    let with_key = |key: &str, request: Request| if key == "keyed" { keyed(request, 1) } else { request };
    let head = |key: &str| with_key(key, bucket.head(key)).header("x-amz-checksum-mode", "ENABLED").ok();
    let get = |key: &str| with_key(key, bucket.get(key));
    let range = |key: &str| get(key).header("range", "bytes=900-1900").send().expect(206).body;
    let (before, bodies, ranges) =
        (keys.map(|key| facts(&head(key))), keys.map(|key| get(key).ok().body), keys.map(range));
    assert!(bodies[2] == large && bodies[4] == large);
    let is_as_before = || {
        assert_eq!(keys.map(|key| facts(&head(key))), before);
        assert!(keys.map(|key| get(key).ok().body) == bodies && keys.map(range) == ranges);
        assert!(server.admin(&["audit", "--deep"]), "every shard is whole");
    };

    assert!(server.admin(&["class", "recode", "STANDARD", "--coding", "2+1", "--wait"]));
    is_as_before();
    let of_any_size = "<And><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>\
                       <ObjectSizeLessThan>2001</ObjectSizeLessThan></And>";
    let body = rules(&[
        &format!("<Filter/>{}", to(1, "COLD")),
        &format!("<Filter>{of_any_size}</Filter>{}", to(0, "COLD")),
    ]);
    lifecycle(&bucket, Method::PUT).body(body).ok();
    let class = |key: &str| head(key).header("x-amz-storage-class").map(str::to_owned);
    wait_until("they have moved", || keys.iter().all(|key| class(key).as_deref() == Some("COLD")));
    is_as_before();
    assert!(server.admin(&["class", "recode", "COLD", "--coding", "1+1", "--wait"]));
    is_as_before();
}

/// Rules by tag, of versions that were replaced, and of several classes one after the other.
#[test]
fn rules_say_which_versions_move() {
    let server = fast();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let bytes = content(200_000, 1);
    bucket.put("tagged", &bytes).header("x-amz-tagging", "keep=no&more=x").ok();
    bucket.put("tagged otherwise", &bytes).header("x-amz-tagging", "keep=yes").ok();
    bucket.put_version("replaced", &bytes);
    bucket.put_version("replaced", &bytes);
    bucket.put("both", &bytes).ok();
    bucket.put("gone", &bytes).ok();
    let body = rules(&[
        &format!("<Filter><Tag><Key>keep</Key><Value>no</Value></Tag></Filter>{}", to(0, "COLD")),
        "<Filter><Prefix>replaced</Prefix></Filter><NoncurrentVersionTransition>\
         <NoncurrentDays>1</NoncurrentDays><StorageClass>COLD</StorageClass></NoncurrentVersionTransition>",
        &format!("<Filter><Prefix>both</Prefix></Filter>{}", to(1, "COLD")),
        &format!("<Filter><Prefix>gone</Prefix></Filter>{}", to(1, "COLD")),
        "<Filter><Prefix>gone</Prefix></Filter><Expiration><Days>1</Days></Expiration>",
    ]);
    lifecycle(&bucket, Method::PUT).body(body).ok();
    let classes = || {
        let listed = bucket.list_versions().ok().xml();
        let (keys, classes) = (listed.all("Version/Key"), listed.all("Version/StorageClass"));
        let pairs = keys.into_iter().zip(classes).map(|(key, class)| format!("{key} {class}"));
        pairs.collect::<Vec<_>>()
    };
    let expected = [
        "both COLD",
        "gone STANDARD",
        "replaced STANDARD",
        "replaced COLD",
        "tagged COLD",
        "tagged otherwise STANDARD",
    ];
    wait_until("the rules are carried out", || classes() == expected && bucket.keys().len() == 4);
    thread::sleep(Duration::from_secs(3));
    assert_eq!(classes(), expected);
    assert!(server.admin(&["audit", "--deep"]));
}

/// Copies of what has moved, and from one class to the other.
#[test]
fn a_copy_is_made_in_the_class_that_is_asked_for() {
    let server = fast();
    let bucket = server.bucket();
    let bytes = content(300_000, 1);
    bucket.put("source", &bytes).header("x-amz-meta-a", "b").header("x-amz-tagging", "k=v").ok();
    bucket.copy(&format!("/{}/source", bucket.name), "shares").ok();
    let etag = bucket.head("source").ok().get("etag").to_owned();
    let source = format!("/{}/source", bucket.name);
    bucket.copy(&source, "cold").header("x-amz-storage-class", "COLD").ok();
    let cold = bucket.head("cold").ok();
    assert_eq!((cold.get("x-amz-storage-class"), cold.get("etag")), ("COLD", &*etag));
    assert_eq!((cold.get("x-amz-meta-a"), cold.get("x-amz-tagging-count")), ("b", "1"));
    assert!(bucket.get("cold").ok().body == bytes);
    // And back, by a copy onto itself, which is a change.
    bucket.copy(&format!("/{}/cold", bucket.name), "cold").ok();
    assert_eq!(class_of(&bucket, "cold"), None);
    assert!(bucket.get("cold").ok().body == bytes);
    bucket.copy(&format!("/{}/cold", bucket.name), "cold").refused(400, "InvalidRequest");

    // What an upload made of parts is written whole.
    let upload = bucket.upload("parts");
    let parts = [upload.put(1, content(5 << 20, 4)), upload.put(2, content(1000, 5))];
    upload.complete(&[(1, &parts[0]), (2, &parts[1])]).ok();
    let of_parts = bucket.get("parts").ok().body;
    let copied = bucket
        .copy(&format!("/{}/parts", bucket.name), "whole")
        .header("x-amz-storage-class", "COLD")
        .header("x-amz-checksum-algorithm", "SHA256")
        .ok()
        .xml();
    assert!(!copied.get("ETag").contains('-'), "{}", copied.get("ETag"));
    assert_eq!(copied.all("ChecksumSHA256").len(), 1);
    assert!(bucket.get("whole").ok().body == of_parts);

    // A copy that shares its chunks moves by itself.
    let body = rules(&[&format!("<Filter><Prefix>shares</Prefix></Filter>{}", to(0, "COLD"))]);
    lifecycle(&bucket, Method::PUT).body(body).ok();
    wait_until("it has moved", || class_of(&bucket, "shares").as_deref() == Some("COLD"));
    assert_eq!(class_of(&bucket, "source"), None);
    bucket.delete("source").send().expect(204);
    assert!(bucket.get("shares").ok().body == bytes);
    assert!(server.admin(&["audit", "--deep"]));
}
