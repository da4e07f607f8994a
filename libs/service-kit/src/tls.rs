//! TLS for listeners: a certificate chain and a key from PEM files, and what a connection agreed on.

mod cluster;
mod live;
mod validity;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use env::{Connection, Env};
use rustls::{
    CipherSuite, ProtocolVersion, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use telemetry::{Source, metrics};
use tokio_rustls::TlsAcceptor;
use types::{Role, Roles};

pub use self::cluster::{ClusterTls, ClusterTlsConfig, watch};
use self::live::{Contents, Live, Made};
use crate::Shutdown;

metrics! {
    METRIC_END: gauge("ashlar_tls_certificate_end_seconds", ["usage"], "When the certificate that is in use ends, since the Unix epoch: of the listeners for clients (clients), of this service between services (cluster), and of the authority for these, of several the one that ends last (authority).");
    METRIC_RELOADS: counter("ashlar_tls_reloads_total", ["usage", "result"], "Changes of the files of certificates that were seen: used, or refused because what was in them is not usable.");
    REFUSED: counter("ashlar_tls_callers_refused_total", ["reason"], "Connections between services that were refused: no TLS or no certificate of the cluster's authority (handshake), or a certificate of no role (role).");
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds no usable PEM.
    #[error("{path} holds no {what} in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not go together.
    #[error("certificate and key cannot be used")]
    Unusable(#[source] rustls::Error),
    /// A certificate is not of the authority that is given, or is for another purpose.
    #[error("the certificate is not one of the cluster's authority for this use")]
    Untrusted(#[source] rustls::Error),
    /// A certificate has not the name of the service that it is given to.
    #[error("the certificate is not that of a {role}: it has no DNS name {}", role.dns_name())]
    WrongRole {
        /// What the service is.
        role: Role,
    },
    /// A certificate that was to replace one has ended.
    #[error("the certificate has ended")]
    Ended,
    /// The process ends.
    #[error("reading was given up because the process ends")]
    Stopping,
}

/// HTTP/2 by its name in ALPN (RFC 9113, section 3.2).
const HTTP_2: &[u8] = b"h2";

/// TLS of listeners for clients, whose certificate and key are read again when their files change. Cheap to clone.
///
/// TLS 1.2 and 1.3. By ALPN clients that speak HTTP/1.1 get that, as they do from S3, and those that speak HTTP/2 alone get HTTP/2.
#[derive(Clone)]
pub struct ServerTls(Arc<Live<ServerConfig>>);

impl ServerTls {
    /// Loads a certificate chain and its key.
    ///
    /// Errors: a file cannot be read or has no PEM in it, or the key is not the certificate's.
    pub async fn load(env: &Env, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = vec![certificate.to_owned(), key.to_owned()];
        Ok(Self(Arc::new(Live::load(env, "clients", files, server_config).await?)))
    }

    /// What new connections are accepted with.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.current())
    }

    /// Reads the files every ten seconds, and at once on SIGHUP, until the stop begins. What is new, whole and usable is used for
    /// connections from then on; else the old certificate stays in use, and the log says why.
    pub async fn watch(&self, env: &Env, shutdown: &Shutdown) {
        self.0.watch(env, shutdown).await;
    }

    /// What it tells on `/metrics`.
    pub fn source(&self) -> Arc<dyn Source> {
        self.0.clone()
    }
}

/// What a listener speaks TLS with.
#[derive(Clone)]
pub enum ListenerTls {
    /// To clients.
    Clients(ServerTls),
    /// To services, each with a certificate of the cluster's authority.
    Cluster(ClusterTls),
    /// To services, and to whoever else asks: the latter has no role.
    Anybody(ClusterTls),
}

impl ListenerTls {
    /// Agrees with a peer. The roles are those of its certificate; none where none is asked for.
    pub(crate) async fn accept(
        &self,
        connection: Box<dyn Connection>,
    ) -> io::Result<(Box<dyn Connection>, Option<TlsSession>, Option<Roles>)> {
        match self {
            Self::Clients(tls) => {
                let stream = tls.acceptor().accept(connection).await?;
                let session = TlsSession::of(stream.get_ref().1);
                Ok((Box::new(stream), session, None))
            }
            Self::Cluster(tls) => {
                let (connection, roles) = tls.accept(connection).await?;
                Ok((connection, None, Some(roles)))
            }
            Self::Anybody(tls) => {
                let (connection, roles) = tls.accept_anybody(connection).await?;
                Ok((connection, None, Some(roles)))
            }
        }
    }
}

/// A certificate chain and its key, of which the chain's end is known.
struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    end: i64,
}

impl Pair {
    fn read(certificate: &Contents, key: &Contents) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let bad = |file: &Contents, what| TlsError::Pem { path: file.path.clone(), what };
        let end = chain.first().and_then(|leaf| validity::not_after(leaf));
        let end = end.ok_or_else(|| bad(certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|_| bad(key, "private key"))?;
        Ok(Self { chain, key, end })
    }
}

/// The certificates in a file, of which there is one at least.
fn certificates(file: &Contents) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&file.bytes).collect::<Result<_, _>>().unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::Pem { path: file.path.clone(), what: "certificate" });
    }
    Ok(chain)
}

fn server_config(files: &[Contents]) -> Result<Made<ServerConfig>, TlsError> {
    let [certificate, key] = files else { return Err(TlsError::Stopping) };
    let Pair { chain, key, end } = Pair::read(certificate, key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec(), HTTP_2.to_vec()];
    Ok(Made { value: config, ends: vec![("clients", end)] })
}

/// What a TLS connection agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsSession {
    /// The version, such as `TLSv1.3`.
    pub version: &'static str,
    cipher: CipherSuite,
    /// Whether HTTP/2 is spoken on it.
    pub(crate) http_2: bool,
}

impl TlsSession {
    /// That of a connection on which it has been agreed.
    pub(crate) fn of(connection: &rustls::ServerConnection) -> Option<Self> {
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => return None,
        };
        let http_2 = connection.alpn_protocol() == Some(HTTP_2);
        Some(Self { version, cipher: connection.negotiated_cipher_suite()?.suite(), http_2 })
    }

    /// The cipher suite by OpenSSL's name, such as `ECDHE-RSA-AES128-GCM-SHA256` or `TLS_AES_128_GCM_SHA256`.
    pub fn cipher_suite(&self) -> String {
        let name = self.cipher.as_str().unwrap_or("-");
        if let Some(rest) = name.strip_prefix("TLS13_") {
            return format!("TLS_{rest}");
        }
        let Some((exchange, cipher)) = name.strip_prefix("TLS_").and_then(|name| name.split_once("_WITH_"))
        else {
            return name.to_owned();
        };
        let cipher = cipher.replace("AES_", "AES").replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305");
        format!("{exchange}-{cipher}").replace('_', "-")
    }
}

#[cfg(test)]
mod tests;
