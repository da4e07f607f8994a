//! Data that several tests use.

use std::{
    collections::BTreeSet,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use harness::{Bucket, Response};

/// Keys that a store which takes keys for paths, or for text to be cleaned up, would mix up or lose.
pub const ODD_KEYS: &[&str] = &[
    "a",
    "a/",
    "a//b",
    "a/b",
    "a/../b",
    "./a",
    "../a",
    "../../../../etc/passwd",
    "/a",
    "//",
    "a b",
    " a",
    "a ",
    "a+b",
    "a%2Fb",
    "a%b",
    "a?b",
    "a#b",
    "a&b=c",
    "a;b",
    "a\\b",
    "a'b\"c<d>e",
    "a\nb",
    "a\tb",
    ".",
    "..",
    "null",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{1f600}",
    "\u{ff5e}",
    "\u{10000}",
    "A",
];

/// Five MiB, which every part but the last must have.
pub const PART_SIZE_MIN: usize = 5 << 20;

/// Does the same from several threads that begin at once, and gives the answers in the order of the threads.
pub fn race<T: Send>(threads: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    let (barrier, act) = (&barrier, &act);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    barrier.wait();
                    act(number)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a racer does not panic")).collect()
    })
}

/// Ends those who go on until this is set also when whoever is to set it panics, so that a race ends and says so.
pub struct EndsOthers<'a>(pub &'a AtomicBool);

impl Drop for EndsOthers<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// How many answers have this status.
pub fn count(answers: &[Response], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// The object has exactly this content.
#[track_caller]
pub fn assert_content(bucket: &Bucket, key: &str, content: &[u8]) {
    assert_same(&bucket.get(key).ok().body, content);
}

/// The same bytes; on failure says where they part rather than showing them all.
#[track_caller]
pub fn assert_same(found: &[u8], expected: &[u8]) {
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    let equal = at.is_none() && found.len() == expected.len();
    assert!(equal, "{} bytes where {} are expected, first difference at {at:?}", found.len(), expected.len());
}

/// There is no such object.
#[track_caller]
pub fn assert_absent(bucket: &Bucket, key: &str) {
    bucket.get(key).refused(404, "NoSuchKey");
}

/// The document of a DeleteObjects of these keys.
pub fn delete_document(keys: &[&str]) -> String {
    let objects: String =
        keys.iter().map(|key| format!("<Object><Key>{}</Key></Object>", escape(key))).collect();
    format!("<Delete>{objects}</Delete>")
}

/// Text for use in XML.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            control if control < ' ' => out.push_str(&format!("&#{};", control as u32)),
            other => out.push(other),
        }
    }
    out
}

/// What a listing of these keys has to show: keys and common prefixes greater than `after`, each in byte order.
pub fn list_by_hand(keys: &[&str], prefix: &str, delimiter: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let (mut shown, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for key in keys {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => prefixes.insert(key[..prefix.len() + at + delimiter.len()].to_owned()),
            None => shown.insert((*key).to_owned()),
        };
    }
    let later = |texts: BTreeSet<String>| texts.into_iter().filter(|text| text.as_str() > after).collect();
    (later(shown), later(prefixes))
}

/// The document of PutBucketTagging and PutObjectTagging.
pub fn tagging_document(tags: &[(&str, &str)]) -> String {
    let tags: String = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")
}
