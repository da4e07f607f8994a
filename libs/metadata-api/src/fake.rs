//! The metadata service in memory: the reference model, small enough to check by eye, for tests and simulation.
//!
//! Plain maps behind one mutex; every call is one step, so every history is linear. What the contract derives is
//! derived here on demand (usage, current versions, what garbage still names) instead of being kept up to date, so
//! that it cannot drift. Nothing is durable and everything is O(n). Given a deterministic [`Env`], it is
//! deterministic.

mod accounts;
mod buckets;
mod cluster;
mod contents;
mod garbage;
mod identities;
mod inventories;
mod jobs;
mod leases;
mod listing;
mod losses;
mod missing;
mod moves;
mod recoding;
mod renames;
mod uploads;
mod versions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use env::Env;
use sigv4::Scope;
use types::{
    BucketName, ChunkId, ChunkOwner, Coding, DiskId, GroupId, LeaseId, MissingShard, NodeId, ObjectKey,
    ObjectLockConfiguration, ShardId, ShardIndex, StorageClassName, Timestamp, UploadId, Versioning,
};

use self::{
    accounts::Accounts, buckets::BucketRow, cluster::Cluster, garbage::Garbage, identities::Identities,
    jobs::Jobs, leases::Leases, missing::Missing,
};
use crate::{
    ACCOUNTS_PAGE_MAX, AbortUpload, AccessSecret, Account, AccountChanged, AccountCreated, AccountId,
    AccountKey, AccountStatus, Bucket, BucketPage, BucketQuota, ChangeIdentities, ClusterMap, CommitPart,
    CommitVersion, Committed, CompleteUpload, ContentPage, ContentPosition, CopyVersion, CreateAccount,
    CreateBucket, CreateUpload, DeleteVersions, DeletedVersion, DerivedKey, DiskHistory, EncryptedPage,
    Error, Eviction, FoundVersion, GarbageId, GarbageItem, GetVersion, INVENTORIES_PAGE_MAX,
    IdentitiesChanged, IdentityPage, Intent, Inventory, JobName, JobProgress, JobState, Lease, LeaseState,
    ListBuckets, ListObjects, ListParts, ListUploads, ListVersions, Metadata, NewMove, NodeRegistration,
    NodeState, ObjectPage, ObservedNode, OpenSession, PAGE_SIZE_MAX, Part, PartPage, ROOT_KEYS_MAX,
    RateHolder, RateLimit, RateLimitSet, Rates, RenameObject, RenamePrefix, ReplaceChunks, Rewrap, RootKey,
    RootKeyMade, SealSession, SealedSession, Session, SessionOpened, SetAcl, SetLock, SetRestore, SetTags,
    StorageClassDefinition, Subresource, Tagged, Upload, UploadPage, VersionPage, check_signed_scope,
    part_size_min,
};

/// What a deployment may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long content that nothing names is kept. Zero by default, which is what the conformance suite needs.
    pub garbage_hold: Duration,
    /// A lease's time to live.
    pub lease_time_to_live: Duration,
    /// Least size in bytes of a part that is not the last.
    pub part_size_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            garbage_hold: Duration::ZERO,
            lease_time_to_live: Duration::from_secs(30),
            part_size_min: part_size_min(),
        }
    }
}

/// The metadata service in memory.
#[derive(Debug)]
pub struct Fake {
    state: Mutex<State>,
    /// Ends of keys of which the answer to a commit is lost.
    lost: Mutex<Vec<String>>,
    /// How long each page of contents takes, and how many of them were asked for.
    contents_pause: Mutex<(Duration, usize)>,
    /// How long the next answer with the cluster map takes.
    map_pause: Mutex<Option<Duration>>,
}

impl Fake {
    /// An empty service with the default options.
    pub fn new(env: Env) -> Self {
        Self::with_options(env, Options::default())
    }

    /// An empty service.
    pub fn with_options(env: Env, options: Options) -> Self {
        let state = State {
            env,
            options,
            buckets: BTreeMap::new(),
            buckets_created: 0,
            released: BTreeMap::new(),
            garbage: Garbage::default(),
            leases: Leases::default(),
            cluster: Cluster::default(),
            missing: Missing::default(),
            shared: BTreeSet::new(),
            jobs: Jobs::default(),
            accounts: Accounts::default(),
            identities: BTreeMap::new(),
            secrets: BTreeMap::new(),
            sessions: BTreeMap::new(),
        };
        Self {
            state: Mutex::new(state),
            lost: Mutex::default(),
            contents_pause: Mutex::default(),
            map_pause: Mutex::default(),
        }
    }

    /// The next commit of a version whose key ends so is made, and its answer is lost.
    pub fn lose_answer(&self, key_end: &str) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(key_end.to_owned());
    }

    /// Each page of contents takes so long from now on.
    pub fn slow_contents(&self, pause: Duration) {
        *self.contents_pause() = (pause, 0);
    }

    /// How many pages of contents were asked for since they are slow.
    pub fn contents_asked(&self) -> usize {
        self.contents_pause().1
    }

    /// The next answer with the cluster map takes so long.
    pub fn slow_map(&self, pause: Duration) {
        *self.map_pause() = Some(pause);
    }

    /// Whether nobody has asked for the cluster map since it is slow.
    pub fn is_map_slow(&self) -> bool {
        self.map_pause().is_some()
    }

    fn map_pause(&self) -> MutexGuard<'_, Option<Duration>> {
        self.map_pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contents_pause(&self) -> MutexGuard<'_, (Duration, usize)> {
        self.contents_pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A call that panicked has changed at most its own rows; the next test assertion tells.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cluster.now = state.now();
        state
    }
}

/// Everything there is. The files below this one add the calls, by noun.
#[derive(Debug)]
struct State {
    env: Env,
    options: Options,
    buckets: BTreeMap<BucketName, BucketRow>,
    buckets_created: i64,
    /// Names of deleted buckets, whose they were, and since when they are free.
    released: BTreeMap<BucketName, (AccountId, Timestamp)>,
    garbage: Garbage,
    leases: Leases,
    cluster: Cluster,
    missing: Missing,
    /// Chunks that were ever copied.
    shared: BTreeSet<ChunkId>,
    jobs: Jobs,
    accounts: Accounts,
    identities: BTreeMap<AccountId, Identities>,
    /// Those of access keys, by their names, with whose they are.
    secrets: BTreeMap<String, (AccountId, AccessSecret)>,
    /// Those that were made, by their tokens.
    sessions: BTreeMap<Bytes, (SealSession, AccessSecret)>,
}

impl State {
    fn now(&self) -> Timestamp {
        Timestamp(self.env.wall_clock_ms())
    }
}

fn malformed(reason: &str) -> Error {
    Error::Malformed { reason: reason.to_owned() }
}

fn check_limit(limit: usize, maximum: usize) -> Result<(), Error> {
    if (1..=maximum).contains(&limit) { Ok(()) } else { Err(malformed("the limit is out of bounds")) }
}

fn check_count(count: usize) -> Result<(), Error> {
    if count <= PAGE_SIZE_MAX { Ok(()) } else { Err(malformed("too many at once")) }
}

#[async_trait]
impl Metadata for Fake {
    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn create_bucket(&self, request: CreateBucket) -> Result<Bucket, Error> {
        self.state().create_bucket(request)
    }

    async fn get_bucket(&self, bucket: &BucketName) -> Result<Bucket, Error> {
        Ok(self.state().bucket(bucket)?.bucket())
    }

    async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), Error> {
        self.state().delete_bucket(bucket)
    }

    async fn list_buckets(&self, request: ListBuckets) -> Result<BucketPage, Error> {
        check_limit(request.limit, 10_000)?;
        Ok(self.state().list_buckets(&request))
    }

    async fn set_quota(&self, bucket: &BucketName, quota: BucketQuota) -> Result<(), Error> {
        self.state().set_quota(bucket, quota)
    }

    async fn set_versioning(&self, bucket: &BucketName, versioning: Versioning) -> Result<(), Error> {
        self.state().set_versioning(bucket, versioning)
    }

    async fn set_object_lock(
        &self,
        bucket: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<(), Error> {
        self.state().set_object_lock(bucket, configuration)
    }

    async fn set_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
        document: Option<Bytes>,
    ) -> Result<(), Error> {
        self.state().set_subresource(bucket, subresource, document)
    }

    async fn get_subresource(
        &self,
        bucket: &BucketName,
        subresource: Subresource,
    ) -> Result<Option<Bytes>, Error> {
        Ok(self.state().bucket(bucket)?.subresources.get(&subresource).cloned())
    }

    async fn list_buckets_with(
        &self,
        subresource: Subresource,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let state = self.state();
        let wanted = state.buckets.values().filter(|row| {
            row.subresources.contains_key(&subresource) && after.is_none_or(|after| row.name > *after)
        });
        Ok(wanted.take(limit).map(|row| row.name.clone()).collect())
    }

    async fn set_inventory(
        &self,
        bucket: &BucketName,
        id: &str,
        document: Option<Bytes>,
    ) -> Result<bool, Error> {
        Inventory::check(id, document.as_ref())?;
        self.state().set_inventory(bucket, id, document)
    }

    async fn list_inventories(
        &self,
        bucket: &BucketName,
        from: &str,
        limit: usize,
    ) -> Result<Vec<Inventory>, Error> {
        check_limit(limit, INVENTORIES_PAGE_MAX)?;
        let state = self.state();
        let found = state.bucket(bucket)?.inventories.range(from.to_owned()..);
        let now = state.now();
        Ok(found.take(limit).map(|(_, inventory)| Inventory { now, ..inventory.clone() }).collect())
    }

    async fn mark_inventory(&self, bucket: &BucketName, id: &str, listed: Timestamp) -> Result<(), Error> {
        self.state().mark_inventory(bucket, id, listed)
    }

    async fn list_buckets_with_inventories(
        &self,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let state = self.state();
        let wanted = state
            .buckets
            .values()
            .filter(|row| !row.inventories.is_empty() && after.is_none_or(|after| row.name > *after));
        Ok(wanted.take(limit).map(|row| row.name.clone()).collect())
    }

    async fn create_account(&self, request: CreateAccount) -> Result<AccountCreated, Error> {
        request.check()?;
        let state = &mut *self.state();
        let (now, env) = (state.now(), state.env.clone());
        Ok(state.accounts.create(request, now, || AccountId::of_random(env.random_bytes())))
    }

    async fn list_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, Error> {
        check_limit(limit, ACCOUNTS_PAGE_MAX)?;
        Ok(self.state().accounts.list(after, limit))
    }

    async fn find_account(&self, key: &AccountKey) -> Result<Option<Account>, Error> {
        Ok(self.state().accounts.find(key))
    }

    async fn set_account_status(
        &self,
        account: &AccountId,
        status: AccountStatus,
    ) -> Result<AccountChanged, Error> {
        if status == AccountStatus::Closed {
            return Err(malformed("an account is closed by its removal alone"));
        }
        Ok(self.state().accounts.set_status(account, status))
    }

    async fn remove_account(&self, account: &AccountId) -> Result<AccountChanged, Error> {
        let state = &mut *self.state();
        if state.accounts.open(account).is_none() {
            return Ok(AccountChanged::NotFound);
        }
        if state.buckets.values().any(|row| row.owner == *account) {
            return Ok(AccountChanged::HasBuckets);
        }
        if state.identities.get(account).is_some_and(Identities::has_more_than_root_keys) {
            return Ok(AccountChanged::HasIdentities);
        }
        state.identities.remove(account);
        state.secrets.retain(|_, (of, _)| of != account);
        Ok(state.accounts.set_status(account, AccountStatus::Closed))
    }

    async fn make_root_key(&self, account: &AccountId) -> Result<RootKeyMade, Error> {
        let state = &mut *self.state();
        let (now, access_key_id) = (state.now(), RootKey::name_of(state.env.random_bytes()));
        let random = state.env.random_bytes();
        let Some(open) = state.accounts.open(account) else { return Ok(RootKeyMade::NoSuchAccount) };
        if open.root_keys.len() >= ROOT_KEYS_MAX {
            return Ok(RootKeyMade::TooMany);
        }
        open.root_keys.push(access_key_id.clone());
        open.root_keys.sort_unstable();
        let identities = state.identities.entry(account.clone()).or_default();
        let document = Some(RootKey::document(now));
        match identities.change_root_key(
            account,
            (access_key_id.clone(), document),
            &mut state.secrets,
            random,
        ) {
            IdentitiesChanged::Done { secret: Some(secret) } => {
                Ok(RootKeyMade::Done(RootKey { access_key_id, secret }))
            }
            other => Err(Error::Internal { reason: format!("a root key came to {other:?}") }),
        }
    }

    async fn remove_root_key(
        &self,
        account: &AccountId,
        access_key_id: &str,
    ) -> Result<AccountChanged, Error> {
        let state = &mut *self.state();
        let random = state.env.random_bytes();
        let Some(open) = state.accounts.open(account) else { return Ok(AccountChanged::NotFound) };
        if !open.root_keys.iter().any(|key| key == access_key_id) {
            return Ok(AccountChanged::NotFound);
        }
        open.root_keys.retain(|key| key != access_key_id);
        let identities = state.identities.entry(account.clone()).or_default();
        identities.change_root_key(account, (access_key_id.to_owned(), None), &mut state.secrets, random);
        Ok(AccountChanged::Done)
    }

    async fn read_identities(&self, account: &AccountId, since: i64) -> Result<IdentityPage, Error> {
        let state = self.state();
        let page =
            state.identities.get(account).map_or_else(IdentityPage::default, |found| found.read(since));
        Ok(IdentityPage { status: state.accounts.status(account), ..page })
    }

    async fn change_identities(&self, request: ChangeIdentities) -> Result<IdentitiesChanged, Error> {
        request.check()?;
        let state = &mut *self.state();
        let random = state.env.random_bytes();
        let identities = state.identities.entry(request.account.clone()).or_default();
        Ok(identities.change(request, &mut state.secrets, random))
    }

    async fn list_rate_limits(&self, account: &AccountId) -> Result<Vec<RateLimit>, Error> {
        Ok(self.state().identities.get(account).map_or_else(Vec::new, Identities::rate_limits))
    }

    async fn set_rate_limit(
        &self,
        account: &AccountId,
        holder: &RateHolder,
        rates: Option<Rates>,
    ) -> Result<RateLimitSet, Error> {
        rates.unwrap_or_default().check()?;
        let state = &mut *self.state();
        Ok(state.identities.entry(account.clone()).or_default().set_rate_limit(holder, rates))
    }

    async fn derive_signing_key(
        &self,
        access_key_id: &str,
        scope: &Scope,
    ) -> Result<Option<DerivedKey>, Error> {
        let state = self.state();
        check_signed_scope(scope, Timestamp(state.env.wall_clock_ms()))?;
        let derive = |(account, secret): &(AccountId, AccessSecret)| DerivedKey {
            account: account.clone(),
            key: secret.signing_key(scope),
        };
        Ok(state.secrets.get(access_key_id).map(derive))
    }

    async fn seal_session(&self, request: SealSession) -> Result<Option<SealedSession>, Error> {
        let state = &mut *self.state();
        request.check(state.now())?;
        let (secret, token) = (AccessSecret::of(state.env.random_bytes()), state.env.random_bytes::<32>());
        let token = Bytes::copy_from_slice(&token);
        state.sessions.insert(token.clone(), (request, secret.clone()));
        Ok(Some(SealedSession { secret, token }))
    }

    async fn open_session(&self, request: OpenSession) -> Result<SessionOpened, Error> {
        let state = self.state();
        check_signed_scope(&request.scope, state.now())?;
        let found = state.sessions.get(&request.token);
        let found = found.filter(|(made, _)| made.access_key_id == request.access_key_id);
        Ok(match found {
            None => SessionOpened::Invalid,
            Some((made, _)) if made.expires <= state.now() => SessionOpened::Expired,
            Some((SealSession { account, expires, claims, .. }, secret)) => SessionOpened::Open(Session {
                account: account.clone(),
                expires: *expires,
                claims: claims.clone(),
                key: secret.signing_key(&request.scope),
            }),
        })
    }

    async fn commit_version(&self, request: CommitVersion) -> Result<Committed, Error> {
        let loses = {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            let found = lost.iter().position(|end| request.key.as_str().ends_with(end.as_str()));
            found.map(|found| lost.swap_remove(found)).is_some()
        };
        let answer = self.state().commit_version(request);
        if loses { answer.and(Err(Error::TimedOut)) } else { answer }
    }

    async fn set_tags(&self, request: SetTags) -> Result<Tagged, Error> {
        self.state().set_tags(request)
    }

    async fn set_lock(&self, request: SetLock) -> Result<Tagged, Error> {
        self.state().set_lock(&request)
    }

    async fn set_acl(&self, request: SetAcl) -> Result<Tagged, Error> {
        self.state().set_acl(request)
    }

    async fn set_restore(&self, request: SetRestore) -> Result<Tagged, Error> {
        self.state().set_restore(&request)
    }

    async fn rewrap(&self, request: Rewrap) -> Result<(), Error> {
        self.state().rewrap(&request)
    }

    async fn list_encrypted(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<EncryptedPage, Error> {
        self.state().list_encrypted(after.as_ref(), limit)
    }

    async fn get_version(&self, request: GetVersion) -> Result<FoundVersion, Error> {
        self.state().get_version(&request)
    }

    async fn delete_versions(
        &self,
        request: DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
        if request.entries.len() > PAGE_SIZE_MAX {
            return Err(malformed("too many entries"));
        }
        self.state().delete_versions(&request)
    }

    async fn rename_prefix(&self, request: RenamePrefix) -> Result<(), Error> {
        request.check()?;
        self.state().rename_prefix(&request)
    }

    async fn rename_object(&self, request: RenameObject) -> Result<Committed, Error> {
        self.state().rename_object(request)
    }

    async fn copy_version(&self, request: CopyVersion) -> Result<Committed, Error> {
        self.state().copy_version(request)
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectPage, Error> {
        self.state().list_objects(&request)
    }

    async fn list_versions(&self, request: ListVersions) -> Result<VersionPage, Error> {
        self.state().list_versions(&request)
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Upload, Error> {
        self.state().create_upload(request)
    }

    async fn get_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<Upload, Error> {
        Ok(self.state().upload(bucket, key, upload)?.upload.clone())
    }

    async fn commit_part(&self, request: CommitPart) -> Result<Part, Error> {
        self.state().commit_part(request)
    }

    async fn list_parts(&self, request: ListParts) -> Result<PartPage, Error> {
        check_limit(request.limit, PAGE_SIZE_MAX)?;
        self.state().list_parts(&request)
    }

    async fn list_uploads(&self, request: ListUploads) -> Result<UploadPage, Error> {
        self.state().list_uploads(&request)
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Committed, Error> {
        self.state().complete_upload(request)
    }

    async fn abort_upload(&self, request: AbortUpload) -> Result<(), Error> {
        self.state().abort_upload(&request)
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, Error> {
        let mut state = self.state();
        let time_to_live = state.options.lease_time_to_live;
        Ok(Lease { id: state.leases.acquire(holder), time_to_live })
    }

    async fn renew_lease(&self, lease: LeaseId, oldest_epoch: i64) -> Result<(), Error> {
        self.state().leases.renew(lease, oldest_epoch)
    }

    async fn release_lease(&self, lease: LeaseId) -> Result<(), Error> {
        self.state().leases.release(lease);
        Ok(())
    }

    async fn list_leases(&self) -> Result<Vec<LeaseState>, Error> {
        Ok(self.state().leases.list())
    }

    async fn revoke_lease(&self, lease: LeaseId, observed_renewals: i64) -> Result<bool, Error> {
        Ok(self.state().leases.revoke(lease, observed_renewals))
    }

    async fn unnamed_chunks(
        &self,
        lease: LeaseId,
        chunks: &[(ChunkId, ChunkOwner)],
    ) -> Result<Vec<ChunkId>, Error> {
        self.state().unnamed_chunks(lease, chunks)
    }

    async fn named_chunks(&self, chunks: &[(ChunkId, ChunkOwner)]) -> Result<Vec<ChunkId>, Error> {
        self.state().named_chunks(chunks)
    }

    async fn adopt_leases(&self, leases: &[LeaseId]) -> Result<usize, Error> {
        check_count(leases.len())?;
        Ok(self.state().leases.adopt(leases))
    }

    async fn finish_lease(&self, lease: LeaseId, epoch: i64) -> Result<(), Error> {
        self.state().finish_lease(lease, epoch)
    }

    async fn register_node(&self, request: NodeRegistration) -> Result<(), Error> {
        self.state().cluster.register_node(request)
    }

    async fn define_storage_class(&self, request: StorageClassDefinition) -> Result<(), Error> {
        self.state().cluster.define_storage_class(request)
    }

    async fn set_storage_class_coding(&self, name: &StorageClassName, coding: Coding) -> Result<(), Error> {
        self.state().cluster.set_storage_class_coding(name, coding)
    }

    async fn remove_former_groups(&self, groups: &[GroupId], epoch: i64) -> Result<bool, Error> {
        check_count(groups.len())?;
        self.state().remove_former_groups(groups, epoch)
    }

    async fn cluster_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Error> {
        let pause = self.map_pause().take();
        if let Some(pause) = pause {
            let env = self.state().env.clone();
            env.sleep(pause).await;
        }
        Ok(self.state().cluster.map(known_epoch))
    }

    async fn disk_history(&self) -> Result<DiskHistory, Error> {
        Ok(self.state().cluster.disk_history())
    }

    async fn mark_node(&self, observed: ObservedNode, state: NodeState) -> Result<bool, Error> {
        self.state().cluster.mark_node(observed, state)
    }

    async fn set_node_intent(&self, node: NodeId, intent: Intent) -> Result<(), Error> {
        self.state().cluster.set_node_intent(node, intent)
    }

    async fn set_disk_intent(&self, disk: DiskId, intent: Intent) -> Result<(), Error> {
        self.state().cluster.set_disk_intent(disk, intent)
    }

    async fn begin_moves(&self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error> {
        self.state().cluster.begin_moves(expected_epoch, moves)
    }

    async fn finish_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<(), Error> {
        self.state().cluster.finish_move(group, index, since)
    }

    async fn reverse_move(&self, group: GroupId, index: ShardIndex, since: i64) -> Result<i64, Error> {
        self.state().cluster.reverse_move(group, index, since)
    }

    async fn redirect_move(
        &self,
        group: GroupId,
        index: ShardIndex,
        since: i64,
        to: DiskId,
    ) -> Result<i64, Error> {
        self.state().cluster.redirect_move(group, index, since, to)
    }

    async fn list_evictions(&self, after: Option<Eviction>) -> Result<Vec<Eviction>, Error> {
        Ok(self.state().cluster.list_evictions(after))
    }

    async fn finish_eviction(&self, eviction: Eviction) -> Result<(), Error> {
        self.state().cluster.evictions.remove(&eviction);
        Ok(())
    }

    async fn report_missing(&self, shards: &[MissingShard]) -> Result<(), Error> {
        self.state().missing.report(shards)
    }

    async fn list_missing(
        &self,
        group: Option<GroupId>,
        after: Option<ShardId>,
        limit: usize,
    ) -> Result<Vec<MissingShard>, Error> {
        self.state().missing.list(group, after, limit)
    }

    async fn finish_missing(&self, shards: &[ShardId], epoch: i64) -> Result<usize, Error> {
        let State { missing, cluster, .. } = &mut *self.state();
        missing.finish(shards, |group| cluster.is_unchanged(group, epoch))
    }

    async fn list_contents(
        &self,
        after: Option<ContentPosition>,
        limit: usize,
    ) -> Result<ContentPage, Error> {
        let pause = {
            let mut pause = self.contents_pause();
            pause.1 += 1;
            pause.0
        };
        if !pause.is_zero() {
            let env = self.state().env.clone();
            env.sleep(pause).await;
        }
        self.state().list_contents(after.as_ref(), limit)
    }

    async fn replace_chunks(&self, rows: Vec<ReplaceChunks>) -> Result<Vec<bool>, Error> {
        self.state().replace_chunks(&rows)
    }

    async fn acquire_job(
        &self,
        job: JobName,
        holder: &str,
        observed_renewals: Option<i64>,
    ) -> Result<Option<i64>, Error> {
        Ok(self.state().jobs.acquire(job, holder, observed_renewals))
    }

    async fn renew_job(&self, job: JobName, token: i64, progress: JobProgress) -> Result<(), Error> {
        self.state().jobs.renew(job, token, progress)
    }

    async fn release_job(&self, job: JobName, token: i64) -> Result<(), Error> {
        self.state().jobs.release(job, token)
    }

    async fn list_jobs(&self) -> Result<Vec<JobState>, Error> {
        Ok(self.state().jobs.list())
    }

    async fn set_frozen(&self, frozen: bool) -> Result<(), Error> {
        self.state().cluster.set_frozen(frozen);
        Ok(())
    }

    async fn take_garbage(&self, limit: usize) -> Result<Vec<GarbageItem>, Error> {
        Ok(self.state().take_garbage(limit))
    }

    async fn finish_garbage(
        &self,
        items: &[GarbageId],
        epoch: i64,
        given_up: &[DiskId],
    ) -> Result<usize, Error> {
        Ok(self.state().finish_garbage(items, epoch, given_up))
    }
}
