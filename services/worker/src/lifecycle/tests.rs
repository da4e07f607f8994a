use std::time::Duration;

use metadata_api::{ObjectSummary, VersionSummary};
use s3_wire::{lifecycle::LifecycleRule, xml::parse_lifecycle};
use types::{ETag, ObjectKey, Sequence, StorageClassName, Timestamp, VersionId};

use super::{clock::Days, common_prefix, due::Due};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn rules(rules: &[&str]) -> Vec<LifecycleRule> {
    let rules: String =
        rules.iter().map(|rule| format!("<Rule><Status>Enabled</Status>{rule}</Rule>")).collect();
    let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    parse_lifecycle(document.as_bytes(), |place| place.to_string()).expect("good rules")
}

/// A version of `size` bytes, or a delete marker, made at midnight of a day.
fn version(key: &str, sequence: i64, day: i64, size: Option<u64>) -> VersionSummary {
    let (key, last_modified) = (ObjectKey::new(key.as_bytes().to_vec()).unwrap(), Timestamp(day * DAY));
    let object = size.map(|size| ObjectSummary {
        key: key.clone(),
        last_modified,
        etag: ETag { digest: [sequence as u8; 16], parts: None },
        size,
        storage_class: StorageClassName::standard(),
        checksum: None,
        restore: None,
        owner: None,
    });
    let version_id = VersionId::Numbered { sequence: Sequence(sequence), nonce: 7 };
    VersionSummary { key, version_id, is_latest: false, last_modified, object, marker_owner: None }
}

/// What has expired on a day: `key` for a key that is deleted, `key@n` for a version, with `?` when tags decide.
fn expired(rules: &[LifecycleRule], day: i64, versions: &[VersionSummary]) -> Vec<String> {
    let mut due = Due::new(rules, Days::new(Duration::from_millis(DAY as u64), day * DAY));
    let mut expiries: Vec<_> = versions.iter().flat_map(|version| due.next(version.clone())).collect();
    expiries.extend(due.end());
    let text = |expiry: &super::due::Expiry| {
        let VersionId::Numbered { sequence, .. } = expiry.version_id else { panic!("a numbered version") };
        let key = expiry.entry.key.as_str();
        let doubt = if expiry.wanted_tags.is_empty() { "" } else { "?" };
        match expiry.entry.version_id {
            Some(_) => format!("{key}@{}{doubt}", sequence.0),
            None => format!("{key}{doubt}"),
        }
    };
    expiries.iter().map(text).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn current_versions_expire_by_age_or_date() {
    let objects = [version("a", 1, 10, Some(5)), version("b", 2, 11, Some(5)), version("c", 3, 12, None)];
    let days = rules(&["<Filter/><Expiration><Days>3</Days></Expiration>"]);
    assert_eq!(expired(&days, 12, &objects), NONE);
    assert_eq!(expired(&days, 13, &objects), ["a"]);
    assert_eq!(expired(&days, 14, &objects), ["a", "b"]);
    let date = rules(&["<Filter/><Expiration><Date>1970-01-21T00:00:00Z</Date></Expiration>"]);
    assert_eq!(expired(&date, 19, &objects), NONE);
    assert_eq!(expired(&date, 20, &objects), ["a", "b", "c@3"]);
}

#[test]
fn filters_say_what_a_rule_is_about() {
    let objects =
        [version("logs/a", 1, 0, Some(5)), version("logs/b", 2, 0, Some(50)), version("x", 3, 0, Some(500))];
    let expiry = "<Expiration><Days>1</Days></Expiration>";
    for (filter, expected) in [
        ("<Filter><Prefix>logs/</Prefix></Filter>", vec!["logs/a", "logs/b"]),
        ("<Prefix>logs/b</Prefix>", vec!["logs/b"]),
        ("<Filter><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></Filter>", vec!["logs/b", "x"]),
        ("<Filter><ObjectSizeLessThan>50</ObjectSizeLessThan></Filter>", vec!["logs/a"]),
        (
            "<Filter><And><Prefix>logs/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>",
            vec!["logs/b"],
        ),
        ("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", vec!["logs/a?", "logs/b?", "x?"]),
    ] {
        assert_eq!(expired(&rules(&[&format!("{filter}{expiry}")]), 1, &objects), expected, "{filter}");
    }
    // A rule that asks for no tags decides alone.
    let both = rules(&[
        &format!("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>{expiry}"),
        &format!("<Filter><Prefix>x</Prefix></Filter>{expiry}"),
    ]);
    assert_eq!(expired(&both, 1, &objects), ["logs/a?", "logs/b?", "x"]);
}

#[test]
fn older_versions_expire_by_the_time_since_they_were_replaced() {
    let versions = [
        version("k", 5, 40, Some(1)),
        version("k", 4, 30, Some(1)),
        version("k", 3, 20, None),
        version("k", 2, 10, Some(1)),
        version("k", 1, 0, Some(1)),
        version("l", 6, 0, Some(1)),
    ];
    let noncurrent = |inner: &str| {
        rules(&[&format!("<Filter/><NoncurrentVersionExpiration>{inner}</NoncurrentVersionExpiration>")])
    };
    let ten = noncurrent("<NoncurrentDays>10</NoncurrentDays>");
    assert_eq!(expired(&ten, 19, &versions), NONE);
    assert_eq!(expired(&ten, 30, &versions), ["k@2", "k@1"]);
    assert_eq!(expired(&ten, 50, &versions), ["k@4", "k@3", "k@2", "k@1"]);
    let two = "<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions>";
    assert_eq!(expired(&noncurrent(two), 99, &versions), ["k@2", "k@1"]);
}

#[test]
fn a_delete_marker_expires_when_nothing_is_below_it() {
    let versions = [
        version("a", 1, 9, None),
        version("b", 3, 9, None),
        version("b", 2, 8, Some(1)),
        version("c", 5, 9, None),
        version("c", 4, 8, None),
        version("d", 6, 9, None),
    ];
    let markers = rules(&[
        "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
    ]);
    assert_eq!(expired(&markers, 9, &versions), ["a@1", "d@6"]);
    let days = rules(&["<Filter><Prefix>a</Prefix></Filter><Expiration><Days>2</Days></Expiration>"]);
    assert_eq!(expired(&days, 10, &versions), NONE);
    assert_eq!(expired(&days, 11, &versions), ["a@1"]);
}

#[test]
fn only_what_a_rule_may_be_about_is_listed() {
    let of = |prefixes: &[&str]| {
        let rule =
            |prefix: &&str| format!("<Prefix>{prefix}</Prefix><Expiration><Days>1</Days></Expiration>");
        let texts: Vec<String> = prefixes.iter().map(rule).collect();
        common_prefix(&rules(&texts.iter().map(String::as_str).collect::<Vec<_>>())).as_str().to_owned()
    };
    assert_eq!(of(&["logs/"]), "logs/");
    assert_eq!(of(&["logs/a", "logs/b"]), "logs/");
    assert_eq!(of(&["é1", "è1"]), "");
    assert_eq!(of(&["logs/", ""]), "");
    assert_eq!(of(&["a", "abc", "ab"]), "a");
}
