//! Completion of multipart uploads.

use types::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, Content, ObjectKey,
};
use types::{ObjectPart, StorageClassName, UploadId, VersionId, Versioning};

use super::support::{
    Minter, Store, bucket, check_usage, completion, copy, current_etag, delete, etag, get, get_bucket,
    inline, inline_part, key, new_upload, object, part_number, put, sequence, stored_part, together,
    versioned_bucket,
};
use metadata_api::{
    AbortUpload, CommitPart, CompleteUpload, CompletedPart, CreateUpload, Error, UploadChecksum,
    WriteCondition, part_size_min,
};

const MIB: u64 = 1 << 20;

/// An open upload with parts of these numbers and sizes.
async fn upload(store: &Store, bucket: &BucketName, key: &ObjectKey, parts: &[(u16, u64)]) -> UploadId {
    let mut minter = Minter::acquire(store).await;
    let upload = store.create_upload(new_upload(bucket, key)).await.expect("an upload").id;
    for (number, size) in parts {
        store
            .commit_part(stored_part(bucket, key, upload, *number, &mut minter, *size))
            .await
            .expect("a part");
    }
    upload
}

/// The object of an upload: the parts' chunks in order, the tag of tags, the checksum of checksums, the parts.
pub async fn a_completed_upload_is_an_object_of_its_parts(store: &Store) {
    for kind in [ChecksumType::Composite, ChecksumType::FullObject] {
        let (name, k) = (versioned_bucket(store).await, key("k"));
        let mut minter = Minter::acquire(store).await;
        let request = CreateUpload {
            attributes: Attributes { content_type: Some("x/y".to_owned()), ..Attributes::default() },
            storage_class: StorageClassName::new("COLD").expect("a valid name"),
            checksum: UploadChecksum { algorithm: ChecksumAlgorithm::Crc32c, kind },
            ..new_upload(&name, &k)
        };
        let upload = store.create_upload(request.clone()).await.expect("an upload").id;
        let mut parts: Vec<CommitPart> = Vec::new();
        for (number, size) in [(10_000, 3), (1, 5 * MIB), (77, 6 * MIB + 1)] {
            let part = stored_part(&name, &k, upload, number, &mut minter, size);
            store.commit_part(part.clone()).await.expect("a part");
            parts.push(part);
        }
        parts.sort_by_key(|part| part.number);
        let before = sequence(store, &name).await;
        let request_to_complete = completion(&name, &k, upload, &[1, 77, 10_000]);
        let made = store.complete_upload(request_to_complete).await.expect("a completion");

        let size = 11 * MIB + 4;
        assert_eq!((made.sequence.0, made.versioning, made.size), (before + 1, Versioning::Enabled, size));
        let tags: Vec<_> = parts.iter().map(|part| part.etag.digest).collect();
        assert_eq!(Ok(made.etag), checksum::multipart_etag(&tags));
        let value = object_checksum(kind, &parts);
        assert_eq!(made.checksum, Some(Checksum { value, kind }));
        let found = get(store, &name, &k, None).await.expect("the object is there");
        assert_eq!((found.version_id, found.last_modified), (made.version_id, made.last_modified));
        let found = object(&found);
        assert_eq!((found.size, found.etag, found.checksum), (size, made.etag, made.checksum));
        assert_eq!((&found.attributes, &found.storage_class), (&request.attributes, &request.storage_class));
        let extents = parts.iter().flat_map(|part| match &part.content {
            Content::Stored(manifest) => manifest.extents.clone(),
            Content::Inline(_) => Vec::new(),
        });
        assert_eq!(found.content, Content::Stored(types::Manifest { extents: extents.collect() }));
        let expected: Vec<ObjectPart> = parts.iter().map(object_part).collect();
        assert_eq!(found.parts, expected);
        assert_eq!(
            store.get_upload(&name, &k, upload).await,
            Err(Error::UploadNotFound),
            "a completed upload is closed"
        );
        check_usage(store, &name).await;

        let request = copy((&name, &k, made.version_id), made.etag, (&name, &key("copy")));
        store.copy_version(request).await.expect("a copy");
        let found = get(store, &name, &key("copy"), None).await.expect("the copy is there");
        assert_eq!(object(&found).parts, expected, "a copy has the parts of its source");
    }
}

fn object_checksum(kind: ChecksumType, parts: &[CommitPart]) -> ChecksumValue {
    let algorithm = ChecksumAlgorithm::Crc32c;
    let value = match kind {
        ChecksumType::Composite => {
            checksum::composite(algorithm, &parts.iter().map(|part| part.checksum).collect::<Vec<_>>())
        }
        ChecksumType::FullObject => {
            let parts: Vec<_> = parts.iter().map(|part| (part.checksum, part.content.length())).collect();
            checksum::full_object(algorithm, &parts)
        }
    };
    value.expect("CRCs of parts combine")
}

fn object_part(part: &CommitPart) -> ObjectPart {
    ObjectPart {
        number: part.number,
        size: part.content.length(),
        etag: part.etag,
        checksum: Some(part.checksum),
    }
}

/// Many parts, of which some are named; the last one uploaded under a number counts.
pub async fn an_upload_of_many_parts_completes(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let sizes: Vec<(u16, u64)> = (1..=120).map(|number| (number, 5 * MIB + u64::from(number))).collect();
    let id = upload(store, &name, &k, &sizes).await;
    let named: Vec<u16> = (1..=120).filter(|number| number % 3 != 0).collect();
    let made = store.complete_upload(completion(&name, &k, id, &named)).await.expect("a completion");
    assert_eq!(made.size, named.iter().map(|number| 5 * MIB + u64::from(*number)).sum::<u64>());
    assert_eq!(made.etag.parts, Some(80));
    let found = get(store, &name, &k, None).await.expect("the object is there");
    assert_eq!(object(&found).content.length(), made.size);
    let numbers: Vec<u16> = object(&found).parts.iter().map(|part| part.number.get()).collect();
    assert_eq!(numbers, named);
    assert_eq!((made.version_id, made.versioning), (VersionId::Null, Versioning::Unversioned));
    check_usage(store, &name).await;
}

/// One part of no bytes is an object of no bytes.
pub async fn one_empty_part_makes_an_empty_object(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let id = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    store.commit_part(inline_part(&name, &k, id, 1, "")).await.expect("an empty part");
    let made = store.complete_upload(completion(&name, &k, id, &[1])).await.expect("a completion");
    assert_eq!((made.size, made.etag.parts), (0, Some(1)));
    let found = get(store, &name, &k, None).await.expect("the object is there");
    assert_eq!((object(&found).content.length(), object(&found).parts.len()), (0, 1));

    let id = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    store.commit_part(inline_part(&name, &k, id, 1, "small")).await.expect("an inline part");
    store.complete_upload(completion(&name, &k, id, &[1])).await.expect("a completion");
    let found = get(store, &name, &k, None).await.expect("the object is there");
    assert_eq!(object(&found).content, inline("small"), "one inline part is inline content");
}

/// Each way in which the named parts can be wrong; the upload stays open, and right parts complete it.
pub async fn wrong_parts_are_refused_and_the_upload_stays_open(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let id = upload(store, &name, &k, &[(1, 5 * MIB), (2, 5 * MIB - 1), (3, 5 * MIB), (4, 1)]).await;
    let before = get_bucket(store, &name).await;
    let attempt = async |parts: Vec<CompletedPart>| {
        store.complete_upload(CompleteUpload { parts, ..completion(&name, &k, id, &[]) }).await.err()
    };
    let named = |numbers: &[u16]| completion(&name, &k, id, numbers).parts;
    let invalid = |number: u16| Some(Error::InvalidPart { number: part_number(number) });
    let small = |number: u16, size: u64| {
        let etag = named(&[number])[0].etag;
        Some(Error::PartTooSmall { number: part_number(number), size, minimum: part_size_min(), etag })
    };
    assert_eq!(attempt(named(&[3, 1])).await, Some(Error::InvalidPartOrder));
    assert_eq!(attempt(named(&[1, 1])).await, Some(Error::InvalidPartOrder), "a part named twice");
    assert_eq!(attempt(named(&[1, 5])).await, invalid(5), "a part that was not uploaded");
    let mut parts = named(&[1, 3]);
    parts[1].etag = etag(999);
    assert_eq!(attempt(parts).await, invalid(3), "another entity tag");
    let mut parts = named(&[1, 3]);
    parts[0].checksum = Some(super::support::crc32c(999).value);
    assert_eq!(attempt(parts).await, invalid(1), "another checksum");
    assert_eq!(attempt(named(&[1, 2, 3])).await, small(2, 5 * MIB - 1));
    let no_parts = attempt(Vec::new()).await;
    assert!(matches!(no_parts, Some(Error::Malformed { .. })), "no part at all: {no_parts:?}");
    assert_eq!(get_bucket(store, &name).await, before, "refused completions change nothing");
    assert_eq!(current_etag(store, &name, &k).await, None);

    let mut parts = named(&[1, 3, 4]);
    parts[1].checksum = Some(super::support::crc32c(3).value);
    let request = CompleteUpload { parts, ..completion(&name, &k, id, &[]) };
    let made = store.complete_upload(request).await.expect("the last part may be small");
    assert_eq!(made.size, 10 * MIB + 1);
}

/// What the completion states of the whole object must be so.
pub async fn stated_size_and_checksum_must_hold(store: &Store) {
    let kinds = [ChecksumType::Composite, ChecksumType::FullObject];
    for (kind, checksum_named) in kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let (name, k) = (bucket(store).await, key("k"));
        let mut minter = Minter::acquire(store).await;
        let checksum = UploadChecksum { algorithm: ChecksumAlgorithm::Crc32c, kind };
        let request = CreateUpload { checksum, checksum_named, ..new_upload(&name, &k) };
        let id = store.create_upload(request).await.expect("an upload").id;
        let parts = [(1, 5 * MIB), (2, 8)].map(|(n, size)| stored_part(&name, &k, id, n, &mut minter, size));
        for part in &parts {
            store.commit_part(part.clone()).await.expect("a part");
        }
        let right = object_checksum(kind, &parts);
        let wrong = super::support::crc32c(404).value;
        let sha = ChecksumValue::new(ChecksumAlgorithm::Sha256, &[1; 32]).expect("32 bytes");
        let (this, that) = match kind {
            ChecksumType::Composite => (ChecksumType::Composite, ChecksumType::FullObject),
            ChecksumType::FullObject => (ChecksumType::FullObject, ChecksumType::Composite),
        };
        let attempt = async |object_size, checksum, checksum_type| {
            let request = completion(&name, &k, id, &[1, 2]);
            store.complete_upload(CompleteUpload { object_size, checksum, checksum_type, ..request }).await
        };
        let actual = 5 * MIB + 8;
        let size = attempt(Some(actual + 1), None, None).await;
        assert_eq!(size, Err(Error::UploadSizeMismatch { stated: actual + 1, actual }));
        let of_another = checksum_named.then_some((Some(sha), None));
        let wrongs = [(Some(wrong), None), (None, Some(that)), (Some(wrong), Some(this))];
        for (value, of_type) in wrongs.into_iter().chain(of_another) {
            let answer = attempt(None, value, of_type).await;
            assert_eq!(answer, Err(Error::UploadChecksumMismatch), "{value:?} {of_type:?} for {kind:?}");
        }
        assert_eq!(current_etag(store, &name, &k).await, None, "refused completions change nothing");
        // Of an algorithm that nobody named none is kept, so one by another says nothing.
        let stated = if checksum_named { right } else { sha };
        let made =
            attempt(Some(actual), Some(stated), Some(this)).await.expect("everything that is stated holds");
        assert_eq!(made.checksum, Some(Checksum { value: right, kind }));
        assert_eq!(attempt(Some(actual), Some(stated), Some(this)).await, Ok(made), "it is answered again");
    }
}

/// Conditions are checked at completion, not before; the upload survives a failure.
pub async fn conditions_hold_at_completion(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let id = upload(store, &name, &k, &[(1, 10)]).await;
    let attempt = async |condition| {
        let request = CompleteUpload { condition, ..completion(&name, &k, id, &[1]) };
        store.complete_upload(request).await
    };
    assert_eq!(attempt(WriteCondition::IfPresent).await, Err(Error::KeyNotFound));
    assert_eq!(attempt(WriteCondition::IfMatch(etag(1))).await, Err(Error::KeyNotFound));
    put(store, &name, &k, 1).await;
    let failed = Err(Error::PreconditionFailed { current: Some(etag(1)) });
    assert_eq!(attempt(WriteCondition::IfAbsent).await, failed);
    assert_eq!(attempt(WriteCondition::IfMatch(etag(2))).await, failed);
    assert_eq!(sequence(store, &name).await, 1, "refused completions consume no number");
    let made = attempt(WriteCondition::IfMatch(etag(1))).await.expect("the tag matches");
    assert_eq!(current_etag(store, &name, &k).await, Some(made.etag));
}

/// A client that lost the answer asks again: the same answer, whatever has become of the object since.
pub async fn a_repeated_completion_gives_the_same_answer(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let k = key("k");
        let id = upload(store, &name, &k, &[(1, 5 * MIB), (2, 10)]).await;
        let request = || completion(&name, &k, id, &[1, 2]);
        let made = store.complete_upload(request()).await.expect("a completion");
        let after = get_bucket(store, &name).await;
        assert_eq!(store.complete_upload(request()).await, Ok(made.clone()));
        assert_eq!(get_bucket(store, &name).await, after, "a repetition is no commit");
        let other = store.complete_upload(completion(&name, &k, id, &[1])).await;
        assert_eq!(other, Err(Error::UploadNotFound), "another request is no repetition");
        let with_condition = CompleteUpload { condition: WriteCondition::IfAbsent, ..request() };
        assert_eq!(store.complete_upload(with_condition).await, Err(Error::UploadNotFound));
        let abort = AbortUpload { bucket: name.clone(), key: k.clone(), upload: id };
        assert_eq!(
            store.abort_upload(abort).await,
            Err(Error::UploadNotFound),
            "what is completed is not aborted"
        );
        let late = inline_part(&name, &k, id, 3, "x");
        assert_eq!(store.commit_part(late).await, Err(Error::UploadNotFound));

        put(store, &name, &k, 7).await;
        assert_eq!(store.complete_upload(request()).await, Ok(made.clone()), "after an overwrite");
        assert_eq!(
            current_etag(store, &name, &k).await,
            Some(etag(7)),
            "the repetition does not write again"
        );
        delete(store, &name, &k, None).await;
        assert_eq!(store.complete_upload(request()).await, Ok(made), "after a delete");
        assert_eq!(current_etag(store, &name, &k).await, None);
    }
}

/// Two completions and an abort at once: completed once and answered alike, or aborted and nothing there.
pub async fn racing_completions_and_aborts_have_one_outcome(store: &Store) {
    let name = versioned_bucket(store).await;
    for round in 0..8 {
        let k = key(&format!("k{round}"));
        let id = upload(store, &name, &k, &[(1, 5 * MIB), (2, 1)]).await;
        let before = sequence(store, &name).await;
        let tasks = (0..3).map(|number| {
            let (store, name, k) = (store.clone(), name.clone(), k.clone());
            async move {
                if number == round % 3 {
                    let abort = AbortUpload { bucket: name, key: k, upload: id };
                    return store.abort_upload(abort).await.map(|()| None);
                }
                store.complete_upload(completion(&name, &k, id, &[1, 2])).await.map(Some)
            }
        });
        let answers = together(tasks).await;
        let aborted = answers.contains(&Ok(None));
        let made: Vec<_> = answers.iter().flatten().flatten().collect();
        let refused = answers.iter().filter(|answer| **answer == Err(Error::UploadNotFound)).count();
        assert_eq!(made.len() + refused + usize::from(aborted), 3, "{answers:?}");
        if aborted {
            assert!(made.is_empty(), "aborted, and completed: {answers:?}");
            assert_eq!(get(store, &name, &k, None).await.err(), Some(Error::KeyNotFound));
        } else {
            assert_eq!(made.len(), 2, "not aborted, so both completions are answered: {answers:?}");
            assert_eq!(made[0], made[1], "both completions are answered alike");
        }
        assert_eq!(sequence(store, &name).await, before + i64::from(!aborted), "at most one commit");
        check_usage(store, &name).await;
    }
}
