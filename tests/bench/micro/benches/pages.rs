//! Versions and pages of listings, as the metadata service finds them in SQLite, and as answers show them.

use std::{hint::black_box, sync::Arc};

use criterion::Criterion;
use env::Env;
use metadata::{MetadataStore, StoreConfig};
use metadata_api::{GetVersion, ListObjects, ListPosition, Metadata, ObjectEntry};
use metadata_conformance::support::{bucket, key, put};
use s3_wire::xml::{ListObjectsV2, ObjectRow, list_objects_v2};
use tokio::runtime::Runtime;
use types::KeyPrefix;

/// Keys of a page.
const PAGE: u64 = 1000;
/// Common prefixes.
const FOLDERS: u64 = 200;

fn pages(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("metadata.db").display());
    let open = |is_alone| {
        MetadataStore::open(Env::real(), StoreConfig { is_alone, ..StoreConfig::new(url.clone()) })
    };
    let store: Arc<dyn Metadata> = Arc::new(runtime.block_on(open(false)).expect("a new database"));
    let name = runtime.block_on(async {
        let name = bucket(&store).await;
        for number in 0..PAGE {
            let key = key(&format!("d{:03}/{number:010}", number % FOLDERS));
            put(&store, &name, &key, number).await;
        }
        name
    });

    let page = |delimiter: Option<&[u8]>| {
        let request = ListObjects {
            bucket: name.clone(),
            prefix: KeyPrefix::default(),
            delimiter: delimiter.map(|text| KeyPrefix::new(text.to_vec()).expect("a delimiter")),
            position: ListPosition::Start,
            limit: usize::try_from(PAGE).unwrap_or(usize::MAX),
        };
        runtime.block_on(store.list_objects(request)).expect("a page")
    };
    let (all, folders) = (page(None), page(Some(b"/")));
    assert_eq!((all.entries.len() as u64, folders.entries.len() as u64), (PAGE, FOLDERS));
    criterion.bench_function("metadata/page of 1,000 keys", |bencher| bencher.iter(|| page(None)));
    criterion
        .bench_function("metadata/page of 200 common prefixes", |bencher| bencher.iter(|| page(Some(b"/"))));

    let mut number = 0;
    let mut find = || {
        number = (number + 7) % PAGE;
        let key = key(&format!("d{:03}/{number:010}", number % FOLDERS));
        let request = GetVersion { bucket: name.clone(), key, version_id: None, with_content: false };
        runtime.block_on(store.get_version(request)).expect("a version")
    };
    assert!(find().is_current);
    criterion.bench_function("metadata/version that is not remembered", |bencher| bencher.iter(&mut find));

    let objects: Vec<_> = all
        .entries
        .iter()
        .filter_map(|entry| match entry {
            ObjectEntry::Object(object) => Some((object, String::from_utf8_lossy(object.key.as_bytes()))),
            ObjectEntry::CommonPrefix(_) => None,
        })
        .collect();
    let answer = ListObjectsV2 {
        name: name.as_str(),
        prefix: "",
        start_after: None,
        continuation_token: None,
        next_continuation_token: None,
        key_count: objects.len(),
        max_keys: 1000,
        delimiter: None,
        url: true,
        is_truncated: false,
    };
    let write = || {
        let rows = objects.iter().map(|(object, key)| ObjectRow {
            key,
            last_modified: object.last_modified,
            etag: object.etag,
            checksum: object.checksum,
            size: object.size,
            storage_class: object.storage_class.as_str(),
            restore: None,
            owner: None,
        });
        list_objects_v2(black_box(&answer), rows, [])
    };
    let body = write();
    let rows = String::from_utf8_lossy(&body).matches("<Contents>").count() as u64;
    assert_eq!(rows, PAGE);
    criterion.bench_function("answer/page of 1,000 keys in XML", |bencher| bencher.iter(write));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    pages(&mut criterion);
    criterion.final_summary();
}
