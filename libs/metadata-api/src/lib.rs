//! The contract of the metadata service: buckets, keys, versions, uploads, leases and the cluster map.
//!
//! [`Metadata`] has an in-process implementation (`services/metadata`, on Postgres or SQLite), a network client and
//! server ([`client`], [`server`]) and an in-memory fake ([`fake`]); `tests/metadata-conformance` holds them all to it.
//! No caller knows which one it talks to.
//!
//! Invariant: every mutation of a bucket has one number in that bucket's gapless commit order.
//! Invariant: a call that answers `Ok` has been made durable; a call that fails has changed nothing, except after
//! [`Error::TimedOut`], when the outcome is unknown.

mod account;
mod background;
mod bucket;
pub mod client;
mod cluster;
mod contents;
mod error;
pub mod fake;
mod identity;
mod inventory;
mod job;
mod lease;
mod listing;
mod moves;
mod rate;
mod rename;
mod rewrap;
pub mod server;
mod session;
mod span;
mod token;
mod transport;
mod upload;
mod version;
mod wire;

use async_trait::async_trait;
use bytes::Bytes;
use sigv4::Scope;
use types::{
    BucketName, ChunkId, ChunkOwner, Coding, DiskId, GroupId, LeaseId, MissingShard, NodeId,
    ObjectLockConfiguration, ShardId, ShardIndex, StorageClassName, Timestamp, UploadId, Versioning,
};

pub use account::{
    ACCOUNT_EMAIL_LENGTH_MAX, ACCOUNT_NAME_LENGTH_MAX, ACCOUNT_NUMBER, ACCOUNTS_MAX, ACCOUNTS_PAGE_MAX,
    Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus, CreateAccount,
    ROOT_ACCOUNT_NAME, ROOT_KEYS_MAX, RootKey, RootKeyMade,
};
pub use background::{GarbageId, GarbageItem};
pub use bucket::{
    BUCKET_NAME_HOLD, Bucket, BucketPage, BucketQuota, BucketUsage, CreateBucket, ListBuckets,
    SUBRESOURCE_LENGTH_MAX, Subresource,
};
pub use cluster::{
    ClusterMap, DiskHistory, DiskRegistration, GROUPS_OF_ALL_CLASSES_MAX, MapDisk, MapNode, MassLoss,
    NodeRegistration, PlacementGroup, STORAGE_CLASSES_MAX, StorageClass, StorageClassDefinition,
};
pub use contents::{
    CONTENT_EXTENTS_MAX, ClassChange, ContentKind, ContentOwner, ContentPage, ContentPosition, ContentRow,
    REPLACED_ROWS_MAX, ReplaceChunks, Replaced, Replacement,
};
pub use error::Error;
pub use identity::{
    AccessSecret, ChangeIdentities, DerivedKey, IDENTITIES_PAGE_MAX, IDENTITY_CHANGES_MAX,
    IDENTITY_LENGTH_MAX, IDENTITY_NAME_LENGTH_MAX, IdentitiesChanged, IdentityKind, IdentityPage,
    IdentityRecord, REMOVED_IDENTITIES_KEPT, check_signed_scope,
};
pub use inventory::{
    INVENTORIES_MAX, INVENTORIES_PAGE_MAX, INVENTORY_ID_LENGTH_MAX, INVENTORY_LENGTH_MAX, Inventory,
};
pub use job::{JobName, JobProgress, JobState};
pub use lease::{ADOPTED, Lease, LeaseState, check_chunks_of_lease};
pub use listing::{
    ListObjects, ListPosition, ListUploads, ListVersions, ObjectEntry, ObjectPage, ObjectSummary,
    UploadEntry, UploadPage, UploadPosition, VersionEntry, VersionPage, VersionPosition, VersionSummary,
};
pub use moves::{
    DiskState, Eviction, EvictionPages, FormerTarget, Intent, NewMove, NodeState, ObservedNode, ShardMove,
    all_evictions, count_evictions,
};
pub use rate::{
    BURST_SECONDS_MAX, BYTES_RATE_MIN, RATE_LIMITS_MAX, RATE_MAX, RateHolder, RateLimit, RateLimitSet, Rates,
};
pub use rename::{RENAME_BYTES_MAX, RenamePrefix, RenamedObject};
pub use rewrap::{EncryptedOwner, EncryptedPage, EncryptedRow, Rewrap};
pub use session::{
    OpenSession, SESSION_LENGTH_MAX, SESSION_SECONDS_MAX, SESSION_TOKEN_LENGTH_MAX, SealSession,
    SealedSession, Session, SessionOpened,
};
pub use token::{Token, TokenError};
pub use upload::{
    AbortUpload, CommitPart, CompleteUpload, CompletedPart, CreateUpload, Initiator, ListParts, Part,
    PartPage, Upload, UploadChecksum, part_size_min, size_of_part,
};
pub use version::{
    CommitVersion, Committed, CopyAttributes, CopyVersion, DeleteCondition, DeleteVersion, DeleteVersions,
    DeletedVersion, ETagCondition, FoundVersion, GetVersion, LockChange, NewVersion, RenameObject, SetAcl,
    SetLock, SetRestore, SetTags, Tagged, Version, VersionState, WriteCondition, size_of,
};

/// Most entries in one page of any listing and most keys in one [`DeleteVersions`].
pub const PAGE_SIZE_MAX: usize = 1000;

/// Owns buckets, objects, versions, uploads and placement.
///
/// Every call may fail with `Unauthenticated`, `Forbidden` (where services have certificates), `Unavailable` (nothing happened, may be repeated at once), `TimedOut`
/// (the outcome is unknown) and `Internal` (a fault of ours, logged where it happened); each call names what else it
/// answers.
#[async_trait]
pub trait Metadata: Send + Sync + 'static {
    /// Whether the service and its database can take calls.
    async fn ready(&self) -> Result<(), Error>;

    // Buckets.

    /// Makes an empty, unversioned bucket. Errors: `BucketExists` (with its owner, or whose it was until less than
    /// [`BUCKET_NAME_HOLD`] ago).
    async fn create_bucket(&self, request: CreateBucket) -> Result<Bucket, Error>;
    /// A bucket as it is now. Errors: `BucketNotFound`.
    async fn get_bucket(&self, bucket: &BucketName) -> Result<Bucket, Error>;
    /// Removes a bucket that holds no version and no delete marker; its open uploads are aborted.
    /// Errors: `BucketNotFound`, `BucketNotEmpty`.
    async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), Error>;
    /// An account's buckets in the order of their names.
    async fn list_buckets(&self, request: ListBuckets) -> Result<BucketPage, Error>;
    /// Enables or suspends versioning. Errors: `BucketNotFound`, `Malformed` (back to unversioned), `InvalidBucketState`
    /// (suspended, with object lock).
    async fn set_versioning(&self, bucket: &BucketName, versioning: Versioning) -> Result<(), Error>;
    /// Gives a bucket an object lock, or other settings of it; it cannot be taken back. Versions that are there keep what
    /// they have. Errors: `BucketNotFound`, `InvalidBucketState` (versioning is not enabled).
    async fn set_object_lock(
        &self,
        bucket: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<(), Error>;
    /// Says what a bucket may hold at most, from the next commit on. Errors: `BucketNotFound`, `Malformed` (more than can be
    /// counted).
    async fn set_quota(&self, bucket: &BucketName, quota: BucketQuota) -> Result<(), Error>;
    /// Stores a sub-resource in place of the one that was there, or removes it. It goes with its bucket.
    /// Errors: `BucketNotFound`, `Malformed` (longer than [`SUBRESOURCE_LENGTH_MAX`]).
    async fn set_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
        document: Option<Bytes>,
    ) -> Result<(), Error>;
    /// A sub-resource as it is now, or `None`. Errors: `BucketNotFound`.
    async fn get_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
    ) -> Result<Option<Bytes>, Error>;
    /// The names of the buckets, of all accounts, that have a sub-resource, in their order and after `after`; fewer than
    /// `limit`, 1 to [`PAGE_SIZE_MAX`], when there are no more.
    async fn list_buckets_with(
        &self,
        subresource: Subresource,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error>;

    /// Stores an inventory configuration in place of the one of that name, or removes it; the rest of it stays. Answers whether
    /// that was done: not when a bucket without one of that name has [`INVENTORIES_MAX`], nor when there is none to be removed.
    /// Errors: `BucketNotFound`, `Malformed` (the name is empty or longer than [`INVENTORY_ID_LENGTH_MAX`], or the document longer
    /// than [`INVENTORY_LENGTH_MAX`]).
    async fn set_inventory(
        &self,
        bucket: &BucketName,
        id: &str,
        document: Option<Bytes>,
    ) -> Result<bool, Error>;
    /// Inventory configurations in the order of their names, from `from` on, that one included; fewer than `limit`, 1 to
    /// [`INVENTORIES_PAGE_MAX`], when there are no more. Errors: `BucketNotFound`.
    async fn list_inventories(
        &self,
        bucket: &BucketName,
        from: &str,
        limit: usize,
    ) -> Result<Vec<Inventory>, Error>;
    /// Records that a list was made which was begun at `listed`, if the configuration is there. Errors: `BucketNotFound`.
    async fn mark_inventory(&self, bucket: &BucketName, id: &str, listed: Timestamp) -> Result<(), Error>;
    /// The names of the buckets, of all accounts, that have inventory configurations, as [`Metadata::list_buckets_with`].
    async fn list_buckets_with_inventories(
        &self,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error>;

    // Accounts.

    /// Makes an account, beside the first, with ids that no other ever had.
    /// Errors: `Malformed` (see [`CreateAccount::check`]).
    async fn create_account(&self, request: CreateAccount) -> Result<AccountCreated, Error>;
    /// The accounts after one of a name, in the order of their names, without the first and without those that are closed.
    /// Errors: `Malformed` (a limit that is not 1 to [`ACCOUNTS_PAGE_MAX`]).
    async fn list_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, Error>;
    /// The account that is called so; `None` when there is none, or it is closed. The first is always there.
    async fn find_account(&self, key: &AccountKey) -> Result<Option<Account>, Error>;
    /// Suspends an account, or has it go on: as of the answer [`Metadata::read_identities`] says so. `NotFound` of the first.
    /// Errors: `Malformed` (an account is closed by [`Metadata::remove_account`] alone).
    async fn set_account_status(
        &self,
        account: &AccountId,
        status: AccountStatus,
    ) -> Result<AccountChanged, Error>;
    /// Closes an account that has no bucket and nothing but access keys of its root user, which go with it, as its limits do.
    async fn remove_account(&self, account: &AccountId) -> Result<AccountChanged, Error>;
    /// Makes an access key of an account's root user.
    async fn make_root_key(&self, account: &AccountId) -> Result<RootKeyMade, Error>;
    /// Removes one.
    async fn remove_root_key(
        &self,
        account: &AccountId,
        access_key_id: &str,
    ) -> Result<AccountChanged, Error>;

    // Identities.

    /// What was changed of an account after a position, 0 for all that there is; at most [`IDENTITIES_PAGE_MAX`] records. An
    /// account of which nothing was changed yet is at 0. It says too whether those of the account may do anything.
    async fn read_identities(&self, account: &AccountId, since: i64) -> Result<IdentityPage, Error>;
    /// Changes records of an account, all or none, if nothing was changed since they were read.
    /// Errors: `Malformed` (see [`ChangeIdentities`]).
    async fn change_identities(&self, request: ChangeIdentities) -> Result<IdentitiesChanged, Error>;
    /// What an operator said of how much somebody may ask of each gateway, all of it in the order of whom it is for; at most
    /// [`RATE_LIMITS_MAX`].
    async fn list_rate_limits(&self, account: &AccountId) -> Result<Vec<RateLimit>, Error>;
    /// Says how much somebody may ask of each gateway, in place of what was said, or takes that back. It goes with the user, the
    /// role or the access key. Gateways know of it some seconds later. Errors: `Malformed` (see [`Rates::check`]).
    async fn set_rate_limit(
        &self,
        account: &AccountId,
        holder: &RateHolder,
        rates: Option<Rates>,
    ) -> Result<RateLimitSet, Error>;
    /// The key that requests of a day to a service in a region are signed with by an access key, and whose that is; `None` when there is
    /// none of that name. The secret itself never leaves the service again. Errors: `Malformed` (see [`check_signed_scope`]), `Internal` (what it
    /// was sealed with is missing).
    async fn derive_signing_key(
        &self,
        access_key_id: &str,
        scope: &Scope,
    ) -> Result<Option<DerivedKey>, Error>;

    /// Makes the credentials of a session; `None` when the service has no key to seal them with. Nothing of it is kept: all that
    /// the service knows of a session is in its token. Errors: `Malformed` (see [`SealSession`]).
    async fn seal_session(&self, request: SealSession) -> Result<Option<SealedSession>, Error>;
    /// What a token says, if it is a session's of this access key, and the key that its requests of a day to a service in a region
    /// are signed with. Errors: `Malformed` (see [`check_signed_scope`]).
    async fn open_session(&self, request: OpenSession) -> Result<SessionOpened, Error>;

    // Versions.

    /// Makes stored bytes visible as the key's new current version.
    /// Errors: `BucketNotFound`, `PreconditionFailed`, `KeyNotFound` (`IfMatch` without a current version),
    /// `LeaseRevoked`, `NoObjectLock` (the version is to be locked), `QuotaExceeded`, `Malformed` (see
    /// [`check_chunks_of_lease`]).
    async fn commit_version(&self, request: CommitVersion) -> Result<Committed, Error>;
    /// The current or a named version of a key. Errors: `BucketNotFound`, `KeyNotFound` (no current version and no
    /// current delete marker), `VersionNotFound`.
    async fn get_version(&self, request: GetVersion) -> Result<FoundVersion, Error>;
    /// Deletes keys or versions, all in one commit; entry `i` of the answer is for entry `i` of the request. Deleting
    /// what is not there succeeds.
    /// Errors: `BucketNotFound`, `Malformed` (more than [`PAGE_SIZE_MAX`]). Per entry: `PreconditionFailed`,
    /// `KeyNotFound` (a condition on a key without a current version), `VersionLocked`.
    async fn delete_versions(
        &self,
        request: DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Error>;
    /// Gives a version other tags. It is no commit: no listing shows tags, and the version stays the same.
    /// Errors: `BucketNotFound`, `KeyNotFound` and `VersionNotFound` as `get_version`, and when it is a delete marker.
    async fn set_tags(&self, request: SetTags) -> Result<Tagged, Error>;
    /// Changes what keeps a version from being removed. It is no commit, as [`Metadata::set_tags`] is none.
    /// Errors: as `set_tags`, `NoObjectLock`, `VersionLocked` (its retention may not be changed so).
    async fn set_lock(&self, request: SetLock) -> Result<Tagged, Error>;
    /// Gives a version another access control list. It is no commit, as [`Metadata::set_tags`] is none.
    /// Errors: as `set_tags`, `Malformed` (more than [`types::Acl::GRANTS_MAX`] grants).
    async fn set_acl(&self, request: SetAcl) -> Result<Tagged, Error>;
    /// Records a restore of a version of an archive class. It is no commit, as [`Metadata::set_tags`] is none.
    /// Errors: as `set_tags`, `PreconditionFailed` (the version, its class or its restore is not what the caller saw).
    async fn set_restore(&self, request: SetRestore) -> Result<Tagged, Error>;
    /// Wraps the data key of a version or an open upload otherwise. It is no commit, as [`Metadata::set_tags`] is none.
    /// Errors: `BucketNotFound`, `VersionNotFound`, `UploadNotFound`, `PreconditionFailed` (it is another version, or wrapped
    /// otherwise than the caller saw).
    async fn rewrap(&self, request: Rewrap) -> Result<(), Error>;
    /// Everything that is encrypted, a page at a time, in an order of its own: versions that are there, then open uploads; what
    /// comes and goes while the pages are read may or may not be among them. Looks at `limit` rows at most, from 1 to
    /// [`PAGE_SIZE_MAX`]. Errors: `Malformed` (also when the position is none).
    async fn list_encrypted(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<EncryptedPage, Error>;
    /// Makes a new version that names the source version's chunks: rows only, no bytes. The source and the
    /// destination may be in different buckets, and may be the same key.
    /// Errors: `BucketNotFound` (either), `VersionNotFound` (the source is gone or is a delete marker),
    /// `PreconditionFailed` (destination's condition, or the source's ETag, class or encryption is no longer the expected one),
    /// `KeyNotFound`, `NoObjectLock` and `QuotaExceeded` (as `commit_version`).
    async fn copy_version(&self, request: CopyVersion) -> Result<Committed, Error>;
    /// Gives the current object of a key another key of its bucket, in one commit: no listing shows it twice or not at
    /// all. The other key gets a new version with the same content, attributes and lock; the key it had is deleted as
    /// [`Metadata::delete_versions`] deletes a key without a version id. In a bucket without versioning it keeps its
    /// `last_modified`; in any other the version is as new as its commit, since by its time it is known how long the one
    /// below it has been noncurrent. So the time of a key can go backwards, as that of a file does to which another is
    /// renamed.
    /// Errors: `BucketNotFound`, `Malformed` (both keys are the same), `VersionNotFound` (the source is not the current
    /// object of its key any more), `PreconditionFailed`, `KeyNotFound` and `QuotaExceeded` (as `copy_version`).
    async fn rename_object(&self, request: RenameObject) -> Result<Committed, Error>;
    /// Renames every current object under a prefix as [`Metadata::rename_object`] does, each in a commit of its own, but
    /// all in one transaction: all of them or none, and nobody sees some without the others.
    /// Errors: `BucketNotFound`, `Malformed` (as [`RenamePrefix::check`]), `PreconditionFailed` (the current objects under
    /// the prefix are not these, or the other prefix has a current object), `QuotaExceeded`, `RenameTooLarge` (more is kept
    /// of them than [`RENAME_BYTES_MAX`]).
    async fn rename_prefix(&self, request: RenamePrefix) -> Result<(), Error>;
    /// Current objects and common prefixes in key order. Errors: `BucketNotFound`.
    async fn list_objects(&self, request: ListObjects) -> Result<ObjectPage, Error>;
    /// All versions and delete markers, by key and newest first within a key. Errors: `BucketNotFound`.
    async fn list_versions(&self, request: ListVersions) -> Result<VersionPage, Error>;

    // Multipart uploads.

    /// Opens an upload. Errors: `BucketNotFound`, `NoObjectLock` (the version is to be locked).
    async fn create_upload(&self, request: CreateUpload) -> Result<Upload, Error>;
    /// An open upload. Errors: `BucketNotFound`, `UploadNotFound`.
    async fn get_upload(
        &self,
        bucket: &BucketName,
        key: &types::ObjectKey,
        upload: UploadId,
    ) -> Result<Upload, Error>;
    /// Adds stored bytes to an open upload as a part, replacing one with the same number.
    /// Errors: `BucketNotFound`, `UploadNotFound`, `LeaseRevoked`, `Malformed` (see [`check_chunks_of_lease`]).
    async fn commit_part(&self, request: CommitPart) -> Result<Part, Error>;
    /// An upload's parts in the order of their numbers. Errors: `BucketNotFound`, `UploadNotFound`.
    async fn list_parts(&self, request: ListParts) -> Result<PartPage, Error>;
    /// Open uploads by key, then by id. Errors: `BucketNotFound`.
    async fn list_uploads(&self, request: ListUploads) -> Result<UploadPage, Error>;
    /// Makes the named parts, in order, the key's new current version and closes the upload; parts that are not
    /// named are freed. The same request repeated within a day of its success gives the same answer.
    /// Errors: `BucketNotFound`, `UploadNotFound`, `InvalidPart`, `InvalidPartOrder`, `PartTooSmall`,
    /// `UploadSizeMismatch`, `UploadChecksumMismatch`, `PreconditionFailed`, `KeyNotFound` (as `commit_version`).
    async fn complete_upload(&self, request: CompleteUpload) -> Result<Committed, Error>;
    /// Closes an upload and frees its parts. Errors: `BucketNotFound`, `UploadNotFound`.
    async fn abort_upload(&self, request: AbortUpload) -> Result<(), Error>;

    // Leases.

    /// A new lease for a gateway: the right to commit, and a range of chunk ids of its own.
    async fn acquire_lease(&self, holder: &str) -> Result<Lease, Error>;
    /// Shows that the holder lives. `oldest_epoch` is that of the oldest cluster map by which it may still write; until
    /// the first renewal that may be any.
    /// Errors: `LeaseRevoked`.
    async fn renew_lease(&self, lease: LeaseId, oldest_epoch: i64) -> Result<(), Error>;
    /// Revokes a lease of the caller's own that nothing uses any more: nothing will be committed under it. Succeeds when
    /// it is revoked already.
    async fn release_lease(&self, lease: LeaseId) -> Result<(), Error>;
    /// Leases that are not reaped, each with the number of its renewals.
    async fn list_leases(&self) -> Result<Vec<LeaseState>, Error>;
    /// Revokes a lease unless it was renewed since `observed_renewals` was read: the fence after which none of its
    /// commits can succeed. Answers whether the lease is revoked now.
    async fn revoke_lease(&self, lease: LeaseId, observed_renewals: i64) -> Result<bool, Error>;
    /// Which of these chunks of a lease that is not active, revoked or reaped, nothing names: no version and no part
    /// that is there or waits to be freed, no reference. Final, because nothing can name a chunk of such a lease that is not
    /// named. A chunk is looked for where its owner's tag says. At most [`PAGE_SIZE_MAX`].
    /// Errors: `LeaseActive`, `Malformed` (a chunk is not of the lease, or too many).
    async fn unnamed_chunks(
        &self,
        lease: LeaseId,
        chunks: &[(ChunkId, ChunkOwner)],
    ) -> Result<Vec<ChunkId>, Error>;
    /// Which of these chunks, of any leases, something names now: a version or a part that is there or waits to be freed,
    /// a reference. A chunk that is named is freed through the garbage queue alone. At most [`PAGE_SIZE_MAX`].
    /// Errors: `Malformed`.
    async fn named_chunks(&self, chunks: &[(ChunkId, ChunkOwner)]) -> Result<Vec<ChunkId>, Error>;
    /// Knows these leases as revoked, those of them that are not known, so that what nothing names under them is reaped: their
    /// numbers were found on disks, after a restore of older metadata. Answers how many were not known. At most
    /// [`PAGE_SIZE_MAX`]. Errors: `Malformed`.
    async fn adopt_leases(&self, leases: &[LeaseId]) -> Result<usize, Error>;
    /// Forgets a revoked lease, of which by the map of `epoch` no disk has an unnamed shard left. Succeeds when it is
    /// forgotten already. Errors: `StaleMap` (a disk was added or a move began since), `Malformed` (the lease is active).
    async fn finish_lease(&self, lease: LeaseId, epoch: i64) -> Result<(), Error>;

    // The cluster.

    /// Registers a chunk node and its disks; repeated every few seconds as its heartbeat.
    /// Errors: `Malformed` (a disk belongs to another live node).
    async fn register_node(&self, request: NodeRegistration) -> Result<(), Error>;
    /// Defines a storage class if it is not there; its placement groups are mapped as soon as enough disks of its
    /// medium are registered. Errors: `Malformed` (it is there with another coding; there are
    /// [`STORAGE_CLASSES_MAX`] classes or [`GROUPS_OF_ALL_CLASSES_MAX`] groups).
    async fn define_storage_class(&self, request: StorageClassDefinition) -> Result<(), Error>;
    /// Changes the coding of a storage class: what is written from then on has it, in placement groups of its own. The
    /// groups of the coding before stay, as a former class of the map; a class that is given back a former coding has the
    /// groups of that again. Succeeds when the class has that coding.
    /// Errors: `Malformed` (there is no such class, or there are not enough disks of its medium).
    async fn set_storage_class_coding(&self, name: &StorageClassName, coding: Coding) -> Result<(), Error>;
    /// Takes groups of former codings out of the map, of which by the map of `epoch` no disk had a shard and then no row
    /// named a chunk. Answers whether they are gone, all or none: not while one of them may still be written to by a
    /// lease's oldest map, moves, or has changed since, nor while a revoked lease is not reaped. Their shards in the repair
    /// queue, which are of chunks that nothing names, go with them. Those that are gone already count as gone. Disks that were
    /// given up are left an eviction for each of their shard indexes. At most [`PAGE_SIZE_MAX`].
    /// Errors: `Malformed` (a group is of a class's present coding, or too many).
    async fn remove_former_groups(&self, groups: &[GroupId], epoch: i64) -> Result<bool, Error>;
    /// Nodes, disks, storage classes and placement groups, or `None` when the epoch is still `known_epoch`.
    async fn cluster_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Error>;
    /// What the cluster has seen of its disks.
    async fn disk_history(&self) -> Result<DiskHistory, Error>;

    /// Says that a node fell silent, unless a heartbeat came since it was observed. Answers whether it is in that state
    /// now. Errors: `NodeNotFound`, `Malformed` (`Up`: only a heartbeat makes a node that).
    async fn mark_node(&self, observed: ObservedNode, state: NodeState) -> Result<bool, Error>;
    /// Says what the operator wants of a node. Errors: `NodeNotFound`, `Malformed` (it shall serve, and has a disk that is to
    /// be removed because it was given up).
    async fn set_node_intent(&self, node: NodeId, intent: Intent) -> Result<(), Error>;
    /// Says what the operator wants of a disk. Errors: `DiskNotFound`, `Malformed` (it is gone, and shall be anything but
    /// removed; or it shall serve, and was given up ([`finish_garbage`](Metadata::finish_garbage)) and is still named by a
    /// group or an eviction: what it has that nothing names leaves it with the last of these).
    async fn set_disk_intent(&self, disk: DiskId, intent: Intent) -> Result<(), Error>;

    // Moves.

    /// Begins moves, all or none, by the map of `expected_epoch`, and answers the epoch of the map that has them. At most
    /// [`PAGE_SIZE_MAX`]; none change nothing.
    /// Errors: `StaleMap`, `Malformed` (an index is on its way already, a group would have two shards on a disk, or a disk
    /// does not serve, is not of the class's medium, or still has to evict what would move to it).
    async fn begin_moves(&self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error>;
    /// Finishes a move: every chunk of the group has its shard at the new disk. What is left on the old one becomes an
    /// eviction, unless that disk is gone. Errors: `MoveNotFound`.
    async fn finish_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<(), Error>;
    /// Turns a move round: the new disk becomes the group's and its shards move to the old one. Answers the new
    /// epoch. There is no other way to give a move up, because shards were written to the new disk alone.
    /// Errors: `MoveNotFound`.
    async fn reverse_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<i64, Error>;
    /// Sends a move elsewhere whose target was lost, and answers the new epoch. What was put to the lost target becomes an
    /// eviction, which is not to be carried out before the move is finished; shards that were written there alone are
    /// rebuilt from others. Errors: `MoveNotFound`, `Malformed` (as `begin_moves`).
    async fn redirect_move(
        &self,
        group: GroupId,
        index: ShardIndex,
        since: i64,
        to: DiskId,
    ) -> Result<i64, Error>;
    /// A page of at most [`PAGE_SIZE_MAX`] evictions that can be carried out, by disk, group and index, that come after
    /// `after`: those of disks that are up and have not failed. Those of other disks wait; a disk that is gone loses its
    /// own. See [`all_evictions`].
    async fn list_evictions(&self, after: Option<Eviction>) -> Result<Vec<Eviction>, Error>;
    /// Forgets an eviction that was carried out.
    async fn finish_eviction(&self, eviction: Eviction) -> Result<(), Error>;

    // Repair.

    /// Queues shards that are missing or damaged to be rebuilt; those in the queue stay there. At most
    /// [`PAGE_SIZE_MAX`]. Errors: `Malformed`.
    async fn report_missing(&self, shards: &[MissingShard]) -> Result<(), Error>;
    /// Queued shards, of one group or of all, in the order of their names, after `after`, at most `limit` (1 to
    /// [`PAGE_SIZE_MAX`]).
    async fn list_missing(
        &self,
        group: Option<GroupId>,
        after: Option<ShardId>,
        limit: usize,
    ) -> Result<Vec<MissingShard>, Error>;
    /// Takes shards out of the queue that are whole by the map of `epoch`, or whose chunk nothing will ever name. Those of groups that
    /// have changed since stay. Answers how many went. At most [`PAGE_SIZE_MAX`]. Errors: `Malformed`.
    async fn finish_missing(&self, shards: &[ShardId], epoch: i64) -> Result<usize, Error>;
    /// Every row that names chunks, a page at a time, in an order of its own; rows that come and go while the pages
    /// are read may or may not be among them. `limit` rows at most, from 1 to [`PAGE_SIZE_MAX`], and fewer once they have
    /// [`CONTENT_EXTENTS_MAX`] extents. Errors: `Malformed` (also when the position is none).
    async fn list_contents(&self, after: Option<ContentPosition>, limit: usize)
    -> Result<ContentPage, Error>;
    /// Puts other chunks in the place of some that versions and parts name: of 1 to [`REPLACED_ROWS_MAX`] of one bucket,
    /// under one lease, with at most [`PAGE_SIZE_MAX`] chunks together, in one transaction that checks the lease as a commit
    /// does. Nothing that clients see changes but the storage class, where a [`ClassChange`] asks for it, and it is no commit
    /// of the bucket's. The hold on the old chunks passes to items of garbage, so that they stay readable for the hold time
    /// and are freed when nothing else names them. Answers for each row, in their order, whether it was done: not when the
    /// version or part is gone, or does not name all of its chunks, or the class cannot change, which undoes nothing of the
    /// others. Errors, and nothing is done then: `LeaseRevoked`, `Malformed`.
    async fn replace_chunks(&self, rows: Vec<ReplaceChunks>) -> Result<Vec<bool>, Error>;

    // Jobs.

    /// Takes a job that nobody has, or whose holder has not renewed it since `observed_renewals` was read. Answers the
    /// token of the new holder, or `None` when another has it. Renewals count on from holder to holder.
    async fn acquire_job(
        &self,
        job: JobName,
        holder: &str,
        observed_renewals: Option<i64>,
    ) -> Result<Option<i64>, Error>;
    /// Shows that a job's holder lives, and how far it is. Errors: `JobLost`.
    async fn renew_job(&self, job: JobName, token: i64, progress: JobProgress) -> Result<(), Error>;
    /// Gives a job up, so that another takes it at once. Errors: `JobLost`.
    async fn release_job(&self, job: JobName, token: i64) -> Result<(), Error>;
    /// Jobs that somebody has.
    async fn list_jobs(&self) -> Result<Vec<JobState>, Error>;

    // Background work.

    /// Says whether nothing is to be freed, because the metadata may be older than the disks. While it is so the cluster map says
    /// it, no garbage is handed out, and workers neither reap nor evict. Raises the epoch if that changes it.
    async fn set_frozen(&self, frozen: bool) -> Result<(), Error>;
    /// Takes garbage whose hold time has passed: content that no version, part or other row names, proved under the
    /// rows' locks in the transaction that takes it, after which nothing can name it again. An item is given out
    /// again (to anyone) until it is finished, which may take as long as a disk is away. Each time the repair queue forgets
    /// what its chunks lack: nothing of them is to be repaired, and nobody may wait for it.
    async fn take_garbage(&self, limit: usize) -> Result<Vec<GarbageItem>, Error>;
    /// Forgets garbage whose shards have all been deleted by the map of `epoch`, but for those on disks that were `given_up`:
    /// that are silent and to be removed, so that nobody waits for them. Items of groups that have changed since stay, and
    /// are given out again; all of them do when one of these disks is waited for by now. Answers how many were forgotten.
    ///
    /// What lies on a disk that was given up is named by nothing any more. So it is to be removed by its own intent from
    /// then on, as is every disk of the items' groups that is silent and to be removed, whether the caller tells of it or not, whatever node brings it back, and serves again only after it was drained: see
    /// [`set_disk_intent`](Metadata::set_disk_intent).
    async fn finish_garbage(
        &self,
        items: &[GarbageId],
        epoch: i64,
        given_up: &[DiskId],
    ) -> Result<usize, Error>;
}
