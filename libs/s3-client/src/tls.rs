//! HTTPS towards the server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use env::Env;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
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
    let name = endpoint.host_name().to_owned();
    let name = ServerName::try_from(name.clone()).map_err(|_| ConnectError::TlsName(name))?;
    let (own_env, trust) = (env.clone(), trust.clone());
    let loading = env.spawn_blocking(move || connector(&own_env, &trust));
    let connector = loading.await.unwrap_or(Err(ConnectError::NoSystemCertificates))?;
    Ok(Some((connector, name)))
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
