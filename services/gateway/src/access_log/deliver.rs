//! Writes log objects: when records have waited for the interval, when they are many, and at an orderly stop.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use checksum::{AlgorithmSet, ObjectDigests, ObjectHasher, Wanted};
use futures_util::{StreamExt, stream};
use metadata_api::{Bucket, CommitVersion, Error, NewVersion, PAGE_SIZE_MAX, Subresource, WriteCondition};
use policy::Service;
use s3_wire::xml::parse_logging;
use service_kit::Shutdown;
use types::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ChunkOwner, ObjectKey,
    StorageClassName, Timestamp, opened_length,
};

use super::buffer::{BUCKET_BYTES_MAX, Batch, Known, OBJECT_BYTES};
use crate::{Gateway, auth::is_delivery_denied, encryption, operation::acl_of_log, settle};

/// How often it is asked which buckets are logged: how long a change takes that was made through another gateway.
const REFRESH: Duration = Duration::from_secs(5);

/// How often it is looked whether anything is due.
const LOOK: Duration = Duration::from_secs(1);

/// How long a log object may take to be written before it is tried again.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// The same at an orderly stop, in whose time it is tried more than once.
const WRITE_MAX_AT_STOP: Duration = Duration::from_secs(3);

/// Pause before another attempt for the same bucket.
const RETRY: Duration = Duration::from_secs(5);

/// Pause before another attempt at an orderly stop.
const RETRY_AT_STOP: Duration = Duration::from_millis(500);

/// Attempts to read which buckets are logged that fail one after the other before it is said.
const FAILURES_TOLD: u32 = 30;

/// Log objects of a bucket after which the others have their turn: what one bucket can hold at most.
const OBJECTS_IN_A_ROUND: usize = BUCKET_BYTES_MAX / OBJECT_BYTES + 1;

/// Buckets of which log objects are written at a time.
const AT_ONCE: usize = 4;

/// How long delivering what is left may take at an orderly stop.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Bytes that are hashed without letting other tasks go on.
const WORK_SLICE: usize = 256 << 10;

/// Delivers records until the stop begins, which breaks off what is being written: it keeps its key, and is written again.
pub(crate) async fn run(gateway: Arc<Gateway>, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.begun() => {}
        () = rounds(&gateway) => {}
    }
}

async fn rounds(gateway: &Gateway) {
    let (env, log) = (&gateway.env, &gateway.access_log);
    let (mut refreshed, mut failed) = (None, 0);
    loop {
        let now = env.now();
        if refreshed.is_none_or(|last| now.since(last) >= REFRESH) {
            match refresh(gateway).await {
                Ok(is_latest) => {
                    failed = 0;
                    refreshed = is_latest.then_some(now);
                }
                Err(error) => {
                    failed += 1;
                    // Worth one line, not one in each round, and none for a service that begins anew.
                    if failed == FAILURES_TOLD {
                        tracing::warn!(%error, "it is not known any more which buckets have access logs");
                    }
                    tracing::debug!(%error, "it was not read which buckets have access logs");
                }
            }
        }
        let unknown = log.buffers().unknown(now);
        for bucket in unknown {
            if !look_up(gateway, &bucket).await {
                log.buffers().postpone(&bucket, env.now().after(RETRY));
            }
        }
        deliver(gateway, Some(log.interval)).await;
        tokio::select! {
            () = env.sleep(LOOK) => {}
            () = log.full.notified() => {}
        }
    }
}

/// Delivers what is left, once no request is answered any more and `rounds` has ended, within a time that holds for both.
pub(crate) async fn deliver_all(gateway: &Gateway, rounds: impl Future<Output = ()>) {
    let env = &gateway.env;
    let delivering = async {
        rounds.await;
        loop {
            deliver(gateway, None).await;
            if gateway.access_log.buffers().records() == 0 {
                return;
            }
            env.sleep(RETRY_AT_STOP).await;
        }
    };
    let _ = env.timeout(STOP_MAX, delivering).await;
    let lost = gateway.access_log.buffers().records();
    if lost > 0 {
        tracing::warn!(
            records = lost,
            "records of access logs were not delivered before the stop and are lost"
        );
    }
}

/// Delivers what is due after the interval; everything when no interval is given.
async fn deliver(gateway: &Gateway, interval: Option<Duration>) {
    let log = &gateway.access_log;
    let due = log.buffers().due(gateway.env.now(), interval);
    stream::iter(due).for_each_concurrent(AT_ONCE, |bucket| of_bucket(gateway, bucket, interval)).await;
    let (dropped, total) = {
        let mut buffers = log.buffers();
        (buffers.take_dropped(), buffers.dropped_total())
    };
    if dropped > 0 {
        tracing::warn!(records = dropped, total, "records of access logs were dropped");
    }
}

/// Reads which buckets are logged, and answers whether that is taken in; otherwise it stays as it was.
async fn refresh(gateway: &Gateway) -> Result<bool, Error> {
    let changes = gateway.access_log.changes();
    let (mut names, mut after) = (BTreeSet::new(), None);
    loop {
        let page =
            gateway.metadata.list_buckets_with(Subresource::Logging, after.as_ref(), PAGE_SIZE_MAX).await?;
        after = page.last().cloned();
        let is_last = page.len() < PAGE_SIZE_MAX;
        names.extend(page);
        if is_last {
            break;
        }
    }
    Ok(gateway.access_log.set_logged(names, changes))
}

/// Reads how a bucket is logged. A bucket that is not any more, or that is gone, is taken to be logged as it was: the records
/// are of the time when it was. Answers whether it is known.
async fn look_up(gateway: &Gateway, bucket: &BucketName) -> bool {
    let log = &gateway.access_log;
    match read(gateway, bucket).await {
        Ok(Some(known)) => log.buffers().set_known(bucket, known),
        Ok(None) | Err(Error::BucketNotFound { .. }) => {
            if log.buffers().known(bucket).is_none() {
                log.buffers().forget(bucket);
            }
        }
        Err(error) => tracing::debug!(%error, %bucket, "it was not read where the bucket's access log goes"),
    }
    log.buffers().known(bucket).is_some()
}

async fn read(gateway: &Gateway, bucket: &BucketName) -> Result<Option<Known>, Error> {
    let document = gateway.metadata.get_subresource(bucket, Subresource::Logging).await?;
    let Some(document) = document else { return Ok(None) };
    let Bucket { owner, created, .. } = gateway.metadata.get_bucket(bucket).await?;
    let logging = parse_logging(&document).map_err(|error| Error::Internal { reason: error.to_string() })?;
    Ok(logging.map(|logging| Known { owner, created, logging }))
}

/// Writes what a bucket has: an object, and others as long as it is due. What comes meanwhile waits for the interval as any other
/// does, so that a bucket has no more objects for being asked for much.
async fn of_bucket(gateway: &Gateway, bucket: BucketName, interval: Option<Duration>) {
    let (env, log) = (&gateway.env, &gateway.access_log);
    let write_max = if interval.is_some() { WRITE_MAX } else { WRITE_MAX_AT_STOP };
    if !look_up(gateway, &bucket).await {
        log.buffers().postpone(&bucket, env.now().after(RETRY));
        return;
    }
    let mut written = 0;
    loop {
        let (delivered, unique) = (Timestamp(env.wall_clock_ms()), env.random_u64());
        let batch = log.buffers().next(&bucket, &gateway.region, delivered, unique);
        let Some(batch) = batch else { return };
        match env.timeout(write_max, write(gateway, &bucket, &batch)).await {
            Ok(Ok(Written::Delivered)) => {
                tracing::debug!(%bucket, key = batch.key, records = batch.records, "delivered an access log");
                log.buffers().finish(&bucket, &batch);
            }
            Ok(Ok(Written::Nowhere)) => {
                let Batch { target, records, .. } = &batch;
                tracing::info!(%bucket, target_bucket = target, records, "an access log has no bucket to go to");
                log.buffers().abandon(&bucket, &batch);
            }
            Ok(Ok(Written::Denied)) => {
                let Batch { target, records, .. } = &batch;
                tracing::info!(%bucket, target_bucket = target, records, "an access log is denied by its target");
                log.buffers().abandon(&bucket, &batch);
            }
            Ok(Err(reason)) => {
                tracing::warn!(%bucket, reason, "an access log was not delivered; it is tried again");
                return log.buffers().postpone(&bucket, env.now().after(RETRY));
            }
            Err(_) => {
                tracing::warn!(%bucket, "an access log was not delivered in time; it is tried again");
                return log.buffers().postpone(&bucket, env.now().after(RETRY));
            }
        }
        written += 1;
        let is_enough = interval.is_some() && written >= OBJECTS_IN_A_ROUND;
        if is_enough || !log.buffers().is_due(&bucket, env.now(), interval) {
            return;
        }
    }
}

/// What became of a log object.
enum Written {
    /// It is there.
    Delivered,
    /// There is no bucket of the owner's to put it into.
    Nowhere,
    /// The policy of that bucket denies it.
    Denied,
}

/// Writes a log object as a client's PutObject would be. On an error it may be there, and is written again.
async fn write(gateway: &Gateway, source: &BucketName, batch: &Batch) -> Result<Written, String> {
    let (Ok(bucket), Ok(key)) =
        (BucketName::new(&batch.target), ObjectKey::new(batch.key.clone().into_bytes()))
    else {
        return Ok(Written::Nowhere);
    };
    let target = match gateway.metadata.get_bucket(&bucket).await {
        Ok(target) if target.owner == batch.owner => target,
        Ok(_) | Err(Error::BucketNotFound { .. }) => return Ok(Written::Nowhere),
        Err(error) => return Err(error.to_string()),
    };
    let denied = is_delivery_denied(gateway, Service::Logging, source, &target, &batch.key).await;
    match denied {
        Ok(true) => return Ok(Written::Denied),
        Ok(false) => {}
        Err(Error::BucketNotFound { .. }) => return Ok(Written::Nowhere),
        Err(error) => return Err(error.to_string()),
    }
    let acl =
        acl_of_log(gateway, &target, &batch.grants).await.map_err(|error| error.message.into_owned())?;
    let sealing =
        encryption::of_default(gateway, &target).await.map_err(|error| error.message.into_owned())?;
    let digests = hash(&batch.body).await;
    let etag = digests.etag().ok_or("a log object has no digest")?;
    let checksum = digests
        .checksum(ChecksumAlgorithm::Crc64nvme)
        .map(|value| Checksum { value, kind: ChecksumType::FullObject });
    let storage_class = StorageClassName::standard();
    let owner = ChunkOwner { bucket: bucket.clone(), key: key.clone() }.to_bytes().into();
    let body = batch.body.clone();
    let length = body.len() as u64;
    let body = stream::once(async move { Ok::<Bytes, Infallible>(body) });
    let (pool, sealing) = (&gateway.pool, sealing.as_ref());
    let etag = sealing.map_or(etag, |sealing| sealing.etag(etag));
    let stored = encryption::write(pool, &storage_class, owner, Some(length), body, sealing).await;
    let stored = stored.map_err(|error| error.to_string())?;
    let attributes = Attributes {
        content_type: Some("text/plain".to_owned()),
        encryption: sealing.map(|sealing| sealing.encryption.clone()),
        acl,
        ..Attributes::default()
    };
    let kept = stored.content.length();
    let version = NewVersion { content: stored.content, etag, checksum, attributes, storage_class };
    let commit = CommitVersion {
        bucket,
        key,
        lease: stored.lease,
        version,
        condition: WriteCondition::None,
        missing: stored.missing,
    };
    let outcome = gateway.metadata.commit_version(commit).await;
    settle(stored.claim, &outcome);
    match outcome {
        Ok(committed) if sealing.is_some() && opened_length(kept) != Some(committed.size) => {
            Err("the metadata service does not keep how bytes are encrypted".to_owned())
        }
        Ok(_) => Ok(Written::Delivered),
        Err(Error::BucketNotFound { .. }) => Ok(Written::Nowhere),
        Err(error) => Err(error.to_string()),
    }
}

async fn hash(body: &Bytes) -> ObjectDigests {
    let checksums = AlgorithmSet::from(ChecksumAlgorithm::Crc64nvme);
    let mut hasher = ObjectHasher::new(Wanted { md5: true, checksums, ..Wanted::default() });
    for slice in body.chunks(WORK_SLICE) {
        hasher.update(slice);
        tokio::task::yield_now().await;
    }
    hasher.finish()
}
