//! What a caller has shown that it may do, compared with what it asks for.

use tracing::warn;
use types::Roles;

use super::{Refusals, route::Route};
use crate::{
    Error,
    capability::{Capability, LIFE_MS, SKEW_MS, Scope, call_digest},
};

/// What a call was shown with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Grant {
    /// The token of the releases before, which says nothing of the call.
    Anything,
    /// A token that the services' key proves.
    Only(Capability),
}

/// Why a token is not for a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Role {
        reason: String,
    },
    Method {
        reason: String,
    },
    Disk {
        reason: String,
    },
    Range {
        reason: String,
    },
    Epoch {
        reason: String,
    },
    /// By the service's clock. Its caller is told what that says.
    Ended {
        reason: String,
    },
}

impl Grant {
    /// Compares all but the body.
    pub(super) fn check_head(&self, route: Route, now_ms: i64) -> Result<(), Refusal> {
        let Self::Only(capability) = self else { return Ok(()) };
        let method = route.method();
        if !Roles::of(&[capability.issuer]).meet(method.callers()) {
            let (is, wanted) = (capability.issuer, method.callers());
            return Err(Refusal::Role {
                reason: format!("the token is that of {is}, and the call is for {wanted}"),
            });
        }
        if !capability.methods.have(method) {
            let reason = format!("the token is for another call: {}", capability.methods);
            return Err(Refusal::Method { reason });
        }
        if capability.disk != route.disk() {
            return Err(Refusal::Disk { reason: "the token is for another disk".to_owned() });
        }
        check_time(capability.ends_ms, now_ms)?;
        match (route.chunk(), capability.scope) {
            (Some(chunk), Scope::Chunks(range)) if range.has(chunk) => Ok(()),
            (Some(_), _) => Err(Refusal::Range { reason: "the token is for other chunks".to_owned() }),
            // Compared when there is a body.
            (None, Scope::Call(_)) => Ok(()),
            (None, Scope::Chunks(_)) => Err(other_call()),
        }
    }

    /// Compares what the call says, of one that is not about a single shard.
    pub(super) fn check_call(&self, path_and_query: &str, body: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Anything => Ok(()),
            Self::Only(Capability { scope: Scope::Call(digest), .. })
                if *digest == call_digest(path_and_query, body) =>
            {
                Ok(())
            }
            Self::Only(_) => Err(other_call()),
        }
    }

    /// Compares the epoch of the map by which a shard is put.
    pub(super) fn check_epoch(&self, epoch: i64) -> Result<(), Refusal> {
        match self {
            Self::Only(capability) if capability.epoch != Some(epoch) => {
                Err(Refusal::Epoch { reason: "the token is for another epoch of the cluster map".to_owned() })
            }
            Self::Anything | Self::Only(_) => Ok(()),
        }
    }
}

fn other_call() -> Refusal {
    Refusal::Range { reason: "the token is for another call of the kind, or for single shards".to_owned() }
}

fn check_time(ends_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    let reason = if ends_ms.saturating_add(SKEW_MS) <= now_ms {
        "the token has ended"
    } else if ends_ms > now_ms.saturating_add(LIFE_MS + SKEW_MS) {
        "the token ends later than any does"
    } else {
        return Ok(());
    };
    Err(Refusal::Ended { reason: reason.to_owned() })
}

impl Refusal {
    /// Counts it, and tells whoever looks after the cluster: callers of ours do not ask for what their tokens are not for.
    pub(super) fn counted(self, refusals: &Refusals, path: &str) -> Error {
        let (counter, reason, is_expected) = match self {
            Self::Role { reason } => (&refusals.role, reason, false),
            Self::Method { reason } => (&refusals.method, reason, false),
            Self::Disk { reason } => (&refusals.disk, reason, false),
            Self::Range { reason } => (&refusals.range, reason, false),
            Self::Epoch { reason } => (&refusals.epoch, reason, false),
            Self::Ended { reason } => (&refusals.ended, reason, true),
        };
        counter.increment();
        if !is_expected {
            warn!(reason, path, "a call was refused: its token is not for it");
        }
        Error::Forbidden { reason }
    }
}
