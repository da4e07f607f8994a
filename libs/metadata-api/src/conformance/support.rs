//! What the cases share: names that nobody else uses, contents without bytes, short calls, a seeded generator.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use env::Env;
use types::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, ChunkId, Coding,
    Content, ETag, Extent, GroupId, KeyPrefix, LeaseId, Manifest, ObjectKey, PartNumber, StorageClassName,
    UploadId, VersionId, Versioning,
};

use crate::{
    AccountId, Bucket, CommitPart, CommitVersion, Committed, CompleteUpload, CompletedPart, CopyAttributes,
    CopyVersion, CreateBucket, CreateUpload, DeleteCondition, DeleteVersion, DeleteVersions, DeletedVersion,
    Error, FoundVersion, GetVersion, ListObjects, ListPosition, ListVersions, Metadata, NewVersion,
    ObjectEntry, ObjectPage, UploadChecksum, Version, VersionEntry, VersionPosition, VersionState,
    VersionSummary, WriteCondition,
};

/// The store under test.
pub type Store = Arc<dyn Metadata>;

/// How long a case waits for something that need not be immediate.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Fails the case.
#[track_caller]
#[expect(clippy::panic, reason = "a conformance case reports a violation by panicking, as any test does")]
pub fn violation(message: impl std::fmt::Display) -> ! {
    panic!("contract violated: {message}")
}

/// A random text of 12 letters and digits.
pub fn unique() -> String {
    let number = Env::real().random_u64();
    format!("{:012x}", number & 0xffff_ffff_ffff)
}

/// A bucket name that nobody else uses.
pub fn bucket_name() -> BucketName {
    BucketName::new(&format!("c{}", unique())).expect("letters and digits")
}

/// The account that owns most buckets of the suite.
pub fn account() -> AccountId {
    AccountId("conformance".to_owned())
}

/// A fresh unversioned bucket.
pub async fn bucket(store: &Store) -> BucketName {
    let name = bucket_name();
    store.create_bucket(CreateBucket { name: name.clone(), owner: account() }).await.expect("a new bucket");
    name
}

/// A fresh bucket with versioning enabled.
pub async fn versioned_bucket(store: &Store) -> BucketName {
    let name = bucket(store).await;
    store.set_versioning(&name, Versioning::Enabled).await.expect("enable versioning");
    name
}

/// The bucket as it is.
pub async fn get_bucket(store: &Store, bucket: &BucketName) -> Bucket {
    store.get_bucket(bucket).await.expect("the bucket is there")
}

/// The bucket's last commit.
pub async fn sequence(store: &Store, bucket: &BucketName) -> i64 {
    get_bucket(store, bucket).await.commit_sequence.0
}

/// A key.
pub fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text.to_owned()).expect("a valid key")
}

/// A prefix.
pub fn prefix(text: &str) -> KeyPrefix {
    KeyPrefix::new(text.to_owned()).expect("a valid prefix")
}

/// An entity tag made of a number.
pub fn etag(number: u64) -> ETag {
    let mut digest = [0; 16];
    digest[8..].copy_from_slice(&number.to_be_bytes());
    ETag { digest, parts: None }
}

/// A CRC-32C made of a number, as the checksum of a whole object.
pub fn crc32c(number: u32) -> Checksum {
    let value = ChecksumValue::new(ChecksumAlgorithm::Crc32c, &number.to_be_bytes()).expect("four bytes");
    Checksum { value, kind: ChecksumType::FullObject }
}

/// Inline content.
pub fn inline(bytes: impl Into<Bytes>) -> Content {
    Content::Inline(bytes.into())
}

/// One extent that is the whole of an invented chunk.
pub fn extent(chunk: ChunkId, length: u64) -> Extent {
    Extent {
        chunk,
        group: GroupId(1),
        coding: Coding::SINGLE,
        chunk_length: length,
        offset: 0,
        length,
        checksum: chunk.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Mints chunk ids under a lease of its own.
#[derive(Debug, Clone, Copy)]
pub struct Minter {
    /// The lease.
    pub lease: LeaseId,
    next: u64,
}

impl Minter {
    /// A minter with a new lease.
    pub async fn acquire(store: &Store) -> Self {
        Self::under(store.acquire_lease("conformance").await.expect("a lease").id)
    }

    /// A minter under a lease.
    pub fn under(lease: LeaseId) -> Self {
        Self { lease, next: 0 }
    }

    /// The next chunk id.
    pub fn chunk(&mut self) -> ChunkId {
        self.next += 1;
        ChunkId { lease: self.lease, counter: self.next }
    }

    /// Content in one new chunk for each length.
    pub fn content(&mut self, lengths: &[u64]) -> Content {
        Content::Stored(Manifest {
            extents: lengths.iter().map(|length| extent(self.chunk(), *length)).collect(),
        })
    }
}

/// The chunks that content names.
pub fn chunks(content: &Content) -> Vec<ChunkId> {
    match content {
        Content::Inline(_) => Vec::new(),
        Content::Stored(manifest) => manifest.extents.iter().map(|extent| extent.chunk).collect(),
    }
}

/// A plain version.
pub fn new_version(content: Content, tag: u64) -> NewVersion {
    NewVersion {
        content,
        etag: etag(tag),
        checksum: None,
        attributes: Attributes::default(),
        storage_class: StorageClassName::standard(),
    }
}

/// Asks to commit inline content `tag` with entity tag `tag`.
pub fn write(bucket: &BucketName, key: &ObjectKey, tag: u64) -> CommitVersion {
    CommitVersion {
        bucket: bucket.clone(),
        key: key.clone(),
        lease: None,
        version: new_version(inline(tag.to_string()), tag),
        condition: WriteCondition::None,
        missing: Vec::new(),
    }
}

/// Asks to commit stored content.
pub fn write_stored(
    bucket: &BucketName,
    key: &ObjectKey,
    tag: u64,
    lease: LeaseId,
    content: Content,
) -> CommitVersion {
    CommitVersion { lease: Some(lease), version: new_version(content, tag), ..write(bucket, key, tag) }
}

/// Commits inline content `tag` with entity tag `tag`.
pub async fn put(store: &Store, bucket: &BucketName, key: &ObjectKey, tag: u64) -> Committed {
    store.commit_version(write(bucket, key, tag)).await.expect("an unconditional commit")
}

/// Commits under a condition.
pub async fn put_if(
    store: &Store,
    bucket: &BucketName,
    key: &ObjectKey,
    tag: u64,
    condition: WriteCondition,
) -> Result<Committed, Error> {
    store.commit_version(CommitVersion { condition, ..write(bucket, key, tag) }).await
}

/// Reads the current or a named version, with its content.
pub async fn get(
    store: &Store,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: Option<VersionId>,
) -> Result<FoundVersion, Error> {
    let request = GetVersion { bucket: bucket.clone(), key: key.clone(), version_id, with_content: true };
    store.get_version(request).await
}

/// The object that was found.
#[track_caller]
pub fn object(found: &FoundVersion) -> &Version {
    match &found.state {
        VersionState::Object(version) => version,
        VersionState::DeleteMarker => violation("a delete marker was found in place of an object"),
    }
}

/// The entity tag of the key's current version; `None` when there is none or it is a delete marker.
pub async fn current_etag(store: &Store, bucket: &BucketName, key: &ObjectKey) -> Option<ETag> {
    match get(store, bucket, key, None).await {
        Ok(FoundVersion { state: VersionState::Object(version), .. }) => Some(version.etag),
        Ok(FoundVersion { state: VersionState::DeleteMarker, .. }) | Err(Error::KeyNotFound) => None,
        Err(error) => violation(format_args!("reading {key:?} failed: {error}")),
    }
}

/// An unconditional entry of a delete.
pub fn entry(key: &ObjectKey, version_id: Option<VersionId>) -> DeleteVersion {
    DeleteVersion { key: key.clone(), version_id, condition: DeleteCondition::default() }
}

/// Deletes several entries.
pub async fn delete_all(
    store: &Store,
    bucket: &BucketName,
    entries: Vec<DeleteVersion>,
) -> Vec<Result<DeletedVersion, Error>> {
    let count = entries.len();
    let answers = store.delete_versions(DeleteVersions { bucket: bucket.clone(), entries }).await;
    let answers = answers.expect("a delete of a bucket that is there");
    assert_eq!(answers.len(), count, "a delete answers each entry");
    answers
}

/// Deletes one entry.
pub async fn delete_entry(
    store: &Store,
    bucket: &BucketName,
    entry: DeleteVersion,
) -> Result<DeletedVersion, Error> {
    delete_all(store, bucket, vec![entry]).await.remove(0)
}

/// Deletes a key or a version without condition.
pub async fn delete(
    store: &Store,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: Option<VersionId>,
) -> DeletedVersion {
    delete_entry(store, bucket, entry(key, version_id)).await.expect("an unconditional delete succeeds")
}

/// Asks for everything in one page.
pub fn list(bucket: &BucketName) -> ListObjects {
    ListObjects {
        bucket: bucket.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: ListPosition::Start,
        limit: crate::PAGE_SIZE_MAX,
    }
}

/// Asks for all versions in one page.
pub fn list_versions(bucket: &BucketName) -> ListVersions {
    ListVersions {
        bucket: bucket.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: VersionPosition::Start,
        limit: crate::PAGE_SIZE_MAX,
    }
}

/// The text of each entry of a page; a common prefix is followed by `*`.
pub fn texts(page: &ObjectPage) -> Vec<String> {
    let text = |entry: &ObjectEntry| match entry {
        ObjectEntry::Object(object) => object.key.as_str().to_owned(),
        ObjectEntry::CommonPrefix(prefix) => format!("{}*", prefix.as_str()),
    };
    page.entries.iter().map(text).collect()
}

/// Every version of a bucket, page by page.
pub async fn all_versions(store: &Store, bucket: &BucketName) -> Vec<VersionSummary> {
    let mut request = list_versions(bucket);
    let mut all = Vec::new();
    loop {
        let page = store.list_versions(request.clone()).await.expect("a page of versions");
        for entry in page.entries {
            match entry {
                VersionEntry::Version(version) => all.push(version),
                VersionEntry::CommonPrefix(prefix) => {
                    violation(format_args!("common prefix {prefix:?} without a delimiter"))
                }
            }
        }
        if !page.truncated {
            return all;
        }
        let last = all.last().unwrap_or_else(|| violation("a truncated page without an entry"));
        request.position = VersionPosition::AfterVersion(last.key.clone(), last.version_id);
    }
}

/// Recomputes the bucket's usage from a listing of its versions and compares.
pub async fn check_usage(store: &Store, bucket: &BucketName) {
    let mut expected = crate::BucketUsage::default();
    for version in all_versions(store, bucket).await {
        let size = version.object.as_ref().map_or(0, |object| object.size);
        expected.versions += 1;
        expected.version_bytes += size;
        if version.is_latest && version.object.is_some() {
            expected.objects += 1;
            expected.object_bytes += size;
        }
    }
    assert_eq!(
        get_bucket(store, bucket).await.usage,
        expected,
        "usage is what a recount of the bucket gives"
    );
}

/// Runs futures at the same time, each as a task of its own, and collects what they answer.
pub async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let env = Env::real();
    let running: Vec<env::Task<T>> = tasks.into_iter().map(|task| env.spawn(task)).collect();
    let mut answers = Vec::with_capacity(running.len());
    for task in running {
        let answer = task.await;
        answers.push(answer.unwrap_or_else(|| violation("a concurrent task panicked; its message is above")));
    }
    answers
}

/// A seeded generator of numbers (SplitMix64: Steele, Lea and Flood, OOPSLA 2014), so that a case replays exactly.
#[derive(Debug, Clone)]
pub struct Generator(u64);

impl Generator {
    /// A generator that the seed determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("below a usize")
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A short text whose pieces are the ones that listings get wrong: separators, dots, NUL, newline, percent signs,
    /// characters of two to four bytes up to the highest.
    pub fn text(&mut self, pieces_max: usize) -> String {
        const PIECES: [&str; 16] = [
            "a",
            "b",
            "/",
            "/",
            "//",
            ".",
            "..",
            "-",
            "\0",
            "\n",
            "%2F",
            "é",
            "€",
            "😀",
            "\u{10ffff}",
            "\u{7f}",
        ];
        (0..self.below(pieces_max + 1)).map(|_| *self.choose(&PIECES)).collect()
    }
}

/// The checksum algorithm of most uploads of the suite.
pub const UPLOAD_CHECKSUM: UploadChecksum =
    UploadChecksum { algorithm: ChecksumAlgorithm::Crc32c, kind: ChecksumType::Composite };

/// Asks for a plain upload.
pub fn new_upload(bucket: &BucketName, key: &ObjectKey) -> CreateUpload {
    CreateUpload {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: Attributes::default(),
        storage_class: StorageClassName::standard(),
        checksum: UPLOAD_CHECKSUM,
        checksum_named: false,
    }
}

/// A part's number.
pub fn part_number(number: u16) -> PartNumber {
    PartNumber::new(number).expect("a valid part number")
}

/// Asks to add an inline part; its entity tag and checksum are made of its number.
pub fn inline_part(
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
    number: u16,
    text: &str,
) -> CommitPart {
    CommitPart {
        bucket: bucket.clone(),
        key: key.clone(),
        upload,
        number: part_number(number),
        lease: None,
        content: inline(text.to_owned()),
        etag: etag(u64::from(number)),
        checksum: crc32c(u32::from(number)).value,
        missing: Vec::new(),
    }
}

/// Asks to complete with these parts, named by the entity tags that [`inline_part`] and [`stored_part`] give them.
pub fn completion(bucket: &BucketName, key: &ObjectKey, upload: UploadId, parts: &[u16]) -> CompleteUpload {
    let part = |number: &u16| CompletedPart {
        number: part_number(*number),
        etag: etag(u64::from(*number)),
        checksum: None,
    };
    CompleteUpload {
        bucket: bucket.clone(),
        key: key.clone(),
        upload,
        parts: parts.iter().map(part).collect(),
        object_size: None,
        checksum: None,
        checksum_type: None,
        condition: WriteCondition::None,
    }
}

/// Asks to add a part of `size` bytes in a new chunk; its entity tag and checksum are made of its number.
pub fn stored_part(
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
    number: u16,
    minter: &mut Minter,
    size: u64,
) -> CommitPart {
    CommitPart {
        lease: Some(minter.lease),
        content: minter.content(&[size]),
        ..inline_part(bucket, key, upload, number, "")
    }
}

/// Asks for a copy that keeps everything.
pub fn copy(
    (source_bucket, source_key, source_version_id): (&BucketName, &ObjectKey, VersionId),
    source_etag: ETag,
    (bucket, key): (&BucketName, &ObjectKey),
) -> CopyVersion {
    CopyVersion {
        source_bucket: source_bucket.clone(),
        source_key: source_key.clone(),
        source_version_id,
        source_etag,
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: CopyAttributes::Keep,
        checksum: None,
        condition: WriteCondition::None,
    }
}
