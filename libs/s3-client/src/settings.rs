//! The part of a command line that says as whom to speak to a server, and how.

use std::{path::PathBuf, time::Duration};

use env::Env;
use sigv4::Credentials;

use crate::{Access, ConnectError, Endpoint, tls, tls::Trust};

const REGION_DEFAULT: &str = "us-east-1";
/// Time for an answer, beside a second for each MiB: far slower than any server that works.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials, region and trust, as the command line and the environment give them.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectArgs {
    /// Access key id.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true)]
    access_key: Option<String>,
    /// Secret access key. The environment is the safer place: a command line can be seen by other users.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    secret_key: Option<String>,
    /// Token that goes with temporary credentials.
    #[arg(long, env = "AWS_SESSION_TOKEN", hide_env_values = true)]
    session_token: Option<String>,
    /// Region to sign for.
    #[arg(long, env = "AWS_REGION", hide_env_values = true, default_value = REGION_DEFAULT)]
    region: String,
    /// File of certificates (PEM) of the authorities to trust for HTTPS [default: the system's].
    #[arg(long, env = "AWS_CA_BUNDLE", hide_env_values = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Accept any certificate. For test servers.
    #[arg(long)]
    insecure: bool,
    /// Sign the SHA-256 of each body instead of UNSIGNED-PAYLOAD.
    #[arg(long)]
    signed_payload: bool,
}

/// [`ConnectArgs`] once they have been checked.
#[derive(Debug, Clone)]
pub struct Connect {
    /// As whom to speak.
    pub credentials: Credentials,
    /// The region to sign for.
    pub region: String,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether the SHA-256 of bodies is signed.
    pub signed_payload: bool,
    /// Time for an answer, beside a second for each MiB.
    pub answer_timeout: Duration,
}

impl ConnectArgs {
    /// Checks everything that can be checked without the server.
    pub fn check(self) -> Result<Connect, ConnectError> {
        let given = |key: Option<String>| key.filter(|key| !key.is_empty());
        let credentials = Credentials {
            access_key_id: given(self.access_key).ok_or(ConnectError::CredentialsMissing)?,
            secret_access_key: given(self.secret_key).ok_or(ConnectError::CredentialsMissing)?,
            session_token: given(self.session_token),
        };
        let trust = match self.ca {
            _ if self.insecure => Trust::Anyone,
            Some(file) if !file.as_os_str().is_empty() => Trust::File(file),
            Some(_) | None => Trust::System,
        };
        Ok(Connect {
            trust,
            signed_payload: self.signed_payload,
            // A variable that is set to nothing counts as not set.
            region: if self.region.is_empty() { REGION_DEFAULT.to_owned() } else { self.region },
            ..Connect::new(credentials)
        })
    }
}

impl Connect {
    /// These credentials and defaults for the rest.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            region: REGION_DEFAULT.to_owned(),
            trust: Trust::System,
            signed_payload: false,
            answer_timeout: ANSWER_TIMEOUT,
        }
    }

    /// What clients of `endpoint` need.
    pub async fn access(&self, env: &Env, endpoint: Endpoint) -> Result<Access, ConnectError> {
        let tls = tls::of_endpoint(env, &endpoint, &self.trust).await?;
        Ok(Access {
            env: env.clone(),
            endpoint,
            tls,
            credentials: self.credentials.clone(),
            region: self.region.clone(),
            service: "s3",
            sign_payload: self.signed_payload,
            answer_timeout: self.answer_timeout,
        })
    }
}

/// The endpoint that was given.
pub fn endpoint(text: Option<&str>) -> Result<Endpoint, ConnectError> {
    let text = text.filter(|text| !text.is_empty()).ok_or(ConnectError::EndpointMissing)?;
    Endpoint::parse(text).map_err(|reason| ConnectError::Endpoint { text: text.to_owned(), reason })
}
