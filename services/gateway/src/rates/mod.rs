//! How much somebody may ask of this gateway in a time: requests a second, beyond which they are refused before anything is done,
//! and bytes a second, in and out, beyond which bodies wait.
//!
//! Settings say it for every user, every role with its sessions, the root user, and every address without credentials; an operator
//! says something else for some of them, and for single access keys, by the metadata service, of which this reads on every few
//! seconds. What was used is kept in memory, of so many at most: it goes with the process, and every gateway counts by itself.
//!
//! Invariant: nobody is counted who has not proved who they are, so that no one uses up what is another's.

mod bucket;
mod pacing;
mod table;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use env::{Env, Instant};
use http::{Extensions, HeaderValue, header::RETRY_AFTER};
use metadata_api::{AccountId, Error as MetadataError, RateHolder, RateLimit, Rates};
use policy::Resource;
use s3_wire::{ErrorCode, S3Error};
use service_kit::Shutdown;
use telemetry::Counter;

use self::{
    bucket::Rate,
    table::{Table, Used},
};
use crate::{
    Gateway, RateConfig,
    auth::{Authenticated, principal},
    decisions::Asker,
    identity::entry_name,
    request::{id, peer},
};

pub(crate) use pacing::{Pacing, Receiving, next_refused, pacing};

/// Users, roles and access keys that are known at most, and as many addresses beside them, so that no stranger pushes anybody out.
const HOLDERS_MAX: usize = 16_384;

/// Most whom a request is counted for: its sender, and the key that it was signed with.
const SHARES_MAX: usize = 2;

/// How often it is asked what operators say.
const REFRESH: Duration = Duration::from_secs(5);

/// How often it is told at most that somebody is over their rate.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Attempts to read what operators say that fail one after the other before it is said.
const FAILURES_TOLD: u32 = 6;

/// What somebody may; `None` for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Limits {
    requests: Option<Rate>,
    received: Option<Rate>,
    sent: Option<Rate>,
}

impl Limits {
    /// What rates come to where these say nothing else.
    fn new(rates: Rates, otherwise: Rates) -> Self {
        let burst = rates.burst_seconds.or(otherwise.burst_seconds).unwrap_or(1);
        let burst = Duration::from_secs(burst.into());
        let of = |said: Option<u64>, otherwise: Option<u64>| {
            let per_second = said.or(otherwise).filter(|rate| *rate > 0)?;
            Some(Rate { per_second, burst })
        };
        Self {
            requests: of(rates.requests, otherwise.requests),
            received: of(rates.received_bytes, otherwise.received_bytes),
            sent: of(rates.sent_bytes, otherwise.sent_bytes),
        }
    }

    fn is_any(self) -> bool {
        self == Self::default()
    }
}

/// Who is over their rate, as it is counted.
const KINDS: [&str; 5] = ["user", "role", "access_key", "root", "anonymous"];

/// Somebody of an account.
type Who = (AccountId, RateHolder);

/// The rates of everybody, and what was used of them.
#[derive(Debug)]
pub(crate) struct RateLimits {
    env: Env,
    began: Instant,
    /// What settings say.
    defaults: Rates,
    /// What an operator says of somebody.
    said: RwLock<Arc<HashMap<Who, Rates>>>,
    holders: Table<Who>,
    addresses: Table<IpAddr>,
    refused: [Counter; KINDS.len()],
    /// Milliseconds that bodies have waited, of those that come and those that go.
    pub(crate) received_waited_ms: Counter,
    pub(crate) sent_waited_ms: Counter,
}

/// Somebody whom a request is counted for.
#[derive(Debug)]
struct Share {
    used: Arc<Used>,
    limits: Limits,
    /// Which of [`KINDS`].
    kind: usize,
}

/// What a request may take.
#[derive(Debug)]
pub(crate) struct Allowance {
    gateway: Arc<RateLimits>,
    shares: Vec<Share>,
}

impl RateLimits {
    pub(crate) fn new(env: Env, config: &RateConfig) -> Self {
        Self {
            began: env.now(),
            env,
            defaults: config.rates(),
            said: RwLock::default(),
            holders: Table::new(HOLDERS_MAX),
            addresses: Table::new(HOLDERS_MAX),
            refused: Default::default(),
            received_waited_ms: Counter::default(),
            sent_waited_ms: Counter::default(),
        }
    }

    /// What settings say.
    pub(crate) fn defaults(&self) -> Rates {
        self.defaults
    }

    /// How many are known who have used something.
    pub(crate) fn known(&self) -> usize {
        self.holders.len() + self.addresses.len()
    }

    /// How many requests were refused of each kind of holder.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        KINDS.into_iter().zip(&self.refused)
    }

    fn now(&self) -> Duration {
        // Not 0, so that whoever was never there is idler than whoever is.
        self.env.now().since(self.began) + Duration::from_secs(1)
    }

    fn said(&self) -> Arc<HashMap<Who, Rates>> {
        Arc::clone(&self.said.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_said(&self, limits: Vec<(AccountId, RateLimit)>) {
        let said =
            limits.into_iter().map(|(account, limit)| ((account, limit.holder), limit.rates)).collect();
        *self.said.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(said);
    }

    /// What a sender may take. `None` where that is any.
    fn allowance(self: &Arc<Self>, who: &Authenticated, peer: Option<IpAddr>) -> Option<Allowance> {
        let (said, now) = (self.said(), self.now());
        if said.is_empty() && Limits::new(Rates::default(), self.defaults).is_any() {
            return None;
        }
        let said = |who: &Who| said.get(who).copied();
        let mut shares = Vec::new();
        let mut add = |kind, rates: Option<Rates>, otherwise: Rates, used: &dyn Fn() -> Arc<Used>| {
            let limits = Limits::new(rates.unwrap_or_default(), otherwise);
            if !limits.is_any() {
                let used = used();
                used.limit(limits, now);
                shares.push(Share { used, limits, kind });
            }
        };
        let (holder, kind) = match (who.account(), who.user()) {
            (None, _) => {
                let address = network_of(peer);
                let used = || self.addresses.get(&address, now);
                add(4, said(&(AccountId::root(), RateHolder::Anonymous)), self.defaults, &used);
                return (!shares.is_empty()).then(|| Allowance { gateway: Arc::clone(self), shares });
            }
            (Some(_), None) => (RateHolder::Root, 3),
            (Some(_), Some(user)) if user.is_of_root() => (RateHolder::Root, 3),
            (Some(_), Some(user)) => {
                let name = entry_name(&user.holder.name);
                if user.holder.role.is_some() {
                    (RateHolder::Role(name), 1)
                } else {
                    (RateHolder::User(name), 0)
                }
            }
        };
        let account = who.own_account();
        let holder = (account.clone(), holder);
        add(kind, said(&holder), self.defaults, &|| self.holders.get(&holder, now));
        // A key has what its user has, and where something is said of it, no more than that, with the sessions that were begun by it.
        let begun_by = who.user().and_then(|user| user.session.as_ref()?.key());
        if let Some(key) = begun_by.or(who.access_key_id()) {
            let key = (account, RateHolder::AccessKey(key.to_owned()));
            if let Some(rates) = said(&key) {
                let burst_seconds = self.defaults.burst_seconds;
                let otherwise = Rates { burst_seconds, ..Rates::default() };
                add(2, Some(rates), otherwise, &|| self.holders.get(&key, now));
            }
        }
        (!shares.is_empty()).then(|| Allowance { gateway: Arc::clone(self), shares })
    }
}

/// What counts as one address: a network of 64 bits of version 6, which whoever has one has whole. RFC 6177.
fn network_of(peer: Option<IpAddr>) -> IpAddr {
    match peer {
        Some(IpAddr::V6(address)) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        Some(address) => address,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

impl Allowance {
    /// Takes a request of everybody whom it is counted for, or of nobody: the one who is over their rate, and how long until they
    /// are not.
    fn take_request(&self) -> Result<(), (&Share, Duration)> {
        let now = self.gateway.now();
        for (at, share) in self.shares.iter().enumerate() {
            let Some(rate) = share.limits.requests else { continue };
            if let Err(wait) = share.used.at(now).requests.try_take(rate, 1, now) {
                for taken in &self.shares[..at] {
                    if let Some(rate) = taken.limits.requests {
                        taken.used.at(now).requests.give_back(rate, 1, Duration::MAX, now);
                    }
                }
                return Err((share, wait));
            }
        }
        Ok(())
    }
}

/// A request that is refused, and what is told of it.
pub(crate) struct Refused {
    error: S3Error,
    /// Whether it is time to tell of it.
    is_told: bool,
}

/// Counts a request for whoever sends it, whose bodies are paced from here on. `SlowDown`, before anything is done, when they are
/// over their rate; `what` is what the audit log says that it is for.
pub(crate) fn admit<'a>(
    gateway: &Gateway,
    authenticated: &Authenticated,
    extensions: &Extensions,
    what: impl FnOnce() -> (String, Resource<'a>),
) -> Result<(), S3Error> {
    let peer = peer(extensions);
    let Some(allowance) = gateway.rates.allowance(authenticated, peer) else { return Ok(()) };
    let pacing = pacing(extensions);
    let refused = match allowance.take_request() {
        Ok(()) => None,
        Err((share, wait)) => Some(gateway.rates.refuse(share, wait)),
    };
    pacing.set(allowance, refused.is_none());
    let Some(Refused { error, is_told }) = refused else { return Ok(()) };
    if is_told {
        let asker = Asker::new(gateway, authenticated, &principal(authenticated), (id(extensions), peer));
        let (action, resource) = what();
        gateway.decisions.audit_line(&asker, (&action, resource), ("refused", error.code.as_str()), None);
    }
    Err(error)
}

impl RateLimits {
    fn refuse(&self, share: &Share, wait: Duration) -> Refused {
        self.refused[share.kind].increment();
        let now = self.now();
        let mut used = share.used.at(now);
        let is_told = used.told.is_none_or(|told| now.saturating_sub(told) >= TELL_EVERY);
        if is_told {
            used.told = Some(now);
        }
        let seconds = HeaderValue::from(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)));
        Refused { error: S3Error::new(ErrorCode::SlowDown).header(RETRY_AFTER, seconds), is_told }
    }
}

/// Reads on what operators say until the stop begins.
pub(crate) async fn run(gateway: Arc<Gateway>, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.begun() => {}
        () = rounds(&gateway) => {}
    }
}

async fn rounds(gateway: &Gateway) {
    let mut failed = 0;
    loop {
        match read_limits(gateway).await {
            Ok(limits) => {
                failed = 0;
                gateway.rates.set_said(limits);
            }
            Err(error) => {
                failed += 1;
                if failed == FAILURES_TOLD {
                    tracing::warn!(%error, "it is not known any more which limits of rates operators have set");
                }
                tracing::debug!(%error, "it was not read which limits of rates operators have set");
            }
        }
        gateway.env.sleep(REFRESH).await;
    }
}

/// What operators say of those of the first account, and of those of which something was asked lately.
async fn read_limits(gateway: &Gateway) -> Result<Vec<(AccountId, RateLimit)>, MetadataError> {
    let mut accounts = gateway.identities.known();
    accounts.push(AccountId::root());
    accounts.sort_unstable();
    accounts.dedup();
    let mut found = Vec::new();
    for account in accounts {
        let limits = gateway.metadata.list_rate_limits(&account).await?;
        found.extend(limits.into_iter().map(|limit| (account.clone(), limit)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
