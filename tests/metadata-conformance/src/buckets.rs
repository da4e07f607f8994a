//! Buckets.

use bytes::Bytes;
use types::{Sequence, UploadId, VersionId, Versioning};

use super::support::{
    Store, account, bucket, bucket_name, delete, entry, get, get_bucket, key, list, list_versions, prefix,
    put, unique, versioned_bucket, violation, write,
};
use metadata_api::{
    AbortUpload, AccountId, Bucket, BucketUsage, CompleteUpload, CopyAttributes, CopyVersion, CreateBucket,
    DeleteVersions, Error, ListBuckets, ListParts, ListUploads, PAGE_SIZE_MAX, SUBRESOURCE_LENGTH_MAX,
    SetTags, Subresource, UploadPosition, WriteCondition,
};

/// A bucket begins empty, unversioned and without commits.
pub async fn a_new_bucket_is_empty_and_unversioned(store: &Store) {
    store.ready().await.expect("a store that takes calls is ready");
    let name = bucket_name();
    let made = store.create_bucket(CreateBucket::new(name.clone(), account())).await.expect("a new name");
    assert_eq!(made.name, name);
    assert_eq!(made.owner, account());
    assert_eq!(made.versioning, Versioning::Unversioned);
    assert_eq!(made.commit_sequence, Sequence(0), "commits are numbered from 1");
    assert_eq!(made.usage, BucketUsage::default());
    assert_eq!(store.get_bucket(&name).await, Ok(made));
    let page = store.list_objects(list(&name)).await.expect("a listing");
    assert!(page.entries.is_empty() && !page.truncated, "a new bucket lists nothing");
    assert_eq!(page.owner, account(), "a listing names the bucket's owner");
}

/// Creating a bucket that exists fails and names the owner, whoever asks.
pub async fn a_taken_name_answers_its_owner(store: &Store) {
    let name = bucket(store).await;
    for owner in [account(), AccountId("somebody-else".to_owned())] {
        let answer = store.create_bucket(CreateBucket::new(name.clone(), owner)).await;
        assert_eq!(answer, Err(Error::BucketExists { bucket: name.clone(), owner: account() }));
    }
    assert_eq!(get_bucket(store, &name).await.owner, account(), "the bucket keeps its owner");
}

/// Every call that names a bucket answers `BucketNotFound` with that name when it is not there.
pub async fn a_missing_bucket_is_reported_by_every_call(store: &Store) {
    let (missing, k, upload) = (bucket_name(), key("k"), UploadId([7; 16]));
    let not_found = Error::BucketNotFound { bucket: missing.clone() };
    let check = |call: &str, error: Option<Error>| {
        assert_eq!(error.as_ref(), Some(&not_found), "{call} on a bucket that is not there");
    };
    check("get_bucket", store.get_bucket(&missing).await.err());
    check("delete_bucket", store.delete_bucket(&missing).await.err());
    check("set_versioning", store.set_versioning(&missing, Versioning::Enabled).await.err());
    let set = |document| store.set_subresource(&missing, Subresource::Tagging, document);
    check("set_subresource", set(Some(Bytes::from_static(b"t"))).await.err());
    check("set_subresource", set(None).await.err());
    check("get_subresource", store.get_subresource(&missing, Subresource::Tagging).await.err());
    check("commit_version", store.commit_version(write(&missing, &k, 1)).await.err());
    check("get_version", get(store, &missing, &k, None).await.err());
    let request =
        DeleteVersions { bucket: missing.clone(), entries: vec![entry(&k, None)], marker_owner: None };
    let set = SetTags { bucket: missing.clone(), key: k.clone(), version_id: None, tags: vec![] };
    check("set_tags", store.set_tags(set).await.err());
    check("delete_versions", store.delete_versions(request).await.err());
    check("list_objects", store.list_objects(list(&missing)).await.err());
    check("list_versions", store.list_versions(list_versions(&missing)).await.err());
    check("get_upload", store.get_upload(&missing, &k, upload).await.err());
    let request = super::support::new_upload(&missing, &k);
    check("create_upload", store.create_upload(request).await.err());
    let request = super::support::inline_part(&missing, &k, upload, 1, "x");
    check("commit_part", store.commit_part(request).await.err());
    let request = ListParts { bucket: missing.clone(), key: k.clone(), upload, after: None, limit: 10 };
    check("list_parts", store.list_parts(request).await.err());
    let request = ListUploads {
        bucket: missing.clone(),
        prefix: prefix(""),
        delimiter: None,
        position: UploadPosition::Start,
        limit: 10,
    };
    check("list_uploads", store.list_uploads(request).await.err());
    let request =
        CompleteUpload { bucket: missing.clone(), ..super::support::completion(&missing, &k, upload, &[1]) };
    check("complete_upload", store.complete_upload(request).await.err());
    let request = AbortUpload { bucket: missing.clone(), key: k.clone(), upload };
    check("abort_upload", store.abort_upload(request).await.err());

    let present = bucket(store).await;
    let made = put(store, &present, &k, 1).await;
    for (source, destination) in [(&missing, &present), (&present, &missing)] {
        let request = CopyVersion {
            source_bucket: source.clone(),
            source_key: k.clone(),
            source_version_id: VersionId::Null,
            source_etag: made.etag,
            source_class: None,
            rewraps: None,
            bucket: destination.clone(),
            key: key("copy"),
            attributes: CopyAttributes::Keep,
            checksum: None,
            condition: WriteCondition::None,
        };
        check("copy_version", store.copy_version(request).await.err());
    }
}

/// Versions and delete markers keep a bucket, objects or not.
pub async fn a_bucket_that_holds_anything_cannot_be_deleted(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let not_empty = Err(Error::BucketNotEmpty { bucket: name.clone() });
    let version = put(store, &name, &k, 1).await.version_id;
    assert_eq!(store.delete_bucket(&name).await, not_empty, "it holds an object");
    let marker = delete(store, &name, &k, None).await.version_id;
    assert_eq!(store.delete_bucket(&name).await, not_empty, "it holds an older version and a delete marker");
    delete(store, &name, &k, Some(version)).await;
    assert_eq!(store.delete_bucket(&name).await, not_empty, "it holds a delete marker");
    delete(store, &name, &k, marker).await;
    assert_eq!(store.delete_bucket(&name).await, Ok(()), "nothing is left in it");
    assert_eq!(store.get_bucket(&name).await, Err(Error::BucketNotFound { bucket: name }));
}

/// A name can be taken again; nothing of the old bucket shows, and its number is not used again.
pub async fn a_bucket_made_again_is_another_bucket(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let first = get_bucket(store, &name).await;
    let version = put(store, &name, &k, 1).await.version_id;
    let upload = store.create_upload(super::support::new_upload(&name, &k)).await.expect("an upload").id;
    delete(store, &name, &k, Some(version)).await;
    store.delete_bucket(&name).await.expect("an open upload does not keep a bucket");

    // For a while the name is for none but whose it was.
    let owner = account();
    let next = CreateBucket::new(name.clone(), AccountId("next-owner".to_owned()));
    let answer = store.create_bucket(next).await;
    assert_eq!(answer, Err(Error::BucketExists { bucket: name.clone(), owner: owner.clone() }));
    let second = store.create_bucket(CreateBucket::new(name.clone(), owner.clone())).await;
    let second = second.unwrap_or_else(|error| violation(format_args!("the name is free again: {error}")));
    assert_ne!(second.id, first.id, "bucket numbers are never reused");
    assert_eq!((second.owner, second.versioning), (owner, Versioning::Unversioned));
    assert_eq!((second.commit_sequence, second.usage), (Sequence(0), BucketUsage::default()));
    assert_eq!(get(store, &name, &k, Some(version)).await.err(), Some(Error::VersionNotFound));
    assert_eq!(get(store, &name, &k, None).await.err(), Some(Error::KeyNotFound));
    assert_eq!(
        store.get_upload(&name, &k, upload).await,
        Err(Error::UploadNotFound),
        "uploads end with their bucket"
    );
    assert_eq!(put(store, &name, &k, 2).await.sequence, Sequence(1), "commits are numbered per bucket");
}

/// An account sees its own buckets only, by name, filtered by prefix, in pages.
pub async fn an_accounts_buckets_are_listed_in_pages(store: &Store) {
    let (mark, owner) = (unique(), AccountId(unique()));
    let name = |text: &str| types::BucketName::new(&format!("{text}-{mark}")).expect("a valid name");
    for text in ["b-2", "a-1", "b-1", "c-1", "b.3"] {
        let request = CreateBucket::new(name(text), owner.clone());
        store.create_bucket(request).await.expect("a new bucket");
    }
    let other = CreateBucket::new(name("b-other"), AccountId(unique()));
    store.create_bucket(other).await.expect("a new bucket");

    let page = async |prefix: &str, after: Option<String>, limit: usize| {
        let request = ListBuckets { owner: owner.clone(), prefix: prefix.to_owned(), after, limit };
        let page = store.list_buckets(request).await.expect("a page of buckets");
        let names: Vec<String> = page.buckets.iter().map(|bucket| bucket.name.as_str().to_owned()).collect();
        (names, page.truncated)
    };
    let names = |texts: &[&str]| texts.iter().map(|text| name(text).as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(page("", None, 1000).await, (names(&["a-1", "b-1", "b-2", "b.3", "c-1"]), false));
    assert_eq!(
        page("b", None, 1000).await,
        (names(&["b-1", "b-2", "b.3"]), false),
        "only names with the prefix"
    );
    assert_eq!(page("b", None, 2).await, (names(&["b-1", "b-2"]), true));
    let after = Some(name("b-2").as_str().to_owned());
    assert_eq!(page("b", after, 2).await, (names(&["b.3"]), false), "the page after a name begins after it");
    assert!(!page("", None, 5).await.1, "a page that holds exactly the rest is not truncated");
    assert_eq!(
        page("", Some("b-15".to_owned()), 9).await.0,
        names(&["b-2", "b.3", "c-1"]),
        "no such name is needed"
    );
    assert_eq!(page("zz", None, 10).await, (Vec::new(), false));
}

/// Versioning is enabled and suspended, never taken back.
pub async fn versioning_cannot_be_taken_back(store: &Store) {
    let name = bucket(store).await;
    for versioning in [Versioning::Suspended, Versioning::Enabled, Versioning::Enabled, Versioning::Suspended]
    {
        let before = get_bucket(store, &name).await.commit_sequence.0;
        store.set_versioning(&name, versioning).await.expect("a state that can be set");
        let after = get_bucket(store, &name).await;
        assert_eq!(after.versioning, versioning);
        assert!(
            (before..=before + 1).contains(&after.commit_sequence.0),
            "at most one commit for a change of state"
        );
        let answer = store.set_versioning(&name, Versioning::Unversioned).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "back to unversioned answered {answer:?}");
        assert_eq!(get_bucket(store, &name).await.versioning, versioning, "a refused change changes nothing");
    }
}

/// Each kind of sub-resource is one document, which is replaced, removed, and gone with its bucket.
pub async fn subresources_are_kept_apart_and_go_with_their_bucket(store: &Store) {
    let (name, other) = (bucket(store).await, bucket(store).await);
    let get =
        |name, kind| async move { store.get_subresource(name, kind).await.expect("the bucket is there") };
    let set = |name, kind, document: Option<Bytes>| async move {
        store.set_subresource(name, kind, document).await.expect("a document that can be stored");
    };
    let before = get_bucket(store, &name).await;
    for (number, kind) in (0_u8..).zip(Subresource::ALL) {
        assert_eq!(get(&name, kind).await, None, "a new bucket has none");
        set(&name, kind, None).await;
        for document in [vec![number; 3], vec![], vec![number; SUBRESOURCE_LENGTH_MAX], vec![number]] {
            let document = Bytes::from(document);
            set(&name, kind, Some(document.clone())).await;
            assert!(get(&name, kind).await == Some(document), "{kind:?} is what was stored last");
        }
    }
    for (number, kind) in (0_u8..).zip(Subresource::ALL) {
        assert_eq!(get(&name, kind).await, Some(Bytes::from(vec![number])), "{kind:?} is of no other kind");
        assert_eq!(get(&other, kind).await, None, "{kind:?} is of no other bucket");
        let long = Some(Bytes::from(vec![number; SUBRESOURCE_LENGTH_MAX + 1]));
        let answer = store.set_subresource(&name, kind, long).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "one byte too many answered {answer:?}");
    }
    let now = get_bucket(store, &name).await;
    let (ownership_controls, encryption) = (now.ownership_controls.clone(), now.encryption.clone());
    let expected = Bucket { has_policy: true, has_lifecycle: true, ownership_controls, encryption, ..before };
    assert_eq!(now, expected, "what the bucket holds did not change");

    for kind in Subresource::ALL {
        assert!(store.list_buckets_with(kind, None, PAGE_SIZE_MAX).await.expect("names").contains(&name));
        let next = store.list_buckets_with(kind, Some(&name), PAGE_SIZE_MAX).await.expect("names");
        assert!(
            next.iter().all(|next| *next > name && *next != other),
            "those that have one, after the name"
        );
    }
    set(&other, Subresource::ALL[0], Some(Bytes::new())).await;
    let (least, greatest) = (name.clone().min(other.clone()), name.clone().max(other.clone()));
    let one = store.list_buckets_with(Subresource::ALL[0], Some(&least), 1).await.expect("names");
    assert!(
        one.len() == 1 && one[0] <= greatest && one[0] > least,
        "the next in the order of names: {one:?}"
    );

    let first = Subresource::ALL[0];
    set(&name, first, None).await;
    assert_eq!(get(&name, first).await, None);
    let last = Subresource::ALL[Subresource::ALL.len() - 1];
    assert!(get(&name, last).await.is_some(), "the others stay");
    store.delete_bucket(&name).await.expect("an empty bucket");
    store.create_bucket(CreateBucket::new(name.clone(), account())).await.expect("a free name");
    assert_eq!(get(&name, last).await, None, "a bucket of the same name is another");
}

/// What is asked for with the bucket is there with it; a document that cannot be kept makes no bucket.
pub async fn a_bucket_can_begin_with_subresources(store: &Store) {
    let document = |kind: Subresource| Bytes::from(format!("{kind:?}"));
    let kinds =
        [Subresource::Tagging, Subresource::Cors, Subresource::Policy, Subresource::OwnershipControls];
    let mut request = CreateBucket::new(bucket_name(), account());
    request.subresources = kinds.into_iter().map(|kind| (kind, document(kind))).collect();
    let made = store.create_bucket(request.clone()).await.expect("a new bucket");
    assert_eq!(made, get_bucket(store, &request.name).await);
    for kind in Subresource::ALL {
        let found = store.get_subresource(&request.name, kind).await.expect("the bucket is there");
        assert_eq!(found, kinds.contains(&kind).then(|| document(kind)), "{kind:?}");
    }
    request.subresources.clear();
    let again = store.create_bucket(request.clone()).await;
    assert!(matches!(again, Err(Error::BucketExists { .. })), "{again:?}");
    let kept = store.get_subresource(&request.name, Subresource::Cors).await.expect("the bucket is there");
    assert_eq!(kept, Some(document(Subresource::Cors)), "who makes it again changes nothing");

    let mut request = CreateBucket::new(bucket_name(), account());
    let long = Bytes::from(vec![0; SUBRESOURCE_LENGTH_MAX + 1]);
    request.subresources.insert(Subresource::Tagging, long);
    let refused = store.create_bucket(request.clone()).await;
    assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
    let found = store.get_bucket(&request.name).await;
    assert!(matches!(found, Err(Error::BucketNotFound { .. })), "{found:?}");
}

/// Whoever reads a bucket, by itself or with a version, learns as of then whether there is a policy to be asked for.
pub async fn a_bucket_says_whether_it_has_a_policy(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    let check = async |expected: bool| {
        assert_eq!(get_bucket(store, &name).await.has_policy, expected);
        let found = get(store, &name, &k, None).await.expect("the version is there");
        assert_eq!(found.bucket.has_policy, expected);
        let request =
            ListBuckets { owner: account(), prefix: name.to_string(), after: None, limit: PAGE_SIZE_MAX };
        let page = store.list_buckets(request).await.expect("a page");
        let listed: Vec<bool> = page.buckets.iter().map(|bucket| bucket.has_policy).collect();
        assert_eq!(listed, [expected]);
    };
    check(false).await;
    let set = async |kind, document: Option<&'static str>| {
        let document = document.map(|document| Bytes::from_static(document.as_bytes()));
        store.set_subresource(&name, kind, document).await.expect("a document that can be stored");
    };
    set(Subresource::Website, Some("w")).await;
    check(false).await;
    for document in ["{}", ""] {
        set(Subresource::Policy, Some(document)).await;
        check(true).await;
    }
    set(Subresource::Policy, None).await;
    check(false).await;
}

/// Whoever reads a bucket, or a version of it, learns whether it has lifecycle rules.
pub async fn a_bucket_says_whether_it_has_lifecycle_rules(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    let has = async || {
        let found = get(store, &name, &k, None).await.expect("it is there").bucket;
        assert_eq!(found, get_bucket(store, &name).await);
        found.has_lifecycle
    };
    let set = async |kind, document: Option<&'static [u8]>| {
        let document = document.map(Bytes::from_static);
        store.set_subresource(&name, kind, document).await.expect("the bucket is there");
    };
    assert!(!has().await, "a new bucket has none");
    set(Subresource::Tagging, Some(b"tags")).await;
    assert!(!has().await, "tags are none");
    set(Subresource::Lifecycle, Some(b"rules")).await;
    assert!(has().await);
    set(Subresource::Lifecycle, Some(b"others")).await;
    set(Subresource::Tagging, None).await;
    assert!(has().await);
    set(Subresource::Lifecycle, None).await;
    assert!(!has().await, "they were taken away");
    let rules = (Subresource::Lifecycle, Bytes::from_static(b"rules"));
    let request =
        CreateBucket { subresources: [rules].into(), ..CreateBucket::new(bucket_name(), account()) };
    let made = store.create_bucket(request).await.expect("a new bucket");
    assert!(made.has_lifecycle && get_bucket(store, &made.name).await.has_lifecycle, "it begins with rules");
}

/// Whoever reads a bucket, by itself or with a version, learns as of then what its ownership controls and its encryption
/// configuration are.
pub async fn a_bucket_comes_with_its_ownership_controls_and_encryption(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    for kind in [Subresource::OwnershipControls, Subresource::Encryption] {
        let of = |bucket: Bucket| match kind {
            Subresource::Encryption => bucket.encryption,
            _ => bucket.ownership_controls,
        };
        for document in [None, Some("controls"), Some("others"), Some(""), None] {
            let document = document.map(|document| Bytes::from_static(document.as_bytes()));
            let set = store.set_subresource(&name, kind, document.clone()).await;
            set.expect("a document that can be stored");
            assert_eq!(of(get_bucket(store, &name).await), document);
            let found = get(store, &name, &k, None).await.expect("the version is there");
            assert_eq!(of(found.bucket), document);
            let request =
                ListBuckets { owner: account(), prefix: name.to_string(), after: None, limit: PAGE_SIZE_MAX };
            let page = store.list_buckets(request).await.expect("a page");
            let listed: Vec<_> = page.buckets.into_iter().map(of).collect();
            assert_eq!(listed, [document]);
        }
    }
}
