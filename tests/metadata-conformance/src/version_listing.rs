//! Listings of versions and delete markers.

use std::collections::BTreeMap;

use types::{BucketName, KeyPrefix, ObjectKey, Sequence, VersionId, Versioning};

use super::{
    listing::DELIMITERS,
    support::{
        Generator, Store, all_versions, bucket, delete, etag, key, list_versions, prefix, put,
        versioned_bucket, violation,
    },
};
use metadata_api::{ListVersions, VersionEntry, VersionPage, VersionPosition};

/// Versions of each key, newest first: the commit that made the version, its id, the tag of an object.
type Model = BTreeMap<ObjectKey, Vec<(i64, VersionId, Option<u64>)>>;

/// One entry of a page, in short.
#[derive(Debug, Clone, PartialEq)]
enum Shown {
    Version { key: ObjectKey, id: VersionId, is_latest: bool, tag: Option<types::ETag> },
    CommonPrefix(String),
}

fn shown(page: &VersionPage) -> Vec<Shown> {
    let entry = |entry: &VersionEntry| match entry {
        VersionEntry::CommonPrefix(prefix) => Shown::CommonPrefix(prefix.as_str().to_owned()),
        VersionEntry::Version(version) => Shown::Version {
            key: version.key.clone(),
            id: version.version_id,
            is_latest: version.is_latest,
            tag: version.object.as_ref().map(|object| object.etag),
        },
    };
    page.entries.iter().map(entry).collect()
}

/// What a listing shows by the definition: every version is an entry or hidden behind one; entries are ordered by
/// text, then newest first; those after the position are shown.
fn naive(model: &Model, request: &ListVersions) -> Vec<Shown> {
    let (after, older_than) = match &request.position {
        VersionPosition::Start => (None, None),
        VersionPosition::AfterKey(text) => (Some(text.as_str()), None),
        VersionPosition::AfterVersion(key, id) => (Some(key.as_str()), commit_of(model, key, *id)),
    };
    let mut entries = Vec::new();
    for (key, versions) in model {
        let Some(rest) = key.as_str().strip_prefix(request.prefix.as_str()) else { continue };
        let delimiter = request.delimiter.as_ref().map(KeyPrefix::as_str);
        if let Some((head, delimiter)) = delimiter.and_then(|d| rest.split_once(d).map(|(head, _)| (head, d)))
        {
            let text = format!("{}{head}{delimiter}", request.prefix.as_str());
            if after.is_none_or(|after| text.as_str() > after) {
                entries.push(Shown::CommonPrefix(text));
            }
            continue;
        }
        for (number, (commit, id, tag)) in versions.iter().enumerate() {
            let key_is_after = after.is_none_or(|after| key.as_str() > after);
            let version_is_after =
                after == Some(key.as_str()) && older_than.is_some_and(|than| *commit < than);
            if key_is_after || version_is_after {
                let tag = tag.map(etag);
                entries.push(Shown::Version { key: key.clone(), id: *id, is_latest: number == 0, tag });
            }
        }
    }
    entries.dedup();
    entries
}

/// The commit that made a version, as far as it can be told from its id when the version is gone.
fn commit_of(model: &Model, key: &ObjectKey, id: VersionId) -> Option<i64> {
    match id {
        VersionId::Numbered { sequence, .. } => Some(sequence.0),
        VersionId::Null => Some(model.get(key)?.iter().find(|(_, other, _)| *other == id)?.0),
    }
}

async fn check(store: &Store, request: &ListVersions, model: &Model) -> VersionPage {
    let expected = naive(model, request);
    let page = store.list_versions(request.clone()).await.expect("a listing of versions");
    let first = &expected[..expected.len().min(request.limit)];
    assert_eq!(shown(&page), first, "entries of {request:?}");
    assert_eq!(page.truncated, expected.len() > request.limit, "truncated, of {request:?}");
    page
}

/// By key, newest first within a key, markers and the null version among the others.
pub async fn versions_come_newest_first(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    store.set_versioning(&name, Versioning::Enabled).await.expect("enable");
    let second = put(store, &name, &k, 2).await.version_id;
    let third = put(store, &name, &k, 3).await.version_id;
    let marker = delete(store, &name, &k, None).await.version_id.unwrap_or(VersionId::Null);
    put(store, &name, &key("j"), 9).await;
    let all = all_versions(store, &name).await;
    assert_eq!(all[0].key, key("j"));
    let ids: Vec<_> = all[1..].iter().map(|version| version.version_id).collect();
    assert_eq!(ids, [marker, third, second, VersionId::Null]);
    let latest: Vec<_> = all.iter().map(|version| version.is_latest).collect();
    assert_eq!(latest, [true, true, false, false, false]);
    assert_eq!(all[1].object, None, "a delete marker has no object");
    let object = all[2].object.as_ref().unwrap_or_else(|| violation("a version that is an object shows it"));
    assert_eq!((&object.key, object.etag, object.size), (&k, etag(3), 1));
    assert_eq!(object.last_modified, all[2].last_modified);

    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
    put(store, &name, &k, 5).await;
    let ids: Vec<_> =
        all_versions(store, &name).await[1..].iter().map(|version| version.version_id).collect();
    assert_eq!(ids, [VersionId::Null, marker, third, second], "the null version is now the newest");
}

/// Pages that end between two versions of a key go on at the right one.
pub async fn a_listing_goes_on_inside_a_key(store: &Store) {
    let name = versioned_bucket(store).await;
    let mut model = Model::new();
    for tag in 0..4 {
        for text in ["a", "b", "b/c"] {
            let made = put(store, &name, &key(text), tag).await;
            model.entry(key(text)).or_default().insert(0, (made.sequence.0, made.version_id, Some(tag)));
        }
    }
    for delimiter in [None, Some(prefix("/"))] {
        for limit in 1..=13 {
            let mut request = ListVersions { limit, delimiter: delimiter.clone(), ..list_versions(&name) };
            let everything = naive(&model, &request);
            let mut seen = Vec::new();
            while seen.len() < everything.len() {
                let page = check(store, &request, &model).await;
                seen.extend(shown(&page));
                assert_eq!(page.next().is_some(), page.truncated, "a page tells whether another follows");
                request.position = page.next().unwrap_or_default();
            }
            assert_eq!(seen, everything, "pages of {limit} give everything once");
        }
    }
    let request = ListVersions { position: VersionPosition::AfterKey(prefix("a")), ..list_versions(&name) };
    let page = check(store, &request, &model).await;
    assert_eq!(page.entries.len(), 8, "after a key come the versions of the next");
}

/// A position names a version that has been removed since: older ones follow, as far as the id tells.
pub async fn a_listing_goes_on_after_a_version_that_is_gone(store: &Store) {
    let name = versioned_bucket(store).await;
    let (k, next) = (key("k"), key("l"));
    let mut ids = Vec::new();
    for tag in 0..4 {
        ids.push(put(store, &name, &k, tag).await.version_id);
    }
    let last = put(store, &name, &next, 9).await.version_id;
    let after = async |id: VersionId| {
        let position = VersionPosition::AfterVersion(k.clone(), id);
        let page =
            store.list_versions(ListVersions { position, ..list_versions(&name) }).await.expect("a listing");
        shown(&page)
            .into_iter()
            .map(|entry| match entry {
                Shown::Version { id, .. } => id,
                Shown::CommonPrefix(prefix) => {
                    violation(format_args!("common prefix {prefix:?} without delimiter"))
                }
            })
            .collect::<Vec<_>>()
    };
    delete(store, &name, &k, Some(ids[2])).await;
    assert_eq!(after(ids[2]).await, [ids[1], ids[0], last]);
    delete(store, &name, &k, Some(ids[0])).await;
    assert_eq!(after(ids[0]).await, [last]);
    assert_eq!(after(VersionId::Null).await, [last], "there is no null version: nothing tells what is older");
    let future = VersionId::Numbered { sequence: Sequence(i64::MAX), nonce: 1 };
    assert_eq!(after(future).await, [ids[3], ids[1], last], "everything is older than a commit to come");
    for id in [ids[1], ids[3]] {
        delete(store, &name, &k, Some(id)).await;
    }
    assert_eq!(after(ids[3]).await, [last], "the whole key is gone");
}

/// A page that ends with a null version is followed by what was older than that, also when it was replaced or removed since.
pub async fn a_listing_goes_on_after_a_null_version_that_changed(store: &Store) {
    for is_replaced in [true, false] {
        let (name, k) = (bucket(store).await, key("k"));
        store.set_versioning(&name, Versioning::Enabled).await.expect("enable");
        let oldest = put(store, &name, &k, 1).await.version_id;
        store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
        put(store, &name, &k, 2).await;
        store.set_versioning(&name, Versioning::Enabled).await.expect("enable");
        let newest = put(store, &name, &k, 3).await.version_id;
        let request = ListVersions { limit: 2, ..list_versions(&name) };
        let page = store.list_versions(request.clone()).await.expect("a listing");
        let ids = |page: &VersionPage| -> Vec<VersionId> {
            let shown = shown(page).into_iter();
            shown
                .filter_map(|entry| if let Shown::Version { id, .. } = entry { Some(id) } else { None })
                .collect()
        };
        assert_eq!(ids(&page), [newest, VersionId::Null]);
        if is_replaced {
            store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
            put(store, &name, &k, 4).await;
        } else {
            delete(store, &name, &k, Some(VersionId::Null)).await;
        }
        let position = page.next().unwrap_or_else(|| violation("more follows"));
        let page = store.list_versions(ListVersions { position, ..request }).await.expect("a listing");
        assert_eq!(ids(&page), [oldest], "once, and nothing again; replaced: {is_replaced}");
    }
}

/// Builds versions of random keys through all states of versioning.
async fn fill(store: &Store, name: &BucketName, generator: &mut Generator) -> Model {
    let keys: Vec<ObjectKey> = (0..25).map(|_| key(&format!("{}k", generator.text(5)))).collect();
    let mut model = Model::new();
    let (mut versioning, mut commit) = (Versioning::Unversioned, 0);
    for step in 0..300_u64 {
        if step % 40 == 39 {
            versioning =
                if versioning == Versioning::Enabled { Versioning::Suspended } else { Versioning::Enabled };
            store.set_versioning(name, versioning).await.expect("a state that can be set");
            commit = store.get_bucket(name).await.expect("the bucket").commit_sequence.0;
        }
        let k = generator.choose(&keys).clone();
        let versions = model.entry(k.clone()).or_default();
        if generator.one_in(4) && !versions.is_empty() {
            let (_, id, _) = versions.remove(generator.below(versions.len()));
            delete(store, name, &k, Some(id)).await;
            commit += 1;
            continue;
        }
        let marker = generator.one_in(4) && versioning != Versioning::Unversioned;
        let id = if marker {
            delete(store, name, &k, None).await.version_id.unwrap_or_else(|| violation("a marker has an id"))
        } else {
            put(store, name, &k, step).await.version_id
        };
        commit += 1;
        if id == VersionId::Null {
            versions.retain(|(_, other, _)| *other != id);
        }
        versions.insert(0, (commit, id, (!marker).then_some(step)));
    }
    model.retain(|_, versions| !versions.is_empty());
    model
}

/// Random versions, prefixes, delimiters, positions and limits against the definition.
pub async fn random_version_listings_agree_with_a_naive_model(store: &Store) {
    let name = bucket(store).await;
    let mut generator = Generator::new(21);
    let model = fill(store, &name, &mut generator).await;
    let keys: Vec<ObjectKey> = model.keys().cloned().collect();
    for _ in 0..300 {
        let k = generator.choose(&keys).clone();
        let mut text = generator.choose(&keys).as_str().to_owned();
        for _ in 0..generator.below(4) {
            text.pop();
        }
        let position = match generator.below(5) {
            0 => VersionPosition::Start,
            1 => VersionPosition::AfterKey(prefix(&text)),
            2 => VersionPosition::AfterVersion(k, VersionId::Null),
            3 => {
                let sequence = Sequence(1 + i64::try_from(generator.below(300)).expect("small"));
                VersionPosition::AfterVersion(k, VersionId::Numbered { sequence, nonce: generator.number() })
            }
            _ => {
                let id = generator.choose(&model[&k]).1;
                VersionPosition::AfterVersion(k, id)
            }
        };
        let mut part =
            if generator.one_in(2) { String::new() } else { generator.choose(&keys).as_str().to_owned() };
        for _ in 0..generator.below(4) {
            part.pop();
        }
        let request = ListVersions {
            prefix: prefix(&part),
            delimiter: generator.one_in(2).then(|| prefix(generator.choose::<&str>(&DELIMITERS))),
            position,
            limit: *generator.choose(&[1, 2, 3, 10, 1000]),
            ..list_versions(&name)
        };
        check(store, &request, &model).await;
    }
}
