//! The database behind the metadata services: the contract's fake, with the defects that a sabotage puts in.

use async_trait::async_trait;
use bytes::Bytes;
use metadata_api::{
    AbortUpload, Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus, Bucket,
    BucketPage, BucketQuota, ChangeIdentities, ClusterMap, CommitPart, CommitVersion, Committed,
    CompleteUpload, ContentPage, ContentPosition, CopyAttributes, CopyVersion, CreateAccount, CreateBucket,
    CreateUpload, DeleteVersions, DeletedVersion, DerivedKey, DiskHistory, EncryptedPage, Error, Eviction,
    FoundVersion, GarbageId, GarbageItem, GetVersion, IdentitiesChanged, IdentityPage, Intent, Inventory,
    JobName, JobProgress, JobState, Lease, LeaseState, ListBuckets, ListObjects, ListParts, ListUploads,
    ListVersions, Metadata, NewMove, NodeRegistration, NodeState, ObjectPage, ObservedNode, OpenSession,
    PAGE_SIZE_MAX, Part, PartPage, RateHolder, RateLimit, RateLimitSet, Rates, RenameObject, RenamePrefix,
    ReplaceChunks, Rewrap, RootKeyMade, SealSession, SealedSession, SessionOpened, SetAcl, SetLock,
    SetRestore, SetTags, StorageClassDefinition, Subresource, Tagged, Upload, UploadPage, VersionEntry,
    VersionPage, VersionPosition, fake::Fake,
};
use sigv4::Scope;
use types::{
    BucketName, ChunkId, ChunkOwner, Coding, DiskId, GroupId, KeyPrefix, LeaseId, MissingShard, NodeId,
    ObjectKey, ObjectLockConfiguration, ShardId, ShardIndex, StorageClassName, Timestamp, UploadId,
    VersionId, Versioning,
};

use crate::sabotage::Sabotage;

/// The database.
pub(crate) struct Database {
    pub(crate) fake: Fake,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Database {
    async fn complete(&self, mut request: CompleteUpload) -> Result<Committed, Error> {
        if self.sabotage != Some(Sabotage::LostPart) {
            return self.fake.complete_upload(request).await;
        }
        let digests: Vec<_> = request.parts.iter().map(|part| part.etag.digest).collect();
        let etag = checksum::multipart_etag(&digests).expect("few parts");
        if request.parts.len() > 1 {
            request.parts.remove(0);
        }
        Ok(Committed { etag, ..self.fake.complete_upload(request).await? })
    }

    async fn delete(&self, mut request: DeleteVersions) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
        let asked: Vec<_> = request.entries.iter().map(|entry| entry.version_id).collect();
        if self.sabotage == Some(Sabotage::OtherVersion) {
            for entry in &mut request.entries {
                let Some(id) = entry.version_id else { continue };
                entry.version_id = self.another(&request.bucket, &entry.key, id).await?.or(Some(id));
            }
        }
        let mut answers = self.fake.delete_versions(request).await?;
        for (answer, asked) in answers.iter_mut().zip(asked) {
            if let (Ok(answer), Some(asked)) = (answer, asked) {
                answer.version_id = Some(asked);
            }
        }
        Ok(answers)
    }

    /// Another version of a key.
    async fn another(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: VersionId,
    ) -> Result<Option<VersionId>, Error> {
        let request = ListVersions {
            bucket: bucket.clone(),
            prefix: KeyPrefix::new(key.as_str().to_owned()).expect("a key is a prefix"),
            delimiter: None,
            position: VersionPosition::Start,
            limit: PAGE_SIZE_MAX,
        };
        let page = self.fake.list_versions(request).await?;
        let ids = page.entries.iter().filter_map(|entry| match entry {
            VersionEntry::Version(version) => Some(version.version_id),
            VersionEntry::CommonPrefix(_) => None,
        });
        Ok(ids.into_iter().find(|other| *other != id))
    }

    /// The map, and what is still to be evicted from disks that answer: what an operator is told of both at one moment.
    pub(crate) async fn progress(&self) -> Result<(ClusterMap, Vec<Eviction>), Error> {
        let mut map = self.fake.cluster_map(None).await?.unwrap_or_default();
        let mut evictions = metadata_api::all_evictions(&self.fake).await?;
        if self.sabotage == Some(Sabotage::EarlyDrain) {
            evictions.clear();
            for group in map.classes.iter_mut().flat_map(|class| &mut class.groups) {
                for pending in group.moves.drain(..) {
                    group.disks[usize::from(pending.index.0)] = pending.to;
                }
            }
        }
        Ok((map, evictions))
    }

    /// Both ends of a rename.
    async fn rename(&self, request: RenameObject) -> Result<Committed, Error> {
        if self.sabotage != Some(Sabotage::LeftSource) {
            return self.fake.rename_object(request).await;
        }
        let RenameObject { bucket, source_key, source_version_id, source_etag, key, condition, .. } = request;
        let copy = CopyVersion {
            source_bucket: bucket.clone(),
            source_key,
            source_version_id,
            source_etag,
            source_class: None,
            rewraps: None,
            bucket,
            key,
            attributes: CopyAttributes::Keep,
            checksum: None,
            condition,
        };
        self.fake.copy_version(copy).await
    }

    async fn list(&self, mut request: ListVersions) -> Result<VersionPage, Error> {
        if self.sabotage == Some(Sabotage::SkippedVersions)
            && let VersionPosition::AfterVersion(key, _) = &request.position
        {
            let key = KeyPrefix::new(key.as_str().to_owned()).expect("a key is a prefix");
            request.position = VersionPosition::AfterKey(key);
        }
        self.fake.list_versions(request).await
    }

    async fn begin(&self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error> {
        let since = self.fake.begin_moves(expected_epoch, moves).await?;
        if self.sabotage == Some(Sabotage::HastyMoves) {
            for NewMove { group, index, .. } in moves {
                self.fake.finish_move(*group, *index, since).await?;
            }
        }
        Ok(since)
    }
}

/// Passes calls on as they are, beside those that a sabotage changes.
macro_rules! passed_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Metadata for Database {
            async fn complete_upload(&self, request: CompleteUpload) -> Result<Committed, Error> {
                self.complete(request).await
            }

            async fn delete_versions(
                &self,
                request: DeleteVersions,
            ) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
                self.delete(request).await
            }

            async fn rename_object(&self, request: RenameObject) -> Result<Committed, Error> {
                self.rename(request).await
            }

            async fn list_versions(&self, request: ListVersions) -> Result<VersionPage, Error> {
                self.list(request).await
            }

            async fn begin_moves(&self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error> {
                self.begin(expected_epoch, moves).await
            }

            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, Error> {
                self.fake.$name($($argument),*).await
            })*
        }
    };
}

passed_on! {
    ready() -> ();
    create_bucket(request: CreateBucket) -> Bucket;
    get_bucket(bucket: &BucketName) -> Bucket;
    delete_bucket(bucket: &BucketName) -> ();
    list_buckets(request: ListBuckets) -> BucketPage;
    set_versioning(bucket: &BucketName, versioning: Versioning) -> ();
    set_quota(bucket: &BucketName, quota: BucketQuota) -> ();
    set_object_lock(bucket: &BucketName, configuration: ObjectLockConfiguration) -> ();
    set_subresource(bucket: &BucketName, subresource: Subresource, document: Option<Bytes>) -> ();
    get_subresource(bucket: &BucketName, subresource: Subresource) -> Option<Bytes>;
    list_buckets_with(subresource: Subresource, after: Option<&BucketName>, limit: usize) -> Vec<BucketName>;
    set_inventory(bucket: &BucketName, id: &str, document: Option<Bytes>) -> bool;
    list_inventories(bucket: &BucketName, from: &str, limit: usize) -> Vec<Inventory>;
    mark_inventory(bucket: &BucketName, id: &str, listed: Timestamp) -> ();
    list_buckets_with_inventories(after: Option<&BucketName>, limit: usize) -> Vec<BucketName>;
    create_account(request: CreateAccount) -> AccountCreated;
    list_accounts(after: Option<&str>, limit: usize) -> Vec<Account>;
    find_account(key: &AccountKey) -> Option<Account>;
    set_account_status(account: &AccountId, status: AccountStatus) -> AccountChanged;
    remove_account(account: &AccountId) -> AccountChanged;
    make_root_key(account: &AccountId) -> RootKeyMade;
    remove_root_key(account: &AccountId, access_key_id: &str) -> AccountChanged;
    read_identities(account: &AccountId, since: i64) -> IdentityPage;
    change_identities(request: ChangeIdentities) -> IdentitiesChanged;
    list_rate_limits(account: &AccountId) -> Vec<RateLimit>;
    set_rate_limit(account: &AccountId, holder: &RateHolder, rates: Option<Rates>) -> RateLimitSet;
    derive_signing_key(access_key_id: &str, scope: &Scope) -> Option<DerivedKey>;
    seal_session(request: SealSession) -> Option<SealedSession>;
    open_session(request: OpenSession) -> SessionOpened;
    commit_version(request: CommitVersion) -> Committed;
    rename_prefix(request: RenamePrefix) -> ();
    get_version(request: GetVersion) -> FoundVersion;
    set_tags(request: SetTags) -> Tagged;
    set_lock(request: SetLock) -> Tagged;
    set_acl(request: SetAcl) -> Tagged;
    set_restore(request: SetRestore) -> Tagged;
    rewrap(request: Rewrap) -> ();
    list_encrypted(after: Option<ContentPosition>, limit: usize) -> EncryptedPage;
    copy_version(request: CopyVersion) -> Committed;
    list_objects(request: ListObjects) -> ObjectPage;
    create_upload(request: CreateUpload) -> Upload;
    get_upload(bucket: &BucketName, key: &ObjectKey, upload: UploadId) -> Upload;
    commit_part(request: CommitPart) -> Part;
    list_parts(request: ListParts) -> PartPage;
    list_uploads(request: ListUploads) -> UploadPage;
    abort_upload(request: AbortUpload) -> ();
    acquire_lease(holder: &str) -> Lease;
    renew_lease(lease: LeaseId, oldest_epoch: i64) -> ();
    release_lease(lease: LeaseId) -> ();
    adopt_leases(leases: &[LeaseId]) -> usize;
    list_leases() -> Vec<LeaseState>;
    revoke_lease(lease: LeaseId, observed_renewals: i64) -> bool;
    unnamed_chunks(lease: LeaseId, chunks: &[(ChunkId, ChunkOwner)]) -> Vec<ChunkId>;
    named_chunks(chunks: &[(ChunkId, ChunkOwner)]) -> Vec<ChunkId>;
    finish_lease(lease: LeaseId, epoch: i64) -> ();
    register_node(request: NodeRegistration) -> ();
    define_storage_class(request: StorageClassDefinition) -> ();
    set_storage_class_coding(name: &StorageClassName, coding: Coding) -> ();
    remove_former_groups(groups: &[GroupId], epoch: i64) -> bool;
    cluster_map(known_epoch: Option<i64>) -> Option<ClusterMap>;
    disk_history() -> DiskHistory;
    mark_node(observed: ObservedNode, state: NodeState) -> bool;
    set_node_intent(node: NodeId, intent: Intent) -> ();
    set_disk_intent(disk: DiskId, intent: Intent) -> ();
    finish_move(group: GroupId, index: ShardIndex, since: i64) -> ();
    reverse_move(group: GroupId, index: ShardIndex, since: i64) -> i64;
    redirect_move(group: GroupId, index: ShardIndex, since: i64, to: DiskId) -> i64;
    list_evictions(after: Option<Eviction>) -> Vec<Eviction>;
    finish_eviction(eviction: Eviction) -> ();
    report_missing(shards: &[MissingShard]) -> ();
    list_missing(group: Option<GroupId>, after: Option<ShardId>, limit: usize) -> Vec<MissingShard>;
    finish_missing(shards: &[ShardId], epoch: i64) -> usize;
    list_contents(after: Option<ContentPosition>, limit: usize) -> ContentPage;
    replace_chunks(rows: Vec<ReplaceChunks>) -> Vec<bool>;
    acquire_job(job: JobName, holder: &str, observed_renewals: Option<i64>) -> Option<i64>;
    renew_job(job: JobName, token: i64, progress: JobProgress) -> ();
    release_job(job: JobName, token: i64) -> ();
    list_jobs() -> Vec<JobState>;
    set_frozen(frozen: bool) -> ();
    take_garbage(limit: usize) -> Vec<GarbageItem>;
    finish_garbage(items: &[GarbageId], epoch: i64, given_up: &[DiskId]) -> usize;
}
