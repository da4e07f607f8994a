//! HTTPS towards the server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use env::Env;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha1::{Digest, Sha1};
use tokio_rustls::TlsConnector;

use crate::{ConnectError, Endpoint};

/// Files of certificates are smaller than this.
const PEM_LENGTH_MAX: usize = 4 << 20;

/// Where systems keep the certificates that they trust: Debian and Alpine, Red Hat, others.
const SYSTEM_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Everybody's.
    Anyone,
    /// Those signed by an authority in this file.
    File(PathBuf),
    /// Those signed by an authority that the system trusts.
    System,
}

/// How to agree on TLS, and the name that the certificate must have.
pub type Tls = (TlsConnector, ServerName<'static>);

/// How to agree on TLS with an endpoint; `None` of one that speaks plain HTTP.
pub async fn of_endpoint(env: &Env, endpoint: &Endpoint, trust: &Trust) -> Result<Option<Tls>, ConnectError> {
    if !endpoint.is_secure() {
        return Ok(None);
    }
    let name = server_name(endpoint)?;
    let (own_env, trust) = (env.clone(), trust.clone());
    let loading = env.spawn_blocking(move || connector(&own_env, &trust));
    let connector = loading.await.unwrap_or(Err(ConnectError::NoSystemCertificates))?;
    Ok(Some((connector, name)))
}

/// Bytes of a thumbprint: the SHA-1 of a certificate.
pub const THUMBPRINT_LENGTH: usize = 20;

/// How to agree on TLS with an endpoint whose certificate is also believed when it is signed, by way of those that the server sends, by the
/// last of these, and that has one of these thumbprints. IAM User Guide, "Obtain the thumbprint for an OpenID Connect identity provider".
pub async fn of_pinned(
    env: &Env,
    endpoint: &Endpoint,
    trust: &Trust,
    thumbprints: Vec<[u8; THUMBPRINT_LENGTH]>,
) -> Result<Option<Tls>, ConnectError> {
    if !endpoint.is_secure() || thumbprints.is_empty() {
        return of_endpoint(env, endpoint, trust).await;
    }
    let name = server_name(endpoint)?;
    let (own_env, trust) = (env.clone(), trust.clone());
    let loading = env.spawn_blocking(move || pinned_connector(&own_env, &trust, thumbprints));
    let connector = loading.await.unwrap_or(Err(ConnectError::NoSystemCertificates))?;
    Ok(Some((connector, name)))
}

/// What is said of a handshake that failed: with what to do, where the library's own word says that to nobody else.
pub(crate) fn in_words(reason: &str) -> String {
    const OF_AUTHORITY: &str = "CaUsedAsEndEntity";
    let hint = match reason.contains(OF_AUTHORITY) {
        true => {
            "; the server's certificate says that it is an authority's: make it with `-addext basicConstraints=critical,CA:FALSE`, or have \
             an authority sign another one"
        }
        false => "",
    };
    format!("{reason}{hint}")
}

fn server_name(endpoint: &Endpoint) -> Result<ServerName<'static>, ConnectError> {
    let name = endpoint.host_name().to_owned();
    ServerName::try_from(name.clone()).map_err(|_| ConnectError::TlsName(name))
}

/// A connector that offers HTTP/1.1. Blocks.
fn pinned_connector(
    env: &Env,
    trust: &Trust,
    thumbprints: Vec<[u8; THUMBPRINT_LENGTH]>,
) -> Result<TlsConnector, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = match trust {
        Trust::File(path) => roots(env, path)?,
        Trust::System => roots(env, &system_file(env)?)?,
        Trust::Anyone => return connector(env, trust),
    };
    let trusted = verifier(roots, &provider).map_err(ConnectError::Tls)?;
    let pinned = Pinned { trusted, thumbprints, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    builder.build().map_err(|error| Error::General(error.to_string()))
}

/// A connector that offers HTTP/1.1. Blocks.
fn connector(env: &Env, trust: &Trust) -> Result<TlsConnector, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?;
    let builder = match trust {
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous { provider }))
        }
        Trust::File(path) => builder.with_root_certificates(roots(env, path)?),
        Trust::System => builder.with_root_certificates(roots(env, &system_file(env)?)?),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn system_file(env: &Env) -> Result<PathBuf, ConnectError> {
    let mut candidates = SYSTEM_CERTIFICATES.iter().map(Path::new);
    let found = candidates.find(|path| env.disk().exists(path).unwrap_or(false));
    found.map(Path::to_owned).ok_or(ConnectError::NoSystemCertificates)
}

fn roots(env: &Env, path: &Path) -> Result<RootCertStore, ConnectError> {
    let pem = env
        .disk()
        .read_small(path, PEM_LENGTH_MAX)
        .map_err(|source| ConnectError::ReadCertificates { path: path.to_owned(), source })?;
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(ConnectError::NoCertificates { path: path.to_owned() });
    }
    Ok(store)
}

/// Believes what authorities have signed that are trusted, and what the last certificate has signed that a server sends, if its thumbprint is
/// known. Names, times and signatures are checked of either, but not until when the authority itself is one: a root is trusted because it is
/// known, and whoever knows one by its thumbprint has to take that away.
#[derive(Debug)]
struct Pinned {
    trusted: Arc<WebPkiServerVerifier>,
    thumbprints: Vec<[u8; THUMBPRINT_LENGTH]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.trusted.verify_server_cert(own, others, name, stapled, now) {
            Err(unknown @ Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                let last = others.last().unwrap_or(own);
                let thumbprint: [u8; THUMBPRINT_LENGTH] = Sha1::digest(last).into();
                if !self.thumbprints.contains(&thumbprint) {
                    return Err(unknown);
                }
                let mut roots = RootCertStore::empty();
                roots.add(last.clone().into_owned())?;
                let verifier = verifier(roots, &self.provider)?;
                verifier.verify_server_cert(own, others, name, stapled, now)
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trusted.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trusted.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trusted.supported_verify_schemes()
    }
}

/// Believes any certificate; the connection is still encrypted, and signatures are still checked.
#[derive(Debug)]
struct Credulous {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
