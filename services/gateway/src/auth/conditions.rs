//! What a request has for the condition keys of policies. Service Authorization Reference, "Actions, resources, and condition
//! keys for Amazon S3"; IAM User Guide, "AWS global condition context keys".

use std::{borrow::Cow, net::IpAddr};

use metadata_api::{AccountId, Error as MetadataError, GetVersion, VersionState};
use policy::{Context, Principal};
use s3_wire::{
    Operation, S3Error,
    date::{parse_iso_date, xml_date},
    header::{Directive, copy_source, tagging_directive, tags},
};
use sigv4::Payload;
use types::{EncryptionScheme, Retention, Timestamp};

use super::{Authenticated, User};
use crate::{
    Gateway,
    encryption::key_for_policies,
    identity::{Holder, Session, WebIdentity, provider_arn},
    operation::upload_id,
    request::Request,
};

/// What the first of them has for SSE-KMS.
const BY_KMS: &str = "aws:kms";

const DAY_MS: i64 = 86_400_000;

/// Keys on what list what is written gets.
pub(super) const OF_LISTS: [&str; 6] = [
    "s3:x-amz-acl",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
];

/// Headers that are a key's value as they are.
const HEADERS: [(&str, &str); 15] = [
    ("user-agent", "aws:UserAgent"),
    ("referer", "aws:Referer"),
    ("if-match", "s3:if-match"),
    ("if-none-match", "s3:if-none-match"),
    ("x-amz-acl", OF_LISTS[0]),
    ("x-amz-grant-full-control", OF_LISTS[1]),
    ("x-amz-grant-read", OF_LISTS[2]),
    ("x-amz-grant-read-acp", OF_LISTS[3]),
    ("x-amz-grant-write", OF_LISTS[4]),
    ("x-amz-grant-write-acp", OF_LISTS[5]),
    ("x-amz-object-ownership", "s3:x-amz-object-ownership"),
    ("x-amz-server-side-encryption", ENCRYPTION),
    ("x-amz-server-side-encryption-customer-algorithm", ENCRYPTION_BY_CUSTOMER),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
    ("x-amz-website-redirect-location", "s3:x-amz-website-redirect-location"),
];

/// The keys on how an object is encrypted. Those of what belongs to an upload are as the upload was begun.
const ENCRYPTION: &str = "s3:x-amz-server-side-encryption";
const ENCRYPTION_KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
const ENCRYPTION_BY_CUSTOMER: &str = "s3:x-amz-server-side-encryption-customer-algorithm";

/// Parameters that are.
const PARAMETERS: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

/// Most bytes of a value that policies are compared with: as many as a pattern has. None is cut off, as what denies might then not
/// match.
const VALUE_LENGTH_MAX: usize = 2048;

/// The same of a header with grants, of which a list may have a hundred.
const GRANTS_LENGTH_MAX: usize = 8192;

/// Everything that a request's head says, and where it comes from. `InvalidRequest` for what is too long to be compared.
pub(super) fn of_request(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    principal: &Principal,
    owner: &AccountId,
) -> Result<Context, S3Error> {
    let now = gateway.env.wall_clock_ms();
    let mut context = circumstances(gateway, now, request.peer);
    context.add_some("s3:TlsVersion", request.tls.and_then(|tls| tls.version.strip_prefix("TLSv")));
    add_owner(&mut context, owner);
    add_sender(&mut context, principal, &Known::of(&request.authenticated));
    if let Some(signature) = request.authenticated.signature() {
        context.add("s3:signatureversion", signature.version);
        context.add("s3:authType", signature.kind);
        let age = signature.time_seconds.map(|time| now.saturating_sub(time.saturating_mul(1000)));
        context.add_some("s3:signatureAge", age.map(|age| age.max(0).to_string()));
    }
    for (name, key) in HEADERS {
        let value = request.headers.get(name).map(|value| comparable(name, value.as_bytes())).transpose()?;
        context.add_some(key, value);
    }
    // Whichever way it is named, so that no other way to write it gets past a policy.
    if let Some(key) = request.headers.get("x-amz-server-side-encryption-aws-kms-key-id") {
        let key = comparable("x-amz-server-side-encryption-aws-kms-key-id", key.as_bytes())?;
        context.add(ENCRYPTION_KEY, key_for_policies(gateway, &key));
    }
    context.add("s3:x-amz-content-sha256", payload(request, operation));
    if let Ok(query) = request.query() {
        for (name, key) in PARAMETERS {
            let value = query.get(name).map(|value| comparable(name, value.as_bytes())).transpose()?;
            context.add_some(key, value);
        }
    }
    add_write(&mut context, gateway, request, operation);
    Ok(context)
}

fn comparable<'a>(name: &str, value: &'a [u8]) -> Result<Cow<'a, str>, S3Error> {
    let most = if name.starts_with("x-amz-grant-") { GRANTS_LENGTH_MAX } else { VALUE_LENGTH_MAX };
    if value.len() > most {
        let message =
            format!("The value of {name} is longer than the {most} bytes that policies are compared with.");
        return Err(S3Error::invalid_request(message));
    }
    Ok(String::from_utf8_lossy(value))
}

/// What a call of IAM on something of an account has for condition keys.
pub(super) fn of_call(
    gateway: &Gateway,
    call: &crate::iam::Call<'_>,
    authenticated: &Authenticated,
    principal: &Principal,
    owner: &AccountId,
) -> Context {
    let mut context = circumstances(gateway, gateway.env.wall_clock_ms(), call.peer);
    add_account(&mut context, "aws:ResourceAccount", owner);
    add_sender(&mut context, principal, &Known::of(authenticated));
    for (name, key) in HEADERS.into_iter().filter(|(_, key)| key.starts_with("aws:")) {
        let value = call.headers.get(name);
        context.add_some(key, value.map(|value| String::from_utf8_lossy(value.as_bytes())));
    }
    for (key, value) in call.told {
        context.add(key, value.as_str());
    }
    context
}

/// When and from where a request comes, whatever it asks for.
fn circumstances(gateway: &Gateway, now_ms: i64, peer: Option<IpAddr>) -> Context {
    let mut context = Context::default();
    context.add("aws:CurrentTime", xml_date(Timestamp(now_ms)).as_str());
    context.add("aws:EpochTime", now_ms.div_euclid(1000).to_string());
    context.add("aws:SecureTransport", (gateway.scheme == "https").to_string());
    context.add_some("aws:SourceIp", peer.map(|peer| peer.to_string()));
    // No service sends requests in the name of who asked it for something else.
    context.add("aws:ViaAWSService", "false");
    context
}

/// What is known of a request that was not sent, of somebody of the account or of nobody.
pub(super) fn of_described(gateway: &Gateway, principal: &Principal, holder: Option<&Holder>) -> Context {
    let mut context = circumstances(gateway, gateway.env.wall_clock_ms(), None);
    let id = holder.map(|holder| match principal {
        Principal::Role { session, .. } => format!("{}:{session}", holder.id),
        _ => holder.id.clone(),
    });
    add_sender(&mut context, principal, &Known { holder, id, session: None });
    context
}

/// Whose a bucket is, by which it is asked about by either key.
pub(super) fn add_owner(context: &mut Context, owner: &AccountId) {
    add_account(context, "s3:ResourceAccount", owner);
    add_account(context, "aws:ResourceAccount", owner);
}

fn add_account(context: &mut Context, key: &str, account: &AccountId) {
    context.add(key, account.number().into_owned());
    context.add_alias(key, account.0.as_str());
}

/// What is known of who asks, if it is a user or in a role.
struct Known<'a> {
    holder: Option<&'a Holder>,
    /// `aws:userid`.
    id: Option<String>,
    session: Option<&'a Session>,
}

impl<'a> Known<'a> {
    fn of(authenticated: &'a Authenticated) -> Self {
        let user = authenticated.user();
        Self {
            holder: user.map(|user| &*user.holder),
            id: user.map(User::id),
            session: user.and_then(|user| user.session.as_deref()),
        }
    }
}

/// Accounts are compared by either of their ids, as principals are: policies that were put before accounts had 12 digits have
/// the canonical one.
fn add_sender(context: &mut Context, principal: &Principal, known: &Known<'_>) {
    let kind = match principal {
        Principal::Anonymous | Principal::WebIdentity { .. } => "Anonymous",
        Principal::Root { .. } => "Account",
        Principal::User { .. } => "User",
        Principal::Role { .. } => "AssumedRole",
        Principal::Federated { .. } => "FederatedUser",
        Principal::Service(_) => "Service",
    };
    // Services send no requests: the store delivers what is theirs.
    context.add_some("aws:PrincipalIsAWSService", (*principal != Principal::Anonymous).then_some("false"));
    context.add("aws:PrincipalType", kind);
    context.add_some("aws:PrincipalArn", principal.arn());
    if let Some(account) = principal.account() {
        context.add("aws:PrincipalAccount", account.number.as_str());
        context.add_alias("aws:PrincipalAccount", account.canonical.as_str());
    }
    match principal {
        Principal::Anonymous | Principal::WebIdentity { .. } | Principal::Service(_) => {}
        Principal::Root { account } => {
            context.add_alias("aws:PrincipalArn", format!("arn:aws:iam::{}:root", account.canonical));
            context.add("aws:userid", account.number.as_str());
            context.add_alias("aws:userid", account.canonical.as_str());
        }
        Principal::Role { .. } | Principal::Federated { .. } => {
            context.add_some("aws:userid", known.id.as_deref());
        }
        Principal::User { .. } => {
            context.add_some("aws:username", known.holder.map(|holder| holder.name.as_str()));
            context.add_some("aws:userid", known.id.as_deref());
        }
    }
    for (key, value) in known.holder.iter().flat_map(|holder| &holder.tags) {
        context.add(&format!("aws:PrincipalTag/{key}"), value.as_str());
    }
    // A tag of a session is in the place of one that its user has.
    for (key, value) in known.session.iter().flat_map(|session| &session.tags) {
        context.set(&format!("aws:PrincipalTag/{key}"), Some(value.as_str()));
    }
    let identity = known.session.and_then(|session| session.web_identity.as_ref());
    if let Some(identity) = identity {
        let account = principal.account().map_or_else(String::new, |account| account.number.clone());
        add_web_identity(context, &account, identity);
    }
    // Nobody is asked for a second factor. Keys that last have no word of it, as on AWS.
    let is_temporary = known.session.is_some() || matches!(principal, Principal::Role { .. });
    context.add_some("aws:MultiFactorAuthPresent", is_temporary.then_some("false"));
    let source = known.session.and_then(|session| session.source_identity.as_deref());
    context.add_some("aws:SourceIdentity", source);
    let issued = known.session.map(|session| xml_date(Timestamp(session.issued_ms)).as_str().to_owned());
    context.add_some("aws:TokenIssueTime", issued);
}

/// What a provider of an account, by its number, says of somebody. IAM User Guide, "IAM and AWS STS condition context keys", the section "Available keys for AWS OIDC
/// federation", and "AWS global condition context keys", the key `aws:FederatedProvider`.
pub(crate) fn add_web_identity(context: &mut Context, account: &str, identity: &WebIdentity) {
    let WebIdentity { provider, subject, audiences, other_audiences, methods, email } = identity;
    context.add("aws:FederatedProvider", provider_arn(account, provider));
    context.add(&format!("{provider}:sub"), subject.as_str());
    context.add_some(&format!("{provider}:email"), email.as_deref());
    for (claim, values) in [("aud", audiences), ("oaud", other_audiences), ("amr", methods)] {
        for value in values {
            context.add(&format!("{provider}:{claim}"), value.as_str());
        }
    }
}

/// How the body is secured, as it is and not as a header says: a presigned URL, a form and an old signature have no header that
/// could say it, and their bodies are unsigned.
fn payload(request: &Request, operation: Operation) -> String {
    let unsigned = "UNSIGNED-PAYLOAD".to_owned();
    if operation == Operation::PostObject {
        return unsigned;
    }
    match request.authenticated.payload() {
        Payload::Sha256(digest) => hex::encode(digest),
        Payload::Unsigned => unsigned,
        Payload::SignedChunks => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
        Payload::SignedChunksWithTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER".to_owned(),
        Payload::UnsignedChunksWithTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
    }
}

/// What only requests that write an object have.
fn add_write(context: &mut Context, gateway: &Gateway, request: &Request, operation: Operation) {
    use Operation::{
        CompleteMultipartUpload, CopyObject, CreateMultipartUpload, PostObject, PutObject, RenameObject,
        UploadPart, UploadPartCopy,
    };
    let headers = &request.headers;
    match operation {
        PutObject | PostObject | CopyObject | RenameObject | CompleteMultipartUpload => {
            context.add("s3:ObjectCreationOperation", "true");
        }
        CreateMultipartUpload | UploadPart | UploadPartCopy => {
            context.add("s3:ObjectCreationOperation", "false");
        }
        _ => {}
    }
    // As it is understood, so that no other way to write it gets past a policy.
    if matches!(operation, CopyObject | UploadPartCopy)
        && let Ok(source) = copy_source(headers)
    {
        if operation == CopyObject {
            let directive = headers.get("x-amz-metadata-directive").and_then(|value| value.to_str().ok());
            context.add_some("s3:x-amz-metadata-directive", directive);
        }
        context.add("s3:x-amz-copy-source", format!("{}/{}", source.bucket.as_str(), source.key.as_str()));
    }
    if !matches!(operation, PutObject | PostObject | CopyObject | CreateMultipartUpload) {
        return;
    }
    // A copy that keeps its source's tags gets none of these, and a form has fields for them.
    let keeps_tags = operation == CopyObject && matches!(tagging_directive(headers), Ok(Directive::Copy));
    if let Ok(tags) = tags(headers)
        && !keeps_tags
        && operation != PostObject
    {
        add_request_tags(context, &tags);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    context.add_some("s3:object-lock-mode", text("x-amz-object-lock-mode"));
    context.add_some("s3:object-lock-legal-hold", text("x-amz-object-lock-legal-hold"));
    if let Some(until) = text("x-amz-object-lock-retain-until-date") {
        match parse_iso_date(until) {
            Some(until) => add_retain_until(context, gateway, until),
            None => context.add("s3:object-lock-retain-until-date", until),
        }
    }
}

/// The keys on encryption that a request has not by its own head, if it is a part or the end of an upload. Amazon S3 User Guide,
/// "Specifying server-side encryption with Amazon S3 managed keys (SSE-S3)": a policy that demands the header of each PutObject
/// lets uploads through that were begun with it.
pub(super) fn keys_of_upload(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::UploadPart | Operation::UploadPartCopy | Operation::CompleteMultipartUpload => {
            &[ENCRYPTION, ENCRYPTION_KEY, ENCRYPTION_BY_CUSTOMER]
        }
        _ => &[],
    }
}

/// Sets those keys. An upload that has ended already is asked about by a client that did not get the answer: then they are those
/// of the object that is there.
pub(super) async fn set_encryption_of_upload(
    gateway: &Gateway,
    request: &Request,
    context: &mut Context,
) -> Result<(), S3Error> {
    let (bucket, key) = (request.bucket()?, request.key()?);
    let upload = upload_id(&request.query()?)?;
    let attributes = match gateway.metadata.get_upload(bucket, key, upload).await {
        Ok(upload) => Some(upload.attributes),
        Err(MetadataError::UploadNotFound) => {
            let (bucket, key) = (bucket.clone(), key.clone());
            let current = GetVersion { bucket, key, version_id: None, with_content: false };
            match gateway.metadata.get_version(current).await.map(|found| found.state) {
                Ok(VersionState::Object(version)) => Some(version.attributes),
                Ok(VersionState::DeleteMarker) | Err(MetadataError::KeyNotFound) => None,
                Err(error) => return Err(request.metadata_error(error)),
            }
        }
        Err(error) => return Err(request.metadata_error(error)),
    };
    let encryption = attributes.and_then(|attributes| attributes.encryption);
    let (mut by_store, mut by_customer, mut key) = (None, None, None);
    if let Some(encryption) = &encryption {
        match encryption.scheme {
            EncryptionScheme::SseS3 => by_store = Some("AES256"),
            EncryptionScheme::SseC => by_customer = Some("AES256"),
            EncryptionScheme::SseKms => {
                (by_store, key) = (Some(BY_KMS), Some(gateway.key_arns.of(&encryption.key_id)));
            }
        }
    }
    context.set(ENCRYPTION, by_store);
    context.set(ENCRYPTION_KEY, key);
    context.set(ENCRYPTION_BY_CUSTOMER, by_customer);
    Ok(())
}

/// How an object is to be encrypted from now on.
pub(crate) fn add_encryption(context: &mut Context, gateway: &Gateway, key: &str) {
    context.set(ENCRYPTION, Some(BY_KMS));
    context.set(ENCRYPTION_KEY, Some(key_for_policies(gateway, key)));
}

/// The tags that a request gives an object.
pub(crate) fn add_request_tags(context: &mut Context, tags: &[(String, String)]) {
    for (key, value) in tags {
        context.add(&format!("s3:RequestObjectTag/{key}"), value.as_str());
        context.add("s3:RequestObjectTagKeys", key.as_str());
    }
}

/// The tags that an object has.
pub(super) fn add_existing_tags(context: &mut Context, tags: &[(String, String)]) {
    for (key, value) in tags {
        context.add(&format!("s3:ExistingObjectTag/{key}"), value.as_str());
    }
}

/// The retention that a request gives an object.
pub(crate) fn add_retention(context: &mut Context, gateway: &Gateway, retention: &Retention) {
    context.add("s3:object-lock-mode", retention.mode.name());
    add_retain_until(context, gateway, retention.until);
}

/// A day that has begun counts.
fn add_retain_until(context: &mut Context, gateway: &Gateway, until: Timestamp) {
    let left = until.0.saturating_sub(gateway.env.wall_clock_ms());
    let days = left.div_euclid(DAY_MS) + i64::from(left.rem_euclid(DAY_MS) > 0);
    context.add("s3:object-lock-retain-until-date", xml_date(until).as_str());
    context.add("s3:object-lock-remaining-retention-days", days.to_string());
}
