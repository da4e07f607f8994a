//! Removing what a run stored: every version in its two buckets, then the buckets.

use crate::torture::{
    TortureError,
    requests::{Place, Requests},
    stage::Stage,
};

/// Versions that are listed, and then removed, at a time.
const PAGE: u64 = 1_000;

/// Removes the run's buckets with all that is in them.
pub(crate) async fn clear(stage: &Stage) -> Result<(), TortureError> {
    let access = stage.accesses.first().ok_or(TortureError::NoEndpoint)?;
    let mut requests = Requests::new(access);
    for bucket in [&stage.plain, &stage.versioned] {
        let failed = |reason| TortureError::Cleanup { bucket: bucket.clone(), reason };
        loop {
            let versions = requests.list_versions(bucket, "", PAGE, None).await.map_err(failed)?.entries;
            if versions.is_empty() {
                break;
            }
            for version in versions {
                requests.delete_version(bucket, &version.key, &version.version).await.map_err(failed)?;
            }
        }
        loop {
            let uploads = requests.list_uploads(bucket).await.map_err(failed)?;
            if uploads.is_empty() {
                break;
            }
            for (key, upload) in uploads {
                requests.abort_upload(&Place { bucket, key: &key }, &upload).await.map_err(failed)?;
            }
        }
        requests.delete_bucket(bucket).await.map_err(failed)?;
    }
    Ok(())
}
