//! May they: the one place that hands out permits. For every request that names a bucket, its policy and the access control
//! lists are evaluated, by `authority.rs`; `calls.rs` decides on the others.
//!
//! Whether a bucket has a policy, and whether lists have an effect in it, is told by its row, which is read for nearly every
//! request anyway: here, and handed on to the handler; operations that read neither the bucket nor a version of their own
//! accord cost one call more for it. A bucket that has a policy costs the call that reads it, and where lists decide, which
//! they never do for the owner, those that read the bucket's list and its block of public access; an object's list comes with
//! the object. All are read while the request is answered, and nothing of them is remembered.

use bytes::Bytes;
use http::HeaderMap;
use metadata_api::{AccountId, Bucket, Error as MetadataError, FoundVersion};
use policy::{Context, Decision, Kind, Otherwise, Policy, Principal, Resource, Service};
use s3_wire::{ErrorCode, Operation, S3Error, header::CopySource, xml::PublicAccessBlock};
use types::{Attributes, BucketName, KeyPrefix, ObjectKey, VersionId};

use super::{
    authority::{Authority, EXISTING_TAG, Facts, NEVER_DENIED, authority, denied, stored_policy},
    calls::{check_account, note_unasked, principal},
    conditions::{
        OF_LISTS, add_existing_tags, add_request_tags, keys_of_upload, of_request, set_encryption_of_upload,
    },
    delivery::denies,
    initiator::right_of_initiator,
    lists::{ListAsker, Lists, ownership},
    own::Own,
    rights::{keys_of_body, makes_object, of_version, rights},
    target::{attributes, is_missing, tags_of, wanted},
};
use crate::{Gateway, decisions::Asker, request::Request};

/// Headers of an object for which it takes another right than to read it. Source: API Reference, "GetObject", the section
/// "Response Elements".
const PRIVATE: [(&str, &[&str]); 3] = [
    ("GetObjectTagging", &["x-amz-tagging-count"]),
    ("GetObjectRetention", &["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"]),
    ("GetObjectLegalHold", &["x-amz-object-lock-legal-hold"]),
];

/// The right to carry out one request. Every handler takes one, and only this file makes them, so that code which acts
/// without asking does not compile.
#[derive(Debug)]
pub(crate) struct Permit {
    account: Option<AccountId>,
    operation: Operation,
    rights: Vec<&'static str>,
    authority: Option<Authority>,
}

impl Permit {
    /// Who was permitted; `AccessDenied` for what anybody may do, where it takes an account.
    pub(crate) fn account(&self) -> Result<&AccountId, S3Error> {
        self.account.as_ref().ok_or_else(denied)
    }

    /// What was permitted.
    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    /// Decides once more, by what the body of the request says. Handlers of operations that have condition keys in their
    /// bodies ask this before they act.
    pub(crate) fn confirm(&self, request: &Request, add: impl FnOnce(&mut Context)) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut facts = authority.facts.clone();
        add(&mut facts.context);
        authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
    }

    /// Decides whether the request may also do this to its key.
    pub(crate) fn check(&self, action: &'static str, key: &ObjectKey) -> Result<(), S3Error> {
        match &self.authority {
            Some(authority) => authority.check_all(&[action], Some(key), &authority.facts),
            None => Ok(()),
        }
    }

    /// Decides whether the request may also give these tags to the bucket that it makes. Source: API Reference,
    /// "CreateBucketConfiguration".
    pub(crate) fn check_tags_of_bucket(&self, gateway: &Gateway, request: &Request) -> Result<(), S3Error> {
        const ACTION: &str = "TagResource";
        match &self.authority {
            Some(authority) => authority.check_all(&[ACTION], None, &authority.facts),
            None => check_account(gateway, request, self.operation, ACTION, request.bucket()?.as_str()),
        }
    }

    /// Decides once more on the version that is there by now, when what it decided on before has gone and the policy asks for
    /// tags or lists decide. The version is kept for the handler.
    pub(crate) async fn again(&self, gateway: &Gateway, request: &Request) -> Result<(), S3Error> {
        match &self.authority {
            Some(authority) if authority.asks_for_object() => {
                let mut facts = authority.facts.clone();
                self.read_again(gateway, request, &mut facts).await?;
                authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
            }
            _ => Ok(()),
        }
    }

    /// Decides once more on an object that the handler has read itself.
    pub(crate) fn check_object(&self, request: &Request, object: &Attributes) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut facts = authority.facts.clone();
        facts.set_object(Some(object));
        authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
    }

    /// The same, and by what the body says, where [`Permit::again_with`] did not look at the object anew.
    pub(crate) fn check_object_with(
        &self,
        request: &Request,
        object: &Attributes,
        add: impl FnOnce(&mut Context),
    ) -> Result<(), S3Error> {
        let Some(authority) = self.authority.as_ref().filter(|authority| !authority.rereads_object()) else {
            return Ok(());
        };
        let mut facts = authority.facts.clone();
        facts.set_object(Some(object));
        add(&mut facts.context);
        authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
    }

    /// The same, and by what the body says, as [`Permit::confirm`].
    pub(crate) async fn again_with(
        &self,
        gateway: &Gateway,
        request: &Request,
        add: impl FnOnce(&mut Context),
    ) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut facts = authority.facts.clone();
        if authority.rereads_object() {
            self.read_again(gateway, request, &mut facts).await?;
        }
        add(&mut facts.context);
        authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
    }

    async fn read_again(
        &self,
        gateway: &Gateway,
        request: &Request,
        facts: &mut Facts,
    ) -> Result<(), S3Error> {
        let version_id = request.query()?.version_id()?.map(str::to_owned);
        let wanted = wanted(request, self.operation, version_id.as_deref());
        request.read_target(gateway, wanted).await.map_err(|error| request.metadata_error(error))?;
        request.target.with_version(|found| facts.set_object(found.as_ref().ok().and_then(attributes)));
        Ok(())
    }

    /// Decides whether the request may take the object with these tags away from a key of its bucket and give it another one, as
    /// a rename does.
    /// One that is not there is told only to those who may list the bucket.
    pub(crate) fn check_moved(
        &self,
        request: &Request,
        source: &ObjectKey,
        found: Option<&Attributes>,
        key: &ObjectKey,
    ) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let tags = found.map_or(&[][..], |attributes| &attributes.tags);
        let mut facts = authority.facts.clone();
        facts.set_object(found);
        let tag = request.headers.get("x-amz-rename-source-if-match");
        let tag = tag.map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned());
        facts.context.set("s3:if-match", tag);
        let mut rights = vec!["GetObject", "DeleteObject"];
        rights.extend((!tags.is_empty()).then_some("GetObjectTagging"));
        authority.check_all(&rights, Some(source), &facts)?;
        let Some(attributes) = found else {
            return authority.check_all(&["ListBucket"], None, &facts);
        };
        // What goes along is given to the key that the object gets.
        let given = [
            (!tags.is_empty(), "PutObjectTagging"),
            (attributes.lock.retention.is_some(), "PutObjectRetention"),
            (attributes.lock.legal_hold.is_some(), "PutObjectLegalHold"),
            (attributes.acl.is_some(), "PutObjectAcl"),
        ];
        for (_, action) in given.into_iter().filter(|(given, _)| *given) {
            self.check(action, key)?;
        }
        Ok(())
    }

    /// Decides whether the request may learn what is under a prefix of its bucket.
    pub(crate) fn check_listing(&self, prefix: &KeyPrefix) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut facts = authority.facts.clone();
        facts.context.set("s3:prefix", Some(prefix.as_str().to_owned()));
        authority.check_all(&["ListBucket"], None, &facts)
    }

    /// Takes what has rights of its own out of an answer about an object: how many tags it has, and its lock.
    pub(crate) fn hide_private(&self, request: &Request, headers: &mut HeaderMap) {
        let Some(authority) = &self.authority else { return };
        let by_version = request.query().is_ok_and(|query| query.has("versionId"));
        for (action, names) in PRIVATE {
            let is_there = names.iter().any(|name| headers.contains_key(*name));
            let action = of_version(action, by_version);
            if is_there && authority.check(action, request.address.key.as_ref(), &authority.facts).is_err() {
                for name in names {
                    headers.remove(*name);
                }
            }
        }
    }

    /// Decides on one of the objects that a DeleteObjects names.
    pub(crate) async fn check_delete(
        &self,
        gateway: &Gateway,
        key: &ObjectKey,
        version_id: Option<VersionId>,
        etag: Option<String>,
        bypasses_governance: bool,
    ) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut rights = vec![of_version("DeleteObject", version_id.is_some())];
        rights.extend(bypasses_governance.then_some("BypassGovernanceRetention"));
        rights.extend(etag.is_some().then_some("GetObject"));
        authority.check_possible(&rights, Some(key))?;
        let mut facts = authority.facts.clone();
        facts.context.set("s3:VersionId", version_id.map(|id| id.to_string()));
        facts.context.set("s3:if-match", etag);
        if authority.asks_for(EXISTING_TAG) {
            let tags = tags_of(gateway, &authority.bucket, key, version_id).await?;
            add_existing_tags(&mut facts.context, &tags);
        }
        authority.check_all(&rights, Some(key), &facts)
    }
}

/// Decides whether a request may be carried out. In a bucket of its own an account may do everything that the bucket's policy
/// does not deny; everybody else may do what the policy allows or a list grants, unless the policy denies it or the block of
/// public access restricts it.
pub(crate) async fn authorize(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
) -> Result<Permit, S3Error> {
    decide(gateway, request, operation, &[]).await
}

/// The same for a form, whose tags are no header.
pub(crate) async fn authorize_form(
    gateway: &Gateway,
    request: &Request,
    tags: &[(String, String)],
) -> Result<Permit, S3Error> {
    decide(gateway, request, Operation::PostObject, tags).await
}

async fn decide(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    tags: &[(String, String)],
) -> Result<Permit, S3Error> {
    let account = request.authenticated.account().cloned();
    let permit = |rights, authority| Permit { account: account.clone(), operation, rights, authority };
    let (Some(action), Some(name)) = (operation.action(), &request.address.bucket) else {
        // What is not built nobody may, and whoever has credentials is told so. What names no bucket is about an account.
        if let Some(action) = operation.action() {
            check_account(gateway, request, operation, action, "*")?;
        }
        return account.is_some().then(|| permit(Vec::new(), None)).ok_or_else(denied);
    };
    let version_id = request.query()?.version_id()?.map(str::to_owned);
    let bucket = match request.read_target(gateway, wanted(request, operation, version_id.as_deref())).await {
        Ok(bucket) => bucket,
        Err(MetadataError::BucketNotFound { .. }) if operation == Operation::CreateBucket => {
            for action in rights(operation, action, &request.headers, false, false) {
                check_account(gateway, request, operation, action, name.as_str())?;
            }
            return account.is_some().then(|| permit(Vec::new(), None)).ok_or_else(denied);
        }
        Err(error) => return Err(request.metadata_error(error)),
    };
    // The name is taken, which whoever may make buckets is told, whatever the bucket's policy says.
    if operation == Operation::CreateBucket && account.as_ref() != Some(&bucket.owner) {
        for action in rights(operation, action, &request.headers, false, false) {
            check_account(gateway, request, operation, action, name.as_str())?;
        }
        return account.is_some().then(|| permit(Vec::new(), None)).ok_or_else(denied);
    }
    // Its parts would be nobody's. Source: Amazon S3 User Guide, "Multipart upload API and permissions".
    if operation == Operation::CreateMultipartUpload && account.is_none() {
        let nobody = principal(&request.authenticated);
        let key = request.address.key.as_ref().map(ObjectKey::as_str);
        let resource = Resource::S3 { bucket: bucket.name.as_str(), key };
        note_unasked(gateway, &Asker::of(gateway, request, &nobody), &nobody, (action, resource));
        let message = "Anonymous users cannot initiate multipart uploads.  Please authenticate.";
        return Err(S3Error::with_message(ErrorCode::AccessDenied, message));
    }
    // Also when the policy cannot be read, which only its owner can mend.
    let is_root = request.authenticated.user().is_none();
    if is_root && NEVER_DENIED.contains(&action) && account.as_ref() == Some(&bucket.owner) {
        let asker = Asker::of(gateway, request, &principal(&request.authenticated));
        let resource = Resource::S3 { bucket: bucket.name.as_str(), key: None };
        let decision = Decision::AllowedOtherwise(Otherwise::Owner);
        gateway.decisions.note(&asker, (action, resource), decision);
        return Ok(permit(vec![action], None));
    }
    let mut authority = authority(gateway, request, operation, &bucket).await?;
    authority.facts.initiates = right_of_initiator(gateway, request, action, &authority).await?;
    if let Some(lists) = &mut authority.facts.lists
        && makes_object(operation)
    {
        lists.set_makes_object();
    }
    add_request_tags(&mut authority.facts.context, tags);
    let has_own = authority.own.identity().next().is_some();
    if authority.default.is_none()
        && !has_own
        && authority.policy.is_none()
        && authority.facts.lists.is_none()
        && authority.facts.initiates.is_none()
    {
        let why = Decision::NotAllowed(Kind::Identity);
        return Err(authority.denied(action, request.address.key.as_ref(), &authority.facts, why));
    }
    let key = request.address.key.as_ref();
    let rights = rights(operation, action, &request.headers, version_id.is_some(), !tags.is_empty());
    // Whoever no statement can allow it learns nothing, and costs no more calls.
    authority.check_possible(&rights, key)?;
    if operation == Operation::DeleteObjects && account.is_none() {
        // Each key is decided on; but a stranger who can delete none need not send them.
        authority.check_possible_on_some_key(&["DeleteObject", "DeleteObjectVersion"])?;
    }
    if authority.asks_for_object()
        && let Some(key) = key
    {
        let facts = &mut authority.facts;
        let read =
            request.target.with_version(|found| facts.set_object(found.as_ref().ok().and_then(attributes)));
        if read.is_none() && operation == Operation::DeleteObject && authority.asks_for(EXISTING_TAG) {
            let version_id = version_id.as_deref().and_then(|id| id.parse().ok());
            let tags = tags_of(gateway, &bucket.name, key, version_id).await?;
            add_existing_tags(&mut authority.facts.context, &tags);
        }
    }
    if keys_of_upload(operation).iter().any(|key| authority.asks_for(key)) {
        set_encryption_of_upload(gateway, request, &mut authority.facts.context).await?;
    }
    // What the policy asks for may be in the body; then the handler decides, when it has read that.
    if !keys_of_body(operation).iter().any(|key| authority.asks_for(key)) {
        authority.check_all(&rights, key, &authority.facts)?;
    }
    let is_policy_operation = NEVER_DENIED.contains(&action);
    if is_policy_operation && !authority.owns {
        return Err(S3Error::method_not_allowed(&request.method, "BUCKETPOLICY", "GET, PUT, DELETE"));
    }
    // Whoever may not list a bucket does not learn what is not in it.
    let is_missing = request.target.with_version(|found| is_missing(found, version_id.is_some()));
    if is_missing.unwrap_or(false) {
        authority.check_all(&["ListBucket"], None, &authority.facts)?;
    }
    Ok(permit(rights, Some(authority)))
}

/// Decides whether the request may read the source of a copy, with its tags if those are `copied`, by the policy of the
/// source's bucket. A source that is not there is told only to those who may list the bucket.
pub(crate) async fn authorize_source(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    source: &CopySource,
    bucket: &Bucket,
    found: Option<&FoundVersion>,
    copies_tags: bool,
) -> Result<(), S3Error> {
    let mut authority = authority(gateway, request, permit.operation, bucket).await?;
    let by_version = source.version_id.is_some();
    let object = found.and_then(attributes);
    let has_tags = object.is_some_and(|object| !object.tags.is_empty());
    let mut rights = vec![of_version("GetObject", by_version)];
    rights.extend((copies_tags && has_tags).then(|| of_version("GetObjectTagging", by_version)));
    authority.facts.context.set("s3:VersionId", source.version_id.map(|id| id.to_string()));
    authority.facts.set_object(object);
    authority.check_all(&rights, Some(&source.key), &authority.facts)?;
    if object.is_none() {
        authority.check_all(&["ListBucket"], None, &authority.facts)?;
    }
    if copies_tags && has_tags {
        permit.check("PutObjectTagging", request.key()?)?;
    }
    Ok(())
}

/// Decides whether the request may have objects written to a bucket from now on, as `key` for example: logs and lists are written by
/// nobody who is asked. On AWS the target's policy has to allow it to the service that writes them; here it must not deny it, which
/// is answered: whether it does. `more` is what it takes beside the right to put objects.
pub(crate) async fn authorize_delivery(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    (service, source): (Service, &BucketName),
    target: &Bucket,
    (name, more): (&str, &[&'static str]),
) -> Result<bool, S3Error> {
    let key = ObjectKey::new(name.as_bytes().to_vec());
    let key =
        key.map_err(|_| S3Error::invalid_request("The prefix is too long for the key of an object."))?;
    let mut authority = authority(gateway, request, permit.operation, target).await?;
    authority.facts.set_object(None);
    authority.check_all(&["PutObject"], Some(&key), &authority.facts)?;
    // What is written is the bucket's owner's, and no list lets anybody else change it; nor do lists in the request's head say what
    // lists it will have.
    authority.facts.set_object(Some(&Attributes::default()));
    OF_LISTS.iter().for_each(|key| authority.facts.context.remove(key));
    authority.check_all(more, Some(&key), &authority.facts)?;
    let policy = authority.policy.as_ref();
    Ok(policy.is_some_and(|policy| denies(gateway, policy, service, source, target, name)))
}

/// What decides on the visitors of a website, as it is while they are answered.
pub(crate) struct Publication {
    /// What of public access the bucket shuts out.
    pub(crate) block: PublicAccessBlock,
    /// The bucket's policy.
    pub(crate) policy: Option<Bytes>,
}

/// Decides whether anybody may read an object, or its head, of a bucket that has a website configuration: as of a GetObject without
/// credentials, by the bucket's policy, the object's list, and the block of public access. The configuration publishes nothing by itself.
/// What is missing is told to whoever could read it. Amazon S3 User Guide, "Setting permissions for website access".
pub(crate) async fn authorize_visitor(
    gateway: &Gateway,
    request: &Request,
    publication: &Publication,
    head: bool,
) -> Result<Permit, S3Error> {
    let operation = if head { Operation::HeadObject } else { Operation::GetObject };
    let (bucket, block) = (request.bucket()?, publication.block);
    let policy = publication.policy.as_ref().map(|document| stored_policy(bucket, document)).transpose()?;
    let mut authority = Authority {
        principal: Principal::Anonymous,
        bucket: bucket.clone(),
        owns: false,
        own: Own::default(),
        is_restricted: block.restrict_public_buckets && policy.as_ref().is_some_and(Policy::is_public),
        policy,
        default: None,
        facts: Facts::default(),
        asker: Asker::of(gateway, request, &Principal::Anonymous),
        decisions: gateway.decisions.clone(),
    };
    let wanted = wanted(request, operation, None);
    let bucket = request.read_target(gateway, wanted).await.map_err(|e| request.metadata_error(e))?;
    let facts = &mut authority.facts;
    facts.context = of_request(gateway, request, operation, &authority.principal, &bucket.owner)?;
    if ownership(gateway, &bucket)?.has_acls() && !authority.is_restricted {
        let ignores_public = block.ignore_public_acls;
        facts.lists = Some(Lists::new(ListAsker { ignores_public, ..ListAsker::default() }, None));
    }
    request.target.with_version(|found| facts.set_object(found.as_ref().ok().and_then(attributes)));
    let rights = vec!["GetObject"];
    authority.check_all(&rights, request.address.key.as_ref(), &authority.facts)?;
    Ok(Permit { account: None, operation, rights, authority: Some(authority) })
}
