//! ListObjects, ListObjectsV2 and ListObjectVersions against the definition, at random: keys of the pieces that listings
//! get wrong, any prefix, delimiter, position, page size and encoding, and on from page to page.
//!
//! A server is asked, and two gateways of a cluster whose metadata is in Postgres, each page and each write by the other one than before.
//! `ASHLAR_LISTING_CASES` says how many pages are compared; `tests/listing/run` compares a million.

use std::collections::BTreeMap;

use harness::{Bucket, Client, Cluster, Database, Element, Request, Response, Server, md5_hex};

use crate::support::race;

/// Pages that are compared when nobody says otherwise.
const CASES: usize = 6_000;

/// The same of a cluster.
const CASES_OF_CLUSTER: usize = 2_000;

/// As many buckets are listed at once, each with keys of its own.
const THREADS: usize = 4;

/// Pages that are compared before a bucket is filled anew.
const CASES_OF_A_BUCKET: usize = 1_000;

const DELIMITERS: [&str; 9] = ["/", "/", "//", "a", "é", "😀", "/a", "%2F", "."];

/// Generates numbers that a seed determines (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
struct Generator(u64);

impl Generator {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("below a usize")
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A text of the pieces that listings get wrong; `plain` leaves out those that XML cannot hold.
    fn text(&mut self, pieces_max: usize, plain: bool) -> String {
        const PLAIN: [&str; 14] =
            ["a", "b", "/", "/", "//", ".", "..", "-", "+", "&", "%2F", "é", "😀", "\u{7f}"];
        const WILD: [&str; 4] = ["\0", "\n", "\u{1f}", "\u{10ffff}"];
        let pieces = if plain { PLAIN.len() } else { PLAIN.len() + WILD.len() };
        let piece = |number: usize| *PLAIN.get(number).unwrap_or_else(|| &WILD[number - PLAIN.len()]);
        (0..self.below(pieces_max + 1)).map(|_| piece(self.below(pieces))).collect()
    }
}

/// A version as listings show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Version {
    /// Empty where a listing does not show it.
    id: String,
    is_marker: bool,
    /// Empty of a delete marker, as is the size.
    etag: String,
    size: String,
}

impl Version {
    fn of(answer: &Response, content: Option<&str>) -> Self {
        Self {
            id: answer.header("x-amz-version-id").unwrap_or("null").to_owned(),
            is_marker: content.is_none(),
            etag: content.map(|content| format!("\"{}\"", md5_hex(content.as_bytes()))).unwrap_or_default(),
            size: content.map(|content| content.len().to_string()).unwrap_or_default(),
        }
    }

    /// As a listing of objects shows it.
    fn without_id(&self) -> Self {
        Self { id: String::new(), ..self.clone() }
    }
}

/// A bucket and what is in it: the versions of each key, the newest first.
struct Model {
    /// As each gateway has it.
    buckets: Vec<Bucket>,
    keys: BTreeMap<String, Vec<Version>>,
    /// Every key can stand in XML as it is.
    plain: bool,
}

/// An entry of a page: a key with a version's id, or a common prefix without.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    text: String,
    version: Option<Version>,
    /// Whether it is shown as the latest one of its key; a listing of objects shows no other.
    is_latest: bool,
}

/// One page to ask for.
#[derive(Debug, Clone, Default)]
struct Page {
    prefix: String,
    delimiter: Option<String>,
    /// What the entries come after; of versions, with the id of the last one.
    after: Option<(String, Option<String>)>,
    /// What the answer before gave to stand for the position: a token, or of versions the id to go on from.
    token: Option<String>,
    limit: usize,
    encoded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    V1,
    V2,
    Versions,
}

/// Fills a bucket with keys that share prefixes, some of them deleted again: at first without versions in a third of the cases, then in
/// one to three versions each time that versioning is enabled, and in the null version while it is suspended.
fn fill(gateways: &[&Client], generator: &mut Generator, plain: bool) -> Model {
    let bucket = gateways[0].bucket();
    let buckets = gateways.iter().map(|gateway| bucket.through(gateway)).collect();
    let mut model = Model { buckets, keys: BTreeMap::new(), plain };
    const STATES: [&[Option<&str>]; 3] = [
        &[Some("Enabled")],
        &[None, Some("Enabled"), Some("Suspended")],
        &[Some("Enabled"), Some("Suspended"), Some("Enabled")],
    ];
    let states = *generator.choose(&STATES);
    // What versioning changes is seen where keys come again.
    let names: Vec<String> = (0..60 + generator.below(40)).map(|_| generator.text(6, plain)).collect();
    for state in states {
        if let Some(state) = state {
            model.buckets[0].set_versioning(state);
        }
        for _ in 0..(40 + generator.below(60)) / states.len() {
            let key = generator.choose(&names).clone();
            for turn in 0..=generator.below(3) {
                let by = turn % model.buckets.len();
                write(&mut model, generator, (*state, by), &key);
            }
        }
    }
    model
}

/// Puts or deletes a key in this state of its bucket, by one of the gateways.
fn write(model: &mut Model, generator: &mut Generator, (state, by): (Option<&str>, usize), key: &str) {
    if key.is_empty() {
        return;
    }
    let content = (!generator.one_in(3)).then(|| format!("{key}{}", generator.below(100)));
    let answer = match &content {
        Some(content) => model.buckets[by].put(key, content).ok(),
        None => model.buckets[by].delete(key).send().expect(204),
    };
    let versions = model.keys.entry(key.to_owned()).or_default();
    if state != Some("Enabled") {
        versions.retain(|version| version.id != "null");
    }
    // Without versions nothing is left where something was deleted.
    if state.is_some() || content.is_some() {
        versions.insert(0, Version::of(&answer, content.as_deref()));
    }
    if versions.is_empty() {
        model.keys.remove(key);
    }
}

/// What is shown by the definition: each key under the prefix is an entry or is hidden behind one, entries are in the
/// order of their bytes, and a position inside a common prefix is behind it.
fn expected(model: &Model, kind: Kind, page: &Page) -> Vec<Entry> {
    let (after, after_id) = match &page.after {
        None => (None, None),
        Some((text, id)) => (Some(text.as_str()), id.as_deref()),
    };
    let mut entries = Vec::new();
    for (key, versions) in &model.keys {
        let Some(rest) = key.strip_prefix(&page.prefix) else { continue };
        if kind != Kind::Versions && versions[0].is_marker {
            continue;
        }
        let is_after = after.is_none_or(|after| key.as_str() > after);
        if let Some(delimiter) = page.delimiter.as_deref()
            && let Some((head, _)) = rest.split_once(delimiter)
        {
            let text = format!("{}{head}{delimiter}", page.prefix);
            if after.is_none_or(|after| text.as_str() > after) {
                entries.push(Entry { text, version: None, is_latest: true });
            }
            continue;
        }
        if kind != Kind::Versions {
            let version = Some(versions[0].without_id());
            entries.extend(is_after.then(|| Entry { text: key.clone(), version, is_latest: true }));
            continue;
        }
        let seen = match after_id {
            Some(id) if after == Some(key) => versions.iter().position(|version| version.id == id),
            _ => None,
        };
        let from = if is_after { 0 } else { seen.map_or(versions.len(), |at| at + 1) };
        for (at, version) in versions.iter().enumerate().skip(from) {
            entries.push(Entry { text: key.clone(), version: Some(version.clone()), is_latest: at == 0 });
        }
    }
    entries.dedup();
    entries
}

fn request(bucket: &Bucket, kind: Kind, page: &Page) -> Request {
    let mut request = match kind {
        Kind::V1 => bucket.list_v1(),
        Kind::V2 => bucket.list(),
        Kind::Versions => bucket.list_versions(),
    };
    request = request.query("max-keys", page.limit);
    if !page.prefix.is_empty() {
        request = request.query("prefix", &page.prefix);
    }
    if let Some(delimiter) = &page.delimiter {
        request = request.query("delimiter", delimiter);
    }
    if page.encoded {
        request = request.query("encoding-type", "url");
    }
    match (kind, &page.token, &page.after) {
        (Kind::Versions, Some(id), Some((text, _))) => {
            request.query("key-marker", text).query("version-id-marker", id)
        }
        (_, Some(token), _) => request.query("continuation-token", token),
        (_, None, None) => request,
        (Kind::V1, _, Some((text, _))) => request.query("marker", text),
        (Kind::V2, _, Some((text, _))) => request.query("start-after", text),
        (Kind::Versions, _, Some((text, None))) => request.query("key-marker", text),
        (Kind::Versions, _, Some((text, Some(id)))) => {
            request.query("key-marker", text).query("version-id-marker", id)
        }
    }
}

/// The entries of an answer in order; those of objects and of common prefixes stand apart there.
fn shown(answer: &Element, page: &Page) -> Vec<Entry> {
    let mut entries = Vec::new();
    for child in &answer.children {
        let (is_marker, is_prefix) = (child.name == "DeleteMarker", child.name == "CommonPrefixes");
        if !is_marker && !is_prefix && !["Contents", "Version"].contains(&child.name.as_str()) {
            continue;
        }
        let found = |name: &str| child.find(name).unwrap_or_default().to_owned();
        let version = Version { id: found("VersionId"), is_marker, etag: found("ETag"), size: found("Size") };
        entries.push(Entry {
            text: decoded(child.get(if is_prefix { "Prefix" } else { "Key" }), page),
            version: (!is_prefix).then_some(version),
            is_latest: child.find("IsLatest").is_none_or(|shown| shown == "true"),
        });
    }
    let (mut objects, prefixes): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.version.is_some());
    assert!(objects.is_sorted_by(|a, b| a.text <= b.text) && prefixes.is_sorted_by(|a, b| a.text < b.text));
    objects.extend(prefixes);
    // Versions of a key stay in the order in which they were shown.
    objects.sort_by(|a, b| a.text.cmp(&b.text));
    objects
}

fn decoded(text: &str, page: &Page) -> String {
    if !page.encoded {
        return text.to_owned();
    }
    assert!(text.is_ascii(), "{text} is not encoded");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        match (first, others) {
            (b'%', [high, low, others @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                rest = others;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).expect("a key is UTF-8")
}

/// Compares one page, and answers the next one if there is one and the answer says where it begins.
fn check(model: &Model, kind: Kind, page: &Page, answer: &Element) -> Option<Page> {
    let all = expected(model, kind, page);
    let wanted: Vec<Entry> = all.iter().take(page.limit).cloned().collect();
    let context = || format!("{kind:?} {page:?} of {:?}", model.keys);
    assert_eq!(shown(answer, page), wanted, "{}", context());
    // A page of none is whole, as S3 has it.
    let truncated = page.limit > 0 && all.len() > page.limit;
    assert_eq!(answer.get("IsTruncated"), truncated.to_string(), "{}", context());
    let next = |name: &str| answer.find(name).map(|text| decoded(text, page));
    let last = wanted.last().map(|entry| entry.text.clone());
    let mut following = Page { token: None, ..page.clone() };
    match kind {
        Kind::V1 => {
            let marker = next("NextMarker");
            let expected = last.clone().filter(|_| truncated && page.delimiter.is_some());
            assert_eq!(marker, expected, "{}", context());
            following.after = last.map(|text| (text, None));
        }
        Kind::V2 => {
            assert_eq!(answer.get("KeyCount"), wanted.len().to_string(), "{}", context());
            let token = answer.find("NextContinuationToken").map(str::to_owned);
            assert_eq!(token.is_some(), truncated, "{}", context());
            following.token = token;
            following.after = last.map(|text| (text, None));
        }
        Kind::Versions => {
            let id = wanted.last().and_then(|entry| entry.version.as_ref()).map(|version| version.id.clone());
            assert_eq!(next("NextKeyMarker"), last.clone().filter(|_| truncated), "{}", context());
            let marker = next("NextVersionIdMarker");
            if truncated && id.as_deref() == Some("null") {
                // By an id that no other version gets while the listing goes on.
                assert!(marker.as_ref().is_some_and(|marker| marker.len() == 32), "{}", context());
                following.token = marker;
            } else {
                assert_eq!(marker, id.clone().filter(|_| truncated), "{}", context());
            }
            following.after = last.map(|text| (text, id));
        }
    }
    truncated.then_some(following)
}

/// Some of a key, a whole one, or a text that has nothing to do with any.
fn part_of_key(model: &Model, generator: &mut Generator) -> String {
    let number = generator.below(model.keys.len());
    let mut text = model.keys.keys().nth(number).cloned().unwrap_or_default();
    match generator.below(4) {
        0 => text,
        1 => generator.text(3, model.plain),
        kind => {
            for _ in 0..generator.below(4) {
                text.pop();
            }
            if kind == 2 { text } else { text + &generator.text(2, model.plain) }
        }
    }
}

fn random_page(model: &Model, kind: Kind, generator: &mut Generator) -> Page {
    let after = if generator.one_in(2) { None } else { Some(part_of_key(model, generator)) };
    let after = after.filter(|text| !text.is_empty()).map(|text| {
        let versions = model.keys.get(&text).filter(|_| kind == Kind::Versions && generator.one_in(2));
        let id = versions.map(|versions| generator.choose(versions).id.clone());
        (text, id)
    });
    Page {
        prefix: if generator.one_in(3) { String::new() } else { part_of_key(model, generator) },
        delimiter: (!generator.one_in(4)).then(|| (*generator.choose(&DELIMITERS)).to_owned()),
        after,
        token: None,
        limit: *generator.choose(&[0, 1, 1, 2, 3, 7, 40, 1000]),
        encoded: !model.plain || generator.one_in(2),
    }
}

/// Compares as many pages with what the gateways answer, one after the other.
fn compare(gateways: &[&Client], cases_by_default: usize) {
    let cases = std::env::var("ASHLAR_LISTING_CASES").map(|cases| cases.parse().expect("a number of pages"));
    let cases = cases.unwrap_or(cases_by_default);
    race(THREADS, |thread| {
        let (mut compared, mut round) = (0, 0);
        while compared < cases.div_ceil(THREADS) {
            // What fails is found again by thread and round.
            let mut generator = Generator((thread * 1_000_000 + round) as u64);
            let model = fill(gateways, &mut generator, round % 2 == 0);
            let mut connections: Vec<_> = gateways.iter().map(|gateway| gateway.connect()).collect();
            let mut of_bucket = 0;
            while of_bucket < CASES_OF_A_BUCKET.min(cases.div_ceil(THREADS)) {
                let kind = *generator.choose(&[Kind::V1, Kind::V2, Kind::Versions]);
                let mut next = Some(random_page(&model, kind, &mut generator));
                while let Some(page) = next {
                    let by = of_bucket % gateways.len();
                    let prepared = request(&model.buckets[by], kind, &page).keep_alive().prepare();
                    let answer = prepared.send_over(&mut connections[by]).expect(200).xml();
                    next = check(&model, kind, &page, &answer);
                    of_bucket += 1;
                }
            }
            compared += of_bucket;
            round += 1;
            if cases > CASES && round % 25 == 0 {
                println!("thread {thread}: {compared} pages are as they should be");
            }
        }
    });
}

#[test]
fn random_pages_are_what_the_definition_says() {
    compare(&[Server::start().client()], CASES);
}

#[test]
fn random_pages_by_two_gateways_on_postgres_are_what_the_definition_says() {
    let cluster = Cluster::start_with_disks_on(Database::Postgres, 2);
    compare(&[cluster.gateway(0), cluster.gateway(1)], CASES_OF_CLUSTER);
}
