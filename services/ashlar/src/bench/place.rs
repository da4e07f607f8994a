//! Where a run stores its objects: a bucket and a prefix, found or made, and cleared in the end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::bench::{
    BenchError,
    args::Settings,
    keys::Keys,
    s3::{PAGE, S3},
};
use s3_client::{Access, Failure};

/// Requests of DeleteObjects at a time.
const CLEANUP_CONCURRENCY: usize = 4;

/// What S3 calls a refusal that another key, region or clock would mend.
const REFUSALS: [&str; 8] = [
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "InvalidTokenId",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// A bucket and a prefix of the run's own.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) keys: Keys,
    /// We made the bucket, so we remove it.
    created: bool,
}

impl Place {
    /// Finds the bucket or makes it. This is the first thing that the server is asked, so it also tells whether the
    /// server is there and takes our keys.
    pub(crate) async fn open(access: &Access, settings: &Settings) -> Result<Self, BenchError> {
        let random = access.env.random_bytes::<8>().map(|byte| format!("{byte:02x}")).concat();
        let (bucket, named) = match &settings.bucket {
            Some(name) => (name.clone(), true),
            None => (format!("ashlar-bench-{random}"), false),
        };
        let prefix = settings.prefix.clone().unwrap_or_else(|| format!("bench-{random}/"));
        let mut s3 = S3::new(access, &bucket);
        let refused = |action| {
            let (bucket, endpoint) = (bucket.clone(), &access.endpoint);
            move |failure| explain(failure, action, bucket, endpoint.to_string())
        };
        let exists = named && s3.bucket_exists().await.map_err(refused("use"))?;
        if !exists {
            if settings.prepared {
                return Err(BenchError::NotPrepared { bucket });
            }
            s3.create_bucket(&access.region).await.map_err(refused("create"))?;
        }
        let keys = Keys::new(prefix, settings.prefixes);
        Ok(Self { bucket, keys, created: !exists })
    }

    /// Removes objects 0 to `objects`, those that are there, and the bucket if we made it.
    pub(crate) async fn clear(&self, access: &Arc<Access>, objects: u64) -> Result<(), BenchError> {
        let next = Arc::new(AtomicU64::new(0));
        let workers = usize::try_from(objects.div_ceil(PAGE)).unwrap_or(usize::MAX).min(CLEANUP_CONCURRENCY);
        let tasks: Vec<_> = (0..workers)
            .map(|_| {
                let (place, access, next) = (self.clone(), access.clone(), next.clone());
                access.env.clone().spawn(async move { place.clear_pages(&access, objects, &next).await })
            })
            .collect();
        let mut result = Ok(());
        for task in tasks {
            let ended = task.await.unwrap_or_else(|| Err(Failure::Unexpected("a task failed".to_owned())));
            result = result.and(ended);
        }
        if result.is_ok() && self.created {
            result = S3::new(access, &self.bucket).delete_bucket().await;
        }
        let place = format!("{}/{}", self.bucket, self.keys.prefix());
        result.map_err(|reason| BenchError::Cleanup { reason, place })
    }

    async fn clear_pages(&self, access: &Access, objects: u64, next: &AtomicU64) -> Result<(), Failure> {
        let mut s3 = S3::new(access, &self.bucket);
        loop {
            let first = next.fetch_add(PAGE, Ordering::Relaxed);
            if first >= objects {
                return Ok(());
            }
            let keys: Vec<String> =
                (first..objects.min(first + PAGE)).map(|number| self.keys.name(number)).collect();
            s3.delete_objects(&keys).await?;
        }
    }
}

fn explain(failure: Failure, action: &'static str, bucket: String, endpoint: String) -> BenchError {
    match &failure {
        Failure::Unreachable(_) | Failure::Connection(_) | Failure::TimedOut => {
            let advice = if endpoint.starts_with("https:") {
                "is the server running there, and is its certificate signed by an authority in --ca? \
                 (--insecure accepts any)"
            } else {
                "is the server running, and is that its address?"
            };
            BenchError::Unreachable { endpoint, reason: failure, advice }
        }
        Failure::Status { code, .. } if REFUSALS.contains(&code.as_str()) => {
            BenchError::Refused { reason: failure }
        }
        Failure::Status { .. } | Failure::Corrupt(_) | Failure::Unexpected(_) | Failure::Withheld => {
            BenchError::Bucket { action, bucket, reason: failure }
        }
    }
}
