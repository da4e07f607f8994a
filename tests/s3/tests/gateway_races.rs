//! Writes that race and listings that go on, by two gateways that know of each other by the metadata service alone.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use harness::{Bucket, Cluster, Element, Request, Response, Upload, content};
use http::Method;

use crate::{
    conditional_writes::WRITES,
    support::{EndsOthers, assert_absent, assert_content, count, race},
};

/// Makes tests of what is to hold of two gateways, with the metadata in either kind of database.
macro_rules! by_two_gateways {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $name() {
                super::$name(&harness::Cluster::start_with_disks_on(harness::Database::Sqlite, 2));
            })+
        }

        mod on_postgres {
            $(#[test]
            fn $name() {
                super::$name(&harness::Cluster::start_with_disks_on(harness::Database::Postgres, 2));
            })+
        }
    };
}

by_two_gateways! {
    one_of_many_racers_by_two_gateways_creates_the_key,
    one_of_many_racers_by_two_gateways_replaces_what_all_have_seen,
    uploads_that_end_by_two_gateways_have_one_outcome,
    a_part_that_is_replaced_while_its_upload_ends_is_in_no_object_that_did_not_name_it,
    what_one_gateway_did_is_seen_by_the_other_at_once,
    walks_by_two_gateways_are_exact_under_concurrent_writes,
    a_put_and_a_completion_are_both_there_or_one_of_them,
}

/// As many bytes as are on disks, not in a row.
const LONG: usize = 300_000;

/// Rounds of a race after which both outcomes must have been seen.
const MANY_ROUNDS: usize = 480;

/// A new bucket as each gateway has it.
fn by_each(cluster: &Cluster) -> [Bucket; 2] {
    let bucket = cluster.gateway(0).bucket();
    let other = bucket.through(cluster.gateway(1));
    [bucket, other]
}

/// What racer `number` writes.
fn written(number: usize, round: usize) -> String {
    let content = format!("{number} of {round};");
    if round % 4 == 3 { content.repeat(LONG / content.len()) } else { content }
}

/// One racer was served and all others were told that their condition does not hold; answers who was.
#[track_caller]
fn the_winner(answers: &[Response]) -> usize {
    assert_eq!((count(answers, 200), count(answers, 412)), (1, answers.len() - 1), "{answers:?}");
    answers.iter().position(|answer| answer.status == 200).expect("one of them")
}

fn one_of_many_racers_by_two_gateways_creates_the_key(cluster: &Cluster) {
    for (name, write) in WRITES {
        let buckets = by_each(cluster);
        buckets[0].set_versioning("Enabled");
        for round in 0..if name == "PutObject" { 24 } else { 8 } {
            let key = format!("key {round}");
            let prepare = |number: usize| {
                let write = write(&buckets[number % 2], &key, &written(number, round));
                write.header("if-none-match", "*").prepare()
            };
            let prepared: Vec<_> = (0..10).map(prepare).collect();
            let winner = the_winner(&race(10, |number| prepared[number].send()));
            for bucket in &buckets {
                assert_content(bucket, &key, written(winner, round).as_bytes());
                let versions = bucket.list_versions().query("prefix", &key).ok().xml();
                let of_key = versions.all("Version/Key").into_iter().filter(|found| *found == key).count();
                assert_eq!(of_key, 1, "{name}");
            }
        }
    }
}

/// Compare and swap: of those who saw the same object, by whichever gateway, one replaces or deletes it.
fn one_of_many_racers_by_two_gateways_replaces_what_all_have_seen(cluster: &Cluster) {
    for (_, write) in WRITES {
        let buckets = by_each(cluster);
        let mut etag = buckets[0].put("key", "the first").ok().etag().to_owned();
        for round in 0..8 {
            let prepare = |number: usize| {
                let write = write(&buckets[number % 2], "key", &written(number, round));
                write.header("if-match", &etag).prepare()
            };
            let prepared: Vec<_> = (0..10).map(prepare).collect();
            let winner = the_winner(&race(10, |number| prepared[number].send()));
            let seen = buckets.each_ref().map(|bucket| bucket.get("key").ok());
            for read in &seen {
                assert_eq!(read.body, written(winner, round).as_bytes());
            }
            etag = seen[0].etag().to_owned();
        }
        // One who deletes among them: either is told that it is gone, or nobody but one is served.
        for round in 0..8 {
            let answers = race(2, |number| match (number + round) % 2 {
                0 => buckets[number].delete("key").header("if-match", &etag).send(),
                _ => buckets[number].put("key", "new").header("if-match", &etag).send(),
            });
            let of = |kind: usize| &answers[(kind + round) % 2];
            match (of(0).status, of(1).status) {
                (204, 404) => buckets.iter().for_each(|bucket| assert_absent(bucket, "key")),
                (412, 200) => buckets.iter().for_each(|bucket| assert_content(bucket, "key", b"new")),
                _ => panic!("{answers:?}"),
            }
            etag = buckets[0].put("key", format!("{round}")).ok().etag().to_owned();
        }
    }
}

fn uploads_that_end_by_two_gateways_have_one_outcome(cluster: &Cluster) {
    let buckets = by_each(cluster);
    buckets[0].set_versioning("Enabled");
    for round in 0..12 {
        let key = format!("{round}");
        let content = written(0, round);
        let upload = buckets[round % 2].upload(&key);
        let uploads = buckets.each_ref().map(|bucket| Upload { bucket: bucket.clone(), ..upload.clone() });
        let etag = uploads[0].put(1, &content);
        assert_eq!(uploads[1].parts().all("Part/ETag"), [etag.as_str()]);
        let is_abort = round % 3 == 2;
        let answers = race(4, |number| match number {
            0 if is_abort => uploads[1].abort().send(),
            _ => uploads[number % 2].complete(&[(1, &etag)]).send(),
        });
        let expected = match answers[0].status {
            204 => [204, 404, 404, 404],
            404 if is_abort => [404, 200, 200, 200],
            _ => [200; 4],
        };
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), expected, "{answers:?}");
        let made: BTreeSet<_> =
            answers.iter().filter(|answer| answer.status == 200).map(Response::version_id).collect();
        assert_eq!(made.len(), usize::from(expected[1] == 200), "one version: {made:?}");
        for (bucket, upload) in buckets.iter().zip(&uploads) {
            match made.first() {
                Some(_) => assert_content(bucket, &key, content.as_bytes()),
                None => assert_absent(bucket, &key),
            }
            upload.list().refused(404, "NoSuchUpload");
        }
    }
}

/// Without a condition both are versions, whole and in the order of their commits; where the key must not be there one of them is refused, and
/// an upload that was refused is open still.
fn a_put_and_a_completion_are_both_there_or_one_of_them(cluster: &Cluster) {
    for condition in [None, Some("*")] {
        let buckets = by_each(cluster);
        buckets[0].set_versioning("Enabled");
        let mut winners = BTreeSet::new();
        for round in 0..24 {
            let key = format!("{round}");
            let (put, uploaded) = (written(0, round), written(1, round));
            let upload = buckets[1].upload(&key);
            let etag = upload.put(1, &uploaded);
            let with = |request: Request| match condition {
                Some(value) => request.header("if-none-match", value).prepare(),
                None => request.prepare(),
            };
            let prepared = [with(buckets[0].put(&key, &put)), with(upload.complete(&[(1, &etag)]))];
            let answers = race(2, |number| prepared[(number + round) % 2].send());
            let of = |kind: usize| &answers[(kind + round) % 2];
            let versions = buckets[0].list_versions().ok().xml();
            let ids: Vec<String> = versions
                .elements("Version")
                .into_iter()
                .filter(|version| version.get("Key") == key)
                .map(|version| version.get("VersionId").to_owned())
                .collect();
            let both = [(of(0), &put), (of(1), &uploaded)];
            let served: Vec<_> = both.iter().filter(|(answer, _)| answer.status == 200).collect();
            assert_eq!(served.len(), if condition.is_some() { 1 } else { 2 }, "{answers:?}");
            assert_eq!(ids.len(), served.len(), "{ids:?}");
            for (answer, content) in &served {
                let id = answer.version_id();
                assert!(ids.contains(&id), "{ids:?}");
                for bucket in &buckets {
                    let read = bucket.get(&key).query("versionId", &id).ok();
                    assert_eq!(read.body, content.as_bytes());
                }
            }
            assert_eq!(buckets[1].head(&key).ok().version_id(), ids[0]);
            let of_put = of(0).header("x-amz-version-id");
            winners.insert(of_put == Some(ids[0].as_str()));
            if condition.is_some() {
                let refused = both.iter().find(|(answer, _)| answer.status != 200).expect("one of them");
                assert_eq!(refused.0.status, 412, "{answers:?}");
                match of(1).status {
                    200 => drop(upload.list().refused(404, "NoSuchUpload")),
                    _ => assert_eq!(upload.parts().all("Part/ETag"), [etag.as_str()]),
                }
            }
        }
        assert_eq!(winners.len(), 2, "whoever begins first always wins");
    }
}

/// A part that is replaced, by bytes or by a copy, while its upload ends: it is completed with what its completion named or not at all.
fn a_part_that_is_replaced_while_its_upload_ends_is_in_no_object_that_did_not_name_it(cluster: &Cluster) {
    let buckets = by_each(cluster);
    let source = content(LONG, 2);
    buckets[0].put("source", &source).ok();
    let mut seen = BTreeSet::new();
    // On a machine that is busy one of them may win many times.
    for round in 0..MANY_ROUNDS {
        if round >= 24 && seen.len() > 1 {
            break;
        }
        let key = format!("{round}");
        let named = content(LONG, 1);
        let upload = buckets[round % 2].upload(&key);
        let uploads = buckets.each_ref().map(|bucket| Upload { bucket: bucket.clone(), ..upload.clone() });
        let etag = uploads[0].put(1, &named);
        let copied = format!("/{}/source", buckets[0].name);
        let answers = race(4, |number| match (number + round) % 4 {
            0 => uploads[0].complete(&[(1, &etag)]).send(),
            1 => {
                // A completion reads the upload before it commits, which an abort alone would be ahead of.
                if round % 2 == 0 {
                    uploads[1].list().send();
                }
                uploads[1].abort().send()
            }
            2 => uploads[0].part(1, content(LONG, 3)).send(),
            _ => uploads[1].copy(1, &copied).send(),
        });
        let of = |kind: usize| answers[(4 + kind - round % 4) % 4].status;
        match (of(0), of(1)) {
            (200, 404) => buckets.iter().for_each(|bucket| assert_content(bucket, &key, &named)),
            (400 | 404, 204) => buckets.iter().for_each(|bucket| assert_absent(bucket, &key)),
            _ => panic!("{answers:?}"),
        }
        for kind in [2, 3] {
            assert!([200, 404].contains(&of(kind)), "{answers:?}");
        }
        uploads.iter().for_each(|upload| drop(upload.list().refused(404, "NoSuchUpload")));
        seen.insert((of(0), of(1)));
    }
    assert!(seen.len() > 1, "whoever begins first always wins: {seen:?}");
}

/// What one gateway has answered the other knows: of an object, and in every listing.
fn what_one_gateway_did_is_seen_by_the_other_at_once(cluster: &Cluster) {
    let buckets = by_each(cluster);
    for round in 0..40 {
        let (writer, reader) = (&buckets[round % 2], &buckets[(round + 1) % 2]);
        let content = written(0, round);
        let etag = writer.put("key", &content).ok().etag().to_owned();
        assert_eq!(reader.head("key").ok().etag(), etag);
        assert_content(reader, "key", content.as_bytes());
        for list in [reader.list(), reader.list_v1()] {
            assert_eq!(list.ok().xml().all("Contents/ETag"), [etag.as_str()]);
        }
        reader.delete("key").send().expect(204);
        assert_absent(writer, "key");
        assert!(writer.keys().is_empty());
        assert!(writer.list_versions().ok().xml().all("Version/Key").is_empty());
    }
}

/// A kind of listing, and how its pages go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    V1,
    V2,
    Versions,
}

/// An entry of a listing: a key, and of versions an id.
type Entry = (String, String);

/// Pages that are read for each round of a writer. However slow the machine is and whoever it favours, walks and writes go on side by
/// side, and what is written during a walk does not outgrow it.
const PAGES_PER_ROUND: usize = 2;

/// The entries of all pages, each page by the other gateway than the one before, and counted in `pages`.
fn walk(buckets: &[Bucket; 2], kind: Kind, page_size: usize, pages: &AtomicUsize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut go_on: Vec<(&str, String)> = Vec::new();
    for number in 0.. {
        let bucket = &buckets[number % 2];
        let list = match kind {
            Kind::V1 => bucket.list_v1(),
            Kind::V2 => bucket.list(),
            Kind::Versions => bucket.list_versions(),
        };
        let list = go_on.iter().fold(list, |list: Request, (name, value)| list.query(name, value));
        let page = list.query("max-keys", page_size).ok().xml();
        pages.fetch_add(1, Ordering::Relaxed);
        let before = entries.len();
        for child in &page.children {
            if let "Contents" | "Version" | "DeleteMarker" = child.name.as_str() {
                let id = child.find("VersionId").unwrap_or_default();
                entries.push((child.get("Key").to_owned(), id.to_owned()));
            }
        }
        if page.get("IsTruncated") == "false" {
            break;
        }
        assert_eq!(entries.len() - before, page_size, "a truncated page is full");
        go_on = next_of(kind, &page, &entries);
    }
    entries
}

fn next_of(kind: Kind, page: &Element, entries: &[Entry]) -> Vec<(&'static str, String)> {
    match kind {
        Kind::V1 => vec![("marker", entries.last().expect("the page is full").0.clone())],
        Kind::V2 => vec![("continuation-token", page.get("NextContinuationToken").to_owned())],
        Kind::Versions => vec![
            ("key-marker", page.get("NextKeyMarker").to_owned()),
            ("version-id-marker", page.get("NextVersionIdMarker").to_owned()),
        ],
    }
}

/// Comes and goes around keys that stay, and adds some that stay from then on, which `added` has when the gateway has said so. Keeps
/// pace with the pages that are read meanwhile.
fn write_around(
    bucket: &Bucket,
    writer: usize,
    (pages, done): (&AtomicUsize, &AtomicBool),
    added: &Mutex<BTreeSet<Entry>>,
) {
    for round in 0.. {
        while round > pages.load(Ordering::Relaxed) / PAGES_PER_ROUND && !done.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        let key = format!("{:02}/passing-{writer}", round % 30);
        bucket.put(&key, "passing").ok();
        if round % 5 == 0 {
            let key = format!("{:02}/added-{writer}-{round:04}", (round * 7) % 30);
            let answer = bucket.put(&key, "added").ok();
            let id = answer.header("x-amz-version-id").unwrap_or("null").to_owned();
            added.lock().expect("nobody panics").insert((key, id));
        }
        bucket.delete(&key).send().expect(204);
        if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Keys that are there all the time are in every walk, once and in their place, whoever writes around them and by whichever
/// gateway the pages are asked for; and so is what either gateway had stored when the walk began.
fn walks_by_two_gateways_are_exact_under_concurrent_writes(cluster: &Cluster) {
    for versioning in [None, Some("Enabled")] {
        let buckets = by_each(cluster);
        if let Some(status) = versioning {
            buckets[0].set_versioning(status);
        }
        let mut stable: Vec<Entry> = Vec::new();
        for number in 0..60 {
            let key = format!("{:02}/stable-{}", number / 2, number % 2);
            for _ in 0..if versioning.is_some() { 2 } else { 1 } {
                let answer = buckets[number % 2].put(&key, "stable").ok();
                let id = answer.header("x-amz-version-id").unwrap_or("null").to_owned();
                // The newest first.
                let at = stable.iter().position(|(other, _)| *other == key).unwrap_or(stable.len());
                stable.insert(at, (key.clone(), id));
            }
        }
        let (done, added) = (AtomicBool::new(false), Mutex::new(BTreeSet::new()));
        let (walkers, pages) = (AtomicBool::new(false), AtomicUsize::new(0));
        race(6, |number| {
            let _ends_others = EndsOthers(&done);
            if number < 4 {
                return write_around(&buckets[number % 2], number, (&pages, &done), &added);
            }
            for round in 0..9 {
                let kind = [Kind::V1, Kind::V2, Kind::Versions][(number + round) % 3];
                let there = added.lock().expect("nobody panics").clone();
                let entries = walk(&buckets, kind, 7 + 4 * (number - 4), &pages);
                check(kind, &entries, &stable, &there);
            }
            // The writers go on until both walkers are done.
            if walkers.swap(true, Ordering::Relaxed) {
                done.store(true, Ordering::Relaxed);
            }
        });
        assert!(!added.lock().expect("nobody panics").is_empty());
    }
}

#[track_caller]
fn check(kind: Kind, entries: &[Entry], stable: &[Entry], there: &BTreeSet<Entry>) {
    let is_in_order =
        |a: &Entry, b: &Entry| a.0 < b.0 || (kind == Kind::Versions && a.0 == b.0 && a.1 != b.1);
    assert!(entries.is_sorted_by(is_in_order), "{kind:?}: {entries:?}");
    let seen: Vec<Entry> = entries.iter().filter(|(key, _)| key.contains("/stable-")).cloned().collect();
    let mut wanted = stable.to_vec();
    if kind != Kind::Versions {
        wanted.iter_mut().for_each(|(_, id)| id.clear());
        wanted.dedup();
    }
    assert_eq!(seen, wanted, "{kind:?}");
    let all: BTreeSet<&Entry> = entries.iter().collect();
    assert_eq!(all.len(), entries.len(), "{kind:?} repeats an entry: {entries:?}");
    for (key, id) in there {
        let id = if kind == Kind::Versions { id.clone() } else { String::new() };
        assert!(all.contains(&(key.clone(), id)), "{kind:?} lacks {key}: {entries:?}");
    }
}

/// Of many who make the same bucket by two gateways all are its owner, and of those who delete it one does.
#[test]
fn buckets_are_made_and_deleted_once_by_two_gateways() {
    let cluster = Cluster::start(2);
    for round in 0..10 {
        let name = format!("raced-{round}");
        let buckets = [0, 1].map(|number| cluster.gateway(number).existing_bucket(&name));
        let made = race(8, |number| buckets[number % 2].request(Method::PUT).send());
        assert_eq!(count(&made, 200), 8, "{made:?}");
        let gone = race(8, |number| buckets[number % 2].request(Method::DELETE).send());
        assert_eq!((count(&gone, 204), count(&gone, 404)), (1, 7), "{gone:?}");
        buckets[round % 2].request(Method::HEAD).send().expect(404);
    }
}
