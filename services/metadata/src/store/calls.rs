//! The calls of the contract: what they ask is checked, and each change runs in a transaction.

use async_trait::async_trait;
use bytes::Bytes;
use metadata_api::{
    ACCOUNTS_PAGE_MAX, AbortUpload, Account, AccountChanged, AccountCreated, AccountId, AccountKey,
    AccountStatus, Bucket, BucketPage, BucketQuota, ChangeIdentities, ClusterMap, CommitPart, CommitVersion,
    Committed, CompleteUpload, ContentPage, ContentPosition, CopyVersion, CreateAccount, CreateBucket,
    CreateUpload, DeleteVersions, DeletedVersion, DerivedKey, DiskHistory, EncryptedPage, Error, Eviction,
    FoundVersion, GarbageId, GarbageItem, GetVersion, INVENTORIES_PAGE_MAX, IdentitiesChanged, IdentityPage,
    Intent, Inventory, JobName, JobProgress, JobState, Lease, LeaseState, ListBuckets, ListObjects,
    ListParts, ListUploads, ListVersions, Metadata, NewMove, NodeRegistration, NodeState, ObjectPage,
    ObservedNode, OpenSession, PAGE_SIZE_MAX, Part, PartPage, RateHolder, RateLimit, RateLimitSet, Rates,
    RenameObject, RenamePrefix, ReplaceChunks, Rewrap, RootKeyMade, SealSession, SealedSession,
    SessionOpened, SetAcl, SetLock, SetRestore, SetTags, StorageClassDefinition, Subresource, Tagged, Upload,
    UploadPage, VersionPage,
};
use sigv4::Scope;
use tracing::{Instrument, Span};
use types::{
    Acl, BucketName, ChunkId, ChunkOwner, Coding, DiskId, GroupId, LeaseId, MissingShard, NodeId, ObjectKey,
    ObjectLockConfiguration, ShardId, ShardIndex, StorageClassName, Timestamp, UploadId, Versioning,
};

use super::{
    MetadataStore,
    commit::{Mutation, Outcome, batch::check_content},
    engine::{Attempts, Failure, Share},
    other_answer,
};

/// Most buckets in one page.
const BUCKETS_PAGE_MAX: usize = 10_000;

/// Runs an act in a transaction, again and again while it conflicts with others, in a task of its own.
macro_rules! transact {
    ($store:expr, $operation:literal, |$this:ident, $tx:ident| $act:expr) => {{
        let $this = $store.clone();
        let act = async move {
            let mut attempts = Attempts::new(&$this.env, $operation);
            loop {
                let mut tx = attempts.begin(&$this.engine).await?;
                let result = {
                    let $tx = &mut tx;
                    $act.await
                };
                if let Some(answer) = attempts.settle(tx, result).await {
                    return answer;
                }
            }
        };
        let task = $store.env.spawn(act.instrument(Span::current()));
        // A task without an answer broke off, nobody knows where.
        task.await.unwrap_or(Err(Error::TimedOut))
    }};
}

fn check_limit(limit: usize, maximum: usize) -> Result<(), Error> {
    if (1..=maximum).contains(&limit) {
        Ok(())
    } else {
        Err(Error::Malformed { reason: "the limit is out of bounds".to_owned() })
    }
}

fn check_count(count: usize) -> Result<(), Error> {
    if count <= PAGE_SIZE_MAX {
        Ok(())
    } else {
        Err(Error::Malformed { reason: "too many at once".to_owned() })
    }
}

#[async_trait]
impl Metadata for MetadataStore {
    async fn ready(&self) -> Result<(), Error> {
        let sql = "SELECT c.epoch FROM cluster AS c WHERE c.singleton = 1";
        let row = self.engine.fetch_optional(sql, Vec::new()).await;
        match row.map_err(|error| Failure::from(error).into_error("ready"))? {
            Some(_) => Ok(()),
            None => Err(Error::Unavailable { reason: "the cluster's row is missing".to_owned() }),
        }
    }

    async fn create_bucket(&self, request: CreateBucket) -> Result<Bucket, Error> {
        self.check_room(Share::Content, "create_bucket").await?;
        transact!(self, "create_bucket", |store, tx| store.create_bucket_in(tx, &request))
    }

    async fn get_bucket(&self, bucket: &BucketName) -> Result<Bucket, Error> {
        self.find_bucket(bucket).await.map_err(|failure| failure.into_error("get_bucket"))
    }

    async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), Error> {
        let name = bucket.clone();
        self.forget_bucket(bucket);
        transact!(self, "delete_bucket", |store, tx| store.delete_bucket_in(tx, &name))
    }

    async fn list_buckets(&self, request: ListBuckets) -> Result<BucketPage, Error> {
        check_limit(request.limit, BUCKETS_PAGE_MAX)?;
        self.list_buckets_page(&request).await.map_err(|failure| failure.into_error("list_buckets"))
    }

    async fn set_quota(&self, bucket: &BucketName, quota: BucketQuota) -> Result<(), Error> {
        let name = bucket.clone();
        transact!(self, "set_quota", |store, tx| store.set_quota_in(tx, &name, quota))
    }

    async fn set_versioning(&self, bucket: &BucketName, versioning: Versioning) -> Result<(), Error> {
        let name = bucket.clone();
        transact!(self, "set_versioning", |store, tx| store.set_versioning_in(tx, &name, versioning))
    }

    async fn set_object_lock(
        &self,
        bucket: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<(), Error> {
        let name = bucket.clone();
        transact!(self, "set_object_lock", |store, tx| store.set_object_lock_in(tx, &name, configuration))
    }

    async fn set_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
        document: Option<Bytes>,
    ) -> Result<(), Error> {
        if document.is_some() {
            self.check_room(Share::Changes, "set_subresource").await?;
        }
        let name = bucket.clone();
        transact!(self, "set_subresource", |store, tx| store.set_subresource_in(
            tx,
            &name,
            subresource,
            document.as_ref()
        ))
    }

    async fn get_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
    ) -> Result<Option<Bytes>, Error> {
        let found = self.find_subresource(bucket, subresource).await;
        found.map_err(|failure| failure.into_error("get_subresource"))
    }

    async fn list_buckets_with(
        &self,
        subresource: Subresource,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let found = self.buckets_with(subresource, after, limit).await;
        found.map_err(|failure| failure.into_error("list_buckets_with"))
    }

    async fn set_inventory(
        &self,
        bucket: &BucketName,
        id: &str,
        document: Option<Bytes>,
    ) -> Result<bool, Error> {
        Inventory::check(id, document.as_ref())?;
        if document.is_some() {
            self.check_room(Share::Changes, "set_inventory").await?;
        }
        let (name, id) = (bucket.clone(), id.to_owned());
        transact!(self, "set_inventory", |store, tx| store.set_inventory_in(
            tx,
            &name,
            &id,
            document.as_ref()
        ))
    }

    async fn list_inventories(
        &self,
        bucket: &BucketName,
        from: &str,
        limit: usize,
    ) -> Result<Vec<Inventory>, Error> {
        check_limit(limit, INVENTORIES_PAGE_MAX)?;
        let found = self.find_inventories(bucket, from, limit).await;
        found.map_err(|failure| failure.into_error("list_inventories"))
    }

    async fn mark_inventory(&self, bucket: &BucketName, id: &str, listed: Timestamp) -> Result<(), Error> {
        let (name, id) = (bucket.clone(), id.to_owned());
        transact!(self, "mark_inventory", |store, tx| store.mark_inventory_in(tx, &name, &id, listed))
    }

    async fn list_buckets_with_inventories(
        &self,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let found = self.buckets_with_inventories(after, limit).await;
        found.map_err(|failure| failure.into_error("list_buckets_with_inventories"))
    }

    async fn create_account(&self, request: CreateAccount) -> Result<AccountCreated, Error> {
        request.check()?;
        self.check_room(Share::Changes, "create_account").await?;
        transact!(self, "create_account", |store, tx| store.create_account_in(tx, &request))
    }

    async fn list_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, Error> {
        check_limit(limit, ACCOUNTS_PAGE_MAX)?;
        let page = self.accounts_page(after, limit).await;
        page.map_err(|failure| failure.into_error("list_accounts"))
    }

    async fn find_account(&self, key: &AccountKey) -> Result<Option<Account>, Error> {
        self.account_by(key).await.map_err(|failure| failure.into_error("find_account"))
    }

    async fn set_account_status(
        &self,
        account: &AccountId,
        status: AccountStatus,
    ) -> Result<AccountChanged, Error> {
        if status == AccountStatus::Closed {
            let reason = "an account is closed by its removal alone".to_owned();
            return Err(Error::Malformed { reason });
        }
        let account = account.clone();
        transact!(self, "set_account_status", |store, tx| store.set_account_status_in(tx, &account, status))
    }

    async fn remove_account(&self, account: &AccountId) -> Result<AccountChanged, Error> {
        let account = account.clone();
        transact!(self, "remove_account", |store, tx| store.remove_account_in(tx, &account))
    }

    async fn make_root_key(&self, account: &AccountId) -> Result<RootKeyMade, Error> {
        self.check_room(Share::Changes, "make_root_key").await?;
        let account = account.clone();
        transact!(self, "make_root_key", |store, tx| store.make_root_key_in(tx, &account))
    }

    async fn remove_root_key(
        &self,
        account: &AccountId,
        access_key_id: &str,
    ) -> Result<AccountChanged, Error> {
        let (account, id) = (account.clone(), access_key_id.to_owned());
        transact!(self, "remove_root_key", |store, tx| store.remove_root_key_in(tx, &account, &id))
    }

    async fn read_identities(&self, account: &AccountId, since: i64) -> Result<IdentityPage, Error> {
        let page = self.read_identities_page(account, since).await;
        page.map_err(|failure| failure.into_error("read_identities"))
    }

    async fn change_identities(&self, request: ChangeIdentities) -> Result<IdentitiesChanged, Error> {
        request.check()?;
        self.check_room(Share::Changes, "change_identities").await?;
        transact!(self, "change_identities", |store, tx| store.change_identities_in(tx, &request))
    }

    async fn list_rate_limits(&self, account: &AccountId) -> Result<Vec<RateLimit>, Error> {
        let found = self.find_rate_limits(account).await;
        found.map_err(|failure| failure.into_error("list_rate_limits"))
    }

    async fn set_rate_limit(
        &self,
        account: &AccountId,
        holder: &RateHolder,
        rates: Option<Rates>,
    ) -> Result<RateLimitSet, Error> {
        rates.unwrap_or_default().check()?;
        if rates.is_some() {
            self.check_room(Share::Changes, "set_rate_limit").await?;
        }
        let (account, holder) = (account.clone(), holder.clone());
        transact!(self, "set_rate_limit", |store, tx| store.set_rate_limit_in(tx, &account, &holder, rates))
    }

    async fn derive_signing_key(
        &self,
        access_key_id: &str,
        scope: &Scope,
    ) -> Result<Option<DerivedKey>, Error> {
        let key = self.signing_key_of(access_key_id, scope).await;
        key.map_err(|failure| failure.into_error("derive_signing_key"))
    }

    async fn seal_session(&self, request: SealSession) -> Result<Option<SealedSession>, Error> {
        self.sealed_session(&request)
    }

    async fn open_session(&self, request: OpenSession) -> Result<SessionOpened, Error> {
        self.opened_session(&request)
    }

    async fn commit_version(&self, request: CommitVersion) -> Result<Committed, Error> {
        check_content(&request.version.content)?;
        self.check_room(Share::Content, "commit_version").await?;
        self.mutate_version(&request.bucket, || Mutation::Commit(Box::new(request.clone()))).await
    }

    async fn set_tags(&self, request: SetTags) -> Result<Tagged, Error> {
        self.check_room(Share::Changes, "set_tags").await?;
        transact!(self, "set_tags", |store, tx| store.set_tags_in(tx, &request))
    }

    async fn set_lock(&self, request: SetLock) -> Result<Tagged, Error> {
        self.check_room(Share::Changes, "set_lock").await?;
        transact!(self, "set_lock", |store, tx| store.set_lock_in(tx, &request))
    }

    async fn set_acl(&self, request: SetAcl) -> Result<Tagged, Error> {
        if request.acl.as_ref().is_some_and(|acl| acl.grants.len() > Acl::GRANTS_MAX) {
            return Err(Error::Malformed { reason: "too many grants".to_owned() });
        }
        self.check_room(Share::Changes, "set_acl").await?;
        transact!(self, "set_acl", |store, tx| store.set_acl_in(tx, &request))
    }

    async fn set_restore(&self, request: SetRestore) -> Result<Tagged, Error> {
        transact!(self, "set_restore", |store, tx| store.set_restore_in(tx, &request))
    }

    async fn rewrap(&self, request: Rewrap) -> Result<(), Error> {
        transact!(self, "rewrap", |store, tx| store.rewrap_in(tx, &request))
    }

    async fn list_encrypted(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<EncryptedPage, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let page = self.list_encrypted_page(after.as_ref(), limit).await;
        page.map_err(|failure| failure.into_error("list_encrypted"))
    }

    async fn get_version(&self, request: GetVersion) -> Result<FoundVersion, Error> {
        self.find_version(&request).await.map_err(|failure| failure.into_error("get_version"))
    }

    async fn delete_versions(
        &self,
        request: DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
        if request.entries.len() > PAGE_SIZE_MAX {
            return Err(Error::Malformed { reason: "too many entries".to_owned() });
        }
        self.check_room(Share::Deletions, "delete_versions").await?;
        match self.mutate(&request.bucket, || Mutation::Delete(request.clone())).await? {
            Outcome::Deleted(answers) => Ok(answers),
            Outcome::Committed(_) | Outcome::PrefixRenamed => Err(other_answer()),
        }
    }

    async fn copy_version(&self, request: CopyVersion) -> Result<Committed, Error> {
        self.check_room(Share::Content, "copy_version").await?;
        if request.source_bucket == request.bucket {
            return self.mutate_version(&request.bucket, || Mutation::Copy(request.clone())).await;
        }
        transact!(self, "copy_version", |store, tx| store.copy_between_in(tx, &request))
    }

    async fn rename_prefix(&self, request: RenamePrefix) -> Result<(), Error> {
        request.check()?;
        // It may add as much as many writes.
        self.check_room(Share::Content, "rename_prefix").await?;
        match self.mutate(&request.bucket, || Mutation::RenamePrefix(request.clone())).await? {
            Outcome::PrefixRenamed => Ok(()),
            Outcome::Committed(_) | Outcome::Deleted(_) => Err(other_answer()),
        }
    }

    async fn rename_object(&self, request: RenameObject) -> Result<Committed, Error> {
        if request.source_key == request.key {
            return Err(Error::Malformed { reason: "a rename to the same key".to_owned() });
        }
        self.check_room(Share::Changes, "rename_object").await?;
        self.mutate_version(&request.bucket, || Mutation::Rename(request.clone())).await
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectPage, Error> {
        self.list_objects_page(&request).await.map_err(|failure| failure.into_error("list_objects"))
    }

    async fn list_versions(&self, request: ListVersions) -> Result<VersionPage, Error> {
        self.list_versions_page(&request).await.map_err(|failure| failure.into_error("list_versions"))
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Upload, Error> {
        self.check_room(Share::Content, "create_upload").await?;
        transact!(self, "create_upload", |store, tx| store.create_upload_in(tx, &request))
    }

    async fn get_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<Upload, Error> {
        self.find_upload(bucket, key, upload).await.map_err(|failure| failure.into_error("get_upload"))
    }

    async fn commit_part(&self, request: CommitPart) -> Result<Part, Error> {
        check_content(&request.content)?;
        self.check_room(Share::Content, "commit_part").await?;
        transact!(self, "commit_part", |store, tx| store.commit_part_in(tx, &request))
    }

    async fn list_parts(&self, request: ListParts) -> Result<PartPage, Error> {
        check_limit(request.limit, PAGE_SIZE_MAX)?;
        self.list_parts_page(&request).await.map_err(|failure| failure.into_error("list_parts"))
    }

    async fn list_uploads(&self, request: ListUploads) -> Result<UploadPage, Error> {
        self.list_uploads_page(&request).await.map_err(|failure| failure.into_error("list_uploads"))
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Committed, Error> {
        self.check_room(Share::Changes, "complete_upload").await?;
        self.mutate_version(&request.bucket, || Mutation::Complete(request.clone())).await
    }

    async fn abort_upload(&self, request: AbortUpload) -> Result<(), Error> {
        self.check_room(Share::Deletions, "abort_upload").await?;
        transact!(self, "abort_upload", |store, tx| store.abort_upload_in(tx, &request))
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, Error> {
        let holder = holder.to_owned();
        transact!(self, "acquire_lease", |store, tx| store.acquire_lease_in(tx, &holder))
    }

    async fn renew_lease(&self, lease: LeaseId, oldest_epoch: i64) -> Result<(), Error> {
        transact!(self, "renew_lease", |store, tx| store.renew_lease_in(tx, lease, oldest_epoch))
    }

    async fn release_lease(&self, lease: LeaseId) -> Result<(), Error> {
        transact!(self, "release_lease", |store, tx| store.release_lease_in(tx, lease))
    }

    async fn list_leases(&self) -> Result<Vec<LeaseState>, Error> {
        self.known_leases().await.map_err(|failure| failure.into_error("list_leases"))
    }

    async fn revoke_lease(&self, lease: LeaseId, observed_renewals: i64) -> Result<bool, Error> {
        transact!(self, "revoke_lease", |store, tx| store.revoke_lease_in(tx, lease, observed_renewals))
    }

    async fn unnamed_chunks(
        &self,
        lease: LeaseId,
        chunks: &[(ChunkId, ChunkOwner)],
    ) -> Result<Vec<ChunkId>, Error> {
        check_count(chunks.len())?;
        self.find_unnamed(lease, chunks).await.map_err(|failure| failure.into_error("unnamed_chunks"))
    }

    async fn named_chunks(&self, chunks: &[(ChunkId, ChunkOwner)]) -> Result<Vec<ChunkId>, Error> {
        check_count(chunks.len())?;
        self.find_named(chunks).await.map_err(|failure| failure.into_error("named_chunks"))
    }

    async fn adopt_leases(&self, leases: &[LeaseId]) -> Result<usize, Error> {
        check_count(leases.len())?;
        let leases = leases.to_vec();
        transact!(self, "adopt_leases", |store, tx| store.adopt_leases_in(tx, &leases))
    }

    async fn finish_lease(&self, lease: LeaseId, epoch: i64) -> Result<(), Error> {
        transact!(self, "finish_lease", |store, tx| store.finish_lease_in(tx, lease, epoch))
    }

    async fn register_node(&self, request: NodeRegistration) -> Result<(), Error> {
        transact!(self, "register_node", |store, tx| store.register_node_in(tx, &request))
    }

    async fn define_storage_class(&self, request: StorageClassDefinition) -> Result<(), Error> {
        transact!(self, "define_storage_class", |store, tx| store.define_storage_class_in(tx, &request))
    }

    async fn set_storage_class_coding(&self, name: &StorageClassName, coding: Coding) -> Result<(), Error> {
        let name = name.clone();
        transact!(self, "set_storage_class_coding", |store, tx| {
            store.set_storage_class_coding_in(tx, &name, coding)
        })
    }

    async fn remove_former_groups(&self, groups: &[GroupId], epoch: i64) -> Result<bool, Error> {
        check_count(groups.len())?;
        let groups = groups.to_vec();
        transact!(self, "remove_former_groups", |store, tx| {
            store.remove_former_groups_in(tx, &groups, epoch)
        })
    }

    async fn cluster_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Error> {
        self.load_map(known_epoch).await.map_err(|failure| failure.into_error("cluster_map"))
    }

    async fn disk_history(&self) -> Result<DiskHistory, Error> {
        transact!(self, "disk_history", |store, tx| store.read_disk_history(tx))
    }

    async fn mark_node(&self, observed: ObservedNode, state: NodeState) -> Result<bool, Error> {
        transact!(self, "mark_node", |store, tx| store.mark_node_in(tx, observed, state))
    }

    async fn set_node_intent(&self, node: NodeId, intent: Intent) -> Result<(), Error> {
        transact!(self, "set_node_intent", |store, tx| store.set_node_intent_in(tx, node, intent))
    }

    async fn set_disk_intent(&self, disk: DiskId, intent: Intent) -> Result<(), Error> {
        transact!(self, "set_disk_intent", |store, tx| store.set_disk_intent_in(tx, disk, intent))
    }

    async fn begin_moves(&self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error> {
        check_count(moves.len())?;
        let moves = moves.to_vec();
        transact!(self, "begin_moves", |store, tx| store.begin_moves_in(tx, expected_epoch, &moves))
    }

    async fn finish_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<(), Error> {
        transact!(self, "finish_move", |store, tx| store.finish_move_in(tx, (group, index, since)))
    }

    async fn reverse_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<i64, Error> {
        transact!(self, "reverse_move", |store, tx| store.reverse_move_in(tx, (group, index, since)))
    }

    async fn redirect_move(
        &self,
        group: GroupId,
        index: ShardIndex,
        since: i64,
        to: DiskId,
    ) -> Result<i64, Error> {
        transact!(self, "redirect_move", |store, tx| store.redirect_move_in(tx, (group, index, since), to))
    }

    async fn list_evictions(&self, after: Option<Eviction>) -> Result<Vec<Eviction>, Error> {
        self.list_evictions_page(after).await.map_err(|failure| failure.into_error("list_evictions"))
    }

    async fn finish_eviction(&self, eviction: Eviction) -> Result<(), Error> {
        transact!(self, "finish_eviction", |store, tx| store.finish_eviction_in(tx, eviction))
    }

    async fn report_missing(&self, shards: &[MissingShard]) -> Result<(), Error> {
        check_count(shards.len())?;
        let shards = shards.to_vec();
        transact!(self, "report_missing", |store, tx| store.report_missing_in(tx, &shards))
    }

    async fn list_missing(
        &self,
        group: Option<GroupId>,
        after: Option<ShardId>,
        limit: usize,
    ) -> Result<Vec<MissingShard>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        self.list_missing_page(group, after, limit)
            .await
            .map_err(|failure| failure.into_error("list_missing"))
    }

    async fn finish_missing(&self, shards: &[ShardId], epoch: i64) -> Result<usize, Error> {
        check_count(shards.len())?;
        let shards = shards.to_vec();
        transact!(self, "finish_missing", |store, tx| store.finish_missing_in(tx, &shards, epoch))
    }

    async fn list_contents(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<ContentPage, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let page = self.list_contents_page(after.as_ref(), limit).await;
        page.map_err(|failure| failure.into_error("list_contents"))
    }

    async fn replace_chunks(&self, rows: Vec<ReplaceChunks>) -> Result<Vec<bool>, Error> {
        ReplaceChunks::check_all(&rows)?;
        transact!(self, "replace_chunks", |store, tx| store.replace_chunks_in(tx, &rows))
    }

    async fn acquire_job(
        &self,
        job: JobName,
        holder: &str,
        observed_renewals: Option<i64>,
    ) -> Result<Option<i64>, Error> {
        let holder = holder.to_owned();
        transact!(self, "acquire_job", |store, tx| {
            store.acquire_job_in(tx, job, &holder, observed_renewals)
        })
    }

    async fn renew_job(&self, job: JobName, token: i64, progress: JobProgress) -> Result<(), Error> {
        transact!(self, "renew_job", |store, tx| store.renew_job_in(tx, job, token, progress))
    }

    async fn release_job(&self, job: JobName, token: i64) -> Result<(), Error> {
        transact!(self, "release_job", |store, tx| store.release_job_in(tx, job, token))
    }

    async fn list_jobs(&self) -> Result<Vec<JobState>, Error> {
        self.held_jobs().await.map_err(|failure| failure.into_error("list_jobs"))
    }

    async fn set_frozen(&self, frozen: bool) -> Result<(), Error> {
        transact!(self, "set_frozen", |store, tx| store.set_frozen_in(tx, frozen))
    }

    async fn take_garbage(&self, limit: usize) -> Result<Vec<GarbageItem>, Error> {
        transact!(self, "take_garbage", |store, tx| store.take_garbage_in(tx, limit))
    }

    async fn finish_garbage(
        &self,
        items: &[GarbageId],
        epoch: i64,
        given_up: &[DiskId],
    ) -> Result<usize, Error> {
        let (items, given_up) = (items.to_vec(), given_up.to_vec());
        transact!(self, "finish_garbage", |store, tx| store.finish_garbage_in(tx, &items, epoch, &given_up))
    }
}
