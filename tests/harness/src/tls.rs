//! A certificate for one test, and clients that trust no other.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tempfile::TempDir;

/// A certificate for 127.0.0.1 and its key, in files.
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Makes one with `openssl`, good for two days.
    pub fn make() -> Self {
        let folder = TempDir::with_prefix("ashlar-test-tls-").expect("a folder for temporary files");
        let certificate = Self { folder };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(certificate.key())
            .arg("-out")
            .arg(certificate.chain())
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        certificate
    }

    /// The file with the certificate, in PEM.
    pub fn chain(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The file with its key, in PEM.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// What a client needs to trust this certificate.
    pub fn trust(&self) -> Trust {
        let pem = fs::read(self.chain()).expect("the certificate was made");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Trust(Arc::new(config))
    }
}

/// Whom a client trusts.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// As a client's configuration of TLS.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}
