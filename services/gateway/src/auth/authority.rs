//! What decides in one bucket, and how: its policy and its lists, and the policies of who asks.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join3;
use metadata_api::{AccountId, Bucket, Subresource};
use policy::{Context, Decision, Kind, Of, Otherwise, Policy, Principal, Resource, Trace};
use s3_wire::{ErrorCode, Operation, S3Error, address::Address, xml::PublicAccessBlock};
use types::{Attributes, BucketName, ObjectKey};

use super::{
    calls::principal,
    conditions::{add_existing_tags, of_request},
    initiator::is_of_initiator,
    lists::{ListAsker, Lists, bucket_acl, ownership},
    own::Own,
    public_access::public_access_block,
};
use crate::{
    Gateway,
    decisions::{Asker, Decisions},
    error::from_metadata,
    request::Request,
};

/// The beginning of the keys of conditions on what tags an object has.
pub(super) const EXISTING_TAG: &str = "s3:ExistingObjectTag/";

/// What the root user of the account that owns a bucket may always do, so that nobody locks himself out of his bucket.
/// Source: API Reference, "PutBucketPolicy".
pub(super) const NEVER_DENIED: [&str; 3] = ["PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"];

pub(super) fn denied() -> S3Error {
    S3Error::new(ErrorCode::AccessDenied)
}

/// `AccessDenied` that says to whom of the account that it concerns what was denied, and by which kind of policy. Others learn
/// nothing. Source: Amazon S3 User Guide, "Troubleshoot access denied (403 Forbidden) errors in Amazon S3".
pub(super) fn denied_to(
    principal: &Principal,
    action: &str,
    bucket: &str,
    key: Option<&ObjectKey>,
    why: Decision,
) -> S3Error {
    let Some(arn) = principal.own_arn() else { return denied() };
    let path = key.map(|key| format!("/{}", key.as_str())).unwrap_or_default();
    let why = reason(&format!("s3:{action}"), why);
    let message = format!(
        "User: {arn} is not authorized to perform: s3:{action} on resource: \"arn:aws:s3:::{bucket}{path}\" {why}"
    );
    S3Error::with_message(ErrorCode::AccessDenied, message)
}

/// How messages say which kind of policy refuses an action, named with its service. Source: IAM User Guide, "Troubleshoot access
/// denied error messages".
pub(crate) fn reason(action: &str, why: Decision) -> String {
    let article = |kind| match kind {
        Kind::Identity => "an",
        Kind::Boundary | Kind::Session | Kind::Resource => "a",
        Kind::Trust => "the",
    };
    match why {
        Decision::Denied(kind) => format!("with an explicit deny in {} {kind}", article(kind)),
        Decision::NotAllowed(kind) => format!("because no {kind} allows the {action} action"),
        Decision::Allowed(_) | Decision::AllowedOtherwise(_) => String::new(),
    }
}

/// What decides on everything that one request does in one bucket.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) principal: Principal,
    pub(super) bucket: BucketName,
    /// Whether the sender's account owns the bucket.
    pub(super) owns: bool,
    pub(super) policy: Option<Policy>,
    /// The sender's own policies. They decide together with the bucket's.
    pub(super) own: Own,
    /// Whether the policy is public and grants nothing outside of the owner's account.
    pub(super) is_restricted: bool,
    /// Why what no statement speaks of may be done, if it may, as in a bucket of one's own.
    pub(super) default: Option<Otherwise>,
    pub(super) facts: Facts,
    /// Who sent the request, and where refusals are kept.
    pub(super) asker: Asker,
    pub(super) decisions: Arc<Decisions>,
}

/// What is known of a request and of what it is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// The condition keys of policies.
    pub(super) context: Context,
    /// The lists, where they have an effect on who asks.
    pub(super) lists: Option<Lists>,
    /// What lets who asks do to an upload what whoever opened it may.
    pub(super) initiates: Option<Otherwise>,
}

impl Facts {
    /// Goes on with another object, or with none.
    pub(super) fn set_object(&mut self, object: Option<&Attributes>) {
        self.context.remove(EXISTING_TAG);
        add_existing_tags(&mut self.context, object.map_or(&[], |object| &object.tags));
        if let Some(lists) = &mut self.lists {
            match object {
                Some(object) => lists.set_object(object.acl.clone()),
                None => lists.set_missing(),
            }
        }
    }
}

impl Authority {
    pub(super) fn check_all(
        &self,
        rights: &[&'static str],
        key: Option<&ObjectKey>,
        facts: &Facts,
    ) -> Result<(), S3Error> {
        for action in rights {
            let decision = self.check(action, key, facts);
            let decision = decision.map_err(|why| self.denied(action, key, facts, why))?;
            let resource = self.request(action, key, facts).resource;
            self.decisions.note(&self.asker, (action, resource), decision);
        }
        Ok(())
    }

    /// Refuses who can be allowed none of these on any key.
    pub(super) fn check_possible_on_some_key(&self, rights: &[&'static str]) -> Result<(), S3Error> {
        match rights.iter().any(|action| self.can_allow_some_key(action)) {
            true => Ok(()),
            false => Err(self.denied(
                rights.first().copied().unwrap_or_default(),
                None,
                &self.facts,
                Decision::NotAllowed(Kind::Identity),
            )),
        }
    }

    /// Refuses what cannot come out as allowed.
    pub(super) fn check_possible(
        &self,
        rights: &[&'static str],
        key: Option<&ObjectKey>,
    ) -> Result<(), S3Error> {
        match rights.iter().find(|action| !self.can_allow(action, key)) {
            Some(action) => Err(self.denied(action, key, &self.facts, Decision::NotAllowed(Kind::Identity))),
            None => Ok(()),
        }
    }

    /// The refusal, which operators can ask the reason of.
    pub(super) fn denied(
        &self,
        action: &str,
        key: Option<&ObjectKey>,
        facts: &Facts,
        why: Decision,
    ) -> S3Error {
        let request = self.request(action, key, facts);
        let explain = |bytes_max| self.explain(action, key, facts, bytes_max);
        // What could not come out as allowed may be denied by more than that nothing allows it.
        let why = match self.decisions.note_refused(&self.asker, &request, explain) {
            found if found.is_allowed() => why,
            found => found,
        };
        if !self.owns {
            return denied();
        }
        denied_to(&self.principal, action, self.bucket.as_str(), key, why)
    }

    pub(super) fn request<'a>(
        &'a self,
        action: &'a str,
        key: Option<&'a ObjectKey>,
        facts: &'a Facts,
    ) -> policy::Request<'a> {
        let resource = Resource::S3 { bucket: self.bucket.as_str(), key: key.map(ObjectKey::as_str) };
        policy::Request { principal: &self.principal, action, resource, context: &facts.context }
    }

    /// What the request is about.
    fn of(&self, action: &str, facts: &Facts) -> Of<'_> {
        let lists = facts.lists.as_ref();
        let by_list = || lists.filter(|lists| lists.allow(action)).map(|_| Otherwise::List);
        let as_initiator = || facts.initiates.filter(|_| is_of_initiator(action));
        // The bucket's owner and its policy grant nothing of what another account has written there; what the policy denies it denies.
        let is_anothers = lists.is_some_and(|lists| lists.is_anothers(action));
        Of::Bucket {
            policy: self.policy.as_ref(),
            owns: self.owns && !is_anothers,
            is_restricted: self.is_restricted || is_anothers,
            otherwise: self.default.filter(|_| !is_anothers).or_else(by_list).or_else(as_initiator),
        }
    }

    fn is_never_denied(&self, action: &str) -> bool {
        self.owns && !self.own.is_asked() && NEVER_DENIED.contains(&action)
    }

    pub(super) fn check(
        &self,
        action: &'static str,
        key: Option<&ObjectKey>,
        facts: &Facts,
    ) -> Result<Decision, Decision> {
        if self.is_never_denied(action) {
            return Ok(Decision::AllowedOtherwise(Otherwise::Owner));
        }
        let decision = self.own.decide(self.of(action, facts), &self.request(action, key, facts));
        if decision.is_allowed() { Ok(decision) } else { Err(decision) }
    }

    /// The same, with what was seen of each statement.
    pub(super) fn explain(
        &self,
        action: &str,
        key: Option<&ObjectKey>,
        facts: &Facts,
        bytes_max: usize,
    ) -> (Decision, Trace) {
        if self.is_never_denied(action) {
            return (Decision::AllowedOtherwise(Otherwise::Owner), Trace::default());
        }
        self.own.explain(self.of(action, facts), &self.request(action, key, facts), bytes_max)
    }

    /// Whether it may come out that the sender is allowed this, whatever conditions and the object's list say.
    fn can_allow(&self, action: &'static str, key: Option<&ObjectKey>) -> bool {
        self.may(action, key, Policy::can_allow)
    }

    /// The same for some key of the bucket.
    fn can_allow_some_key(&self, action: &'static str) -> bool {
        self.may(action, None, Policy::can_allow_some_key)
    }

    fn may(
        &self,
        action: &'static str,
        key: Option<&ObjectKey>,
        can_allow: impl Fn(&Policy, &policy::Request<'_>) -> bool,
    ) -> bool {
        if self.default.is_some() || self.facts.initiates.is_some() && is_of_initiator(action) {
            return true;
        }
        let request = self.request(action, key, &self.facts);
        let allows = |policy: &Policy| can_allow(policy, &request);
        let by_list = self.facts.lists.as_ref().is_some_and(|lists| lists.can_allow(action));
        let (by_bucket, by_own) =
            (by_list || self.policy.iter().any(allows), self.own.identity().any(allows));
        // In another account's bucket it takes both, so that who is granted nothing there learns nothing by how far a request gets.
        if self.owns { by_bucket || by_own } else { by_bucket && (by_own || self.own.is_of_root()) }
    }

    /// Whether more than the key of an object decides on it. For the bucket's owner lists do where the object is another's, which shows when
    /// it is looked at.
    pub(super) fn asks_for_object(&self) -> bool {
        self.facts.lists.is_some() || self.asks_for(EXISTING_TAG)
    }

    /// Whether it is to be read anew for that, after a body that may have taken long. Of the bucket's owner the handler finds out whose it is.
    pub(super) fn rereads_object(&self) -> bool {
        self.facts.lists.is_some() && self.default.is_none() || self.asks_for(EXISTING_TAG)
    }

    pub(super) fn asks_for(&self, key: &str) -> bool {
        self.own.asks_for(key) || self.policy.as_ref().is_some_and(|policy| policy.asks_for(key))
    }
}

/// Reads what decides in a bucket whose row was read for this request.
pub(super) async fn authority(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    bucket: &Bucket,
) -> Result<Authority, S3Error> {
    let principal = principal(&request.authenticated);
    let user = request.authenticated.user();
    let context = match bucket.has_policy || user.is_some() {
        true => of_request(gateway, request, operation, &principal, &bucket.owner)?,
        false => Context::default(),
    };
    let asker = Asker::of(gateway, request, &principal);
    let sender = Sender { principal, own: Own::of(user), account: request.authenticated.account(), asker };
    in_bucket(gateway, bucket, sender, context, &request.address).await
}

/// Who asks, as far as it decides in a bucket.
pub(super) struct Sender<'a> {
    pub(super) principal: Principal,
    pub(super) own: Own,
    pub(super) account: Option<&'a AccountId>,
    pub(super) asker: Asker,
}

/// Reads what decides in a bucket on what somebody asks for.
pub(super) async fn in_bucket(
    gateway: &Gateway,
    bucket: &Bucket,
    Sender { principal, own, account, asker }: Sender<'_>,
    context: Context,
    address: &Address,
) -> Result<Authority, S3Error> {
    let owns = account == Some(&bucket.owner);
    let is_user = own.is_asked();
    // A user of the account has what its policies say, not what a list grants the account; but what everybody has, it has too. One of
    // another account has what a list grants that, within its own policies.
    let has_acls = ownership(gateway, bucket)?.has_acls();
    // Of the owner no list is read but that of an object, which comes with it and tells whose it is.
    let has_lists = (!owns || is_user) && has_acls;
    let has_block = has_lists || !owns && bucket.has_policy;
    let block = async {
        match has_block {
            true => public_access_block(gateway, bucket, address).await,
            false => Ok(PublicAccessBlock::default()),
        }
    };
    let (policy, block, acl) = try_join3(
        read_if(bucket.has_policy, gateway, address, bucket, Subresource::Policy),
        block,
        read_if(has_lists, gateway, address, bucket, Subresource::Acl),
    )
    .await?;
    let policy = policy.map(|document| stored_policy(&bucket.name, &document)).transpose()?;
    let is_restricted =
        !owns && block.restrict_public_buckets && policy.as_ref().is_some_and(Policy::is_public);
    // What a public policy does not open to others any more, no list does either.
    let lists = if has_acls && !is_restricted {
        let asker = ListAsker {
            account: account.map(|account| account.0.clone()),
            is_user_of_owner: owns && is_user,
            ignores_public: block.ignore_public_acls,
        };
        let list = has_lists.then(|| bucket_acl(bucket, acl.as_deref())).transpose()?;
        Some(Lists::new(asker, list))
    } else {
        None
    };
    let facts = Facts { context, lists, initiates: None };
    let default = (owns && own.is_of_root()).then_some(Otherwise::Owner);
    let (bucket, decisions) = (bucket.name.clone(), gateway.decisions.clone());
    Ok(Authority { principal, bucket, owns, policy, own, is_restricted, default, facts, asker, decisions })
}

async fn read_if(
    is_wanted: bool,
    gateway: &Gateway,
    address: &Address,
    bucket: &Bucket,
    subresource: Subresource,
) -> Result<Option<Bytes>, S3Error> {
    if !is_wanted {
        return Ok(None);
    }
    let found = gateway.metadata.get_subresource(&bucket.name, subresource).await;
    found.map_err(|error| from_metadata(error, address))
}

pub(super) fn stored_policy(bucket: &BucketName, document: &[u8]) -> Result<Policy, S3Error> {
    let policy = Policy::parse(document, bucket.as_str());
    let policy = policy.map_err(|error| unreadable(bucket.as_str(), &error))?;
    Ok(policy.named(format!("of bucket {}", bucket.as_str())))
}

pub(super) fn unreadable(bucket: &str, error: &dyn std::error::Error) -> S3Error {
    tracing::error!(bucket, %error, "a configuration that was stored cannot be read");
    S3Error::new(ErrorCode::InternalError)
}
