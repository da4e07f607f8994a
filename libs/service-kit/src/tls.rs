//! TLS for listeners: a certificate chain and a key from PEM files.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use env::Env;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;

/// Certificates and keys larger than this are not what they claim to be.
const PEM_LENGTH_MAX: usize = 1 << 20;

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
}

/// Loads a certificate chain and its key. TLS 1.2 and 1.3; HTTP/1.1 is offered by ALPN. Blocks.
pub fn load_tls(env: &Env, certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let read = |path: &Path| {
        env.disk()
            .read_small(path, PEM_LENGTH_MAX)
            .map_err(|source| TlsError::Read { path: path.to_owned(), source })
    };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::Pem { path: certificate.to_owned(), what: "certificate" });
    }
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| TlsError::Pem { path: key.to_owned(), what: "private key" })?;
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
