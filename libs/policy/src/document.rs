//! Policy documents: the elements, and what must be so of them.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language".

use std::collections::BTreeSet;

use crate::{
    Malformed, Scope,
    action::{self, ActionPattern},
    condition::Condition,
    json::Json,
    key::Key,
    pattern::{Syntax, Text},
    principal::{Grantee, More, Principals},
};

/// Most bytes of a bucket's policy. Source: Amazon S3 User Guide, "Bucket policies for Amazon S3".
pub const DOCUMENT_LENGTH_MAX: usize = 20 << 10;

/// What the name of every bucket and object begins with.
pub(crate) const ARN_PREFIX: &str = "arn:aws:s3:::";

/// The policy of a bucket, of an identity, or of who may assume a role.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What it is called when it is told of; empty when it has no name.
    pub(crate) name: String,
    pub(crate) statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) allows: bool,
    /// Whom it is about; in the policy of an identity it is whoever has the policy.
    pub(crate) principals: Option<Principals>,
    pub(crate) actions: Vec<ActionPattern>,
    /// Whether it is about all other actions.
    pub(crate) is_not_action: bool,
    /// What it is about; in the policy of who may assume a role it is the role.
    pub(crate) resources: Vec<ResourcePattern>,
    /// Whether it is about everything else.
    pub(crate) is_not_resource: bool,
    pub(crate) conditions: Vec<Condition>,
}

/// A pattern of names of resources.
#[derive(Debug, Clone)]
pub(crate) struct ResourcePattern {
    pub(crate) text: Text,
    /// Whether it is of whole names, as in the policies of identities, or of those of buckets and objects without the prefix
    /// that they share.
    pub(crate) is_whole: bool,
}

impl ResourcePattern {
    /// Whether it can be the name of the bucket, or of something in it.
    fn reaches(&self, bucket: &str, scope: Scope) -> bool {
        match scope {
            Scope::Bucket => self.text.can_match(bucket, true),
            Scope::Object => self.text.can_match(&format!("{bucket}/"), false),
        }
    }
}

/// What a policy is of.
#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    /// The bucket of this name.
    Bucket(&'a str),
    /// A user, a group or a role.
    Identity,
    /// A role, of which it says who may assume it.
    Trust,
}

/// Actions that the policy of who may assume a role can be about: with credentials, with the token of a provider, and what the session
/// is given beside.
const ASSUMING: &str = "sts:AssumeRole";
const ASSUMING_WITH_TOKEN: &str = "sts:AssumeRoleWithWebIdentity";
const OF_TRUST: [&str; 4] = [ASSUMING, ASSUMING_WITH_TOKEN, "sts:SetSourceIdentity", "sts:TagSession"];

impl Policy {
    /// Reads the policy of the bucket of this name.
    pub fn parse(document: &[u8], bucket: &str) -> Result<Self, Malformed> {
        if document.len() > DOCUMENT_LENGTH_MAX {
            return Err(Malformed::new("Policy exceeds the maximum allowed document size."));
        }
        Self::read(document, Of::Bucket(bucket))
    }

    /// Reads the policy of an identity, which names no principal and may be about anything. How long it may be depends on
    /// what has it. Source: IAM User Guide, "Grammar of the IAM JSON policy language".
    pub fn parse_identity(document: &[u8]) -> Result<Self, Malformed> {
        Self::read(document, Of::Identity)
    }

    /// Reads the policy of who may assume a role, which names principals and no resource. Source: IAM User Guide, "Roles terms
    /// and concepts", the term Trust policy; IAM API Reference, "CreateRole".
    pub fn parse_trust(document: &[u8]) -> Result<Self, Malformed> {
        Self::read(document, Of::Trust)
    }

    fn read(document: &[u8], of: Of<'_>) -> Result<Self, Malformed> {
        let (mut version, mut statement) = (None, None);
        for (name, value) in Json::parse(document)? {
            match name.as_str() {
                "Version" => version = Some(value),
                "Id" if value.text().is_some() => {}
                "Id" => return Err(Malformed::syntax()),
                "Statement" => statement = Some(value),
                _ => return Err(unknown(&name)),
            }
        }
        let variables = match version.as_ref().map(Json::text) {
            Some(Some("2012-10-17")) => true,
            None | Some(Some("2008-10-17")) => false,
            Some(_) => return Err(Malformed::new("The policy must contain a valid version string")),
        };
        let statements = match statement {
            None => return Err(missing("Statement")),
            Some(Json::List(statements)) => statements,
            Some(one @ Json::Object(_)) => vec![one],
            Some(_) => return Err(Malformed::syntax()),
        };
        if statements.is_empty() {
            return Err(Malformed::new("Statement is empty!"));
        }
        let statements: Vec<Statement> = statements
            .into_iter()
            .map(|statement| Statement::parse(statement, of, variables))
            .collect::<Result<_, _>>()?;
        let mut sids = BTreeSet::new();
        for sid in statements.iter().filter_map(|statement| statement.sid.as_deref()) {
            if !sids.insert(sid) {
                return Err(Malformed::of("Statement IDs (SID) in a single policy must be unique.", sid));
            }
        }
        Ok(Self { name: String::new(), statements })
    }

    /// The same policy by this name, under which it is told of.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Whom its statements name.
    pub fn grantees(&self) -> impl Iterator<Item = &Grantee> {
        let principals = self.statements.iter().filter_map(|statement| statement.principals.as_ref());
        principals.flat_map(|principals| &principals.grantees)
    }

    /// Whether a condition asks for a key of this name, which for those of tags ends with the slash.
    pub fn asks_for(&self, name: &str) -> bool {
        self.statements.iter().flat_map(Statement::keys).any(|key| key.name() == name)
    }
}

/// The elements of a statement as they are written.
#[derive(Default)]
struct Elements {
    sid: Option<String>,
    effect: Option<Json>,
    principals: Option<Principals>,
    actions: Option<(Json, bool)>,
    resources: Option<(Json, bool)>,
    condition: Option<Json>,
}

impl Elements {
    fn read(statement: Json, of: Of<'_>) -> Result<Self, Malformed> {
        let Json::Object(members) = statement else { return Err(Malformed::syntax()) };
        let mut elements = Self::default();
        for (name, value) in members {
            let is_not = name.starts_with("Not");
            match name.as_str() {
                "Sid" => elements.sid = Some(value.text().ok_or_else(Malformed::syntax)?.to_owned()),
                "Effect" => elements.effect = Some(value),
                "Principal" | "NotPrincipal" if elements.principals.is_none() => {
                    let more = match of {
                        Of::Bucket(_) => More::Deliveries,
                        Of::Trust => More::Assuming,
                        Of::Identity => More::None,
                    };
                    elements.principals = Some(Principals::parse(&value, is_not, more)?);
                }
                "Action" | "NotAction" if elements.actions.is_none() => {
                    elements.actions = Some((value, is_not));
                }
                "Resource" | "NotResource" if elements.resources.is_none() => {
                    elements.resources = Some((value, is_not));
                }
                "Condition" => elements.condition = Some(value),
                "Principal" | "NotPrincipal" | "Action" | "NotAction" | "Resource" | "NotResource" => {
                    return Err(Malformed::of(
                        format!("{name} cannot stand beside its opposite in a statement"),
                        name,
                    ));
                }
                _ => return Err(unknown(&name)),
            }
        }
        Ok(elements)
    }
}

impl Statement {
    fn parse(statement: Json, of: Of<'_>, variables: bool) -> Result<Self, Malformed> {
        let elements = Elements::read(statement, of)?;
        let effect = elements.effect.ok_or_else(|| missing("Effect"))?;
        let allows = match effect.text() {
            Some("Allow") => true,
            Some("Deny") => false,
            other => {
                let text = other.unwrap_or_default();
                return Err(Malformed::of(format!("Invalid effect: {text}"), text));
            }
        };
        let principals = match (elements.principals, of) {
            (None, Of::Bucket(_) | Of::Trust) => return Err(missing("Principal")),
            (Some(_), Of::Identity) => {
                return Err(Malformed::new("Policy document should not specify a principal."));
            }
            (principals, _) => principals,
        };
        let (actions, is_not_action) = elements.actions.ok_or_else(|| missing("Action"))?;
        let invalid_action = |text: &str| Malformed::of("Policy has invalid action", text);
        let action = |text: &str| match of {
            Of::Bucket(_) => ActionPattern::parse(text).ok_or(()),
            Of::Identity | Of::Trust => ActionPattern::parse_any(text).ok_or(()),
        };
        let actions = all(&actions, invalid_action, action)?;
        let invalid_resource = |text: &str| Malformed::of("Policy has invalid resource", text);
        let (resources, is_not_resource) = match (elements.resources, of) {
            (Some(_), Of::Trust) => return Err(Malformed::new("Has prohibited field Resource")),
            // Everything but nothing.
            (None, Of::Trust) => (Vec::new(), true),
            (None, _) => return Err(missing("Resource")),
            (Some((resources, is_not)), Of::Bucket(bucket)) => {
                (all(&resources, invalid_resource, |text| resource(text, bucket, variables))?, is_not)
            }
            (Some((resources, is_not)), Of::Identity) => {
                (all(&resources, invalid_resource, |text| any_resource(text, variables))?, is_not)
            }
        };
        let conditions =
            elements.condition.map(|value| Condition::parse_all(&value, variables)).transpose()?;
        let sid = elements.sid.filter(|sid| !sid.is_empty());
        let conditions = conditions.unwrap_or_default();
        let statement =
            Self { sid, allows, principals, actions, is_not_action, resources, is_not_resource, conditions };
        match of {
            Of::Bucket(bucket) => {
                statement.check_actions(bucket)?;
                statement.check_conditions()?;
            }
            // What no request has together is never asked for together: an identity's policy may say it.
            Of::Identity => {}
            Of::Trust => statement.check_trust()?,
        }
        Ok(statement)
    }

    /// Refuses what has nothing to do with assuming a role.
    fn check_trust(&self) -> Result<(), Malformed> {
        let is_it = |action: &ActionPattern| {
            action.actions().next().is_some() && action.actions().all(|name| OF_TRUST.contains(&name))
        };
        if self.is_not_action || !self.actions.iter().all(is_it) {
            return Err(Malformed::new("AssumeRole policy may only specify STS AssumeRole actions."));
        }
        self.check_assuming()?;
        // Which would be nearly everybody. IAM User Guide, "AWS JSON policy elements: NotPrincipal".
        if self.allows && self.principals.as_ref().is_some_and(|principals| principals.is_negated) {
            return Err(Malformed::of("Allow with NotPrincipal is not allowed.", "NotPrincipal"));
        }
        let has_it =
            |key: &Key| OF_TRUST.into_iter().any(|action| self.is_for_action(action) && key.is_of(action));
        match self.conditions.iter().find(|condition| !has_it(&condition.key)) {
            Some(condition) => Err(no_such_condition(&condition.key)),
            None => Ok(()),
        }
    }

    /// Refuses to allow somebody what only others can do: providers' tokens are shown to assume a role with, and nobody else shows one.
    fn check_assuming(&self) -> Result<(), Malformed> {
        let Some(principals) = self.principals.as_ref().filter(|_| self.allows) else { return Ok(()) };
        let is_provider = |grantee: &Grantee| matches!(grantee, Grantee::Provider { .. });
        let (with_keys, with_token) = (self.is_for_action(ASSUMING), self.is_for_action(ASSUMING_WITH_TOKEN));
        if !principals.grantees.iter().any(is_provider) && with_token && !with_keys {
            let message = "AssumeRoleWithWebIdentity takes a principal of the kind Federated.";
            return Err(Malformed::of(message, ASSUMING_WITH_TOKEN));
        }
        if principals.grantees.iter().all(is_provider) && with_keys && !with_token {
            let message = "A principal of the kind Federated takes the action sts:AssumeRoleWithWebIdentity.";
            return Err(Malformed::of(message, ASSUMING));
        }
        Ok(())
    }

    /// Refuses an action that is done to nothing that the statement is about: a bucket's, where only objects are named.
    fn check_actions(&self, bucket: &str) -> Result<(), Malformed> {
        if self.is_not_action || self.is_not_resource {
            return Ok(());
        }
        let reached = |scope| self.resources.iter().any(|resource| resource.reaches(bucket, scope));
        let (of_bucket, of_objects) = (reached(Scope::Bucket), reached(Scope::Object));
        let applies = |action: &ActionPattern| {
            of_bucket && action.has(Scope::Bucket) || of_objects && action.has(Scope::Object)
        };
        if self.actions.iter().all(applies) {
            Ok(())
        } else {
            Err(Malformed::new("Action does not apply to any resource(s) in statement"))
        }
    }

    /// Refuses a key that no request for one of its actions has.
    fn check_conditions(&self) -> Result<(), Malformed> {
        let has_it = |key: &Key| action::all().any(|action| self.is_for_action(action) && key.is_of(action));
        match self.conditions.iter().find(|condition| !has_it(&condition.key)) {
            Some(condition) => Err(no_such_condition(&condition.key)),
            None => Ok(()),
        }
    }

    pub(crate) fn is_for_action(&self, action: &str) -> bool {
        let place = action::place(action);
        self.actions.iter().any(|pattern| pattern.matches(place)) != self.is_not_action
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        let of_resources = self.resources.iter().flat_map(|resource| resource.text.variables());
        of_resources.chain(self.conditions.iter().flat_map(Condition::keys))
    }
}

/// Every text of an element that is one or a list of them.
fn all<T, E>(
    value: &Json,
    invalid: impl Fn(&str) -> Malformed,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Malformed> {
    let texts = value.texts().filter(|texts| !texts.is_empty()).ok_or_else(|| invalid(""))?;
    texts.into_iter().map(|text| parse(text).map_err(|_| invalid(text))).collect()
}

/// A name, or a pattern of names, of the bucket or of what is in it.
fn resource(text: &str, bucket: &str, variables: bool) -> Result<ResourcePattern, Malformed> {
    let invalid = || Malformed::of("Policy has invalid resource", text);
    let pattern = Text::parse(text, Syntax { wildcards: true, variables })?;
    let pattern = match pattern.strip_prefix(ARN_PREFIX) {
        _ if pattern.is_everything() => pattern,
        Some(name) => name,
        None => return Err(invalid()),
    };
    let pattern = ResourcePattern { text: pattern, is_whole: false };
    let is_inside = [Scope::Bucket, Scope::Object].into_iter().any(|scope| pattern.reaches(bucket, scope));
    if is_inside { Ok(pattern) } else { Err(invalid()) }
}

/// A name, or a pattern of names, of anything.
fn any_resource(text: &str, variables: bool) -> Result<ResourcePattern, Malformed> {
    let pattern = Text::parse(text, Syntax { wildcards: true, variables })?;
    let is_arn = text.starts_with("arn:") && text.split(':').count() >= 6;
    if !is_arn && !pattern.is_everything() {
        return Err(Malformed::of(format!("Resource {text} must be in ARN format or \"*\"."), text));
    }
    Ok(ResourcePattern { text: pattern, is_whole: true })
}

fn no_such_condition(key: &Key) -> Malformed {
    Malformed::of(
        "Conditions do not apply to combination of actions and resources in statement",
        key.to_string(),
    )
}

fn unknown(name: &str) -> Malformed {
    Malformed::of(format!("Unknown field {name}"), name)
}

fn missing(name: &str) -> Malformed {
    Malformed::of(format!("Missing required field {name}"), name)
}
