//! What a client shows the service with each call, and what it learns from being refused.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use env::{Env, Instant};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use types::{ChunkId, DiskId};

use crate::capability::{
    CLOCK, Caller, Capability, ChunkRange, LIFE_MS, Method, Methods, SCHEME, Scope, call_digest,
};

/// How long a service is taken for one of the release before that did not know what it was shown.
const EARLIER_FOR: Duration = Duration::from_secs(60);

/// A call, as far as a token names it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'a> {
    /// A put, and the epoch of its map.
    Put {
        disk: DiskId,
        chunk: ChunkId,
        epoch: i64,
        repair: bool,
    },
    Read {
        disk: DiskId,
        chunk: ChunkId,
    },
    /// Any other, by all that it says.
    Other {
        method: Method,
        disk: Option<DiskId>,
        path: &'a str,
        body: &'a [u8],
    },
}

impl Named<'_> {
    fn method(self) -> Method {
        match self {
            Self::Put { repair: false, .. } => Method::Put,
            Self::Put { repair: true, .. } => Method::Repair,
            Self::Read { .. } => Method::Read,
            Self::Other { method, .. } => method,
        }
    }

    fn disk(self) -> Option<DiskId> {
        match self {
            Self::Put { disk, .. } | Self::Read { disk, .. } => Some(disk),
            Self::Other { disk, .. } => disk,
        }
    }

    fn epoch(self) -> Option<i64> {
        match self {
            Self::Put { epoch, .. } => Some(epoch),
            Self::Read { .. } | Self::Other { .. } => None,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Put { chunk, .. } | Self::Read { chunk, .. } => Scope::Chunks(ChunkRange::one(chunk)),
            Self::Other { path, body, .. } => Scope::Call(call_digest(path, body)),
        }
    }
}

/// Which token the service takes, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Unknown,
    Capabilities,
    /// That of the releases before, as was found out then.
    ClusterToken {
        since: Instant,
    },
}

/// What was shown with a call.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) authorization: HeaderValue,
    method: Method,
    is_capability: bool,
}

/// The service as it is known.
pub(super) struct Shows {
    env: Env,
    caller: Caller,
    takes: Mutex<Takes>,
    /// By how much the service's clock is ahead of this one's, as far as it was told.
    ahead_ms: AtomicI64,
}

impl Shows {
    pub(super) fn new(env: Env, caller: Caller) -> Self {
        Self { env, caller, takes: Mutex::new(Takes::Unknown), ahead_ms: AtomicI64::new(0) }
    }

    /// The token for a call. `None` if it cannot be sent.
    pub(super) fn of(&self, call: Named<'_>) -> Option<Shown> {
        let method = call.method();
        let shown = |text: String, is_capability| {
            let mut authorization = HeaderValue::try_from(text).ok()?;
            authorization.set_sensitive(true);
            Some(Shown { authorization, method, is_capability })
        };
        if matches!(self.takes(), Takes::ClusterToken { .. }) {
            return shown(format!("Bearer {}", self.caller.cluster_token), false);
        }
        let (issuer, key) = self.caller.keys.first_of(method.callers())?;
        let now_ms = self.env.wall_clock_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed));
        let capability = Capability {
            issuer,
            methods: Methods::of(&[method]),
            disk: call.disk(),
            scope: call.scope(),
            epoch: call.epoch(),
            ends_ms: now_ms.saturating_add(LIFE_MS),
        };
        shown(format!("{SCHEME} {}", key.mint(&capability)), true)
    }

    /// Whether what is shown next is what the service takes, as far as can be told.
    pub(super) fn is_known(&self) -> bool {
        self.takes() != Takes::Unknown
    }

    /// Takes in what an answer says of the token that was shown. Whether the call, which did nothing, may succeed with another.
    pub(super) fn learn(&self, shown: &Shown, status: StatusCode, headers: &HeaderMap) -> bool {
        match status {
            StatusCode::UNAUTHORIZED => self.learn_refusal(shown, headers),
            StatusCode::FORBIDDEN => self.learn_clock(shown, headers),
            _ => {
                self.become_known(shown);
                false
            }
        }
    }

    fn learn_refusal(&self, shown: &Shown, headers: &HeaderMap) -> bool {
        let knows_capabilities = headers
            .get(header::WWW_AUTHENTICATE)
            .is_some_and(|schemes| schemes.as_bytes() == SCHEME.as_bytes());
        if shown.is_capability && !knows_capabilities {
            *self.lock() = Takes::ClusterToken { since: self.env.now() };
            return true;
        }
        *self.lock() = Takes::Unknown;
        // The service was replaced by one that demands them.
        !shown.is_capability && knows_capabilities
    }

    fn learn_clock(&self, shown: &Shown, headers: &HeaderMap) -> bool {
        let told = || {
            let token = shown.authorization.to_str().ok()?.strip_prefix(SCHEME)?.trim_start();
            let (_, key) = self.caller.keys.first_of(shown.method.callers())?;
            key.told_clock(headers.get(CLOCK)?.to_str().ok()?, token)
        };
        let Some(now_ms) = told() else { return false };
        self.ahead_ms.store(now_ms.saturating_sub(self.env.wall_clock_ms()), Ordering::Relaxed);
        true
    }

    fn become_known(&self, shown: &Shown) {
        let mut takes = self.lock();
        if shown.is_capability && *takes == Takes::Unknown {
            *takes = Takes::Capabilities;
        }
    }

    fn takes(&self) -> Takes {
        let mut takes = self.lock();
        if matches!(*takes, Takes::ClusterToken { since } if self.env.now().since(since) > EARLIER_FOR) {
            *takes = Takes::Unknown;
        }
        *takes
    }

    fn lock(&self) -> MutexGuard<'_, Takes> {
        self.takes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
