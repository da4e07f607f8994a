//! Who is calling: the signature of a request, checked before anything else is done with it.

use std::sync::Arc;

use metadata_api::{AccountId, Error as MetadataError};
use s3_wire::{
    ErrorCode, S3Error,
    date::{http_date, xml_date},
    form::Fields,
};
use sigv4::{
    Authentication, Claim, FormSignature, Mechanism, Payload, RequestView, Scope, SigningKey, Verified,
    Version2Claim,
};
use types::Timestamp;

use super::Credentials;
use crate::{
    Gateway,
    error::{from_metadata, unavailable},
    identity::{Directory, Federator, Holder, KnownKey, Opened, OpenedSession, Session, Subject},
};

/// A request's sender, as far as the request proves one. Made in this file alone.
#[derive(Debug)]
pub(crate) struct Authenticated {
    account: Option<AccountId>,
    user: Option<User>,
    payload: Payload,
    verified: Option<Verified>,
    signature: Option<Signature>,
}

/// A user, somebody in a role or a federated user, and the account as it was read after the request began.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) directory: Arc<Directory>,
    /// The user, or the role; of a federated user whose it is. Where that is the root user it is nobody, without any policy.
    pub(crate) holder: Arc<Holder>,
    /// The session, of a role and of a federated user always; of a user that signs with a key of its own there is none.
    pub(crate) session: Option<Arc<Session>>,
}

impl User {
    /// The name of the session, of somebody in a role.
    pub(crate) fn role_session(&self) -> Option<&str> {
        match &self.session.as_ref()?.subject {
            Subject::Role { id: _, session } => Some(session),
            Subject::User { .. } | Subject::Federated { .. } => None,
        }
    }

    /// What a federated user is called, and whose it is.
    pub(crate) fn federated(&self) -> Option<(&str, &Federator)> {
        match &self.session.as_ref()?.subject {
            Subject::Federated { of, name } => Some((name, of)),
            Subject::Role { .. } | Subject::User { .. } => None,
        }
    }

    /// Whether it is a federated user of the root user, which has no policies of its own.
    pub(crate) fn is_of_root(&self) -> bool {
        matches!(self.federated(), Some((_, Federator::Root { .. })))
    }

    /// In a role it is the session's. IAM User Guide, "AWS JSON policy elements: Principal", "Role session principals".
    pub(crate) fn arn(&self) -> String {
        if let Some((name, _)) = self.federated() {
            return federated_arn(self.directory.account(), name);
        }
        let account = self.directory.account().number();
        match self.role_session() {
            Some(session) => format!("arn:aws:sts::{account}:assumed-role/{}/{session}", self.holder.name),
            None => format!("arn:aws:iam::{account}:user/{}", self.holder.full_name()),
        }
    }

    /// `aws:userid`.
    pub(crate) fn id(&self) -> String {
        if let Some((name, _)) = self.federated() {
            return format!("{}:{name}", self.directory.account().number());
        }
        match self.role_session() {
            Some(session) => format!("{}:{session}", self.holder.id),
            None => self.holder.id.clone(),
        }
    }

    /// What it is in the account as it was read later; `None` when it is not there any more.
    pub(crate) fn holder_in<'a>(&self, directory: &'a Directory) -> Option<&'a Arc<Holder>> {
        match &self.session {
            Some(session) => session.holder(directory),
            None => directory.users.values().find(|holder| holder.id == self.holder.id),
        }
    }
}

/// The ARN of a federated user of an account.
pub(crate) fn federated_arn(account: &AccountId, name: &str) -> String {
    format!("arn:aws:sts::{}:federated-user/{name}", account.number())
}

/// Whose an access key is, and the key that its signatures of a scope are made with.
struct Sender {
    account: AccountId,
    user: Option<User>,
    key: Arc<SigningKey>,
}

/// What policies can ask of a signature. Source: Amazon S3 API Reference, "Amazon S3 Signature Version 4 Authentication
/// Specific Policy Keys".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature {
    /// `s3:signatureversion`.
    pub(crate) version: &'static str,
    /// `s3:authType`.
    pub(crate) kind: &'static str,
    /// When it was made, in seconds since 1970, as it says itself.
    pub(crate) time_seconds: Option<i64>,
}

const IN_HEADER: &str = "REST-HEADER";
const IN_QUERY: &str = "REST-QUERY-STRING";
const IN_FORM: &str = "POST";

impl Signature {
    fn version_2(kind: &'static str) -> Self {
        Self { version: "AWS", kind, time_seconds: None }
    }
}

impl From<&Claim> for Signature {
    fn from(claim: &Claim) -> Self {
        let kind = match claim.mechanism() {
            Mechanism::Header => IN_HEADER,
            Mechanism::Presigned { .. } => IN_QUERY,
            Mechanism::Form => IN_FORM,
        };
        Self { version: "AWS4-HMAC-SHA256", kind, time_seconds: Some(claim.time_seconds()) }
    }
}

impl Authenticated {
    /// A sender who proves nothing, as those who visit a website do not.
    pub(crate) fn nobody() -> Self {
        Self { account: None, user: None, payload: Payload::Unsigned, verified: None, signature: None }
    }

    fn verified(sender: Sender, payload: Payload, verified: Verified) -> Self {
        let signature = Some(Signature::from(verified.claim()));
        let Sender { account, user, key: _ } = sender;
        Self { account: Some(account), user, payload, verified: Some(verified), signature }
    }

    /// The sender's account; `None` for a request without credentials.
    pub(crate) fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// The user of the account that sends it; `None` for the root user.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// The account, of a sender who has proved one.
    pub(crate) fn own_account(&self) -> AccountId {
        self.account.clone().unwrap_or_else(AccountId::root)
    }

    /// The access key that it was signed with, by version 4.
    pub(crate) fn access_key_id(&self) -> Option<&str> {
        self.verified.as_ref().map(Verified::access_key_id)
    }

    /// How access logs name the sender: a user or a session by its ARN, the root user by the account's canonical id. Source: Amazon S3 User
    /// Guide, "Amazon S3 server access log format", the field Requester.
    pub(crate) fn requester(&self) -> Option<String> {
        let account = || self.account.as_ref().map(|account| account.0.clone());
        self.user.as_ref().map(User::arn).or_else(account)
    }

    /// Its signature, if it has one.
    pub(crate) fn signature(&self) -> Option<Signature> {
        self.signature
    }

    /// How the request says that its body is secured.
    pub(crate) fn payload(&self) -> Payload {
        self.payload
    }

    /// The verifier of the body's chunk signatures, for the payload forms that have them.
    pub(crate) fn chunk_verifier(&self) -> Option<sigv4::ChunkVerifier> {
        self.verified.as_ref().and_then(Verified::chunk_verifier)
    }
}

/// That signatures of version 2 are taken too, and what they need to know of a request beside its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version2<'a> {
    /// The bucket that the `Host` header names.
    pub(crate) bucket_in_host: Option<&'a str>,
}

/// Checks a request's signature. Without `version_2` signatures of that version are refused.
pub(crate) async fn authenticate(
    gateway: &Gateway,
    view: &RequestView<'_>,
    version_2: Option<Version2<'_>>,
) -> Result<Authenticated, S3Error> {
    let now = Timestamp(gateway.env.wall_clock_ms()).seconds();
    let claim = match (sigv4::parse(view), version_2) {
        (Err(sigv4::Error::SignatureVersion2), Some(version_2)) => {
            return authenticate_version_2(&gateway.credentials, view, now, version_2);
        }
        (Err(error), _) => return Err(refusal(error)),
        (Ok(Authentication::Anonymous { payload }), _) => {
            return Ok(Authenticated { payload, ..Authenticated::nobody() });
        }
        (Ok(Authentication::Signed(claim)), _) => claim,
    };
    let refused = |error| refusal_of(view, ["x-amz-date", "date"], error);
    claim.admit(now, &gateway.region).map_err(refused)?;
    let sender = sender(gateway, &claim).await?;
    let verified = sigv4::verify(*claim, view, &sender.key, now, &gateway.region).map_err(refused)?;
    Ok(Authenticated::verified(sender, verified.payload(), verified))
}

/// Checks the signature of a request to another service than S3, whose body has the digest that its head is told with.
pub(crate) async fn authenticate_call(
    gateway: &Gateway,
    view: &RequestView<'_>,
    service: &str,
    regions: &[&str],
) -> Result<Authenticated, Refused> {
    let now = Timestamp(gateway.env.wall_clock_ms()).seconds();
    let claim = match sigv4::parse(view).map_err(|error| Refused::Signature(Box::new(error)))? {
        Authentication::Anonymous { .. } => return Err(Refused::Anonymous),
        Authentication::Signed(claim) => claim,
    };
    let refused = |error| Refused::Signature(Box::new(error));
    claim.admit_to(service, now, regions).map_err(refused)?;
    let sender = sender(gateway, &claim).await.map_err(|error| match error.code {
        ErrorCode::InvalidAccessKeyId | ErrorCode::InvalidToken => Refused::Unknown,
        ErrorCode::ExpiredToken => Refused::Expired,
        _ => Refused::Other(Box::new(error)),
    })?;
    let verified = sigv4::verify_to(service, *claim, view, &sender.key, now, regions).map_err(refused)?;
    Ok(Authenticated::verified(sender, verified.payload(), verified))
}

/// Why the sender of a request to another service than S3 is not known.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It has no credentials.
    Anonymous,
    /// There is no such access key, or it cannot be used.
    Unknown,
    /// Its session has ended.
    Expired,
    /// The signature is not right.
    Signature(Box<sigv4::Error>),
    /// It cannot be found out now.
    Other(Box<S3Error>),
}

fn authenticate_version_2(
    credentials: &Credentials,
    view: &RequestView<'_>,
    now: i64,
    Version2 { bucket_in_host }: Version2<'_>,
) -> Result<Authenticated, S3Error> {
    let claim = Version2Claim::parse(view).map_err(refusal)?;
    let Some((account, secret)) = credentials.secret(claim.access_key_id()) else {
        return Err(no_such_key(claim.access_key_id()));
    };
    if view.headers.contains_key("x-amz-security-token") {
        return Err(S3Error::new(ErrorCode::InvalidToken));
    }
    let refused = |error| refusal_of(view, ["date", "x-amz-date"], error);
    claim.verify(view, bucket_in_host, secret, now).map_err(refused)?;
    let is_in_header = view.headers.contains_key(http::header::AUTHORIZATION);
    let signature = Signature::version_2(if is_in_header { IN_HEADER } else { IN_QUERY });
    let (account, payload) = (Some(account), claim.payload());
    Ok(Authenticated { account, user: None, payload, verified: None, signature: Some(signature) })
}

/// Checks the signature of a form of version 2.
fn authenticate_form_version_2(
    credentials: &Credentials,
    fields: &Fields,
    policy: &str,
) -> Result<Authenticated, S3Error> {
    let (access_key_id, signature) = (fields.required("awsaccesskeyid")?, fields.required("signature")?);
    let Some((account, secret)) = credentials.secret(access_key_id) else {
        return Err(no_such_key(access_key_id));
    };
    if fields.get("x-amz-security-token").is_some() {
        return Err(S3Error::new(ErrorCode::InvalidToken));
    }
    if !sigv4::verifies_form_version_2(secret, policy, signature) {
        return Err(S3Error::new(ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", access_key_id)
            .field("StringToSign", policy)
            .field("SignatureProvided", signature));
    }
    let (account, signature) = (Some(account), Some(Signature::version_2(IN_FORM)));
    Ok(Authenticated { account, user: None, payload: Payload::Unsigned, verified: None, signature })
}

fn no_such_key(access_key_id: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", access_key_id)
}

/// Checks the signature of a form by its fields. One without a policy proves nobody.
pub(crate) async fn authenticate_form(gateway: &Gateway, fields: &Fields) -> Result<Authenticated, S3Error> {
    let Some(policy) = fields.get("policy") else {
        return Ok(Authenticated::nobody());
    };
    if fields.get("x-amz-signature").is_none() && fields.get("awsaccesskeyid").is_some() {
        return if gateway.signature_v2 {
            authenticate_form_version_2(&gateway.credentials, fields, policy)
        } else {
            Err(refusal(sigv4::Error::SignatureVersion2))
        };
    }
    let signature = FormSignature {
        policy,
        algorithm: fields.required("x-amz-algorithm")?,
        credential: fields.required("x-amz-credential")?,
        date: fields.required("x-amz-date")?,
        signature: fields.required("x-amz-signature")?,
        session_token: fields.get("x-amz-security-token"),
    };
    let now = Timestamp(gateway.env.wall_clock_ms()).seconds();
    let claim = signature.parse().map_err(refusal)?;
    claim.admit(now, &gateway.region).map_err(refusal)?;
    let sender = sender(gateway, &claim).await?;
    let verified = sigv4::verify_form(claim, policy, &sender.key, now, &gateway.region).map_err(refusal)?;
    Ok(Authenticated::verified(sender, Payload::Unsigned, verified))
}

/// Who sends what claims to be so, if it can be: whoever calls this has seen that time and scope are such that a key is worth
/// deriving. What there is of a user is read anew, so that a key is of no use from the answer on that it was taken away with.
async fn sender(gateway: &Gateway, claim: &Claim) -> Result<Sender, S3Error> {
    let (id, scope) = (claim.access_key_id(), claim.scope());
    let unknown = || no_such_key(id);
    if let Some(token) = claim.session_token().filter(|_| gateway.credentials.account(id).is_none())
        && is_key("ASIA", id)
    {
        return session_sender(gateway, (id, token), scope).await;
    }
    let sender = if let Some(account) = gateway.credentials.account(id) {
        Sender { account, user: None, key: gateway.credentials.signing_key(scope) }
    } else {
        if !is_key("AKIA", id) {
            return Err(unknown());
        }
        let metadata = &*gateway.metadata;
        // Whose it is is known by its key; what it may is as the account is after that.
        let known = gateway.identities.signing_key(metadata, id, scope).await.map_err(unread)?;
        let KnownKey { account, key } = known.ok_or_else(unknown)?;
        let directory = gateway.identities.read(metadata, &account).await.map_err(unread)?;
        let directory = Some(directory).filter(|directory| directory.is_active()).ok_or_else(unknown)?;
        let user = if directory.has_root_key(id) {
            None
        } else {
            let holder = directory.user_of_key(id).cloned().ok_or_else(unknown)?;
            directory.check_readable().map_err(|_| S3Error::new(ErrorCode::InternalError))?;
            Some(User { directory, holder, session: None })
        };
        Sender { account, user, key }
    };
    if claim.session_token().is_some() {
        return Err(S3Error::new(ErrorCode::InvalidToken));
    }
    Ok(sender)
}

/// The same for temporary credentials. A session is none any more when its role, its user or the user's access key is gone, and
/// one of the root user when that has another name or secret.
async fn session_sender(
    gateway: &Gateway,
    credentials: (&str, &str),
    scope: &Scope,
) -> Result<Sender, S3Error> {
    let (metadata, now) = (&*gateway.metadata, Timestamp(gateway.env.wall_clock_ms()));
    let opened = gateway.identities.open_session(metadata, now, credentials, scope).await;
    let OpenedSession { account, expires: _, session, key } = match opened.map_err(unread)? {
        Opened::Open(opened) => opened,
        Opened::Expired => return Err(S3Error::new(ErrorCode::ExpiredToken)),
        Opened::Invalid => return Err(S3Error::new(ErrorCode::InvalidToken)),
        Opened::Unreadable => {
            tracing::error!("a session of another release cannot be read");
            return Err(S3Error::new(ErrorCode::InternalError));
        }
    };
    let directory = gateway.identities.read(metadata, &account).await.map_err(unread)?;
    if !directory.is_active() {
        return Err(no_such_key(credentials.0));
    }
    directory.check_readable().map_err(|_| S3Error::new(ErrorCode::InternalError))?;
    let holder = match &session.subject {
        Subject::Federated { of: Federator::Root { mark }, name: _ } => {
            let is_marked = match account.is_root() {
                true => *mark == gateway.credentials.mark(),
                false => directory.has_root_mark(mark),
            };
            is_marked.then(|| Arc::new(Holder::of_root(&account)))
        }
        _ => session.holder(&directory).cloned(),
    };
    let holder = holder.ok_or_else(|| no_such_key(credentials.0))?;
    Ok(Sender { account, user: Some(User { directory, holder, session: Some(session) }), key })
}

/// Whether it has the form of the access keys that users have, or that sessions have: nobody else's is looked for. IAM User
/// Guide, "IAM identifiers", the section "Unique identifiers".
fn is_key(prefix: &str, id: &str) -> bool {
    id.len() == 20
        && id.starts_with(prefix)
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// What clients see when it cannot be read who they are.
fn unread(error: MetadataError) -> S3Error {
    match error {
        error @ (MetadataError::Unavailable { .. } | MetadataError::TimedOut) => {
            tracing::warn!(%error, "it cannot be read who sends a request");
            unavailable()
        }
        error => {
            let nowhere =
                s3_wire::address::Address { bucket: None, key: None, style: s3_wire::address::Style::Path };
            from_metadata(error, &nowhere)
        }
    }
}

/// What clients see of each reason to refuse a signature.
fn refusal(error: sigv4::Error) -> S3Error {
    use sigv4::Error;
    let date = |seconds: i64| xml_date(Timestamp(seconds.saturating_mul(1000))).as_str().to_owned();
    match error {
        Error::SeveralMechanisms => several_mechanisms(),
        Error::SignatureVersion2 => S3Error::invalid_request(
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ),
        Error::Version2Malformed => S3Error::invalid_argument(
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            "Authorization",
            "",
        ),
        Error::Version2Parameter(name) => S3Error::invalid_request(format!(
            "The query parameter {name} cannot be signed with signature version 2. Please use AWS4-HMAC-SHA256."
        )),
        Error::Version2Expired { expires_seconds, server_seconds } => {
            S3Error::with_message(ErrorCode::AccessDenied, "Request has expired")
                .field("Expires", date(expires_seconds))
                .field("ServerTime", date(server_seconds))
        }
        Error::UnsupportedMechanism => {
            S3Error::invalid_argument("Unsupported Authorization Type", "Authorization", "")
        }
        Error::HeaderMalformed(problem) => {
            let region = problem.expected_region().map(str::to_owned);
            let error = S3Error::with_message(
                ErrorCode::AuthorizationHeaderMalformed,
                format!("The authorization header is malformed; {problem}"),
            );
            with_region(error, region)
        }
        Error::QueryParameter { parameter, problem } => {
            let region = problem.expected_region().map(str::to_owned);
            let error = S3Error::with_message(
                ErrorCode::AuthorizationQueryParametersError,
                format!("Error parsing the {parameter} parameter; {problem}"),
            );
            with_region(error, region)
        }
        Error::FormField { field, problem } => {
            let region = problem.expected_region().map(str::to_owned);
            let error =
                S3Error::invalid_argument(format!("Error in the field {field}; {problem}"), field, "");
            with_region(error, region)
        }
        Error::DateMissing => S3Error::with_message(
            ErrorCode::AccessDenied,
            "AWS authentication requires a valid Date or x-amz-date header",
        ),
        Error::HeadersNotSigned(names) => S3Error::with_message(
            ErrorCode::AccessDenied,
            "There were headers present in the request which were not signed",
        )
        .field("HeadersNotSigned", names.join(", ")),
        Error::HostAbsent => S3Error::invalid_request("Missing required header for this request: Host"),
        Error::RequestTimeTooSkewed { request_seconds, server_seconds } => {
            S3Error::new(ErrorCode::RequestTimeTooSkewed)
                .field("RequestTime", http_date(Timestamp(request_seconds.saturating_mul(1000))).as_str())
                .field("ServerTime", date(server_seconds))
                .field("MaxAllowedSkewMilliseconds", (sigv4::SKEW_MAX_SECONDS * 1000).to_string())
        }
        Error::RequestNotYetValid { request_seconds: _, server_seconds } => {
            S3Error::with_message(ErrorCode::AccessDenied, "Request is not yet valid")
                .field("ServerTime", date(server_seconds))
        }
        Error::RequestExpired { lifetime_seconds, expires_seconds, server_seconds } => {
            S3Error::with_message(ErrorCode::AccessDenied, "Request has expired")
                .field("X-Amz-Expires", lifetime_seconds.to_string())
                .field("Expires", date(expires_seconds))
                .field("ServerTime", date(server_seconds))
        }
        Error::ContentSha256Missing => {
            S3Error::invalid_request("Missing required header for this request: x-amz-content-sha256")
        }
        Error::ContentSha256Invalid { value } => S3Error::invalid_argument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            "x-amz-content-sha256",
            &value,
        ),
        Error::StreamingNotAllowed => S3Error::invalid_request(
            "This form of x-amz-content-sha256 is not allowed with this kind of authentication",
        ),
        Error::SignatureDoesNotMatch(mismatch) => {
            let error = S3Error::new(ErrorCode::SignatureDoesNotMatch)
                .field("AWSAccessKeyId", mismatch.access_key_id)
                .field("StringToSign", without_keys(&mismatch.string_to_sign))
                .field("SignatureProvided", mismatch.signature_provided);
            match mismatch.canonical_request {
                Some(request) => error.field("CanonicalRequest", without_keys(&request)),
                None => error,
            }
        }
    }
}

/// The same of a request, which reads its time as it sent it, in the first of these headers that it has.
fn refusal_of(view: &RequestView<'_>, dates: [&str; 2], error: sigv4::Error) -> S3Error {
    let mut refused = refusal(error);
    let sent = dates.into_iter().find_map(|name| view.headers.get(name)?.to_str().ok());
    let shown = refused.fields.iter_mut().find(|(name, _)| *name == "RequestTime");
    if let (Some((_, shown)), Some(sent)) = (shown, sent) {
        sent.clone_into(shown);
    }
    refused
}

/// Headers whose values are keys of a client's own, which are shown to nobody, also where they are parameters of a URL.
const CUSTOMER_KEYS: [&str; 2] =
    ["x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key"];

/// What was signed, with the values of such headers taken out.
fn without_keys(signed: &str) -> String {
    let is_key = |name: &str| CUSTOMER_KEYS.iter().any(|known| name.eq_ignore_ascii_case(known));
    let shown = |line: &str| match line.split_once(':') {
        Some((name, _)) if is_key(name.trim()) => format!("{name}:REDACTED"),
        _ => {
            let parameter = |part: &str| match part.split_once('=') {
                Some((name, _)) if is_key(name.rsplit('?').next().unwrap_or(name)) => {
                    format!("{name}=REDACTED")
                }
                _ => part.to_owned(),
            };
            line.split('&').map(parameter).collect::<Vec<_>>().join("&")
        }
    };
    signed.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// Who sends a request can be said in one way only.
pub(crate) fn several_mechanisms() -> S3Error {
    S3Error::invalid_argument(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
        "Authorization",
        "",
    )
}

fn with_region(error: S3Error, region: Option<String>) -> S3Error {
    match region {
        Some(region) => error.field("Region", region),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::without_keys;

    #[test]
    fn keys_of_clients_are_taken_out_of_what_was_signed() {
        let name = "x-amz-server-side-encryption-customer-key";
        for (signed, shown) in [
            ("PUT\n/b/k\n\nhost:h\n", "PUT\n/b/k\n\nhost:h\n"),
            (&format!("{name}:c2VzYW1l\n{name}-md5:bWQ1\n"), &format!("{name}:REDACTED\n{name}-md5:bWQ1\n")),
            (
                "a=b&X-Amz-Server-Side-Encryption-Customer-Key=c2VzYW1l&z=",
                "a=b&X-Amz-Server-Side-Encryption-Customer-Key=REDACTED&z=",
            ),
            (
                "/b/k?x-amz-copy-source-server-side-encryption-customer-key=c2VzYW1l",
                "/b/k?x-amz-copy-source-server-side-encryption-customer-key=REDACTED",
            ),
        ] {
            assert_eq!(without_keys(signed), shown);
        }
    }
}
