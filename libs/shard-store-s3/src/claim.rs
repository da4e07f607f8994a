//! The claim on a prefix: which process uses it, and since when. Persistent: see `docs/s3-medium-format.md`.
//!
//! No clock is compared. A holder renews its claim; whoever else wants the prefix takes it over when the claim has stayed
//! the same for one whole expiry by its own clock, and the holder, by its own clock, has given up sooner.

use std::time::Duration;

use bytes::Bytes;
use checksum::crc32c;
use env::{Env, Instant};
use s3_client::{Bucket, Failure, PutCondition};
use serde::{Deserialize, Serialize};
use types::DiskId;

use crate::open::OpenError;

const FORMAT_VERSION: u32 = 1;
/// Longest claim, and more.
const LENGTH_MAX: u64 = 4096;
/// Looks at a claim during one expiry.
const LOOKS: u32 = 12;
/// No object's ETag: that of an object is as long as this only if it is an MD5, and no MD5 of zeros is known.
const OTHER_ETAG: &str = "\"00000000000000000000000000000000\"";
/// Longest expiry that is believed.
const EXPIRY_MAX: Duration = Duration::from_secs(3600);

/// Who uses a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    format_version: u32,
    /// The disk's identity, which is made with the first claim and stays.
    disk: String,
    /// Random, new for each opener.
    holder: String,
    /// One more for each opener.
    pub(crate) generation: u64,
    /// One more for each renewal.
    renewal: u64,
    expiry_ms: u64,
    /// Whether the holder has let go.
    released: bool,
    /// Whether nothing that the holder put, or an earlier one, can still appear unmarked.
    settled: bool,
    checksum: String,
}

/// A claim that this process holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) claim: Claim,
    pub(crate) disk: DiskId,
    /// The claim object's ETag.
    pub(crate) etag: String,
    /// Whether no put of a former holder can still appear.
    pub(crate) settled: bool,
    /// When the put of the claim was sent.
    pub(crate) sent: Instant,
}

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

impl Claim {
    fn new(env: &Env, expiry: Duration, disk: DiskId, generation: u64) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            disk: disk.to_string(),
            holder: DiskId(env.random_bytes()).to_string(),
            generation,
            renewal: 0,
            expiry_ms: u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX),
            released: false,
            settled: false,
            checksum: String::new(),
        }
    }

    pub(crate) fn renewed(&self) -> Self {
        Self { renewal: self.renewal + 1, ..self.clone() }
    }

    pub(crate) fn released(&self, settled: bool) -> Self {
        Self { released: true, settled, ..self.renewed() }
    }

    /// Whether both are of one holder.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.holder == other.holder && self.generation == other.generation
    }

    fn sum(&self) -> String {
        let Self { format_version, disk, holder, generation, renewal, expiry_ms, released, settled, .. } =
            self;
        let text = format!(
            "{format_version}/{disk}/{holder}/{generation}/{renewal}/{expiry_ms}/{released}/{settled}"
        );
        format!("{:08x}", crc32c(text.as_bytes()))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let signed = Self { checksum: self.sum(), ..self.clone() };
        serde_json::to_vec(&signed).expect("a claim of numbers and digits can be written").into()
    }

    fn decode(bytes: &[u8]) -> Result<(Self, DiskId), OpenError> {
        let version: VersionOnly = serde_json::from_slice(bytes).map_err(|_| OpenError::ClaimDamaged)?;
        if version.format_version > FORMAT_VERSION {
            return Err(OpenError::Newer { version: version.format_version });
        }
        let claim: Self = serde_json::from_slice(bytes).map_err(|_| OpenError::ClaimDamaged)?;
        let disk = claim.disk.parse().map_err(|_| OpenError::ClaimDamaged)?;
        if claim.checksum != claim.sum() { Err(OpenError::ClaimDamaged) } else { Ok((claim, disk)) }
    }
}

/// The claim that is there and its ETag.
pub(crate) async fn read(bucket: &Bucket, key: &str) -> Result<Option<(Claim, DiskId, String)>, OpenError> {
    match bucket.get(key, LENGTH_MAX).await? {
        None => Ok(None),
        Some((bytes, etag)) => {
            let (claim, disk) = Claim::decode(&bytes)?;
            Ok(Some((claim, disk, etag)))
        }
    }
}

/// Takes the prefix: at once when nobody has it, or after watching a silent holder for one whole expiry. `InUse` when it
/// is seen to be renewed.
pub(crate) async fn acquire(
    env: &Env,
    bucket: &Bucket,
    prefix: &str,
    key: &str,
    expiry: Duration,
) -> Result<Held, OpenError> {
    let Some((mut claim, disk, mut etag)) = read(bucket, key).await? else {
        if !bucket.list(prefix, None).await?.objects.is_empty() {
            return Err(OpenError::NotEmpty);
        }
        let disk = DiskId(env.random_bytes());
        let claim = Claim::new(env, expiry, disk, 1);
        let sent = env.now();
        let etag = take(bucket, key, &claim, PutCondition::Absent).await?;
        return Ok(Held { claim, disk, etag, settled: true, sent });
    };
    if !claim.released
        && let Some(released) = watch(env, bucket, key, &claim, &etag).await?
    {
        (claim, etag) = released;
    }
    let generation = claim.generation.checked_add(1).ok_or(OpenError::ClaimDamaged)?;
    let settled = claim.released && claim.settled;
    let claim = Claim::new(env, expiry, disk, generation);
    let sent = env.now();
    let etag = take(bucket, key, &claim, PutCondition::Matches(&etag)).await?;
    Ok(Held { claim, disk, etag, settled, sent })
}

/// Watches a claim until it has stayed as it is for one whole expiry or was let go; answers the one that was let go.
async fn watch(
    env: &Env,
    bucket: &Bucket,
    key: &str,
    claim: &Claim,
    etag: &str,
) -> Result<Option<(Claim, String)>, OpenError> {
    let expiry = Duration::from_millis(claim.expiry_ms).min(EXPIRY_MAX);
    tracing::info!(
        bucket = bucket.name(),
        key,
        seconds = expiry.as_secs(),
        "the remote bucket was not let go by its last user; watching whether it is still in use"
    );
    let end = env.now().after(expiry);
    while env.now() < end {
        env.sleep(expiry / LOOKS).await;
        match read(bucket, key).await? {
            Some((_, _, now)) if now == etag => {}
            Some((claim, _, now)) if claim.released => return Ok(Some((claim, now))),
            _ => return Err(OpenError::InUse),
        }
    }
    Ok(None)
}

/// Proves that the server honours conditions, without which two processes could use a prefix at once, by two puts that
/// must not be carried out. Carried out, they would be renewals of this claim.
pub(crate) async fn prove_conditions(bucket: &Bucket, key: &str, held: &mut Held) -> Result<(), OpenError> {
    for condition in [PutCondition::Absent, PutCondition::Matches(OTHER_ETAG)] {
        held.claim = held.claim.renewed();
        match bucket.put(key, held.claim.encode(), condition).await {
            Err(failure) if is_collision(&failure) => {}
            Ok(etag) => {
                held.etag = etag;
                return Err(OpenError::NoConditions);
            }
            Err(failure) if failure.status().is_some_and(|status| matches!(status.as_u16(), 400 | 501)) => {
                return Err(OpenError::NoConditions);
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

async fn take(
    bucket: &Bucket,
    key: &str,
    claim: &Claim,
    condition: PutCondition<'_>,
) -> Result<String, OpenError> {
    bucket.put(key, claim.encode(), condition).await.map_err(|failure| match &failure {
        Failure::Status { .. } if is_collision(&failure) => OpenError::InUse,
        _ => OpenError::Remote(failure),
    })
}

/// Whether a condition did not hold.
pub(crate) fn is_collision(failure: &Failure) -> bool {
    failure.status().is_some_and(|status| status.as_u16() == 412)
}
