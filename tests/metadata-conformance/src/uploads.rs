//! Multipart uploads, until they are completed.

use std::collections::BTreeMap;

use types::{
    Attributes, ChecksumAlgorithm, ChecksumType, KeyPrefix, ObjectKey, Sequence, StorageClassName, UploadId,
};

use super::{
    listing::DELIMITERS,
    support::{
        Generator, Minter, Store, bucket, completion, crc32c, etag, get_bucket, inline_part, key, new_upload,
        part_number, prefix, put, stored_part, violation,
    },
};
use metadata_api::{
    AbortUpload, BucketUsage, CreateUpload, Error, Initiator, ListParts, ListUploads, PAGE_SIZE_MAX,
    PartPage, UploadChecksum, UploadEntry, UploadPage, UploadPosition,
};

/// What an upload is opened with comes back with it; open uploads are neither objects nor commits.
pub async fn an_open_upload_is_found_as_it_was_opened(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let request = CreateUpload {
        attributes: Attributes { content_type: Some("x/y".to_owned()), ..Attributes::default() },
        storage_class: StorageClassName::new("COLD").expect("a valid name"),
        checksum: UploadChecksum { algorithm: ChecksumAlgorithm::Crc64nvme, kind: ChecksumType::FullObject },
        checksum_named: true,
        initiator: Some(Initiator("arn:aws:iam::111122223333:user/ann".to_owned())),
        ..new_upload(&name, &k)
    };
    let upload = store.create_upload(request.clone()).await.expect("an upload");
    assert_eq!(upload.key, k);
    assert_eq!((&upload.attributes, &upload.storage_class), (&request.attributes, &request.storage_class));
    assert_eq!((upload.checksum, upload.checksum_named), (request.checksum, true));
    assert_eq!(upload.initiator, request.initiator);
    assert_eq!(store.get_upload(&name, &k, upload.id).await, Ok(upload.clone()));
    let second = store.create_upload(new_upload(&name, &k)).await.expect("another upload of the same key");
    assert_eq!(second.initiator, None);
    assert_ne!(second.id, upload.id);
    let mut minter = Minter::acquire(store).await;
    store.commit_part(stored_part(&name, &k, second.id, 1, &mut minter, 77)).await.expect("a part");
    let after = get_bucket(store, &name).await;
    assert_eq!((after.usage, after.commit_sequence), (BucketUsage::default(), Sequence(0)));
    assert_eq!(
        store.get_upload(&name, &k, upload.id).await,
        Ok(upload),
        "uploads of one key are independent"
    );
}

/// An upload belongs to its bucket and its key.
pub async fn an_unknown_upload_is_reported_by_every_call(store: &Store) {
    let (name, other, k) = (bucket(store).await, bucket(store).await, key("k"));
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    for (name, k, upload) in
        [(&name, &k, UploadId([9; 16])), (&name, &key("other"), upload), (&other, &k, upload)]
    {
        let check =
            |call: &str, error: Option<Error>| assert_eq!(error, Some(Error::UploadNotFound), "{call}");
        check("get_upload", store.get_upload(name, k, upload).await.err());
        check("commit_part", store.commit_part(inline_part(name, k, upload, 1, "x")).await.err());
        let request = ListParts { bucket: name.clone(), key: k.clone(), upload, after: None, limit: 10 };
        check("list_parts", store.list_parts(request).await.err());
        check("complete_upload", store.complete_upload(completion(name, k, upload, &[1])).await.err());
        let request = AbortUpload { bucket: name.clone(), key: k.clone(), upload };
        check("abort_upload", store.abort_upload(request).await.err());
    }
    store.get_upload(&name, &k, upload).await.expect("the upload itself is untouched");
}

/// Parts in any order, replaced, listed by number in pages.
pub async fn parts_are_listed_by_number_and_replaced(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload");
    let mut expected = BTreeMap::new();
    for (size, number) in [9, 10_000, 1, 300, 9, 2, 1, 77, 10_000, 8].into_iter().enumerate() {
        let mut request = stored_part(&name, &k, upload.id, number, &mut minter, size as u64);
        request.etag = etag(size as u64);
        request.checksum = crc32c(u32::try_from(size).expect("small")).value;
        let part = store.commit_part(request.clone()).await.expect("a part");
        assert_eq!((part.number, part.size), (part_number(number), size as u64));
        assert_eq!((part.etag, part.checksum), (request.etag, request.checksum));
        expected.insert(number, part);
    }
    let page = async |after: Option<u16>, limit: usize| {
        let after = after.map(part_number);
        let request = ListParts { bucket: name.clone(), key: k.clone(), upload: upload.id, after, limit };
        let PartPage { upload: shown, parts, truncated } =
            store.list_parts(request).await.expect("a page of parts");
        assert_eq!(shown, upload, "a page of parts shows its upload");
        (parts, truncated)
    };
    for after in [None, Some(1), Some(5), Some(9), Some(9_999), Some(10_000)] {
        let rest: Vec<_> = expected
            .iter()
            .filter(|(number, _)| Some(**number) > after)
            .map(|(_, part)| part.clone())
            .collect();
        for limit in [1, 2, rest.len().max(1), rest.len() + 1, PAGE_SIZE_MAX] {
            let first = rest.iter().take(limit).cloned().collect::<Vec<_>>();
            assert_eq!(
                page(after, limit).await,
                (first, rest.len() > limit),
                "after {after:?}, at most {limit}"
            );
        }
    }
}

/// After an abort there is no upload, and nothing can be added to it.
pub async fn an_aborted_upload_is_gone(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    store.commit_part(inline_part(&name, &k, upload, 1, "x")).await.expect("a part");
    let abort = || AbortUpload { bucket: name.clone(), key: k.clone(), upload };
    assert_eq!(store.abort_upload(abort()).await, Ok(()));
    assert_eq!(store.abort_upload(abort()).await, Err(Error::UploadNotFound));
    assert_eq!(store.get_upload(&name, &k, upload).await, Err(Error::UploadNotFound));
    let late = store.commit_part(inline_part(&name, &k, upload, 2, "x")).await;
    assert_eq!(late, Err(Error::UploadNotFound), "a part that comes late");
    let answer = store.complete_upload(completion(&name, &k, upload, &[1])).await;
    assert_eq!(answer, Err(Error::UploadNotFound));
    assert_eq!(shown(&store.list_uploads(list(&name)).await.expect("a listing")), []);
    assert_eq!(
        super::support::current_etag(store, &name, &k).await,
        Some(etag(1)),
        "the object is untouched"
    );
}

fn list(bucket: &types::BucketName) -> ListUploads {
    ListUploads {
        bucket: bucket.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: UploadPosition::Start,
        limit: PAGE_SIZE_MAX,
    }
}

/// The text of each entry, and the upload unless it is a common prefix.
fn shown(page: &UploadPage) -> Vec<(String, Option<UploadId>)> {
    let entry = |entry: &UploadEntry| match entry {
        UploadEntry::Upload(upload) => (upload.key.as_str().to_owned(), Some(upload.id)),
        UploadEntry::CommonPrefix(prefix) => (prefix.as_str().to_owned(), None),
    };
    page.entries.iter().map(entry).collect()
}

/// What a listing shows by the definition.
fn naive(uploads: &[(ObjectKey, UploadId)], request: &ListUploads) -> Vec<(String, Option<UploadId>)> {
    let mut entries = Vec::new();
    for (key, id) in uploads {
        let Some(rest) = key.as_str().strip_prefix(request.prefix.as_str()) else { continue };
        let delimiter = request.delimiter.as_ref().map(KeyPrefix::as_str);
        match delimiter.and_then(|delimiter| rest.split_once(delimiter).map(|(head, _)| (head, delimiter))) {
            Some((head, delimiter)) => {
                entries.push((format!("{}{head}{delimiter}", request.prefix.as_str()), None))
            }
            None => entries.push((key.as_str().to_owned(), Some(*id))),
        }
    }
    entries.sort();
    entries.dedup();
    entries.retain(|(text, upload)| match &request.position {
        UploadPosition::Start => true,
        UploadPosition::AfterKey(after) => text.as_str() > after.as_str(),
        UploadPosition::AfterUpload(after, id) => {
            text.as_str() > after.as_str()
                || (text == after.as_str() && upload.is_some_and(|upload| upload > *id))
        }
    });
    entries
}

/// Random keys with several uploads each, prefixes, delimiters, positions and limits against the definition.
pub async fn random_upload_listings_agree_with_a_naive_model(store: &Store) {
    let name = bucket(store).await;
    let mut generator = Generator::new(31);
    let keys: Vec<ObjectKey> = (0..25).map(|_| key(&format!("{}k", generator.text(4)))).collect();
    let mut uploads = Vec::new();
    for _ in 0..70 {
        let k = generator.choose(&keys).clone();
        let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload");
        uploads.push((k, upload.id));
    }
    for _ in 0..20 {
        let (k, upload) = uploads.swap_remove(generator.below(uploads.len()));
        let request = AbortUpload { bucket: name.clone(), key: k, upload };
        store.abort_upload(request).await.expect("an abort");
    }
    for _ in 0..250 {
        let mut cut = || {
            let mut text = generator.choose(&keys).as_str().to_owned();
            for _ in 0..generator.below(4) {
                text.pop();
            }
            prefix(&text)
        };
        let (position_text, prefix_text) = (cut(), cut());
        let (k, id) = generator.choose(&uploads).clone();
        let position = match generator.below(4) {
            0 => UploadPosition::Start,
            1 => UploadPosition::AfterKey(position_text),
            2 => UploadPosition::AfterUpload(prefix(k.as_str()), UploadId([0x80; 16])),
            _ => UploadPosition::AfterUpload(prefix(k.as_str()), id),
        };
        let request = ListUploads {
            prefix: if generator.one_in(2) { prefix_text } else { KeyPrefix::default() },
            delimiter: generator.one_in(2).then(|| prefix(generator.choose::<&str>(&DELIMITERS))),
            position,
            limit: *generator.choose(&[1, 2, 5, PAGE_SIZE_MAX]),
            ..list(&name)
        };
        let expected = naive(&uploads, &request);
        let page = store.list_uploads(request.clone()).await.expect("a listing of uploads");
        assert_eq!(shown(&page), expected[..expected.len().min(request.limit)], "entries of {request:?}");
        assert_eq!(page.truncated, expected.len() > request.limit, "truncated, of {request:?}");
        let first = page.entries.iter().find_map(|entry| match entry {
            UploadEntry::Upload(upload) => Some(upload),
            UploadEntry::CommonPrefix(_) => None,
        });
        if let Some(upload) = first {
            let found = store.get_upload(&name, &upload.key, upload.id).await;
            assert_eq!(
                found.as_ref().unwrap_or_else(|e| violation(e)),
                &**upload,
                "a listing shows the whole upload"
            );
        }
    }
}
