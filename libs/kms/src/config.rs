//! Where named keys are.

use std::{path::PathBuf, sync::Arc, time::Duration};

use encryption::Keyring;
use env::Env;
use s3_client::{ConnectError, Endpoint, EndpointError, is_loopback};

use crate::{Keys, Transit, keys::External};

/// Settings of the external key management service.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "kms")]
pub struct Config {
    /// URL of the key management service whose keys objects are encrypted by that ask for SSE-KMS: an OpenBao or Vault server,
    /// `https://HOST:PORT`; `http://` for one on this machine alone. Without it the keys are those of the file of master keys that
    /// are marked `kms`. The same for all gateways and workers of a cluster.
    #[arg(long, env = "ASHLAR_KMS_ENDPOINT", requires = "kms_token_file", value_name = "URL")]
    pub kms_endpoint: Option<String>,
    /// File of the token for that service. It is read before each call, so that whoever renews the token only writes the file.
    #[arg(long, env = "ASHLAR_KMS_TOKEN_FILE", value_name = "FILE")]
    pub kms_token_file: Option<PathBuf>,
    /// Path that the service's transit engine is mounted at.
    #[arg(long, env = "ASHLAR_KMS_MOUNT", default_value = "transit", value_name = "PATH")]
    pub kms_mount: String,
    /// The service's key that is meant where SSE-KMS is asked for without one, which S3 calls alias/aws/s3.
    #[arg(long, env = "ASHLAR_KMS_DEFAULT_KEY", default_value = "aws-s3", value_name = "KEY")]
    pub kms_default_key: String,
    /// File of certificates in PEM form of the authorities that the service's certificate may be signed by, in place of those that
    /// the system trusts.
    #[arg(long, env = "ASHLAR_KMS_CA", value_name = "FILE")]
    pub kms_ca: Option<PathBuf>,
    /// Seconds that data keys which the service has unwrapped are remembered: for so long objects are read that were read before while
    /// the service is away, or after the key was taken from this store. 0 remembers none.
    #[arg(
        long = "kms-cache",
        env = "ASHLAR_KMS_CACHE",
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(0..=3600)
    )]
    pub kms_cache_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kms_endpoint: None,
            kms_token_file: None,
            kms_mount: "transit".to_owned(),
            kms_default_key: "aws-s3".to_owned(),
            kms_ca: None,
            kms_cache_seconds: 300,
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The URL is none.
    #[error("--kms-endpoint {text} {reason}")]
    Endpoint {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: EndpointError,
    },
    /// The token would be readable on the way.
    #[error(
        "--kms-endpoint {text} is plain HTTP to another machine, which would show the token; use https://"
    )]
    Plain {
        /// What was given.
        text: String,
    },
    /// There is no token.
    #[error("--kms-endpoint needs --kms-token-file")]
    TokenMissing,
    /// A name is none.
    #[error("{setting} {text} is not made of letters, digits, `-`, `_` and `.`")]
    Name {
        /// Which setting.
        setting: &'static str,
        /// What was given.
        text: String,
    },
    /// TLS cannot be set up.
    #[error("cannot speak to the key management service")]
    Tls(#[source] ConnectError),
}

impl Config {
    /// The keys of a file, if there is one, and of the external service, if one is set. It is not spoken to yet.
    pub async fn keys(&self, env: &Env, ring: Option<Arc<Keyring>>) -> Result<Arc<Keys>, ConfigError> {
        let external = match &self.kms_endpoint {
            Some(text) => Some(self.external(env, text).await?),
            None => None,
        };
        let life = Duration::from_secs(self.kms_cache_seconds);
        Ok(Arc::new(Keys::new(env.clone(), ring, external, life)))
    }

    async fn external(&self, env: &Env, text: &str) -> Result<External, ConfigError> {
        let endpoint = Endpoint::parse(text)
            .map_err(|reason| ConfigError::Endpoint { text: text.to_owned(), reason })?;
        if !endpoint.is_secure() && !is_loopback(endpoint.host_name()) {
            return Err(ConfigError::Plain { text: text.to_owned() });
        }
        let token = self.kms_token_file.clone().ok_or(ConfigError::TokenMissing)?;
        let mount = self.kms_mount.trim_matches('/').to_owned();
        for (setting, text, others) in
            [("--kms-mount", &mount, "-_./"), ("--kms-default-key", &self.kms_default_key, "-_.")]
        {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
            let is_path = text.split('/').all(|name| !name.is_empty() && !name.starts_with('.'));
            if !is_path || !text.chars().all(is_plain) {
                return Err(ConfigError::Name { setting, text: text.clone() });
            }
        }
        let kms = Transit::new(env, endpoint, self.kms_ca.as_deref(), mount, token).await;
        let kms = Arc::new(kms.map_err(ConfigError::Tls)?);
        Ok(External { kms, default_key: self.kms_default_key.clone() })
    }
}
