//! An operator who changes the coding of what is stored, once or twice, and has it moved to another storage class, while clients
//! work and things go wrong.

use std::sync::Arc;

use bytes::Bytes;
use metadata_api::{Metadata, StorageClassDefinition, Subresource};
use types::{BucketName, Coding, StorageClassName};

use crate::{
    client::{BUCKET, VERSIONED},
    rng::Rng,
    site::Site,
    time,
};

/// Codings that the class is given.
const CODINGS: [&str; 6] = ["1+1", "2+1", "1+2", "2+2", "3+1", "3+2"];

/// Changes the coding now and then to one for which there are nodes; in half of the worlds never.
pub(crate) async fn operate(site: Arc<Site>, mut rng: Rng, nodes: usize) {
    for _ in 0..rng.below(4).saturating_sub(1) {
        time::sleep_ms(rng.between(1000, 14_000)).await;
        let coding: Coding = rng.pick(&CODINGS).parse().expect("a coding");
        if coding.total() > nodes {
            continue;
        }
        // Refused when a disk is not attached at the moment.
        let changed = site.database.set_storage_class_coding(&StorageClassName::standard(), coding).await;
        let numbers = [coding.data() as u64, coding.parity() as u64, u64::from(changed.is_ok())];
        site.trace.event("change coding", &"STANDARD".into(), numbers);
    }
}

/// Moves everything to another class, whatever its size.
const RULES: &[u8] = b"<LifecycleConfiguration><Rule><ID>cold</ID>\
    <Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter><Status>Enabled</Status>\
    <Transition><Days>0</Days><StorageClass>COLD</StorageClass></Transition>\
    <NoncurrentVersionTransition><NoncurrentDays>0</NoncurrentDays><StorageClass>COLD</StorageClass>\
    </NoncurrentVersionTransition></Rule></LifecycleConfiguration>";

/// Gives the buckets rules that move everything to another class, in half of the worlds.
pub(crate) async fn move_to_a_class(site: Arc<Site>, mut rng: Rng, nodes: usize) {
    if rng.below(2) == 0 {
        return;
    }
    time::sleep_ms(rng.between(500, 10_000)).await;
    let coding: Coding = rng.pick(&CODINGS).parse().expect("a coding");
    if coding.total() > nodes {
        return;
    }
    let definition = StorageClassDefinition {
        name: StorageClassName::new("COLD").expect("a class"),
        coding,
        inline_limit_bytes: 100,
        whole_limit_bytes: 4000,
        groups: 4,
        medium: None,
    };
    if site.database.define_storage_class(definition).await.is_err() {
        return;
    }
    for bucket in [BUCKET, VERSIONED] {
        let bucket = BucketName::new(bucket).expect("a bucket");
        let rules = Some(Bytes::from_static(RULES));
        let set = site.database.set_subresource(&bucket, Subresource::Lifecycle, rules).await;
        let numbers = [coding.data() as u64, coding.parity() as u64, u64::from(set.is_ok())];
        site.trace.event("move to a class", &"COLD".into(), numbers);
    }
}
