//! An operator who changes the coding of what is stored, once or twice, while clients work and things go wrong.

use std::sync::Arc;

use metadata_api::Metadata;
use types::{Coding, StorageClassName};

use crate::{rng::Rng, site::Site, time};

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
