//! The keys of OpenID Connect providers, as their tokens are proved by.
//!
//! A gateway asks a provider for its keys when it needs them first, and keeps them in memory. They are asked for again when they are ten
//! minutes old, and when a token is signed with a key that is not among them, as it says, as after a provider's change of keys; but never twice in ten seconds,
//! whoever sends what tokens, and by one at a time, for whom a bounded number wait. Keys that are an hour old are of no use any more. So a provider that is away is none for
//! an hour, and a key that it takes back is good for ten minutes where the provider answers, and for an hour at most.
//!
//! Invariant: nothing is asked of anybody but the providers that the account has, and where those say that their keys are.

mod fetch;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use env::{Env, Instant};
use s3_client::{ConnectError, Endpoint, Trust, of_endpoint};
use tokio::sync::{Mutex, Semaphore};
use web_identity::{KeySet, Token};

use crate::{FrontConfig, identity::Provider};

use fetch::fetch_keys;

/// From this age on keys are asked for again.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);

/// From this age on they are not used any more.
const AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Shortest time from one attempt to ask a provider to the next.
const ATTEMPTS_APART: Duration = Duration::from_secs(10);

/// Longest that an attempt takes.
const FETCH_MAX: Duration = Duration::from_secs(5);

/// Most callers that wait until a provider has been asked.
const WAITING_MAX: usize = 64;

/// Most bytes of what a token or a provider says that go into an answer or a log: as many as a provider's URL has.
const QUOTED_LENGTH_MAX: usize = 255;

/// Providers whose keys are kept: twice as many as an account has.
const PROVIDERS_KEPT: usize = 200;

/// The provider did not tell its keys, or cannot be asked yet for one that is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoKeys;

/// The beginning of what a token or a provider says.
pub(crate) fn quoted(text: &str) -> &str {
    &text[..text.floor_char_boundary(QUOTED_LENGTH_MAX)]
}

/// Where providers may be, as the operator says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// Hosts that may have addresses that are not the internet's, in lower case.
    private_hosts: Vec<String>,
    /// Who may have signed their certificates, in place of those that the system trusts.
    ca: Option<PathBuf>,
}

impl Reach {
    pub(crate) fn new(config: &FrontConfig) -> Self {
        let lower = |host: &String| host.to_ascii_lowercase();
        let private_hosts = config.oidc_private_hosts.iter().map(lower).collect();
        Self { private_hosts, ca: config.oidc_ca.clone() }
    }

    fn is_private(&self, host: &str) -> bool {
        self.private_hosts.contains(&host.to_ascii_lowercase())
    }

    /// The same for a provider, whose record alone, and what it tells of its keys, leads to no private host: its own has to be one.
    fn of_provider(&self, provider: &Provider) -> Cow<'_, Self> {
        let host = provider.name.split([':', '/']).next().unwrap_or_default();
        if self.is_private(host) { Cow::Borrowed(self) } else { Cow::Owned(Self::default()) }
    }

    /// Whose certificates are believed of a host.
    fn trust(&self, host: &str) -> Trust {
        match &self.ca {
            Some(path) if self.is_private(host) => Trust::File(path.clone()),
            _ => Trust::System,
        }
    }
}

/// `--oidc-ca` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--oidc-ca cannot be used")]
pub struct OidcCaError(#[source] ConnectError);

/// Reads the file of authorities, so that what is wrong with it is said at the start.
pub(crate) async fn check_ca(env: &Env, config: &FrontConfig) -> Result<(), OidcCaError> {
    let Some(path) = &config.oidc_ca else { return Ok(()) };
    let Ok(somewhere) = Endpoint::parse("https://localhost") else { return Ok(()) };
    of_endpoint(env, &somewhere, &Trust::File(path.clone())).await.map(drop).map_err(OidcCaError)
}

/// A provider's URL and thumbprints: with others, another server may be believed.
type Source = (String, Vec<String>);

/// The keys of providers that were asked for them.
#[derive(Debug)]
pub(crate) struct ProviderKeys {
    reach: Arc<Reach>,
    known: StdMutex<HashMap<Source, Arc<Known>>>,
}

#[derive(Debug)]
struct Known {
    state: StdMutex<State>,
    /// Held while the provider is asked.
    asking: Arc<Mutex<()>>,
    /// A place for each caller that waits for that.
    places: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    /// With when they were asked for.
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When the last attempt began.
    tried: Option<Instant>,
}

impl Known {
    fn new() -> Self {
        Self { state: StdMutex::default(), asking: Arc::default(), places: Semaphore::new(WAITING_MAX) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that can be used now, and whether those are fresh.
    fn keys(&self, now: Instant) -> Option<(Arc<KeySet>, bool)> {
        let (keys, asked) = self.state().keys.clone()?;
        let age = now.since(asked);
        (age < AGE_MAX).then_some((keys, age < FRESH_FOR))
    }

    /// The keys, if they were asked for since then. Those have the last word.
    fn told_since(&self, then: Instant) -> Option<Arc<KeySet>> {
        self.state().keys.clone().filter(|(_, asked)| *asked >= then).map(|(keys, _)| keys)
    }

    /// Whether it is too soon to ask again.
    fn is_too_soon(&self, now: Instant) -> bool {
        let tried = self.state().tried;
        tried.is_some_and(|tried| now.since(tried) < ATTEMPTS_APART)
    }
}

impl ProviderKeys {
    pub(crate) fn new(reach: Reach) -> Self {
        Self { reach: Arc::new(reach), known: StdMutex::default() }
    }

    fn of(&self, provider: &Provider) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (provider.name.clone(), provider.thumbprints.clone());
        if !known.contains_key(&wanted) && known.len() >= PROVIDERS_KEPT {
            known.clear();
        }
        known.entry(wanted).or_insert_with(|| Arc::new(Known::new())).clone()
    }

    /// The keys of a provider, with that of a token if the provider has it. `NoKeys` also of a token whose key is not among those that are
    /// kept where it is too soon to ask for it, and when too many wait already: what is tried again a while later may succeed.
    pub(crate) async fn get(
        &self,
        env: &Env,
        provider: &Arc<Provider>,
        token: &Token,
    ) -> Result<Arc<KeySet>, NoKeys> {
        let known = self.of(provider);
        let usable = |now| known.keys(now).filter(|(keys, _)| token.has_key_in(keys));
        let came = env.now();
        let (guard, _place) = match usable(came) {
            Some((keys, true)) => return Ok(keys),
            // Old ones will do while somebody else asks.
            Some((keys, false)) => match known.asking.clone().try_lock_owned() {
                Ok(guard) => (guard, None),
                Err(_) => return Ok(keys),
            },
            None => {
                let place = known.places.try_acquire().map_err(|_| NoKeys)?;
                (known.asking.clone().lock_owned().await, Some(place))
            }
        };
        // Somebody may have asked meanwhile.
        if let Some(keys) = known.told_since(came) {
            return Ok(keys);
        }
        let now = env.now();
        match usable(now) {
            Some((keys, true)) => return Ok(keys),
            found if known.is_too_soon(now) => return found.map(|(keys, _)| keys).ok_or(NoKeys),
            _ => {}
        }
        known.state().tried = Some(now);
        // Whoever sent the token may go away, and have others wait for nothing.
        let asking = ask(env.clone(), self.reach.clone(), provider.clone(), known.clone());
        let asked = env.spawn(async move {
            asking.await;
            drop(guard);
        });
        let _ended = asked.await;
        let kept = || usable(env.now()).map(|(keys, _)| keys);
        known.told_since(now).or_else(kept).ok_or(NoKeys)
    }
}

async fn ask(env: Env, reach: Arc<Reach>, provider: Arc<Provider>, known: Arc<Known>) {
    let began = env.now();
    let fetched = match env.timeout(FETCH_MAX, fetch_keys(&env, &reach, &provider)).await {
        Ok(fetched) => fetched,
        Err(_) => Err("it does not answer in time".to_owned()),
    };
    match fetched {
        Ok(keys) => known.state().keys = Some((Arc::new(keys), began)),
        Err(reason) => {
            tracing::warn!(
                provider = provider.name,
                reason,
                "the keys of an OpenID Connect provider cannot be read"
            );
        }
    }
}
