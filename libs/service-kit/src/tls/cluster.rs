//! Mutual TLS between the services of a cluster: each proves by a certificate of the cluster's own authority what it is.
//!
//! A certificate names its role, as a DNS name ([`Role::dns_name`]), and neither hosts nor addresses: a caller expects "a metadata
//! service of this cluster" wherever it reaches one. TLS 1.3 alone. `docs/decisions/0016-mutual-tls.md` has the reasons.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use clap::Args;
use env::{Connection, Env, Listener, Network};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, DnsName, ServerName, UnixTime},
    server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use telemetry::{Counter, Samples, Source};
use tokio_rustls::{TlsAcceptor, TlsConnector, server::TlsStream};
use types::{Role, Roles};

use super::{
    Pair, REFUSED, TlsError, certificates,
    live::{Contents, Live, Made},
    validity::not_after,
};
use crate::Shutdown;

/// How often the log says that callers are refused, in milliseconds: strangers must not fill it.
const TELL_EVERY_MS: i64 = 10_000;

/// Settings of TLS between services.
#[derive(Debug, Clone, Default, Args)]
pub struct ClusterTlsConfig {
    /// Certificate chain of this service in PEM form, from the cluster's own authority and with the DNS name of its role, such as
    /// `gateway.ashlar.internal`; `ashlar admin certificates` makes them. With these three settings services speak TLS to each other, and
    /// refuse whoever has no certificate of the authority for the call: give them to all services of a cluster, or to none. The files
    /// are read again every ten seconds, and on SIGHUP.
    #[arg(
        long = "cluster-tls-cert",
        env = "ASHLAR_CLUSTER_TLS_CERT",
        requires = "cluster_tls_key",
        requires = "cluster_tls_ca",
        id = "cluster_tls_cert",
        value_name = "FILE"
    )]
    pub certificate: Option<PathBuf>,
    /// Private key of that certificate in PEM form.
    #[arg(
        long = "cluster-tls-key",
        env = "ASHLAR_CLUSTER_TLS_KEY",
        requires = "cluster_tls_cert",
        id = "cluster_tls_key",
        value_name = "FILE"
    )]
    pub key: Option<PathBuf>,
    /// Certificates of the cluster's authority in PEM form; several while one replaces another.
    #[arg(
        long = "cluster-tls-ca",
        env = "ASHLAR_CLUSTER_TLS_CA",
        requires = "cluster_tls_cert",
        id = "cluster_tls_ca",
        value_name = "FILE"
    )]
    pub ca: Option<PathBuf>,
}

impl ClusterTlsConfig {
    /// Loads the files, if they are set. `role` is what the service is; a tool of an operator's is what its certificate says.
    ///
    /// Errors: a file cannot be read or used, or the certificate is not the role's or not of the authority.
    pub async fn load(&self, env: &Env, role: Option<Role>) -> Result<Option<ClusterTls>, TlsError> {
        let (Some(certificate), Some(key), Some(ca)) = (&self.certificate, &self.key, &self.ca) else {
            return Ok(None);
        };
        let files = vec![certificate.clone(), key.clone(), ca.clone()];
        let own_env = env.clone();
        let live = Live::load(env, "cluster", files, move |files| configs(&own_env, files, role)).await?;
        let inner = Inner {
            env: env.clone(),
            live,
            handshakes: Counter::default(),
            strangers: Counter::default(),
            told: AtomicI64::new(i64::MIN),
        };
        Ok(Some(ClusterTls(Arc::new(inner))))
    }
}

/// TLS between services, whose files are read again when they change. Cheap to clone.
#[derive(Clone)]
pub struct ClusterTls(Arc<Inner>);

struct Inner {
    env: Env,
    live: Live<Configs>,
    /// Callers that were refused while TLS was agreed, and those whose certificates name no role.
    handshakes: Counter,
    strangers: Counter,
    /// When the log last told of one, in milliseconds.
    told: AtomicI64,
}

struct Configs {
    /// For callers that have a certificate.
    strict: Arc<ServerConfig>,
    /// For anybody.
    open: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// What the certificate here says.
    own: Roles,
}

impl ClusterTls {
    /// Agrees with a caller who proves to be of this cluster, and what he is.
    ///
    /// Errors: he speaks no TLS, has no certificate of the authority, or one without a role.
    pub async fn accept(&self, connection: Box<dyn Connection>) -> io::Result<(Box<dyn Connection>, Roles)> {
        let (stream, roles) = self.agree(self.0.live.current().strict.clone(), connection).await?;
        if roles == Roles::NONE {
            self.0.strangers.increment();
            let error =
                io::Error::new(io::ErrorKind::PermissionDenied, "the certificate names no role of a cluster");
            self.tell(&error);
            return Err(error);
        }
        Ok((Box::new(stream), roles))
    }

    /// The same, with anybody: who has no certificate has no role.
    pub(crate) async fn accept_anybody(
        &self,
        connection: Box<dyn Connection>,
    ) -> io::Result<(Box<dyn Connection>, Roles)> {
        let (stream, roles) = self.agree(self.0.live.current().open.clone(), connection).await?;
        Ok((Box::new(stream), roles))
    }

    async fn agree(
        &self,
        config: Arc<ServerConfig>,
        connection: Box<dyn Connection>,
    ) -> io::Result<(TlsStream<Box<dyn Connection>>, Roles)> {
        match TlsAcceptor::from(config).accept(connection).await {
            Ok(stream) => {
                let roles = roles_of(stream.get_ref().1);
                Ok((stream, roles))
            }
            Err(error) => {
                self.0.handshakes.increment();
                self.tell(&error);
                Err(error)
            }
        }
    }

    /// The environment whose connections are to services of this role of this cluster, and to nobody else.
    pub fn reaching(&self, env: &Env, role: Role) -> Env {
        let network = TlsNetwork { tls: self.clone(), plain: env.network().clone(), role };
        env.clone().with_network(Arc::new(network))
    }

    /// The environment whose connections are to services of the role that the certificate here has: to the service itself, for a health
    /// check beside it.
    pub fn reaching_its_like(&self, env: &Env) -> Env {
        let role = Role::ALL.into_iter().find(|role| self.0.live.current().own.have(*role));
        self.reaching(env, role.unwrap_or(Role::Admin))
    }

    /// Reads the files again and again until the stop begins, as [`ServerTls::watch`](super::ServerTls::watch) does.
    pub async fn watch(&self, shutdown: &Shutdown) {
        self.0.live.watch(&self.0.env, shutdown).await;
    }

    /// What it tells on `/metrics`.
    pub fn source(&self) -> Arc<dyn Source> {
        self.0.clone()
    }

    /// Logs that a caller was refused, now and then.
    fn tell(&self, error: &io::Error) {
        let now = self.0.env.wall_clock_ms();
        let last = self.0.told.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= TELL_EVERY_MS || now < last;
        if is_due && self.0.told.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(%error, "a caller was refused: services of a cluster call with a certificate of its authority; ashlar_tls_callers_refused_total counts all of them");
        }
    }
}

#[async_trait]
impl Source for Inner {
    async fn collect(&self, samples: &mut Samples) {
        self.live.collect(samples).await;
        samples.add(&REFUSED, &["handshake"], &self.handshakes);
        samples.add(&REFUSED, &["role"], &self.strangers);
    }
}

/// The roles that a caller's certificate names, which was verified.
fn roles_of(connection: &ServerConnection) -> Roles {
    let leaf = connection.peer_certificates().and_then(|chain| chain.first());
    leaf.map_or(Roles::NONE, named)
}

fn named(leaf: &CertificateDer<'_>) -> Roles {
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else { return Roles::NONE };
    let is_named = |role: &Role| name(*role).is_some_and(|name| verify_server_name(&parsed, &name).is_ok());
    Role::ALL.into_iter().filter(is_named).collect()
}

fn name(role: Role) -> Option<ServerName<'static>> {
    DnsName::try_from(role.dns_name()).ok().map(|name| ServerName::DnsName(name.to_owned()))
}

/// What the three files make, if this service can be used with them: callers would else be the first to find out.
fn configs(env: &Env, files: &[Contents], role: Option<Role>) -> Result<Made<Configs>, TlsError> {
    let [certificate, key, ca] = files else { return Err(TlsError::Stopping) };
    let Pair { chain, key, end } = Pair::read(certificate, key)?;
    let authorities = certificates(ca)?;
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots.add(authority.clone()).map_err(TlsError::Unusable)?;
    }
    let authority_end = authorities.iter().filter_map(|authority| not_after(authority)).max();
    let authority_end =
        authority_end.ok_or_else(|| TlsError::Pem { path: ca.path.clone(), what: "certificate" })?;
    let (roots, provider) = (Arc::new(roots), Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

    let verifier = |open: bool| {
        let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let builder = if open { builder.allow_unauthenticated() } else { builder };
        builder.build().map_err(|error| TlsError::Unusable(rustls::Error::General(error.to_string())))
    };
    let (strict, open) = (verifier(false)?, verifier(true)?);
    let verify_servers = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
    let verify_servers =
        verify_servers.map_err(|error| TlsError::Unusable(rustls::Error::General(error.to_string())))?;
    check(env, &chain, role, &*strict, &*verify_servers)?;

    let own = chain.first().map_or(Roles::NONE, named);
    let server = |verifier| -> Result<Arc<ServerConfig>, TlsError> {
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(TlsError::Unusable)?;
        Ok(Arc::new(config))
    };
    let (strict, open) = (server(strict)?, server(open)?);
    let client = client(provider.clone(), verify_servers, &chain, &key)?;
    let ends = vec![("cluster", end), ("authority", authority_end)];
    Ok(Made { value: Configs { strict, open, client: Arc::new(client), own }, ends })
}

fn client(
    provider: Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
    chain: &[CertificateDer<'static>],
    key: &rustls::pki_types::PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Unusable)?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain.to_vec(), key.clone_key())
        .map_err(TlsError::Unusable)
}

/// That the authority's other services will take this certificate.
fn check(
    env: &Env,
    chain: &[CertificateDer<'static>],
    role: Option<Role>,
    clients: &dyn ClientCertVerifier,
    servers: &dyn ServerCertVerifier,
) -> Result<(), TlsError> {
    let Some((leaf, between)) = chain.split_first() else { return Err(TlsError::Stopping) };
    let now = Duration::from_millis(u64::try_from(env.wall_clock_ms()).unwrap_or_default());
    let now = UnixTime::since_unix_epoch(now);
    clients.verify_client_cert(leaf, between, now).map_err(TlsError::Untrusted)?;
    let Some(role) = role else { return Ok(()) };
    let name = name(role).filter(|_| named(leaf).have(role)).ok_or(TlsError::WrongRole { role })?;
    servers.verify_server_cert(leaf, between, &name, &[], now).map_err(TlsError::Untrusted)?;
    Ok(())
}

/// [`ClusterTls::watch`] where there is one; else nothing.
pub async fn watch(tls: Option<ClusterTls>, shutdown: &Shutdown) {
    if let Some(tls) = tls {
        tls.watch(shutdown).await;
    }
}

/// A network on which each connection is to a service of one role, which proves to be one.
struct TlsNetwork {
    tls: ClusterTls,
    plain: Arc<dyn Network>,
    role: Role,
}

#[async_trait]
impl Network for TlsNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.plain.listen(address).await
    }

    async fn connect(&self, authority: &str) -> io::Result<Box<dyn Connection>> {
        let connection = self.plain.connect(authority).await?;
        let name = name(self.role).ok_or(io::ErrorKind::InvalidInput)?;
        let connector = TlsConnector::from(self.tls.0.live.current().client.clone());
        let stream = connector.connect(name, connection).await.map_err(|error| {
            let role = self.role;
            io::Error::new(error.kind(), format!("no TLS with a {role} service of this cluster: {error}"))
        })?;
        Ok(Box::new(stream))
    }

    async fn resolve(&self, authority: &str) -> io::Result<Vec<SocketAddr>> {
        self.plain.resolve(authority).await
    }
}

#[cfg(test)]
mod tests;
