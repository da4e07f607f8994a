//! What a request says of itself, before it is believed.

use http::HeaderName;

use crate::{
    EXPIRES_MAX_SECONDS, SERVICE, SKEW_MAX_SECONDS,
    error::{Error, Malformed},
    parameter,
    payload::Payload,
    scope::{RequestTime, Scope},
};

/// The way a request authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// No credentials. The payload's form is never one of signed chunks, and nothing vouches for it.
    Anonymous {
        /// The body's form: [`Payload::Unsigned`] where no header says.
        payload: Payload,
    },
    /// Credentials, to be verified.
    Signed(Box<Claim>),
}

/// Where the credentials stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned URL.
    Presigned {
        /// The URL's life in seconds, 1 to 604,800.
        lifetime_seconds: u32,
    },
    /// In the fields of a form.
    Form,
}

/// A signed request's claim: read and consistent, but not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub(crate) access_key_id: String,
    pub(crate) session_token: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) time: RequestTime,
    pub(crate) mechanism: Mechanism,
    pub(crate) signed_headers: Vec<HeaderName>,
    pub(crate) payload: Payload,
    /// The payload's form as it was signed: hexadecimal digits may be of either case.
    pub(crate) payload_text: String,
    pub(crate) signature: String,
}

impl Claim {
    /// Whose key to look up.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The token that came with temporary credentials; covered by the signature.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// The day, region and service to derive the key for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it was signed, in seconds since 1970.
    pub fn time_seconds(&self) -> i64 {
        self.time.seconds()
    }

    /// Where the credentials stood.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The signed headers' names, sorted.
    pub fn signed_headers(&self) -> &[HeaderName] {
        &self.signed_headers
    }

    /// The body's form.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Checks all that needs no key: the time against ours, the scope against the request's day, S3 and our region.
    ///
    /// [`crate::verify`] calls it again; a gateway calls it first to spare the look-up of a key that cannot help.
    pub fn admit(&self, now_seconds: i64, region: &str) -> Result<(), Error> {
        self.admit_to(SERVICE, now_seconds, &[region])
    }

    /// The same for another service than S3, which may answer for several regions.
    pub fn admit_to(&self, service: &str, now_seconds: i64, regions: &[&str]) -> Result<(), Error> {
        self.check_time(now_seconds)?;
        self.scope.check(&self.time, service, regions).map_err(|problem| self.malformed_credential(problem))
    }

    fn check_time(&self, server_seconds: i64) -> Result<(), Error> {
        let request_seconds = self.time.seconds();
        let early = request_seconds.saturating_sub(server_seconds) > SKEW_MAX_SECONDS;
        let lifetime_seconds = match self.mechanism {
            Mechanism::Header => {
                let late = server_seconds.saturating_sub(request_seconds) > SKEW_MAX_SECONDS;
                let skewed = early || late;
                let error = Error::RequestTimeTooSkewed { request_seconds, server_seconds };
                return if skewed { Err(error) } else { Ok(()) };
            }
            Mechanism::Presigned { lifetime_seconds } => lifetime_seconds,
            // How long a form is good its policy says. The key that signed it is good for so long.
            Mechanism::Form => EXPIRES_MAX_SECONDS,
        };
        let expires_seconds = request_seconds.saturating_add(i64::from(lifetime_seconds));
        if early {
            return Err(Error::RequestNotYetValid { request_seconds, server_seconds });
        }
        if server_seconds > expires_seconds {
            return Err(Error::RequestExpired { lifetime_seconds, expires_seconds, server_seconds });
        }
        Ok(())
    }

    fn malformed_credential(&self, problem: Malformed) -> Error {
        match self.mechanism {
            Mechanism::Header => Error::HeaderMalformed(problem),
            Mechanism::Presigned { .. } => {
                Error::QueryParameter { parameter: parameter::CREDENTIAL, problem }
            }
            Mechanism::Form => Error::FormField { field: parameter::CREDENTIAL, problem },
        }
    }
}
