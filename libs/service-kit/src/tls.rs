//! TLS for listeners: a certificate chain and a key from PEM files, and what a connection agreed on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use env::Env;
use rustls::{
    CipherSuite, ProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
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

/// HTTP/2 by its name in ALPN (RFC 9113, section 3.2).
const HTTP_2: &[u8] = b"h2";

/// Loads a certificate chain and its key. TLS 1.2 and 1.3. By ALPN clients that speak HTTP/1.1 get
/// that, as they do from S3, and those that speak HTTP/2 alone get HTTP/2. Blocks.
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
    config.alpn_protocols = vec![b"http/1.1".to_vec(), HTTP_2.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
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
mod tests {
    use rustls::CipherSuite;

    use super::TlsSession;

    #[test]
    fn cipher_suites_have_the_names_that_openssl_gives_them() {
        let name = |cipher| TlsSession { version: "TLSv1.2", cipher, http_2: false }.cipher_suite();
        assert_eq!(name(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), "ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(
            name(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        );
        assert_eq!(name(CipherSuite::TLS13_AES_256_GCM_SHA384), "TLS_AES_256_GCM_SHA384");
    }
}
