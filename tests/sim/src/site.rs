//! What all parts of a world share.

use std::sync::Arc;

use env::Env;
use metadata_api::Token;
use service_kit::ClusterSecret;

use crate::{
    database::Database,
    disk::ProcessDisk,
    life::Life,
    network::{Machine, Net},
    rng::{Rng, SharedRng},
    sabotage::Sabotage,
    time::SimClock,
    trace::Trace,
};

/// The secret that the services share.
pub(crate) const SECRET: &str = "a-secret-of-a-simulated-cluster-0123456789";

/// The port that every service listens on; chunk services answer health checks on the next one.
pub(crate) const PORT: u16 = 9000;

/// A world's common ground.
pub(crate) struct Site {
    pub(crate) rng: Rng,
    pub(crate) trace: Trace,
    pub(crate) net: Net,
    /// What the database holds. It outlives the metadata services in front of it.
    pub(crate) database: Arc<Database>,
    /// Where the metadata services are.
    pub(crate) metadata: Vec<String>,
    /// Silence after which workers take a node for lost.
    pub(crate) down_after_seconds: u64,
    pub(crate) sabotage: Option<Sabotage>,
    /// Whether nothing is to fail.
    pub(crate) calm: bool,
}

impl Site {
    pub(crate) fn env(
        &self,
        machine: Machine,
        clock: &SimClock,
        rng: SharedRng,
        disk: ProcessDisk,
        life: &Arc<Life>,
    ) -> Env {
        let network = self.net.of(machine, life.clone());
        Env::new(Arc::new(clock.clone()), Arc::new(rng), Arc::new(network), Arc::new(disk))
            .simulated(life.clone())
    }

    pub(crate) fn secret() -> ClusterSecret {
        SECRET.parse().expect("long enough")
    }

    pub(crate) fn metadata_token() -> Token {
        Token::new(&Self::secret().token("metadata")).expect("a derived token is hexadecimal")
    }

    /// How often blocking work is slow.
    pub(crate) fn slow_work_once_in(&self) -> u64 {
        if self.calm { u64::MAX } else { 300 }
    }
}
