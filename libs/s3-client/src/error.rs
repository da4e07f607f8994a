//! Why a server cannot be spoken to, and what to do about it.

use std::{io, path::PathBuf};

use crate::endpoint::EndpointError;

/// Settings of a connection that are missing, wrong or not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No endpoint was given. None is assumed: a load generator must not guess whom to load.
    #[error("no endpoint: give --endpoint http://HOST:PORT, or set AWS_ENDPOINT_URL")]
    EndpointMissing,
    /// The endpoint is none.
    #[error("the endpoint \"{text}\" {reason}")]
    Endpoint {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: EndpointError,
    },
    /// Keys are missing.
    #[error(
        "no credentials: give --access-key and --secret-key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
         (`ashlar server` prints both when it first starts)"
    )]
    CredentialsMissing,
    /// A file of certificates cannot be read.
    #[error("cannot read the certificates in {path}")]
    ReadCertificates {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of certificates has none.
    #[error(
        "{path} holds no certificate in PEM form; give --ca the authority that signed the server's certificate"
    )]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// The system's certificates were not found.
    #[error(
        "no certificates of trusted authorities found on this system; give --ca FILE, or --insecure for a test server"
    )]
    NoSystemCertificates,
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The host is no name that a certificate could be for.
    #[error("{0} is no host name that a certificate could name")]
    TlsName(String),
}
