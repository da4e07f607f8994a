//! When objects expire and uploads are aborted, as answers tell it: `x-amz-expiration`, `x-amz-abort-date` and
//! `x-amz-abort-rule-id`.

use harness::{Bucket, Response, Server};
use http::Method;
use s3_wire::date::{http_date, parse_http_date};
use types::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn set_rules(bucket: &Bucket, rules: &str) {
    let body = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    bucket.request(Method::PUT).raw_query("lifecycle").body(body).ok();
}

fn rule(id: &str, inner: &str) -> String {
    format!("<Rule><ID>{id}</ID><Status>Enabled</Status>{inner}</Rule>")
}

fn expire(days: u32) -> String {
    format!("<Expiration><Days>{days}</Days></Expiration>")
}

/// The midnight that ends so many days after what an answer says of itself or of its object. A test that begins just before
/// midnight may write after it.
fn ends(answer: &Response, days: i64) -> [String; 2] {
    let since = answer.header("last-modified").unwrap_or_else(|| answer.get("date"));
    let since = parse_http_date(since).expect("a date").0;
    let midnight = (since + days * DAY_MS).div_euclid(DAY_MS) * DAY_MS;
    [midnight + DAY_MS, midnight].map(|time| http_date(Timestamp(time)).as_str().to_owned())
}

#[track_caller]
fn assert_expires(answer: &Response, days: i64, rule: &str) {
    let expected = ends(answer, days).map(|date| format!("expiry-date=\"{date}\", rule-id=\"{rule}\""));
    let found = answer.get("x-amz-expiration");
    assert!(expected.iter().any(|expected| expected == found), "{found} is none of {expected:?}");
}

#[test]
fn answers_say_when_their_object_expires() {
    let server = Server::start();
    let bucket = server.bucket();
    let before = bucket.put("tmp/before", "content").ok();
    assert_eq!(before.header("x-amz-expiration"), None, "there are no rules");
    let rules = [
        rule("a rule/1", &format!("<Filter><Prefix>tmp/</Prefix></Filter>{}", expire(3))),
        rule("later", &format!("<Filter/>{}", expire(30))),
    ];
    set_rules(&bucket, &rules.concat());
    let source = format!("/{}/tmp/put", bucket.name);
    assert_expires(&bucket.put("tmp/put", "content").ok(), 3, "a%20rule%2F1");
    assert_expires(&bucket.copy(&source, "tmp/copy").ok(), 3, "a%20rule%2F1");
    assert_expires(&bucket.copy(&source, "other").ok(), 30, "later");
    let upload = bucket.upload("tmp/parts");
    let part = upload.put(1, "content");
    assert_expires(&upload.complete(&[(1, &part)]).ok(), 3, "a%20rule%2F1");
    let form = bucket.form().field("key", "tmp/form").signed("content").send();
    assert_eq!(form.status, 204);
    assert_expires(&form, 3, "a%20rule%2F1");
    for key in ["tmp/before", "tmp/put", "tmp/copy", "tmp/parts", "tmp/form"] {
        assert_expires(&bucket.get(key).ok(), 3, "a%20rule%2F1");
        assert_expires(&bucket.head(key).ok(), 3, "a%20rule%2F1");
        let part = bucket.get(key).header("range", "bytes=1-2").send().expect(206);
        assert_expires(&part, 3, "a%20rule%2F1");
    }
    bucket.request(Method::DELETE).raw_query("lifecycle").send().expect(204);
    assert_eq!(bucket.get("tmp/put").ok().header("x-amz-expiration"), None);
}

#[test]
fn only_what_a_rule_is_about_expires() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let date = "<Expiration><Date>2040-02-01T00:00:00Z</Date></Expiration>";
    let tag = "<Filter><Tag><Key>k</Key><Value>v w</Value></Tag></Filter>";
    let rules = [
        rule("tag", &format!("{tag}{date}")),
        rule(
            "size",
            &format!("<Filter><ObjectSizeGreaterThan>10</ObjectSizeGreaterThan></Filter>{}", expire(1)),
        ),
        rule(
            "marker",
            "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        ),
        rule(
            "older",
            "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
        ),
        format!("<Rule><ID>off</ID><Status>Disabled</Status><Filter/>{}</Rule>", expire(1)),
    ];
    set_rules(&bucket, &rules.concat());
    let dated = "expiry-date=\"Wed, 01 Feb 2040 00:00:00 GMT\", rule-id=\"tag\"";
    let put = bucket.put("tagged", "small").header("x-amz-tagging", "k=v%20w").ok();
    assert_eq!(put.get("x-amz-expiration"), dated);
    assert_eq!(bucket.head("tagged").ok().get("x-amz-expiration"), dated);
    let copied = bucket.copy(&format!("/{}/tagged", bucket.name), "copy").ok();
    assert_eq!(copied.get("x-amz-expiration"), dated, "tags are copied");
    let first = bucket.put("plain", "0123456789").ok();
    assert_eq!(first.header("x-amz-expiration"), None);
    let first = first.version_id();
    assert_expires(&bucket.put("plain", "0123456789+").ok(), 1, "size");
    assert_expires(&bucket.get("plain").ok(), 1, "size");
    let large = bucket.put("old", "0123456789+").ok().version_id();
    bucket.put("old", "small").ok();
    for (key, version) in [("plain", &first), ("old", &large)] {
        let old = bucket.get(key).query("versionId", version).ok();
        assert_eq!(old.header("x-amz-expiration"), None, "an older version of {key}");
    }
    // A tag that is set later counts from then on.
    let tagging = "<Tagging><TagSet><Tag><Key>k</Key><Value>v w</Value></Tag></TagSet></Tagging>";
    bucket.object(Method::PUT, "old").raw_query("tagging").body(tagging).ok();
    assert_eq!(bucket.head("old").ok().get("x-amz-expiration"), dated);
    let upload =
        bucket.upload_with("parts", bucket.create_upload("parts").header("x-amz-tagging", "k=v%20w"));
    let part = upload.put(1, "small");
    assert_eq!(upload.complete(&[(1, &part)]).ok().get("x-amz-expiration"), dated);
}

#[test]
fn answers_say_when_an_upload_is_aborted() {
    let server = Server::start();
    let bucket = server.bucket();
    let abort = |days: u32| {
        format!(
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>{days}</DaysAfterInitiation>\
             </AbortIncompleteMultipartUpload>"
        )
    };
    let rules = [
        rule("open", &format!("<Filter><Prefix>tmp/</Prefix></Filter>{}", abort(2))),
        rule("longer", &format!("<Filter><Prefix>tmp/</Prefix></Filter>{}{}", abort(5), expire(9))),
    ];
    let none = bucket.create_upload("tmp/a").ok();
    assert_eq!(none.header("x-amz-abort-date"), None, "there are no rules");
    set_rules(&bucket, &rules.concat());
    let created = bucket.create_upload("tmp/b").ok();
    assert!(ends(&created, 2).iter().any(|date| date == created.get("x-amz-abort-date")));
    assert_eq!(created.get("x-amz-abort-rule-id"), "open");
    let upload = bucket.upload("tmp/c");
    let listed = upload.list().ok();
    assert!(ends(&listed, 2).iter().any(|date| date == listed.get("x-amz-abort-date")));
    assert_eq!(listed.get("x-amz-abort-rule-id"), "open");
    assert_eq!(upload.part(1, "content").ok().header("x-amz-abort-date"), None, "S3 does not say it here");
    let other = bucket.create_upload("other").ok();
    assert_eq!((other.header("x-amz-abort-date"), other.header("x-amz-abort-rule-id")), (None, None));
    assert_eq!(bucket.upload("other").list().ok().header("x-amz-abort-date"), None);
}
