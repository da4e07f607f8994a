//! RestoreObject, and what can be read of objects of archive classes before a restore, while it lasts and after it.

use std::net::SocketAddr;

use harness::{Bucket, Request, Response, Server, content, md5_base64, now_seconds};
use http::Method;
use s3_wire::date::{parse_http_date, xml_date};
use types::Timestamp;

use crate::{
    bucket_policy::{allow, set},
    customer_keys::keyed,
    support::race,
    transitions::wait_until,
};

const DAY: i64 = 86_400;

fn start() -> Server {
    with_classes(Server::start_with(2, |_| ()))
}

/// The server with the archive classes and one that only sounds like one.
fn with_classes(server: Server) -> Server {
    let classes = ["GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"];
    for class in classes {
        assert!(server.admin(&["class", "define", class, "--coding", "1+1", "--groups", "2"]));
    }
    let bucket = server.bucket();
    wait_until("the classes are known", || {
        let put = |class| bucket.put("probe", "").header("x-amz-storage-class", class).send();
        classes.iter().all(|class| put(class).status == 200)
    });
    server
}

fn put(bucket: &Bucket, key: &str, class: &str, data: &[u8]) -> Response {
    bucket.put(key, data).header("x-amz-storage-class", class).ok()
}

fn restore(bucket: &Bucket, key: &str, inside: &str) -> Request {
    let body = format!("<RestoreRequest>{inside}</RestoreRequest>");
    bucket.object(Method::POST, key).raw_query("restore").body(body)
}

fn for_days(bucket: &Bucket, key: &str, days: i64) -> Request {
    restore(bucket, key, &format!("<Days>{days}</Days>"))
}

/// `x-amz-restore` of an object.
fn state(bucket: &Bucket, key: &str) -> Option<String> {
    bucket.head(key).ok().header("x-amz-restore").map(str::to_owned)
}

/// Until when an object is restored, in seconds.
#[track_caller]
fn expiry(state: Option<&str>) -> i64 {
    let state = state.expect("it is restored");
    let date = state.strip_prefix("ongoing-request=\"false\", expiry-date=\"");
    let date = date.and_then(|rest| rest.strip_suffix('"')).expect(state);
    parse_http_date(date).expect(date).0 / 1000
}

#[track_caller]
fn assert_archived(request: Request, class: &str) {
    assert_eq!(request.refused(403, "InvalidObjectState").get("StorageClass"), class);
}

#[test]
fn an_archived_object_is_not_read_before_it_is_restored() {
    let server = start();
    let bucket = server.bucket();
    let bytes = content(200_000, 1);
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        let key = class.to_lowercase();
        let etag = put(&bucket, &key, class, &bytes).etag().to_owned();
        put(&bucket, "empty", class, b"");
        assert_archived(bucket.get("empty"), class);
        assert_archived(bucket.get(&key), class);
        assert_archived(bucket.get(&key).query("versionId", "null"), class);
        assert_archived(bucket.get(&key).query("partNumber", 1), class);
        assert_archived(bucket.get(&key).header("range", "bytes=0-9"), class);
        assert_archived(bucket.get(&key).header("range", "bytes=900000-"), class);
        assert_archived(bucket.get(&key).header("if-none-match", &etag), class);
        assert_archived(bucket.get(&key).header("if-match", "\"other\""), class);
        assert_archived(bucket.get(&key).presigned(60), class);

        let source = format!("{}/{key}", bucket.name);
        assert_archived(bucket.copy(&source, "copy"), class);
        assert_archived(bucket.copy(&source, "copy").header("x-amz-storage-class", class), class);
        assert_archived(bucket.copy(&source, &key).header("x-amz-metadata-directive", "REPLACE"), class);
        bucket.head("copy").send().expect(404);
        let upload = bucket.upload("parts");
        assert_archived(upload.copy(1, &source), class);
        assert_eq!(upload.parts().all("Part").len(), 0);
        upload.abort().send().expect(204);

        let head = bucket.head(&key).ok();
        assert_eq!(head.header("x-amz-storage-class"), Some(class));
        assert_eq!((head.header("x-amz-restore"), head.get("content-length")), (None, "200000"));
        bucket.head(&key).header("if-none-match", &etag).send().expect(304);
        let attributes = bucket.object(Method::GET, &key).raw_query("attributes");
        let attributes = attributes.header("x-amz-object-attributes", "StorageClass,ObjectSize").ok().xml();
        assert_eq!((attributes.get("StorageClass"), attributes.get("ObjectSize")), (class, "200000"));
        let tags = crate::support::tagging_document(&[("k", "v")]);
        bucket.object(Method::PUT, &key).raw_query("tagging").body(tags).ok();
        assert_eq!(
            bucket.object(Method::GET, &key).raw_query("tagging").ok().xml().get("TagSet/Tag/Key"),
            "k"
        );
    }
    put(&bucket, "read at once", "GLACIER_IR", &bytes);
    assert!(bucket.get("read at once").ok().body == bytes);
    bucket.delete("glacier").send().expect(204);
    bucket.head("glacier").send().expect(404);
}

#[test]
fn a_restored_object_is_read_for_so_many_days() {
    let server = start();
    let bucket = server.bucket();
    let bytes = content(200_000, 1);
    put(&bucket, "key", "GLACIER", &bytes);
    let begun = now_seconds();
    let answer = for_days(&bucket, "key", 3).send().expect(202);
    assert!(answer.body.is_empty());
    let first = state(&bucket, "key");
    let until = expiry(first.as_deref());
    assert_eq!(until % DAY, 0, "it is over at midnight");
    assert!(begun + 3 * DAY <= until && until < now_seconds() + 4 * DAY, "{first:?}");

    let whole = bucket.get("key").ok();
    assert!(whole.body == bytes);
    assert_eq!(whole.header("x-amz-restore"), first.as_deref());
    assert_eq!(whole.header("x-amz-storage-class"), Some("GLACIER"));
    let range = bucket.get("key").header("range", "bytes=5-9").send().expect(206);
    assert_eq!((&range.body[..], range.header("x-amz-restore")), (&bytes[5..10], first.as_deref()));
    bucket.get("key").header("if-none-match", whole.etag()).send().expect(304);

    // Another period counts from now, be it longer or shorter.
    for days in [10, 1] {
        for_days(&bucket, "key", days).send().expect(200);
        let until = expiry(state(&bucket, "key").as_deref());
        assert!(begun + days * DAY <= until && until < now_seconds() + (days + 1) * DAY, "{days}");
        assert!(bucket.get("key").ok().body == bytes);
    }
    for_days(&bucket, "key", i64::from(i32::MAX)).send().expect(200);
    assert!(expiry(state(&bucket, "key").as_deref()) > now_seconds() + 1_000_000 * DAY);
}

#[test]
fn what_is_made_of_a_restored_object_is_not_restored() {
    let server = start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let bytes = content(200_000, 1);
    put(&bucket, "key", "GLACIER", &bytes);
    for_days(&bucket, "key", 1).send().expect(202);
    let source = format!("{}/key", bucket.name);

    let in_class = |key, class| bucket.copy(&source, key).header("x-amz-storage-class", class);
    in_class("glacier", "GLACIER").ok();
    in_class("replaced", "GLACIER").header("x-amz-metadata-directive", "REPLACE").ok();
    in_class("retagged", "GLACIER")
        .header("x-amz-tagging-directive", "REPLACE")
        .header("x-amz-tagging", "k=v")
        .ok();
    in_class("deep", "DEEP_ARCHIVE").ok();
    for (key, class) in
        [("glacier", "GLACIER"), ("replaced", "GLACIER"), ("retagged", "GLACIER"), ("deep", "DEEP_ARCHIVE")]
    {
        assert_archived(bucket.get(key), class);
        assert_eq!(state(&bucket, key), None, "{key}");
    }
    let upload = bucket.upload("parts");
    let part = upload.copy(1, &source).ok().xml().get("ETag").to_owned();
    upload.complete(&[(1, &part)]).ok();
    assert!(bucket.get("parts").ok().body == bytes);

    // Over itself, to a class that is read at once.
    in_class("key", "STANDARD").ok();
    let now = bucket.get("key").ok();
    assert!(now.body == bytes);
    assert_eq!((now.header("x-amz-storage-class"), now.header("x-amz-restore")), (None, None));
}

/// Whether an object is archived is told before keys are asked for, and a restore needs none.
#[test]
fn encrypted_objects_are_archived_and_restored() {
    let mut server = start();
    server.restart_with(|config| config.front.customer_keys_over_http = true);
    let bucket = server.bucket();
    let bytes = content(200_000, 1);
    let archived = |key: &str| bucket.put(key, &bytes).header("x-amz-storage-class", "GLACIER");
    archived("stored").header("x-amz-server-side-encryption", "AES256").ok();
    keyed(archived("keyed"), 1).ok();
    let by_key = |key: &str, request: Request| if key == "keyed" { keyed(request, 1) } else { request };
    let source = |key: &str| format!("{}/{key}", bucket.name);
    for key in ["stored", "keyed"] {
        assert_archived(by_key(key, bucket.get(key)), "GLACIER");
        assert_eq!(by_key(key, bucket.head(key)).ok().header("x-amz-restore"), None);
        for_days(&bucket, key, 1).send().expect(202);
        let whole = by_key(key, bucket.get(key)).ok();
        assert!(whole.body == bytes, "{key}");
        expiry(whole.header("x-amz-restore"));
        let range = by_key(key, bucket.get(key)).header("range", "bytes=65530-65540").send().expect(206);
        assert!(range.body == bytes[65_530..=65_540], "{key}");
    }
    bucket.get("keyed").refused(400, "InvalidRequest");
    keyed(bucket.get("keyed"), 2).refused(403, "AccessDenied");
    // Copies, which share the chunks or are written anew, are as secret, and are not restored.
    bucket.copy(&source("stored"), "shares").header("x-amz-storage-class", "GLACIER").ok();
    assert_archived(bucket.get("shares"), "GLACIER");
    assert_eq!(bucket.head("shares").ok().get("x-amz-server-side-encryption"), "AES256");
    bucket.copy(&source("stored"), "standard").ok();
    let copied = bucket.get("standard").ok();
    assert!(copied.body == bytes);
    assert_eq!(copied.get("x-amz-server-side-encryption"), "AES256");
    server.restart();
    let bucket = bucket.through(server.client());
    assert!(keyed(bucket.get("keyed"), 1).ok().body == bytes);
    assert!(bucket.get("stored").ok().body == bytes);
}

#[test]
fn a_restore_is_of_one_version() {
    let server = start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let [older, newer] =
        ["older", "newer"].map(|data| put(&bucket, "key", "GLACIER", data.as_bytes()).version_id());
    let of = |version: &str| bucket.get("key").query("versionId", version);
    for_days(&bucket, "key", 1).query("versionId", &older).send().expect(202);
    assert_eq!(of(&older).ok().body, b"older");
    assert_archived(bucket.get("key"), "GLACIER");
    assert_archived(of(&newer), "GLACIER");
    for_days(&bucket, "key", 1).send().expect(202);
    assert_eq!(bucket.get("key").ok().body, b"newer");

    put(&bucket, "key", "GLACIER", b"newest");
    assert_archived(bucket.get("key"), "GLACIER");
    assert_eq!(of(&newer).ok().body, b"newer");

    // The same object under another key.
    for_days(&bucket, "key", 1).send().expect(202);
    let rename = bucket.object(Method::PUT, "renamed").raw_query("renameObject");
    rename.header("x-amz-rename-source", "key").ok();
    assert_eq!(bucket.get("renamed").ok().body, b"newest");

    let unversioned = server.bucket();
    put(&unversioned, "key", "GLACIER", b"same");
    for_days(&unversioned, "key", 1).send().expect(202);
    put(&unversioned, "key", "GLACIER", b"same");
    assert_archived(unversioned.get("key"), "GLACIER");
}

#[test]
fn a_restore_that_takes_time_is_under_way_until_it_is_done() {
    let server = with_classes(Server::start_with(2, |config| {
        config.front.restore_delay_seconds = 10;
        config.lifecycle.lifecycle_day_seconds = 10;
    }));
    let bucket = server.bucket();
    put(&bucket, "key", "DEEP_ARCHIVE", b"content");
    let asked_after = now_seconds();
    let answers = race(8, |_| for_days(&bucket, "key", 600).send());
    let asked_before = now_seconds() + 1;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    for answer in answers.into_iter().filter(|answer| answer.status != 202) {
        answer.expect_error(409, "RestoreAlreadyInProgress");
    }
    assert_eq!(state(&bucket, "key").as_deref(), Some("ongoing-request=\"true\""));
    assert_archived(bucket.get("key"), "DEEP_ARCHIVE");
    assert_archived(bucket.copy(&format!("{}/key", bucket.name), "copy"), "DEEP_ARCHIVE");
    let shown = bucket.list().header("x-amz-optional-object-attributes", "RestoreStatus").ok().xml();
    assert_eq!(shown.get("Contents/RestoreStatus/IsRestoreInProgress"), "true");
    assert_eq!(shown.find("Contents/RestoreStatus/RestoreExpiryDate"), None);

    wait_until("it is restored", || bucket.get("key").send().status == 200);
    assert_eq!(bucket.get("key").ok().body, b"content");
    let until = expiry(state(&bucket, "key").as_deref());
    let end = |asked: i64| (asked + 9) / 10 * 10 + 600 * 10;
    assert!(
        (end(asked_after)..=end(asked_before)).contains(&until),
        "its days count from the request: {until}"
    );
    for_days(&bucket, "key", 600).send().expect(200);
    assert_eq!(bucket.get("key").ok().body, b"content", "another period takes no time");
}

#[test]
fn when_its_days_are_over_an_object_is_archived_again() {
    let server = with_classes(Server::start_with(2, |config| config.lifecycle.lifecycle_day_seconds = 10));
    let bucket = server.bucket();
    let bytes = content(200_000, 1);
    put(&bucket, "key", "GLACIER", &bytes);
    for round in 0..2 {
        for_days(&bucket, "key", 1).send().expect(202);
        assert!(bucket.get("key").ok().body == bytes, "round {round}");
        wait_until("it is over", || state(&bucket, "key").is_none());
        assert_archived(bucket.get("key"), "GLACIER");
        let shown = bucket.list().header("x-amz-optional-object-attributes", "RestoreStatus").ok().xml();
        assert_eq!(shown.find("Contents/RestoreStatus/IsRestoreInProgress"), None);
    }
}

#[test]
fn what_cannot_be_restored_is_refused_and_stays_as_it_is() {
    let server = start();
    let bucket = server.bucket();
    for (key, class) in
        [("standard", "STANDARD"), ("ir", "GLACIER_IR"), ("g", "GLACIER"), ("d", "DEEP_ARCHIVE")]
    {
        put(&bucket, key, class, b"content");
    }
    for (key, class) in [("standard", "STANDARD"), ("ir", "GLACIER_IR")] {
        let error = for_days(&bucket, key, 1).refused(403, "InvalidObjectState");
        assert_eq!(error.get("StorageClass"), class);
        assert_eq!(state(&bucket, key), None);
    }
    for (inside, status, code) in [
        ("", 400, "MalformedXML"),
        ("<Days>soon</Days>", 400, "MalformedXML"),
        ("<Days>+5</Days>", 400, "MalformedXML"),
        ("<Days>1</Days><Days>1</Days>", 400, "MalformedXML"),
        ("<Days>0</Days>", 400, "InvalidArgument"),
        ("<Days>-1</Days>", 400, "InvalidArgument"),
        ("<Days>1</Days><Tier>Fast</Tier>", 400, "MalformedXML"),
        ("<Days>1</Days><Other/>", 400, "MalformedXML"),
    ] {
        restore(&bucket, "g", inside).refused(status, code);
    }
    for name in ["Type", "SelectParameters", "OutputLocation"] {
        let error = restore(&bucket, "g", &format!("<Days>1</Days><{name}/>")).refused(501, "NotImplemented");
        assert_eq!(error.get("Field"), name);
    }
    let expedited = "<Days>1</Days><GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters>";
    let error = restore(&bucket, "d", expedited).refused(400, "InvalidArgument");
    assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), ("Tier", "Expedited"));
    let empty = || bucket.object(Method::POST, "g").raw_query("restore");
    empty().refused(400, "MalformedXML");
    empty().body("<RestoreRequest><Days>1</Days>").refused(400, "MalformedXML");
    let long = "x".repeat(s3_wire::xml::RESTORE_BODY_MAX + 1);
    assert!((400..500).contains(&empty().body(long).send().status));
    for_days(&bucket, "g", 1).header("content-md5", md5_base64(b"other")).refused(400, "BadDigest");
    for_days(&bucket, "g", 1).header("x-amz-checksum-crc32", "AAAAAA==").refused(400, "BadDigest");
    for_days(&bucket, "g", 1)
        .header("x-amz-expected-bucket-owner", "111122223333")
        .refused(403, "AccessDenied");
    for_days(&bucket, "g", 1).query("versionId", "no id").refused(400, "InvalidArgument");
    for_days(&bucket, "g", 1).query("versionId", "00000000000000010000000000000001").send().expect(404);
    for key in ["g", "d"] {
        assert_eq!(state(&bucket, key), None, "{key}");
    }
    for_days(&bucket, "missing", 1).refused(404, "NoSuchKey");
    for_days(&server.client().existing_bucket("no-such-bucket"), "g", 1).refused(404, "NoSuchBucket");

    bucket.set_versioning("Enabled");
    let marker = bucket.put_marker("g");
    for_days(&bucket, "g", 1).refused(404, "NoSuchKey");
    for_days(&bucket, "g", 1).query("versionId", &marker).refused(405, "MethodNotAllowed");
    for_days(&bucket, "g", 1)
        .query("versionId", "null")
        .header("content-md5", md5_base64(b"<RestoreRequest><Days>1</Days></RestoreRequest>"))
        .send()
        .expect(202);
    assert_eq!(bucket.get("g").query("versionId", "null").ok().body, b"content");
    restore(&bucket, "d", "<Days>1</Days><Tier>Bulk</Tier><Description>why</Description>").send().expect(202);
}

#[test]
fn listings_show_restores_where_they_are_asked_for() {
    let server = start();
    let bucket = server.bucket();
    for (key, class) in [("a", "GLACIER"), ("b", "GLACIER"), ("c", "STANDARD"), ("d", "DEEP_ARCHIVE")] {
        put(&bucket, key, class, b"content");
    }
    for key in ["a", "d"] {
        for_days(&bucket, key, 1).send().expect(202);
    }
    let until = expiry(state(&bucket, "a").as_deref());
    let date = xml_date(Timestamp(until * 1000));
    let requests: [(&str, &dyn Fn() -> Request); 3] = [
        ("Contents", &|| bucket.list()),
        ("Contents", &|| bucket.list_v1()),
        ("Version", &|| bucket.list_versions()),
    ];
    for (row, request) in requests {
        let header = "x-amz-optional-object-attributes";
        let plain = request().ok().xml();
        assert_eq!(plain.all(&format!("{row}/RestoreStatus")).len(), 0);
        let found = request().header(header, "").ok().xml();
        assert_eq!(found.all(&format!("{row}/RestoreStatus")).len(), 0, "it asks for nothing");
        let found = request().header(header, "RestoreStatus").ok().xml();
        let restored: Vec<&str> = found
            .elements(row)
            .into_iter()
            .filter(|row| row.find("RestoreStatus/IsRestoreInProgress") == Some("false"))
            .map(|row| row.get("Key"))
            .collect();
        assert_eq!(restored, ["a", "d"]);
        assert_eq!(found.all(&format!("{row}/RestoreStatus/RestoreExpiryDate")), [date.as_str(); 2]);
        let error = request().header(header, "Owner").refused(400, "InvalidArgument");
        assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), (header, "Owner"));
    }
}

/// What moves on is archived anew, and workers read it all the while.
#[test]
fn a_rule_to_a_colder_archive_ends_a_restore() {
    let server = with_classes(Server::start_with(2, |config| config.lifecycle.lifecycle_day_seconds = 1));
    let bucket = server.bucket();
    let bytes = content(200_000, 1);
    put(&bucket, "key", "GLACIER", &bytes);
    put(&bucket, "never restored", "GLACIER", &bytes);
    for_days(&bucket, "key", 100_000).send().expect(202);
    assert!(bucket.get("key").ok().body == bytes);
    let rules = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Transition><Days>1</Days>\
                 <StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule></LifecycleConfiguration>";
    bucket.request(Method::PUT).raw_query("lifecycle").body(rules).ok();
    wait_until("both have moved", || {
        let class = |key: &str| bucket.head(key).ok().header("x-amz-storage-class").map(str::to_owned);
        ["key", "never restored"].iter().all(|key| class(key).as_deref() == Some("DEEP_ARCHIVE"))
    });
    assert_eq!(state(&bucket, "key"), None);
    for key in ["key", "never restored"] {
        assert_archived(bucket.get(key), "DEEP_ARCHIVE");
        for_days(&bucket, key, 100_000).send().expect(202);
        assert!(bucket.get(key).ok().body == bytes);
    }
    assert!(server.admin(&["audit", "--deep"]), "every shard is whole");
}

#[test]
fn a_restore_outlives_the_server() {
    let mut server = start();
    let bucket = server.bucket();
    put(&bucket, "key", "GLACIER", b"content");
    for_days(&bucket, "key", 1).send().expect(202);
    let before = state(&bucket, "key");
    let name = bucket.name.clone();
    server.restart();
    let bucket = server.client().existing_bucket(&name);
    assert_eq!(state(&bucket, "key"), before);
    assert_eq!(bucket.get("key").ok().body, b"content");
}

#[test]
fn visitors_of_a_website_do_not_read_archived_objects() {
    let server = with_classes(Server::start_with(2, |config| {
        config.front.website_address = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.front.website_domain = vec!["website.example.com".to_owned()];
    }));
    let bucket = server.bucket();
    let website = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
                   <ErrorDocument><Key>error</Key></ErrorDocument></WebsiteConfiguration>";
    bucket.request(Method::PUT).raw_query("website").body(website).ok();
    set(&bucket, &[&allow("s3:GetObject")]);
    put(&bucket, "page", "GLACIER", b"a page");
    let redirect = bucket.put("moved", "").header("x-amz-storage-class", "GLACIER");
    redirect.header("x-amz-website-redirect-location", "/page").ok();
    let visitor = server.visitor(&format!("{}.website.example.com", bucket.name));
    let answer = visitor.get("/page");
    assert_eq!((answer.status, answer.get("x-amz-error-code")), (403, "InvalidObjectState"));
    let moved = visitor.get("/moved");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/page")), "a redirect has no bytes");
    put(&bucket, "error", "GLACIER", b"an error document");
    let missing = visitor.get("/missing");
    assert_eq!((missing.status, missing.get("x-amz-error-code")), (404, "NoSuchKey"));
    assert!(missing.body != b"an error document", "it is archived");
    let error = bucket.put("error", "").header("x-amz-storage-class", "GLACIER");
    error.header("x-amz-website-redirect-location", "/sorry").ok();
    let missing = visitor.get("/missing");
    assert_eq!((missing.status, missing.header("location")), (301, Some("/sorry")));
    for_days(&bucket, "page", 1).send().expect(202);
    let answer = visitor.get("/page");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"a page"[..]));
}

#[test]
fn a_policy_decides_who_restores() {
    let server = start();
    let bucket = server.bucket();
    put(&bucket, "key", "GLACIER", b"content");
    for_days(&bucket, "key", 1).anonymous().refused(403, "AccessDenied");
    assert_eq!(state(&bucket, "key"), None);
    let allow = |action: &str| {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*",
                "Action": "s3:{action}", "Resource": "arn:aws:s3:::{}/*"}}]}}"#,
            bucket.name
        );
        bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    };
    allow("GetObject");
    for_days(&bucket, "key", 1).anonymous().refused(403, "AccessDenied");
    bucket.get("key").anonymous().refused(403, "InvalidObjectState");
    allow("RestoreObject");
    for_days(&bucket, "key", 1).anonymous().send().expect(202);
    bucket.get("key").anonymous().refused(403, "AccessDenied");
    assert_eq!(bucket.get("key").ok().body, b"content");
}

#[test]
fn what_a_policy_denies_its_owner_cannot_restore() {
    let server = start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let [older, newer] =
        ["older", "newer"].map(|data| put(&bucket, "key", "GLACIER", data.as_bytes()).version_id());
    let of = |version: &str| for_days(&bucket, "key", 1).query("versionId", version);
    let deny =
        r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:RestoreObject", "Resource": "BUCKET/*"}"#;
    set(&bucket, &[deny]);
    for request in [for_days(&bucket, "key", 1), of(&older), of(&newer)] {
        request.refused(403, "AccessDenied");
    }
    assert_eq!(state(&bucket, "key"), None);
    set(&bucket, &[&deny.replace("RestoreObject", "GetObject")]);
    of(&older).send().expect(202);
    assert_eq!(bucket.get("key").query("versionId", &older).ok().body, b"older");
}
