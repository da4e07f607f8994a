//! What clients of IAM and STS are told when a call is refused. IAM API Reference and AWS STS API Reference, "Common errors",
//! and the section "Errors" of each action.

use http::StatusCode;
use metadata_api::Error as MetadataError;
use policy::{Decision, Malformed};
use s3_wire::S3Error;

use super::Service;
use crate::{
    auth::{Authenticated, Refused, User, reason},
    identity::Unchanged,
};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IamError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What was decided, if it was refused by that, and on which action.
    pub(crate) why: Option<(&'static str, Decision)>,
}

impl IamError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), why: None }
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    pub(super) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidInput", message)
    }

    /// What STS calls a value that other values of the call, or of the session that it is sent in, do not let be.
    pub(super) fn invalid_parameter_value(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameterValue", message)
    }

    pub(super) fn no_such(what: &str, name: &str) -> Self {
        Self::no_such_entity(format!("The {what} with name {name} cannot be found."))
    }

    pub(super) fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchEntity", message)
    }

    pub(super) fn exists(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "EntityAlreadyExists", message)
    }

    pub(super) fn delete_conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "DeleteConflict", message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "LimitExceeded", message)
    }

    pub(super) fn malformed_policy(error: Malformed) -> Self {
        let message = match error.detail {
            Some(detail) if !error.message.contains(&detail) => format!("{} ({detail})", error.message),
            _ => error.message,
        };
        Self::new(StatusCode::BAD_REQUEST, "MalformedPolicyDocument", message)
    }

    pub(super) fn too_long_policy(message: impl Into<String>) -> Self {
        Self::limit(message)
    }

    pub(super) fn missing_action() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MissingAction", "The request names no action.")
    }

    pub(super) fn no_such_version(action: &str, version: Option<&str>) -> Self {
        let version = version.unwrap_or("NO_VERSION_SPECIFIED");
        let message = format!("Could not find operation {action} for version {version}");
        Self::new(StatusCode::BAD_REQUEST, "InvalidAction", message)
    }

    /// Nothing of the kind is built.
    pub(super) fn no_such_action(action: &str, service: Service) -> Self {
        Self::no_such_version(action, Some(service.version()))
    }

    pub(super) fn wrong_digest() -> Self {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        Self::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
    }

    pub(super) fn denied(
        authenticated: &Authenticated,
        action: &'static str,
        resource: &str,
        why: Decision,
    ) -> Self {
        let root = || format!("arn:aws:iam::{}:root", authenticated.own_account().number());
        let user = authenticated.user().map_or_else(root, User::arn);
        let reason = reason(action, why);
        let message =
            format!("User: {user} is not authorized to perform: {action} on resource: {resource} {reason}");
        Self { why: Some((action, why)), ..Self::new(StatusCode::FORBIDDEN, "AccessDenied", message) }
    }

    /// The same of something of another account, of which nothing is told.
    pub(super) fn denied_elsewhere(
        authenticated: &Authenticated,
        action: &'static str,
        resource: &str,
        why: Decision,
    ) -> Self {
        let user = authenticated.user().map(User::arn).unwrap_or_default();
        let message = format!("User: {user} is not authorized to perform: {action} on resource: {resource}");
        Self { why: Some((action, why)), ..Self::new(StatusCode::FORBIDDEN, "AccessDenied", message) }
    }

    /// What nobody can be allowed.
    pub(super) fn never(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    /// Whoever asks is told nothing of the role, nor of what its policy says.
    pub(super) fn web_identity_denied(action: &'static str, why: Decision) -> Self {
        let message = format!("Not authorized to perform {action}");
        Self { why: Some((action, why)), ..Self::new(StatusCode::FORBIDDEN, "AccessDenied", message) }
    }

    /// A token that is none, or that nobody has signed whose word is taken.
    pub(super) fn invalid_identity_token(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidIdentityToken", message)
    }

    pub(super) fn expired_identity_token(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ExpiredTokenException", message)
    }

    /// A token whose claims hold, but not now or not here.
    pub(super) fn idp_rejected_claim(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "IDPRejectedClaim", message)
    }

    pub(super) fn idp_communication() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "IDPCommunicationError",
            "The request could not be fulfilled because the identity provider that has to prove the token could not be reached, or did not tell its keys. Retry the request after a while.",
        )
    }

    /// Temporary credentials that the service does not take.
    pub(super) fn not_taken() -> Self {
        let message = "The security token included in the request is invalid";
        Self::new(StatusCode::FORBIDDEN, "InvalidClientTokenId", message)
    }

    pub(super) fn packed_policy_too_large() -> Self {
        let message = "Packed policy consumes more than its quota, please use smaller policies.";
        Self::new(StatusCode::BAD_REQUEST, "PackedPolicyTooLarge", message)
    }

    pub(super) fn unsealed() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            "Access keys and sessions cannot be made: the metadata services have no key to seal their secrets with. Give them one with --identity-key (ASHLAR_IDENTITY_KEY).",
        )
    }

    /// The name of the code is AWS's, for what cannot be changed yet.
    pub(super) fn unread() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "EntityTemporarilyUnmodifiable",
            "The account has records that this gateway cannot read, which would be lost by this. Its log names them. Use a gateway that can, or delete them: access keys first, then users, groups and policies.",
        )
    }

    pub(super) fn too_busy() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "ConcurrentModification",
            "The account was changed by too many others at the same time. Submit the request again.",
        )
    }

    /// Whoever asks is over their rate.
    pub(super) fn throttled() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded")
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServiceFailure",
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }

    fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The request has failed due to a temporary failure of the server.",
        )
    }

    pub(super) fn from_metadata(error: MetadataError) -> Self {
        tracing::warn!(%error, "what there is of the account cannot be read or changed");
        match error {
            MetadataError::Unavailable { .. } | MetadataError::TimedOut => Self::unavailable(),
            _ => Self::internal(),
        }
    }

    pub(super) fn from_refused(refused: Refused) -> Self {
        use sigv4::Error;
        let forbidden = |code, message: String| Self::new(StatusCode::FORBIDDEN, code, message);
        match refused {
            Refused::Anonymous => {
                forbidden("MissingAuthenticationToken", "Request is missing Authentication Token".to_owned())
            }
            Refused::Unknown => forbidden(
                "InvalidClientTokenId",
                "The security token included in the request is invalid.".to_owned(),
            ),
            Refused::Expired => {
                forbidden("ExpiredToken", "The security token included in the request is expired".to_owned())
            }
            Refused::Other(error) => from_s3(&error),
            Refused::Signature(error) => match *error {
                Error::SignatureDoesNotMatch(_) => forbidden(
                    "SignatureDoesNotMatch",
                    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.".to_owned(),
                ),
                error @ (Error::RequestTimeTooSkewed { .. }
                | Error::RequestExpired { .. }
                | Error::RequestNotYetValid { .. }) => {
                    forbidden("SignatureDoesNotMatch", format!("Signature expired or not yet current: {error}"))
                }
                Error::HeaderMalformed(problem) if problem.expected_region().is_some() => {
                    let message = format!("Credential should be scoped to a valid region. ({problem})");
                    forbidden("SignatureDoesNotMatch", message)
                }
                Error::HeaderMalformed(problem @ sigv4::Malformed::Service { .. }) => {
                    let message = format!("Credential should be scoped to correct service. ({problem})");
                    forbidden("SignatureDoesNotMatch", message)
                }
                error => Self::new(StatusCode::BAD_REQUEST, "IncompleteSignature", error.to_string()),
            },
        }
    }
}

impl From<Unchanged<IamError>> for IamError {
    fn from(why: Unchanged<IamError>) -> Self {
        match why {
            Unchanged::Refused(error) => error,
            Unchanged::Closed => Self::from_refused(Refused::Unknown),
            Unchanged::Unread => Self::unread(),
            Unchanged::Unsealed => Self::unsealed(),
            Unchanged::TooBusy => Self::too_busy(),
            Unchanged::Failed(error) => Self::from_metadata(error),
        }
    }
}

/// What an error of S3 is called here.
pub(super) fn from_s3(error: &S3Error) -> IamError {
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        IamError::unavailable()
    } else if error.status().is_server_error() {
        IamError::internal()
    } else {
        IamError::validation("The request cannot be read.")
    }
}
