//! Each call of the contract: its kind, its request, its place in the `.proto` files.

use async_trait::async_trait;
use bytes::Bytes;
use sigv4::Scope;
use types::{
    BucketName, ChunkId, ChunkOwner, Coding, DiskId, GroupId, LeaseId, MissingShard, NodeId, ObjectKey,
    ObjectLockConfiguration, ShardId, ShardIndex, StorageClassName, Timestamp, UploadId, Versioning,
};

use super::{
    Client, Kind,
    Kind::{LongMutation, LongRead, Mutation, Read},
};
use crate::{
    AbortUpload, Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus, Bucket,
    BucketPage, BucketQuota, ChangeIdentities, ClusterMap, CommitPart, CommitVersion, Committed,
    CompleteUpload, ContentPage, ContentPosition, CopyVersion, CreateAccount, CreateBucket, CreateUpload,
    DeleteVersions, DeletedVersion, DerivedKey, DiskHistory, EncryptedPage, Error, Eviction, FoundVersion,
    GarbageId, GarbageItem, GetVersion, IdentitiesChanged, IdentityPage, Intent, Inventory, JobName,
    JobProgress, JobState, Lease, LeaseState, ListBuckets, ListObjects, ListParts, ListUploads, ListVersions,
    Metadata, NewMove, NodeRegistration, NodeState, ObjectPage, ObservedNode, OpenSession, Part, PartPage,
    RateHolder, RateLimit, RateLimitSet, Rates, RenameObject, RenamePrefix, ReplaceChunks, Rewrap,
    RootKeyMade, SealSession, SealedSession, SessionOpened, SetAcl, SetLock, SetRestore, SetTags,
    StorageClassDefinition, Subresource, Tagged, Upload, UploadPage, VersionPage,
    wire::{
        self,
        accounts::{Accounts, FoundAccount, status_to_wire},
        identities::{MaybeKey, derive_signing_key_request},
        inventories::Inventories,
        proto,
        rates::{RateLimits, SetRateLimit},
        sessions::MadeSession,
        unwrapped::{
            BucketNames, Chunks, Done, Evictions, GarbageItems, Jobs, Leases, MaybeMap, MissingShards,
            Outcomes, Value,
        },
    },
};

/// How a stub sends a request: `send!(service.call)`.
macro_rules! send {
    ($service:ident.$call:ident) => {
        |stub, request| async move { stub.$service().$call(request).await }
    };
}

/// Rows that a mutation changes in the time of any call.
const FEW_ROWS: usize = 64;

/// What a mutation of so many rows is like: a client that deletes one object has no more patience than one that puts it.
fn mutation_of(rows: usize) -> Kind {
    if rows <= FEW_ROWS { Mutation } else { LongMutation }
}

#[async_trait]
impl Metadata for Client {
    async fn ready(&self) -> Result<(), Error> {
        let request = proto::ReadyRequest {};
        let Done = self.call(Read, request, send!(cluster.ready)).await?;
        Ok(())
    }

    async fn create_bucket(&self, request: CreateBucket) -> Result<Bucket, Error> {
        let request = proto::CreateBucketRequest::from(request);
        self.call(Mutation, request, send!(buckets.create_bucket)).await
    }

    async fn get_bucket(&self, bucket: &BucketName) -> Result<Bucket, Error> {
        let request = proto::GetBucketRequest { bucket: bucket.to_string() };
        self.call(Read, request, send!(buckets.get_bucket)).await
    }

    async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), Error> {
        let request = proto::DeleteBucketRequest { bucket: bucket.to_string() };
        let Done = self.call(Mutation, request, send!(buckets.delete_bucket)).await?;
        Ok(())
    }

    async fn list_buckets(&self, request: ListBuckets) -> Result<BucketPage, Error> {
        let request = proto::ListBucketsRequest::from(request);
        self.call(Read, request, send!(buckets.list_buckets)).await
    }

    async fn set_versioning(&self, bucket: &BucketName, versioning: Versioning) -> Result<(), Error> {
        let versioning = proto::Versioning::from(versioning).into();
        let request = proto::SetVersioningRequest { bucket: bucket.to_string(), versioning };
        let Done = self.call(Mutation, request, send!(buckets.set_versioning)).await?;
        Ok(())
    }

    async fn set_quota(&self, bucket: &BucketName, quota: BucketQuota) -> Result<(), Error> {
        let request =
            proto::SetQuotaRequest { bucket: bucket.to_string(), quota: wire::quota_to_wire(quota) };
        let Done = self.call(Mutation, request, send!(buckets.set_quota)).await?;
        Ok(())
    }

    async fn set_object_lock(
        &self,
        bucket: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<(), Error> {
        let request = wire::set_object_lock_request(bucket, configuration);
        let Done = self.call(Mutation, request, send!(buckets.set_object_lock)).await?;
        Ok(())
    }

    async fn set_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
        document: Option<Bytes>,
    ) -> Result<(), Error> {
        let subresource = proto::Subresource::from(subresource).into();
        let request = proto::SetSubresourceRequest { bucket: bucket.to_string(), subresource, document };
        let Done = self.call(Mutation, request, send!(buckets.set_subresource)).await?;
        Ok(())
    }

    async fn get_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
    ) -> Result<Option<Bytes>, Error> {
        let subresource = proto::Subresource::from(subresource).into();
        let request = proto::GetSubresourceRequest { bucket: bucket.to_string(), subresource };
        let Value(document) = self.call(Read, request, send!(buckets.get_subresource)).await?;
        Ok(document)
    }

    async fn list_buckets_with(
        &self,
        subresource: Subresource,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error> {
        let request = proto::ListBucketsWithRequest {
            subresource: proto::Subresource::from(subresource).into(),
            after: after.map(ToString::to_string),
            limit: wire::limit_to_wire(limit),
        };
        let BucketNames(names) = self.call(Read, request, send!(buckets.list_buckets_with)).await?;
        Ok(names)
    }

    async fn set_inventory(
        &self,
        bucket: &BucketName,
        id: &str,
        document: Option<Bytes>,
    ) -> Result<bool, Error> {
        let (bucket, id) = (bucket.to_string(), id.to_owned());
        let request = proto::SetInventoryRequest { bucket, id, document };
        let Value(done) = self.call(Mutation, request, send!(buckets.set_inventory)).await?;
        Ok(done)
    }

    async fn list_inventories(
        &self,
        bucket: &BucketName,
        from: &str,
        limit: usize,
    ) -> Result<Vec<Inventory>, Error> {
        let (bucket, from) = (bucket.to_string(), from.to_owned());
        let request = proto::ListInventoriesRequest { bucket, from, limit: wire::limit_to_wire(limit) };
        let Inventories(found) = self.call(Read, request, send!(buckets.list_inventories)).await?;
        Ok(found)
    }

    async fn mark_inventory(&self, bucket: &BucketName, id: &str, listed: Timestamp) -> Result<(), Error> {
        let (bucket, id) = (bucket.to_string(), id.to_owned());
        let request = proto::MarkInventoryRequest { bucket, id, listed_ms: listed.0 };
        let Done = self.call(Mutation, request, send!(buckets.mark_inventory)).await?;
        Ok(())
    }

    async fn list_buckets_with_inventories(
        &self,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error> {
        let after = after.map(ToString::to_string);
        let request = proto::ListBucketsWithInventoriesRequest { after, limit: wire::limit_to_wire(limit) };
        let BucketNames(names) =
            self.call(Read, request, send!(buckets.list_buckets_with_inventories)).await?;
        Ok(names)
    }

    async fn create_account(&self, request: CreateAccount) -> Result<AccountCreated, Error> {
        let request = proto::CreateAccountRequest::from(request);
        self.call(Mutation, request, send!(identities.create_account)).await
    }

    async fn list_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, Error> {
        let (after, limit) = (after.map(str::to_owned), wire::limit_to_wire(limit));
        let request = proto::ListAccountsRequest { after, limit };
        let Accounts(accounts) = self.call(Read, request, send!(identities.list_accounts)).await?;
        Ok(accounts)
    }

    async fn find_account(&self, key: &AccountKey) -> Result<Option<Account>, Error> {
        let request = proto::FindAccountRequest::from(key.clone());
        let FoundAccount(found) = self.call(Read, request, send!(identities.find_account)).await?;
        Ok(found)
    }

    async fn set_account_status(
        &self,
        account: &AccountId,
        status: AccountStatus,
    ) -> Result<AccountChanged, Error> {
        let (account, status) = (account.0.clone(), status_to_wire(Some(status)).into());
        let request = proto::SetAccountStatusRequest { account, status };
        self.call(Mutation, request, send!(identities.set_account_status)).await
    }

    async fn remove_account(&self, account: &AccountId) -> Result<AccountChanged, Error> {
        let request = proto::RemoveAccountRequest { account: account.0.clone() };
        self.call(Mutation, request, send!(identities.remove_account)).await
    }

    async fn make_root_key(&self, account: &AccountId) -> Result<RootKeyMade, Error> {
        let request = proto::MakeRootKeyRequest { account: account.0.clone() };
        self.call(Mutation, request, send!(identities.make_root_key)).await
    }

    async fn remove_root_key(
        &self,
        account: &AccountId,
        access_key_id: &str,
    ) -> Result<AccountChanged, Error> {
        let (account, access_key_id) = (account.0.clone(), access_key_id.to_owned());
        let request = proto::RemoveRootKeyRequest { account, access_key_id };
        self.call(Mutation, request, send!(identities.remove_root_key)).await
    }

    async fn read_identities(&self, account: &AccountId, since: i64) -> Result<IdentityPage, Error> {
        let request = proto::ReadIdentitiesRequest { account: account.0.clone(), since };
        self.call(Read, request, send!(identities.read_identities)).await
    }

    async fn change_identities(&self, request: ChangeIdentities) -> Result<IdentitiesChanged, Error> {
        let request = proto::ChangeIdentitiesRequest::from(request);
        self.call(Mutation, request, send!(identities.change_identities)).await
    }

    async fn list_rate_limits(&self, account: &AccountId) -> Result<Vec<RateLimit>, Error> {
        let request = proto::ListRateLimitsRequest { account: account.0.clone() };
        let RateLimits(limits) = self.call(Read, request, send!(identities.list_rate_limits)).await?;
        Ok(limits)
    }

    async fn set_rate_limit(
        &self,
        account: &AccountId,
        holder: &RateHolder,
        rates: Option<Rates>,
    ) -> Result<RateLimitSet, Error> {
        let (account, holder) = (account.clone(), holder.clone());
        let request = proto::SetRateLimitRequest::from(SetRateLimit { account, holder, rates });
        self.call(Mutation, request, send!(identities.set_rate_limit)).await
    }

    async fn derive_signing_key(
        &self,
        access_key_id: &str,
        scope: &Scope,
    ) -> Result<Option<DerivedKey>, Error> {
        let request = derive_signing_key_request(access_key_id, scope);
        let MaybeKey(key) = self.call(Read, request, send!(identities.derive_signing_key)).await?;
        Ok(key)
    }

    async fn seal_session(&self, request: SealSession) -> Result<Option<SealedSession>, Error> {
        let request = proto::SealSessionRequest::from(request);
        let MadeSession(made) = self.call(Read, request, send!(identities.seal_session)).await?;
        Ok(made)
    }

    async fn open_session(&self, request: OpenSession) -> Result<SessionOpened, Error> {
        let request = proto::OpenSessionRequest::from(request);
        self.call(Read, request, send!(identities.open_session)).await
    }

    async fn commit_version(&self, request: CommitVersion) -> Result<Committed, Error> {
        let request = proto::CommitVersionRequest::from(request);
        self.call(Mutation, request, send!(versions.commit_version)).await
    }

    async fn set_tags(&self, request: SetTags) -> Result<Tagged, Error> {
        let request = proto::SetTagsRequest::from(request);
        self.call(Mutation, request, send!(versions.set_tags)).await
    }

    async fn set_lock(&self, request: SetLock) -> Result<Tagged, Error> {
        let request = proto::SetLockRequest::from(request);
        self.call(Mutation, request, send!(versions.set_lock)).await
    }

    async fn set_acl(&self, request: SetAcl) -> Result<Tagged, Error> {
        let request = proto::SetAclRequest::from(request);
        self.call(Mutation, request, send!(versions.set_acl)).await
    }

    async fn set_restore(&self, request: SetRestore) -> Result<Tagged, Error> {
        let request = proto::SetRestoreRequest::from(request);
        self.call(Mutation, request, send!(versions.set_restore)).await
    }

    async fn rewrap(&self, request: Rewrap) -> Result<(), Error> {
        let request = proto::RewrapRequest::from(request);
        let Done = self.call(Mutation, request, send!(versions.rewrap)).await?;
        Ok(())
    }

    async fn list_encrypted(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<EncryptedPage, Error> {
        let (after, limit) = (after.map(|after| after.0.into()), wire::limit_to_wire(limit));
        let request = proto::ListEncryptedRequest { after, limit };
        self.call(LongRead, request, send!(versions.list_encrypted)).await
    }

    async fn get_version(&self, request: GetVersion) -> Result<FoundVersion, Error> {
        let request = proto::GetVersionRequest::from(request);
        self.call(Read, request, send!(versions.get_version)).await
    }

    async fn delete_versions(
        &self,
        request: DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
        let expected = request.entries.len();
        let kind = mutation_of(expected);
        let request = proto::DeleteVersionsRequest::from(request);
        let Outcomes(outcomes) = self.call(kind, request, send!(versions.delete_versions)).await?;
        if outcomes.len() != expected {
            tracing::error!(
                expected,
                outcomes = outcomes.len(),
                "a delete has not one outcome for each entry"
            );
            return Err(Error::TimedOut);
        }
        Ok(outcomes)
    }

    async fn rename_object(&self, request: RenameObject) -> Result<Committed, Error> {
        let request = proto::RenameObjectRequest::from(request);
        self.call(Mutation, request, send!(versions.rename_object)).await
    }

    async fn rename_prefix(&self, request: RenamePrefix) -> Result<(), Error> {
        let kind = mutation_of(2 * request.objects.len());
        let request = proto::RenamePrefixRequest::from(request);
        let Done = self.call(kind, request, send!(versions.rename_prefix)).await?;
        Ok(())
    }

    async fn copy_version(&self, request: CopyVersion) -> Result<Committed, Error> {
        let request = proto::CopyVersionRequest::from(request);
        self.call(Mutation, request, send!(versions.copy_version)).await
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectPage, Error> {
        let request = proto::ListObjectsRequest::from(request);
        self.call(Read, request, send!(listings.list_objects)).await
    }

    async fn list_versions(&self, request: ListVersions) -> Result<VersionPage, Error> {
        let request = proto::ListVersionsRequest::from(request);
        self.call(Read, request, send!(listings.list_versions)).await
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Upload, Error> {
        let request = proto::CreateUploadRequest::from(request);
        self.call(Mutation, request, send!(uploads.create_upload)).await
    }

    async fn get_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<Upload, Error> {
        let request = wire::get_upload_request(bucket, key, upload);
        self.call(Read, request, send!(uploads.get_upload)).await
    }

    async fn commit_part(&self, request: CommitPart) -> Result<Part, Error> {
        let request = proto::CommitPartRequest::from(request);
        self.call(Mutation, request, send!(uploads.commit_part)).await
    }

    async fn list_parts(&self, request: ListParts) -> Result<PartPage, Error> {
        let request = proto::ListPartsRequest::from(request);
        self.call(Read, request, send!(uploads.list_parts)).await
    }

    async fn list_uploads(&self, request: ListUploads) -> Result<UploadPage, Error> {
        let request = proto::ListUploadsRequest::from(request);
        self.call(Read, request, send!(listings.list_uploads)).await
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Committed, Error> {
        let kind = mutation_of(request.parts.len());
        let request = proto::CompleteUploadRequest::from(request);
        self.call(kind, request, send!(uploads.complete_upload)).await
    }

    async fn abort_upload(&self, request: AbortUpload) -> Result<(), Error> {
        let request = proto::AbortUploadRequest::from(request);
        let Done = self.call(Mutation, request, send!(uploads.abort_upload)).await?;
        Ok(())
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, Error> {
        let request = proto::AcquireLeaseRequest { holder: holder.to_owned() };
        self.call(Mutation, request, send!(leases.acquire_lease)).await
    }

    async fn renew_lease(&self, lease: LeaseId, oldest_epoch: i64) -> Result<(), Error> {
        let request = proto::RenewLeaseRequest { lease: lease.0, oldest_epoch };
        let Done = self.call(Mutation, request, send!(leases.renew_lease)).await?;
        Ok(())
    }

    async fn release_lease(&self, lease: LeaseId) -> Result<(), Error> {
        let request = proto::ReleaseLeaseRequest { lease: lease.0 };
        let Done = self.call(Mutation, request, send!(leases.release_lease)).await?;
        Ok(())
    }

    async fn list_leases(&self) -> Result<Vec<LeaseState>, Error> {
        let request = proto::ListLeasesRequest {};
        let Leases(leases) = self.call(Read, request, send!(leases.list_leases)).await?;
        Ok(leases)
    }

    async fn revoke_lease(&self, lease: LeaseId, observed_renewals: i64) -> Result<bool, Error> {
        let request = proto::RevokeLeaseRequest { lease: lease.0, observed_renewals };
        let Value(revoked) = self.call(Mutation, request, send!(leases.revoke_lease)).await?;
        Ok(revoked)
    }

    async fn unnamed_chunks(
        &self,
        lease: LeaseId,
        chunks: &[(ChunkId, ChunkOwner)],
    ) -> Result<Vec<ChunkId>, Error> {
        let owned = chunks.iter().map(|(chunk, owner)| wire::OwnedChunk(*chunk, owner.clone()).into());
        let request = proto::ListUnnamedChunksRequest { lease: lease.0, chunks: owned.collect() };
        let Chunks(unnamed) = self.call(LongRead, request, send!(leases.list_unnamed_chunks)).await?;
        Ok(unnamed)
    }

    async fn named_chunks(&self, chunks: &[(ChunkId, ChunkOwner)]) -> Result<Vec<ChunkId>, Error> {
        let owned = chunks.iter().map(|(chunk, owner)| wire::OwnedChunk(*chunk, owner.clone()).into());
        let request = proto::ListNamedChunksRequest { chunks: owned.collect() };
        let Chunks(named) = self.call(LongRead, request, send!(leases.list_named_chunks)).await?;
        Ok(named)
    }

    async fn adopt_leases(&self, leases: &[LeaseId]) -> Result<usize, Error> {
        let request = proto::AdoptLeasesRequest { leases: leases.iter().map(|lease| lease.0).collect() };
        let Value(adopted): Value<u64> = self.call(Mutation, request, send!(leases.adopt_leases)).await?;
        Ok(usize::try_from(adopted).unwrap_or(usize::MAX))
    }

    async fn finish_lease(&self, lease: LeaseId, epoch: i64) -> Result<(), Error> {
        let request = proto::FinishLeaseRequest { lease: lease.0, epoch };
        let Done = self.call(Mutation, request, send!(leases.finish_lease)).await?;
        Ok(())
    }

    async fn register_node(&self, request: NodeRegistration) -> Result<(), Error> {
        let request = proto::NodeRegistration::from(request);
        let Done = self.call(Mutation, request, send!(cluster.register_node)).await?;
        Ok(())
    }

    async fn define_storage_class(&self, request: StorageClassDefinition) -> Result<(), Error> {
        let request = proto::StorageClassDefinition::from(request);
        let Done = self.call(Mutation, request, send!(cluster.define_storage_class)).await?;
        Ok(())
    }

    async fn set_storage_class_coding(&self, name: &StorageClassName, coding: Coding) -> Result<(), Error> {
        let request =
            proto::SetStorageClassCodingRequest { name: name.to_string(), coding: Some(coding.into()) };
        let Done = self.call(Mutation, request, send!(cluster.set_storage_class_coding)).await?;
        Ok(())
    }

    async fn remove_former_groups(&self, groups: &[GroupId], epoch: i64) -> Result<bool, Error> {
        let groups = groups.iter().map(|group| group.0).collect();
        let request = proto::RemoveFormerGroupsRequest { groups, epoch };
        let Value(removed) = self.call(Mutation, request, send!(cluster.remove_former_groups)).await?;
        Ok(removed)
    }

    async fn cluster_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Error> {
        let request = proto::GetClusterMapRequest { known_epoch };
        let MaybeMap(map) = self.call(Read, request, send!(cluster.get_cluster_map)).await?;
        Ok(map)
    }

    async fn disk_history(&self) -> Result<DiskHistory, Error> {
        self.call(Read, proto::GetDiskHistoryRequest {}, send!(cluster.get_disk_history)).await
    }

    async fn mark_node(&self, observed: ObservedNode, state: NodeState) -> Result<bool, Error> {
        let request = proto::MarkNodeRequest {
            node: wire::id_to_wire(observed.node.0),
            observed_heartbeats: observed.heartbeats,
            state: proto::NodeState::from(state).into(),
        };
        let Value(marked) = self.call(Mutation, request, send!(cluster.mark_node)).await?;
        Ok(marked)
    }

    async fn set_node_intent(&self, node: NodeId, intent: Intent) -> Result<(), Error> {
        let intent = proto::Intent::from(intent).into();
        let request = proto::SetNodeIntentRequest { node: wire::id_to_wire(node.0), intent };
        let Done = self.call(Mutation, request, send!(cluster.set_node_intent)).await?;
        Ok(())
    }

    async fn set_disk_intent(&self, disk: DiskId, intent: Intent) -> Result<(), Error> {
        let intent = proto::Intent::from(intent).into();
        let request = proto::SetDiskIntentRequest { disk: wire::id_to_wire(disk.0), intent };
        let Done = self.call(Mutation, request, send!(cluster.set_disk_intent)).await?;
        Ok(())
    }

    async fn begin_moves(&self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error> {
        let request = proto::BeginMovesRequest { expected_epoch, moves: wire::messages(moves.to_vec()) };
        let Value(epoch) = self.call(Mutation, request, send!(moves.begin_moves)).await?;
        Ok(epoch)
    }

    async fn finish_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<(), Error> {
        let request = proto::PendingMove { group: group.0, index: u32::from(index.0), since };
        let Done = self.call(Mutation, request, send!(moves.finish_move)).await?;
        Ok(())
    }

    async fn reverse_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<i64, Error> {
        let request = proto::PendingMove { group: group.0, index: u32::from(index.0), since };
        let Value(epoch) = self.call(Mutation, request, send!(moves.reverse_move)).await?;
        Ok(epoch)
    }

    async fn redirect_move(
        &self,
        group: GroupId,
        index: ShardIndex,
        since: i64,
        to: DiskId,
    ) -> Result<i64, Error> {
        let (index, to) = (u32::from(index.0), to.0.to_vec().into());
        let request = proto::RedirectMoveRequest { group: group.0, index, since, to };
        let Value(epoch) = self.call(Mutation, request, send!(moves.redirect_move)).await?;
        Ok(epoch)
    }

    async fn list_evictions(&self, after: Option<Eviction>) -> Result<Vec<Eviction>, Error> {
        let request = proto::ListEvictionsRequest { after: after.map(Into::into) };
        let Evictions(evictions) = self.call(Read, request, send!(moves.list_evictions)).await?;
        Ok(evictions)
    }

    async fn finish_eviction(&self, eviction: Eviction) -> Result<(), Error> {
        let request = proto::Eviction::from(eviction);
        let Done = self.call(Mutation, request, send!(moves.finish_eviction)).await?;
        Ok(())
    }

    async fn report_missing(&self, shards: &[MissingShard]) -> Result<(), Error> {
        let request = proto::ReportMissingRequest { shards: wire::messages(shards.to_vec()) };
        let Done = self.call(Mutation, request, send!(repair.report_missing)).await?;
        Ok(())
    }

    async fn list_missing(
        &self,
        group: Option<GroupId>,
        after: Option<ShardId>,
        limit: usize,
    ) -> Result<Vec<MissingShard>, Error> {
        let (group, after) = (group.map(|group| group.0), after.map(Into::into));
        let request = proto::ListMissingRequest { after, limit: wire::limit_to_wire(limit), group };
        let MissingShards(shards) = self.call(Read, request, send!(repair.list_missing)).await?;
        Ok(shards)
    }

    async fn finish_missing(&self, shards: &[ShardId], epoch: i64) -> Result<usize, Error> {
        let request = proto::FinishMissingRequest { shards: wire::messages(shards.to_vec()), epoch };
        let Value(finished) = self.call(Mutation, request, send!(repair.finish_missing)).await?;
        Ok(usize::try_from(finished).unwrap_or(usize::MAX))
    }

    async fn list_contents(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<ContentPage, Error> {
        let (after, limit) = (after.map(|after| after.0.into()), wire::limit_to_wire(limit));
        let request = proto::ListContentsRequest { after, limit };
        self.call(LongRead, request, send!(repair.list_contents)).await
    }

    async fn replace_chunks(&self, rows: Vec<ReplaceChunks>) -> Result<Vec<bool>, Error> {
        let asked = rows.len();
        let request = proto::ReplaceChunksRequest { rows: wire::messages(rows) };
        let Value(replaced) = self.call(Mutation, request, send!(repair.replace_chunks)).await?;
        let replaced: Vec<bool> = replaced;
        // What was done of which cannot be told.
        if replaced.len() == asked { Ok(replaced) } else { Err(Error::TimedOut) }
    }

    async fn acquire_job(
        &self,
        job: JobName,
        holder: &str,
        observed_renewals: Option<i64>,
    ) -> Result<Option<i64>, Error> {
        let (job, holder) = (proto::JobName::from(job).into(), holder.to_owned());
        let request = proto::AcquireJobRequest { job, holder, observed_renewals };
        let Value(token) = self.call(Mutation, request, send!(jobs.acquire_job)).await?;
        Ok(token)
    }

    async fn renew_job(&self, job: JobName, token: i64, progress: JobProgress) -> Result<(), Error> {
        let (job, progress) = (proto::JobName::from(job).into(), Some(progress.into()));
        let request = proto::RenewJobRequest { job, token, progress };
        let Done = self.call(Mutation, request, send!(jobs.renew_job)).await?;
        Ok(())
    }

    async fn release_job(&self, job: JobName, token: i64) -> Result<(), Error> {
        let request = proto::ReleaseJobRequest { job: proto::JobName::from(job).into(), token };
        let Done = self.call(Mutation, request, send!(jobs.release_job)).await?;
        Ok(())
    }

    async fn list_jobs(&self) -> Result<Vec<JobState>, Error> {
        let request = proto::ListJobsRequest {};
        let Jobs(jobs) = self.call(Read, request, send!(jobs.list_jobs)).await?;
        Ok(jobs)
    }

    async fn set_frozen(&self, frozen: bool) -> Result<(), Error> {
        let request = proto::SetFrozenRequest { frozen };
        let Done = self.call(Mutation, request, send!(garbage.set_frozen)).await?;
        Ok(())
    }

    async fn take_garbage(&self, limit: usize) -> Result<Vec<GarbageItem>, Error> {
        let request = proto::TakeGarbageRequest { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
        let GarbageItems(items) = self.call(Mutation, request, send!(garbage.take_garbage)).await?;
        Ok(items)
    }

    async fn finish_garbage(
        &self,
        items: &[GarbageId],
        epoch: i64,
        given_up: &[DiskId],
    ) -> Result<usize, Error> {
        let given_up = given_up.iter().map(|disk| wire::id_to_wire(disk.0)).collect();
        let request = proto::FinishGarbageRequest { items: wire::messages(items.to_vec()), epoch, given_up };
        let Value::<u64>(finished) = self.call(Mutation, request, send!(garbage.finish_garbage)).await?;
        Ok(usize::try_from(finished).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, mutation_of};

    #[test]
    fn what_changes_few_rows_has_no_longer_than_other_calls() {
        assert_eq!([1, 64].map(mutation_of), [Kind::Mutation; 2]);
        assert_eq!([65, 10_000].map(mutation_of), [Kind::LongMutation; 2]);
    }
}
