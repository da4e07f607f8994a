//! Listings of current objects.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    Acl, ArchiveClass, Attributes, BucketName, Encryption, EncryptionScheme, KeyPrefix, Restore,
    StorageClassName, Timestamp,
};

use super::support::{
    Generator, Store, bucket, current_etag, delete, entry, etag, inline, key, list, list_versions,
    new_upload, prefix, put, texts, together, versioned_bucket, write,
};
use metadata_api::{
    AccountId, DeleteVersions, Error, ListBuckets, ListObjects, ListParts, ListPosition, ListUploads,
    ListVersions, ObjectEntry, PAGE_SIZE_MAX, UploadPosition, VersionEntry,
};

/// Delimiters that the random listings use: of one and of several bytes and characters.
pub(super) const DELIMITERS: [&str; 8] = ["/", "//", "a", "é", "😀", "/a", "\0", "\u{10ffff}"];

/// What a listing of `keys` shows after `after`, by the definition: each key under the prefix is an entry or is hidden
/// behind one, entries are in byte order. The text of each entry, and whether it is a common prefix.
fn naive(
    keys: &BTreeSet<String>,
    prefix: &str,
    delimiter: Option<&str>,
    after: Option<&str>,
) -> BTreeMap<String, bool> {
    let mut entries = BTreeMap::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        match delimiter.and_then(|delimiter| rest.split_once(delimiter).map(|(head, _)| (head, delimiter))) {
            Some((head, delimiter)) => entries.insert(format!("{prefix}{head}{delimiter}"), true),
            None => entries.insert(key.clone(), false),
        };
    }
    // A position inside a common prefix is greater than that common prefix, which is thereby not shown again.
    entries.retain(|text, _| after.is_none_or(|after| text.as_str() > after));
    entries
}

/// Fetches a page and compares it with what the naive model shows.
async fn check(store: &Store, request: ListObjects, keys: &BTreeSet<String>) -> Vec<String> {
    let after = match &request.position {
        ListPosition::Start => None,
        ListPosition::After(text) => Some(text.as_str().to_owned()),
    };
    let delimiter = request.delimiter.as_ref().map(KeyPrefix::as_str);
    let expected = naive(keys, request.prefix.as_str(), delimiter, after.as_deref());
    let page = store.list_objects(request.clone()).await.expect("a listing");
    let listed: Vec<(String, bool)> = page.entries.iter().map(text).collect();
    let first: Vec<(String, bool)> = expected.clone().into_iter().take(request.limit).collect();
    assert_eq!(listed, first, "entries (text, whether a common prefix) of {request:?}");
    assert_eq!(page.truncated, expected.len() > request.limit, "truncated, of {request:?}");
    listed.into_iter().map(|(text, _)| text).collect()
}

fn text(entry: &ObjectEntry) -> (String, bool) {
    match entry {
        ObjectEntry::Object(object) => (object.key.as_str().to_owned(), false),
        ObjectEntry::CommonPrefix(prefix) => (prefix.as_str().to_owned(), true),
    }
}

async fn fill(store: &Store, bucket: &BucketName, keys: impl IntoIterator<Item = String>) {
    let puts = keys.into_iter().map(|text| {
        let (store, bucket) = (store.clone(), bucket.clone());
        async move { put(&store, &bucket, &key(&text), text.len() as u64).await }
    });
    together(puts).await;
}

fn after(text: &str) -> ListPosition {
    ListPosition::After(prefix(text))
}

/// Keys with the delimiter after the prefix are one common prefix; what an entry shows of its object.
pub async fn common_prefixes_roll_up(store: &Store) {
    let name = bucket(store).await;
    let keys = ["a", "a/", "a/b", "a//b", "a0", "b/1", "b/2", "b/2/3", "c"];
    fill(store, &name, keys.map(str::to_owned)).await;
    let listed = async |text: &str, delimiter: Option<&str>| {
        let request = ListObjects { prefix: prefix(text), delimiter: delimiter.map(prefix), ..list(&name) };
        texts(&store.list_objects(request).await.expect("a listing"))
    };
    assert_eq!(listed("", None).await, ["a", "a/", "a//b", "a/b", "a0", "b/1", "b/2", "b/2/3", "c"]);
    assert_eq!(listed("", Some("/")).await, ["a", "a/*", "a0", "b/*", "c"]);
    assert_eq!(listed("a", Some("/")).await, ["a", "a/*", "a0"]);
    assert_eq!(
        listed("a/", Some("/")).await,
        ["a/", "a//*", "a/b"],
        "the prefix's own delimiter does not count"
    );
    assert_eq!(listed("b/2", Some("/")).await, ["b/2", "b/2/*"]);
    assert_eq!(listed("", Some("//")).await, ["a", "a/", "a//*", "a/b", "a0", "b/1", "b/2", "b/2/3", "c"]);
    assert_eq!(listed("b/2/3", Some("/")).await, ["b/2/3"]);
    assert_eq!(listed("x", Some("/")).await, [""; 0]);

    let made = put(store, &name, &key("c"), 123).await;
    let page =
        store.list_objects(ListObjects { prefix: prefix("c"), ..list(&name) }).await.expect("a listing");
    let [ObjectEntry::Object(object)] = &page.entries[..] else {
        super::support::violation(format_args!("one object was to be listed: {page:?}"));
    };
    assert_eq!((object.size, object.etag, object.checksum), (3, etag(123), None));
    assert_eq!(object.last_modified, made.last_modified);
    assert_eq!(object.storage_class, types::StorageClassName::standard());
    let mut request = super::support::write(&name, &key("c"), 5);
    request.version.checksum = Some(super::support::crc32c(5));
    store.commit_version(request).await.expect("a commit");
    let page =
        store.list_objects(ListObjects { prefix: prefix("c"), ..list(&name) }).await.expect("a listing");
    let [ObjectEntry::Object(object)] = &page.entries[..] else {
        super::support::violation(format_args!("one object was to be listed: {page:?}"));
    };
    let kind = (types::ChecksumAlgorithm::Crc32c, types::ChecksumType::FullObject);
    assert_eq!(object.checksum, Some(kind));
}

/// Where a page begins when its position is no entry of the listing.
pub async fn positions_before_inside_and_after_a_common_prefix(store: &Store) {
    let name = bucket(store).await;
    fill(store, &name, ["a", "b/1", "b/2", "b/3", "c", "d/1"].map(str::to_owned)).await;
    let listed = async |position: &str, delimiter: Option<&str>| {
        let request =
            ListObjects { delimiter: delimiter.map(prefix), position: after(position), ..list(&name) };
        texts(&store.list_objects(request).await.expect("a listing"))
    };
    for (position, expected) in [
        ("", vec!["a", "b/*", "c", "d/*"]),
        ("a", vec!["b/*", "c", "d/*"]),
        ("b", vec!["b/*", "c", "d/*"]),
        ("b.", vec!["b/*", "c", "d/*"]),
        ("b/", vec!["c", "d/*"]),
        ("b/1", vec!["c", "d/*"]),
        ("b/zzz", vec!["c", "d/*"]),
        ("b0", vec!["c", "d/*"]),
        ("c", vec!["d/*"]),
        ("d/1", vec![]),
        ("e", vec![]),
    ] {
        assert_eq!(listed(position, Some("/")).await, expected, "after {position:?}");
    }
    assert_eq!(
        listed("b/1", None).await,
        ["b/2", "b/3", "c", "d/1"],
        "without delimiter there is nothing to hide"
    );
    assert_eq!(listed("b/15", None).await, ["b/2", "b/3", "c", "d/1"]);
    let request = ListObjects { prefix: prefix("b/"), position: after("a"), limit: 2, ..list(&name) };
    let page = store.list_objects(request).await.expect("a listing");
    assert_eq!((texts(&page), page.truncated), (vec!["b/1".to_owned(), "b/2".to_owned()], true));
    let request = ListObjects { prefix: prefix("b/"), position: after("bz"), ..list(&name) };
    assert_eq!(
        texts(&store.list_objects(request).await.expect("a listing")),
        [""; 0],
        "after the whole prefix"
    );
}

fn random_keys(generator: &mut Generator, count: usize) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    while keys.len() < count {
        keys.insert(generator.text(6));
        keys.remove("");
    }
    keys
}

/// Some of a key, or a text that has nothing to do with any.
fn random_text(generator: &mut Generator, keys: &[String]) -> String {
    let mut text = generator.choose(keys).clone();
    for _ in 0..generator.below(4) {
        text.pop();
    }
    match generator.below(4) {
        0 => text,
        1 => text + &generator.text(2),
        2 => generator.text(3),
        _ => generator.choose(keys).clone(),
    }
}

/// Random keys, prefixes, delimiters, positions and limits against the definition.
pub async fn random_listings_agree_with_a_naive_model(store: &Store) {
    let name = bucket(store).await;
    let mut generator = Generator::new(11);
    let mut keys = random_keys(&mut generator, 150);
    fill(store, &name, keys.clone()).await;
    let list_of: Vec<String> = keys.iter().cloned().collect();
    for text in list_of.iter().filter(|text| text.len() % 5 == 0) {
        delete(store, &name, &key(text), None).await;
        keys.remove(text);
    }
    for _ in 0..400 {
        let position = match generator.below(3) {
            0 => ListPosition::Start,
            _ => after(&random_text(&mut generator, &list_of)),
        };
        let delimiter = (!generator.one_in(4)).then(|| prefix(generator.choose::<&str>(&DELIMITERS)));
        let text = if generator.one_in(3) { String::new() } else { random_text(&mut generator, &list_of) };
        let limit = *generator.choose(&[1, 2, 3, 7, 40, PAGE_SIZE_MAX]);
        let request = ListObjects { prefix: prefix(&text), delimiter, position, limit, ..list(&name) };
        check(store, request, &keys).await;
    }
}

/// Pages of every size, each begun after the last entry of the one before, give every entry once and in order.
pub async fn chained_pages_give_everything_once(store: &Store) {
    let name = bucket(store).await;
    let keys = random_keys(&mut Generator::new(12), 60);
    fill(store, &name, keys.clone()).await;
    for delimiter in [None, Some("/"), Some("a"), Some("//"), Some("é")] {
        let everything = naive(&keys, "", delimiter, None);
        for limit in 1..=everything.len() + 1 {
            let mut request = ListObjects { delimiter: delimiter.map(prefix), limit, ..list(&name) };
            let mut seen = Vec::new();
            loop {
                let page = check(store, request.clone(), &keys).await;
                let last = page.last().map(|text| after(text));
                seen.extend(page);
                if seen.len() >= everything.len() {
                    break;
                }
                request.position = last.expect("a truncated page has an entry");
            }
            assert!(
                seen.iter().eq(everything.keys()),
                "pages of {limit} with delimiter {delimiter:?} give {seen:?}"
            );
        }
    }
}

/// An owner that the list of an object names is told in both listings, whatever else the object has; and that of a delete marker, which is of
/// nobody else when the key is found.
pub async fn listings_tell_whose_each_entry_is(store: &Store) {
    let name = versioned_bucket(store).await;
    let grants = Acl::of_owner("b").grants;
    let owned = |owner: Option<&str>| Acl { owner: owner.map(str::to_owned), grants: grants.clone() };
    let wide = vec![("x-amz-meta-wide".to_owned(), vec![b'w'; 2000].into())];
    let restore = Restore {
        class: ArchiveClass::Glacier,
        nonce: 7,
        asked: Timestamp(1),
        ready: Timestamp(2),
        until: Timestamp(3),
    };
    let plain = Attributes::default;
    let archived = Attributes { restore: Some(restore), ..plain() };
    let encryption = Encryption::new(EncryptionScheme::SseS3, "k".to_owned(), vec![1; 60].into());
    for (text, class, attributes) in [
        ("a", "STANDARD", plain()),
        ("b", "STANDARD", Attributes { acl: Some(owned(Some("b"))), ..plain() }),
        ("c", "STANDARD", Attributes { acl: Some(owned(None)), ..plain() }),
        ("d", "GLACIER", archived.clone()),
        ("e", "GLACIER", Attributes { acl: Some(owned(Some("e"))), ..archived }),
        ("f", "STANDARD", Attributes { acl: Some(owned(Some("f"))), user_metadata: wide, ..plain() }),
        (
            "g",
            "STANDARD",
            Attributes { acl: Some(owned(Some("g"))), encryption: Some(encryption), ..plain() },
        ),
    ] {
        let mut request = write(&name, &key(text), 1);
        request.version.storage_class = StorageClassName::new(class).expect("a valid name");
        if attributes.encryption.is_some() {
            request.version.content = inline("x".repeat(17));
        }
        request.version.attributes = attributes;
        store.commit_version(request).await.expect("a version");
    }
    let owners = [
        ("a", None),
        ("b", Some("b")),
        ("c", None),
        ("d", None),
        ("e", Some("e")),
        ("f", Some("f")),
        ("g", Some("g")),
    ];
    let page = store.list_objects(list(&name)).await.expect("a listing");
    let listed = page.entries.iter().map(|entry| match entry {
        ObjectEntry::Object(object) => {
            (object.key.as_str(), object.owner.as_ref().map(|owner| owner.0.as_str()), object.restore)
        }
        ObjectEntry::CommonPrefix(prefix) => (prefix.as_str(), None, None),
    });
    let expected = owners.map(|(key, owner)| (key, owner, ["d", "e"].contains(&key).then_some(restore)));
    assert_eq!(listed.collect::<Vec<_>>(), expected);

    for (text, owner) in [("a", Some("other")), ("b", None)] {
        let (bucket, entries) = (name.clone(), vec![entry(&key(text), None)]);
        let marker_owner = owner.map(|owner| AccountId(owner.to_owned()));
        let deleted = store.delete_versions(DeleteVersions { bucket, entries, marker_owner }).await;
        assert!(deleted.expect("a delete")[0].as_ref().is_ok_and(|deleted| deleted.delete_marker));
    }
    let first = ListVersions { limit: 1, ..list_versions(&name) };
    let first = store.list_versions(first).await.expect("a listing");
    let position = first.next().expect("there is more");
    let rest = ListVersions { position, ..list_versions(&name) };
    let rest = store.list_versions(rest).await.expect("a listing");
    let both = first.entries.iter().chain(&rest.entries);
    let listed = both.map(|entry| match entry {
        VersionEntry::Version(version) => {
            let owner = version.owner().map(|owner| owner.0.as_str());
            (version.key.as_str(), version.object.is_none(), owner)
        }
        VersionEntry::CommonPrefix(prefix) => (prefix.as_str(), false, None),
    });
    let mut expected = vec![("a", true, Some("other")), ("a", false, None), ("b", true, None)];
    expected.extend(owners[1..].iter().map(|(key, owner)| (*key, false, *owner)));
    assert_eq!(listed.collect::<Vec<_>>(), expected);
    assert_eq!(current_etag(store, &name, &key("a")).await, None, "a marker with an owner is one");
    put(store, &name, &key("a"), 2).await;
    assert_eq!(current_etag(store, &name, &key("a")).await, Some(etag(2)));
}

/// Keys behind delete markers are in no listing of objects, nor are prefixes that hold only such keys.
pub async fn deleted_keys_are_invisible(store: &Store) {
    let name = versioned_bucket(store).await;
    fill(store, &name, ["a", "b/1", "b/2", "c/1"].map(str::to_owned)).await;
    for text in ["a", "b/1", "b/2"] {
        delete(store, &name, &key(text), None).await;
    }
    delete(store, &name, &key("0/never"), None).await;
    let request = ListObjects { delimiter: Some(prefix("/")), ..list(&name) };
    assert_eq!(texts(&store.list_objects(request.clone()).await.expect("a listing")), ["c/*"]);
    let page = store.list_objects(ListObjects { limit: 1, ..request }).await.expect("a listing");
    assert!(!page.truncated, "what is invisible does not make a page truncated");
    put(store, &name, &key("b/1"), 2).await;
    assert_eq!(texts(&store.list_objects(list(&name)).await.expect("a listing")), ["b/1", "c/1"]);
}

/// Limits from 1 to the maximum, no empty delimiter.
pub async fn bounds_of_listings_are_checked(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let uploads = |limit, delimiter: Option<&str>| ListUploads {
        bucket: name.clone(),
        prefix: prefix(""),
        delimiter: delimiter.map(prefix),
        position: UploadPosition::Start,
        limit,
    };
    let owner = super::support::account();
    for limit in [0, PAGE_SIZE_MAX + 1] {
        let request =
            ListBuckets { owner: owner.clone(), prefix: String::new(), after: None, limit: limit * 10 };
        malformed("list_buckets", store.list_buckets(request).await);
        malformed("list_objects", store.list_objects(ListObjects { limit, ..list(&name) }).await);
        malformed("list_versions", store.list_versions(ListVersions { limit, ..list_versions(&name) }).await);
        malformed("list_uploads", store.list_uploads(uploads(limit, None)).await);
        let request = ListParts { bucket: name.clone(), key: k.clone(), upload, after: None, limit };
        malformed("list_parts", store.list_parts(request).await);
    }
    let delimiter = Some(prefix(""));
    malformed(
        "list_objects",
        store.list_objects(ListObjects { delimiter: delimiter.clone(), ..list(&name) }).await,
    );
    malformed("list_versions", store.list_versions(ListVersions { delimiter, ..list_versions(&name) }).await);
    malformed("list_uploads", store.list_uploads(uploads(10, Some(""))).await);
}

fn malformed<T: std::fmt::Debug>(call: &str, answer: Result<T, Error>) {
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{call} out of bounds answered {answer:?}");
}
