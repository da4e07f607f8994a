//! Opens a prefix: takes the claim, reads the marks, lists the shards.

use std::{
    collections::btree_map::Entry,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use env::Env;
use s3_client::{Bucket, CONNECT_TIMEOUT, Connect, ConnectError, Failure, Listed, PutCondition, Trust};
use tokio::sync::{Notify, Semaphore, watch};
use tracing::{info, warn};
use types::CHUNK_SIZE_MAX;

use crate::{
    Credentials, CredentialsError, Location, S3Store,
    claim::{self, Held},
    index::{Index, Place},
    keeper::Keeper,
    marks::{MARKS_LENGTH_MAX, decode},
    name::ObjectName,
    shared::{BUFFER_UNITS, Shared, Stop},
    tail::Tail,
};

/// Time for one answer of the remote server, beside a second for each MiB.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// What is added to that for the largest shard: a whole chunk, with room for its owner and checksums.
const TRANSFER_MAX: Duration = Duration::from_secs((CHUNK_SIZE_MAX >> 20) + 1);
/// Most readings of the marks, which puts of a former holder may be changing.
const MARKS_READ_MAX: u32 = 4;

/// How to open a remote bucket.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// Where it is.
    pub location: Location,
    /// As whom to speak, unless the location names a file.
    pub credentials: Credentials,
    /// How long things take.
    pub timings: Timings,
}

/// How long things take. Shorter in tests.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// A claim that is not renewed for so long may be taken over.
    pub claim: Duration,
    /// A request that was given up has had its effect by then, or will have none.
    pub late: Duration,
    /// Longest that one attempt to put a shard takes: one that begins while the claim holds has been given up by then.
    pub attempt: Duration,
    /// How long a fence waits for uploads under way.
    pub fence: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            claim: Duration::from_secs(60),
            late: Duration::from_secs(15 * 60),
            attempt: CONNECT_TIMEOUT.saturating_add(ANSWER_TIMEOUT).saturating_add(TRANSFER_MAX),
            fence: Duration::from_secs(20),
        }
    }
}

/// A remote bucket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Credentials are missing.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The server cannot be spoken to.
    #[error("cannot speak to the remote server")]
    Connect(#[from] ConnectError),
    /// The server answered with an error, or not.
    #[error("the remote bucket cannot be used: {0}")]
    Remote(Failure),
    /// The server carries out puts whose condition does not hold.
    #[error(
        "the remote server does not honour If-None-Match and If-Match on PUT, without which two processes could use the bucket at once and lose data; use a server or a release of it that does"
    )]
    NoConditions,
    /// Another process uses the prefix.
    #[error("another process uses this bucket and prefix")]
    InUse,
    /// There are objects and no claim.
    #[error(
        "there are objects under the prefix, but no claim that says whose they are; choose an empty prefix"
    )]
    NotEmpty,
    /// The claim cannot be read.
    #[error("the claim under the prefix is damaged")]
    ClaimDamaged,
    /// A later release has used the prefix.
    #[error("the prefix has format version {version}, which this release does not know")]
    Newer {
        /// Its version.
        version: u32,
    },
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Remote(failure)
    }
}

impl S3Store {
    /// Opens a prefix of a remote bucket; an empty one becomes a new disk. A prefix that was not let go, because its last
    /// user was killed, is watched for one whole expiry of the claim first.
    pub async fn open(env: &Env, options: S3Options) -> Result<Self, OpenError> {
        let S3Options { location, credentials, timings } = options;
        let credentials = credentials.resolve(env, location.credentials.as_deref()).await?;
        let connect = Connect {
            region: location.region.clone(),
            trust: location.ca.clone().map_or(Trust::System, Trust::File),
            answer_timeout: ANSWER_TIMEOUT,
            ..Connect::new(credentials)
        };
        let bucket = Bucket::new(connect.access(env, location.endpoint.clone()).await?, &location.bucket);
        let prefix = if location.prefix.is_empty() { String::new() } else { format!("{}/", location.prefix) };
        let key = format!("{prefix}claim");
        let mut held = claim::acquire(env, &bucket, &prefix, &key, timings.claim).await?;
        if let Err(error) = claim::prove_conditions(&bucket, &key, &mut held).await {
            // If that fails too, the next opener waits until the claim has expired.
            let released = held.claim.released(held.settled).encode();
            let _ = bucket.put(&key, released, PutCondition::Matches(&held.etag)).await;
            return Err(error);
        }
        let Held { claim, disk, etag, settled, sent } = held;
        info!(%location, %disk, generation = claim.generation, settled, "opening a remote bucket");
        let shared = Arc::new(Shared {
            env: env.clone(),
            bucket,
            prefix,
            disk,
            generation: claim.generation,
            capacity_bytes: location.capacity_bytes,
            timings,
            index: Mutex::new(Index::new(settled)),
            held_until: Mutex::new(None),
            lost: watch::Sender::new(false),
            counter: AtomicU64::new(1),
            tail: tokio::sync::Mutex::default(),
            buffers: Arc::new(Semaphore::new(BUFFER_UNITS)),
            upload_ended: Notify::new(),
            sweep: Notify::new(),
        });
        shared.hold_from(sent);
        let (stop, stopped) = watch::channel(Stop::No);
        let abandoned = Abandoned(Some(stop.clone()));
        let keeper = Keeper { shared: shared.clone(), claim, etag };
        let keeper = env.spawn(keeper.run(stopped.clone()));
        let store = Self::new(shared.clone(), stop, keeper);
        let loaded = async {
            shared.read_all_marks(settled).await?;
            shared.list_shards().await
        };
        if let Err(error) = loaded.await {
            shard_store::ShardStore::close(&store).await;
            return Err(error);
        }
        env.spawn(shared.clone().sweep_until(stopped.clone()));
        if !settled {
            env.spawn(shared.settle(stopped));
        }
        abandoned.forget();
        Ok(store)
    }
}

/// Lets the claim go when opening is given up after it was taken, so that the next opener need not wait.
struct Abandoned(Option<watch::Sender<Stop>>);

impl Abandoned {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.send_replace(Stop::Release);
        }
    }
}

impl Shared {
    /// Reads all marks. When a former holder may still be putting some, none of its puts lands any more afterwards.
    async fn read_all_marks(&self, settled: bool) -> Result<(), OpenError> {
        for _ in 0..MARKS_READ_MAX {
            if self.read_marks().await? && (settled || self.seal().await?) {
                return Ok(());
            }
        }
        Err(OpenError::InUse)
    }

    /// Reads the marks; whether all that were listed are still there.
    async fn read_marks(&self) -> Result<bool, OpenError> {
        let mut damaged = 0;
        let mut last = Tail::default();
        let mut after = None;
        loop {
            let page = self.bucket.list(&self.marks_prefix(), after.as_deref()).await?;
            for Listed { key, .. } in page.objects {
                let read = match self.bucket.get(&key, MARKS_LENGTH_MAX).await {
                    Ok(None) => return Ok(false),
                    Ok(Some((bytes, etag))) => decode(&bytes).map(|marks| (marks, etag)),
                    Err(Failure::Corrupt(_)) => None,
                    Err(failure) => return Err(failure.into()),
                };
                let number = self.marks_number(&key);
                let Some((marks, etag)) = read else {
                    damaged += 1;
                    warn!(disk = %self.disk, key, "an object of marks is damaged; what it ended may come back");
                    last = number.map_or(last, Tail::after);
                    continue;
                };
                let now = self.env.now();
                {
                    let mut index = self.index();
                    marks.iter().for_each(|mark| index.apply(mark, now));
                }
                if let Some(number) = number {
                    last = Tail { number, etag: Some(etag), marks };
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        *self.tail.lock().await = last;
        self.index().damaged_records = damaged;
        Ok(true)
    }

    async fn list_shards(&self) -> Result<(), OpenError> {
        let mut strangers = 0_u64;
        let mut after: Option<String> = None;
        loop {
            let (page, next) = self.shards_page(after.as_deref()).await?;
            for (name, size) in page {
                match name {
                    Some(name) => self.found(name, size),
                    None => strangers += 1,
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if strangers > 0 {
            warn!(disk = %self.disk, objects = strangers, "objects under the prefix are no shards; they are let be");
        }
        Ok(())
    }

    /// A page of the shards' objects: their names and sizes, and where the next page begins.
    pub(crate) async fn shards_page(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<(Option<ObjectName>, u64)>, Option<String>), Failure> {
        let prefix = self.shards_prefix();
        let page = self.bucket.list(&prefix, after).await?;
        let read =
            |listed: Listed| (listed.key.strip_prefix(&prefix).and_then(ObjectName::parse), listed.size);
        Ok((page.objects.into_iter().map(read).collect(), page.next))
    }

    /// Takes an object of the first listing into the index, or has it removed.
    fn found(&self, name: ObjectName, size: u64) {
        let now = self.env.now();
        let mut index = self.index();
        if index.is_ended(&name) {
            return index.bury(name, now, size);
        }
        let place = Place { name, damaged: size != name.size() };
        // Of two whole objects of a name the later one counts; it was put because the other one was damaged.
        let rank = |place: &Place| (!place.damaged, place.name.turn);
        let dead = match index.shards.entry(name.shard) {
            Entry::Vacant(entry) => {
                entry.insert(place);
                None
            }
            // It is listed twice, and is as alive as before.
            Entry::Occupied(entry) if entry.get().name == name => return,
            Entry::Occupied(mut entry) if rank(entry.get()) < rank(&place) => Some(entry.insert(place)),
            Entry::Occupied(_) => Some(place),
        };
        let Some(dead) = dead else {
            index.used_bytes += name.size();
            index.live_bytes += name.data_length();
            index.damaged_records += u64::from(place.damaged);
            return;
        };
        if dead != place {
            index.used_bytes = index.used_bytes - dead.name.size() + name.size();
            index.live_bytes = index.live_bytes - dead.name.data_length() + name.data_length();
        }
        index.bury(dead.name, now, dead.name.size());
    }
}
