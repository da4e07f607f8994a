//! The keys of OpenID Connect providers, as their tokens are proved by.
//!
//! A gateway asks a provider for its keys when it needs them first, and keeps them in memory. They are asked for again when they are ten
//! minutes old, and when a token is signed with a key that is not among them, as it says, as after a provider's change of keys; but never twice in ten seconds,
//! whoever sends what tokens, and by one at a time. Keys that are an hour old are of no use any more. So a provider that is away is none for
//! an hour, and a key that it takes back is good for ten minutes where the provider answers, and for an hour at most.
//!
//! Invariant: nothing is asked of anybody but the providers that the account has, and where those say that their keys are.

mod fetch;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use env::{Env, Instant};
use s3_client::{ConnectError, Endpoint, Trust, of_endpoint};
use tokio::sync::Mutex;
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

/// Providers whose keys are kept: twice as many as an account has.
const PROVIDERS_KEPT: usize = 200;

/// The provider did not tell its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoKeys;

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

#[derive(Debug, Default)]
struct Known {
    state: StdMutex<State>,
    /// Held while the provider is asked.
    asking: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// With when they were asked for.
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When the last attempt began.
    tried: Option<Instant>,
}

impl Known {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that can be used now, and whether those are fresh.
    fn keys(&self, now: Instant) -> Option<(Arc<KeySet>, bool)> {
        let (keys, asked) = self.state().keys.clone()?;
        let age = now.since(asked);
        (age < AGE_MAX).then_some((keys, age < FRESH_FOR))
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
        known.entry(wanted).or_default().clone()
    }

    /// The keys of a provider, with that of a token if the provider has it.
    pub(crate) async fn get(
        &self,
        env: &Env,
        provider: &Arc<Provider>,
        token: &Token,
    ) -> Result<Arc<KeySet>, NoKeys> {
        let known = self.of(provider);
        let found = known.keys(env.now());
        let guard = match &found {
            Some((keys, true)) if token.has_key_in(keys) => return Ok(keys.clone()),
            // Old ones will do while somebody else asks.
            Some((keys, false)) if token.has_key_in(keys) => match known.asking.clone().try_lock_owned() {
                Ok(guard) => guard,
                Err(_) => return Ok(keys.clone()),
            },
            _ => known.asking.clone().lock_owned().await,
        };
        // Somebody may have asked meanwhile.
        let now = env.now();
        let found = known.keys(now);
        let is_good = |(keys, is_fresh): &(Arc<KeySet>, bool)| *is_fresh && token.has_key_in(keys);
        if found.as_ref().is_some_and(is_good) || known.is_too_soon(now) {
            return found.map(|(keys, _)| keys).ok_or(NoKeys);
        }
        known.state().tried = Some(now);
        // Whoever sent the token may go away, and have others wait for nothing.
        let asking = ask(env.clone(), self.reach.clone(), provider.clone(), known.clone());
        let asked = env.spawn(async move {
            asking.await;
            drop(guard);
        });
        let _ended = asked.await;
        known.keys(env.now()).map(|(keys, _)| keys).ok_or(NoKeys)
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
