//! What operators change over HTTP: the changes of `admin-api`, each by a right of its own on what it is done to, where the gateway's
//! settings let any be made. The metadata service decides whether a change can be, and is the one that makes it.

use admin_api::{
    AskedOfClass, BucketUsage, Change, ChangeRoute, Class, Intended, Limits, NewClass, NewCoding, NewQuota,
    NewRates, holder_name, holder_of,
};
use axum::body::Body;
use bytes::Bytes;
use metadata_api::{
    AccountChanged, AccountKey, AccountStatus, BucketQuota, Error, Metadata, RATE_LIMITS_MAX, RateHolder,
    RateLimitSet, Rates,
};
use s3_wire::{ErrorCode, S3Error};
use serde::de::DeserializeOwned;
use sigv4::Payload;
use types::{BucketName, Coding, DiskId, NodeId, StorageClassName};

use super::{jobs, map, written};
use crate::{
    Gateway,
    auth::root_account,
    payload::{ObjectBody, prove_unused},
    request::Request,
};

/// Most bytes of a body.
const BODY_BYTES_MAX: u64 = 16 << 10;

/// Most bytes of what a medium is called.
const MEDIUM_LENGTH_MAX: usize = 255;

/// What a change is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Node(NodeId),
    Disk(DiskId),
    Bucket(BucketName),
    Holder(RateHolder),
    Class(StorageClassName),
    /// By its id of 12 digits.
    Account(String),
}

impl Target {
    /// By its name in the path. Names that stand for the same are the same target.
    pub(super) fn parse(change: Change, name: &str) -> Result<Self, S3Error> {
        let is_none = |what: &str| S3Error::invalid_argument(format!("This is no {what}."), what, name);
        match change {
            Change::Node(_) => name.parse().map(Self::Node).map_err(|_| is_none("id of a node")),
            Change::Disk(_) => name.parse().map(Self::Disk).map_err(|_| is_none("id of a disk")),
            Change::PutQuota | Change::RemoveQuota => {
                BucketName::new(name).map(Self::Bucket).map_err(|_| is_none("name of a bucket"))
            }
            Change::PutLimit | Change::RemoveLimit => {
                holder_of(name).map(Self::Holder).ok_or_else(|| is_none("holder of a limit"))
            }
            Change::DefineClass | Change::RecodeClass => {
                StorageClassName::new(name).map(Self::Class).map_err(|_| is_none("name of a storage class"))
            }
            Change::SuspendAccount | Change::ResumeAccount => match AccountKey::parse(name) {
                AccountKey::Number(number) => Ok(Self::Account(number)),
                _ => Err(is_none("id of an account")),
            },
        }
    }

    /// Its name, the same for all that stand for it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Node(node) => node.to_string(),
            Self::Disk(disk) => disk.to_string(),
            Self::Bucket(bucket) => bucket.to_string(),
            Self::Class(class) => class.to_string(),
            Self::Account(number) => number.clone(),
            Self::Holder(holder) => holder_name(holder),
        }
    }
}

/// Makes a change that was allowed, and answers what it has become.
pub(super) async fn make(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    (route, target): (&ChangeRoute, &Target),
) -> Result<Bytes, S3Error> {
    // What an object's sender may leave to whoever is on the way, an operator may not.
    if matches!(request.authenticated.payload(), Payload::Unsigned | Payload::UnsignedChunksWithTrailer) {
        return Err(invalid("The body of a change has to be signed: give x-amz-content-sha256 its SHA-256."));
    }
    let body = match route.has_body() {
        true => ObjectBody::open(gateway, request, body, None, BODY_BYTES_MAX)?.collect().await?,
        false => prove_unused(gateway, request, body).await?,
    };
    if !route.has_body() && !body.is_empty() {
        return Err(invalid("This change takes no body."));
    }
    let changed = carry_out(gateway, route.change, target, &body).await?;
    tracing::info!(action = route.action, target = target.name(), "an operator's change was made");
    Ok(changed)
}

async fn carry_out(
    gateway: &Gateway,
    change: Change,
    target: &Target,
    body: &[u8],
) -> Result<Bytes, S3Error> {
    let metadata = &*gateway.metadata;
    match (change, target) {
        (Change::Node(intent), Target::Node(node)) => {
            metadata.set_node_intent(*node, intent).await.map_err(refused)?;
            let map = map(metadata).await?;
            let disks = Intended::disks_of_node(&map, *node);
            written(&Intended::new(node.to_string(), intent, &map, &disks))
        }
        (Change::Disk(intent), Target::Disk(disk)) => {
            metadata.set_disk_intent(*disk, intent).await.map_err(refused)?;
            written(&Intended::new(disk.to_string(), intent, &map(metadata).await?, &[*disk]))
        }
        (Change::PutQuota, Target::Bucket(bucket)) => {
            let NewQuota { bytes, objects } = parse(body)?;
            if bytes.is_none() && objects.is_none() {
                return Err(invalid("Give bytes, objects or both; DELETE takes a quota away."));
            }
            if [bytes, objects].into_iter().flatten().any(|bound| i64::try_from(bound).is_err()) {
                return Err(invalid("A bound is more than can be counted."));
            }
            quota(metadata, bucket, BucketQuota { bytes, objects }).await
        }
        (Change::RemoveQuota, Target::Bucket(bucket)) => {
            quota(metadata, bucket, BucketQuota { bytes: None, objects: None }).await
        }
        (Change::PutLimit, Target::Holder(holder)) => {
            let new: NewRates = parse(body)?;
            let rates = Rates {
                requests: new.requests_per_second,
                received_bytes: new.received_bytes_per_second,
                sent_bytes: new.sent_bytes_per_second,
                burst_seconds: new.burst_seconds,
            };
            if rates == Rates::default() {
                return Err(invalid("Give at least one rate; DELETE takes a limit back."));
            }
            limit(gateway, holder, Some(rates)).await
        }
        (Change::RemoveLimit, Target::Holder(holder)) => limit(gateway, holder, None).await,
        (Change::DefineClass, Target::Class(name)) => {
            let NewClass { coding: text, medium, groups, inline_limit_bytes, whole_limit_bytes } =
                parse(body)?;
            let is_named = |medium: &str| {
                !medium.is_empty() && medium.len() <= MEDIUM_LENGTH_MAX && !medium.contains(char::is_control)
            };
            if medium.as_deref().is_some_and(|medium| !is_named(medium)) {
                return Err(invalid("This is no name of a medium."));
            }
            let asked = AskedOfClass { medium, groups, inline_limit_bytes, whole_limit_bytes };
            let definition = asked.definition(name.clone(), coding(&text)?);
            metadata.define_storage_class(definition).await.map_err(refused)?;
            // Where there was one of the name and the coding, nothing was changed.
            let map = map(metadata).await?;
            let present = map.class(name).map(|class| &class.definition);
            if let Some(unmet) = present.and_then(|present| asked.unmet(present)) {
                return Err(invalid(unmet));
            }
            classes(metadata, name).await
        }
        (Change::RecodeClass, Target::Class(name)) => {
            let NewCoding { coding: text } = parse(body)?;
            metadata.set_storage_class_coding(name, coding(&text)?).await.map_err(refused)?;
            classes(metadata, name).await
        }
        (Change::SuspendAccount, Target::Account(number)) => {
            account(metadata, number, AccountStatus::Suspended).await
        }
        (Change::ResumeAccount, Target::Account(number)) => {
            account(metadata, number, AccountStatus::Active).await
        }
        // A target is parsed by its change.
        _ => Err(S3Error::new(ErrorCode::InternalError)),
    }
}

async fn quota(metadata: &dyn Metadata, bucket: &BucketName, bounds: BucketQuota) -> Result<Bytes, S3Error> {
    metadata.set_quota(bucket, bounds).await.map_err(refused)?;
    let bucket = metadata.get_bucket(bucket).await.map_err(refused)?;
    written(&BucketUsage::from(&bucket))
}

async fn limit(gateway: &Gateway, holder: &RateHolder, rates: Option<Rates>) -> Result<Bytes, S3Error> {
    let (metadata, account) = (&*gateway.metadata, root_account());
    match metadata.set_rate_limit(&account, holder, rates).await.map_err(refused)? {
        RateLimitSet::Done => {}
        RateLimitSet::NoSuchHolder => return Err(missing("There is nobody of this name.")),
        RateLimitSet::TooMany => return Err(invalid(format!("There are {RATE_LIMITS_MAX} limits already."))),
    }
    let defaults = Some(gateway.rates.defaults());
    written(&Limits::read(metadata, &account, defaults).await.map_err(refused)?)
}

async fn account(metadata: &dyn Metadata, number: &str, status: AccountStatus) -> Result<Bytes, S3Error> {
    let key = AccountKey::Number(number.to_owned());
    if key.is_root() {
        return Err(invalid("The first account stays as it is: its root user is a setting of the gateways."));
    }
    let none = || missing("There is no such account.");
    let found = metadata.find_account(&key).await.map_err(refused)?.ok_or_else(none)?;
    if metadata.set_account_status(&found.id, status).await.map_err(refused)? != AccountChanged::Done {
        return Err(none());
    }
    let changed = metadata_api::Account { status, ..found };
    written(&admin_api::account_of(metadata, changed).await.map_err(refused)?)
}

async fn classes(metadata: &dyn Metadata, name: &StorageClassName) -> Result<Bytes, S3Error> {
    let all = admin_api::classes(&map(metadata).await?, &jobs(metadata).await?);
    let of_name: Vec<Class> = all.into_iter().filter(|class| class.name == name.as_str()).collect();
    written(&of_name)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, S3Error> {
    // A list of the values is none of what the document says, though it would be understood.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(invalid("The body is no JSON object."));
    }
    serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The body is not as it has to be: {error}.")))
}

fn coding(text: &str) -> Result<Coding, S3Error> {
    text.parse().map_err(|error| invalid(format!("{text:?} is no coding: {error}.")))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::invalid_request(message)
}

fn missing(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::NoSuchConfiguration, message)
}

/// What an operator is told of a change that the metadata service did not make.
fn refused(error: Error) -> S3Error {
    match error {
        Error::Malformed { reason } => invalid(format!("This cannot be: {reason}.")),
        Error::NodeNotFound { .. } => missing("There is no such node."),
        Error::DiskNotFound { .. } => missing("There is no such disk."),
        Error::Forbidden { .. } => S3Error::with_message(
            ErrorCode::AccessDenied,
            "The metadata service takes no changes from this gateway: its certificate is not one of operators too.",
        ),
        error => super::failed(error),
    }
}

#[cfg(test)]
mod tests {
    use admin_api::{CHANGES, Change, Intent};

    use super::Target;

    #[test]
    fn names_that_stand_for_the_same_are_one() {
        let name = |change, text: &str| Target::parse(change, text).map(|target| target.name()).ok();
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(name(Change::Node(Intent::Drain), id).as_deref(), Some(id));
        for (text, same) in [
            ("user:Ann", Some("user:ann")),
            ("role:R", Some("role:r")),
            ("access_key:AKIA", Some("access_key:AKIA")),
            ("root", Some("root")),
            ("anonymous", Some("anonymous")),
            ("user:", None),
            ("ann", None),
            ("group:x", None),
            ("", None),
        ] {
            assert_eq!(name(Change::PutLimit, text).as_deref(), same, "{text}");
        }
        assert_eq!(name(Change::SuspendAccount, "123456789012").as_deref(), Some("123456789012"));
        for (change, bad) in [
            (Change::ResumeAccount, "research"),
            (Change::Node(Intent::Serve), "0123"),
            (Change::Disk(Intent::Serve), "x"),
            (Change::PutQuota, "A"),
            (Change::DefineClass, "standard"),
        ] {
            assert_eq!(name(change, bad), None, "{bad}");
        }
    }

    #[test]
    fn every_change_takes_a_right_that_policies_can_be_about() {
        for route in CHANGES {
            assert!(policy::is_known(route.action), "{}", route.action);
            assert_eq!(policy::scope(route.action), None, "no bucket's policy is asked");
        }
    }
}
