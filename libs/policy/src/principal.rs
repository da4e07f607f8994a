//! Who asks, and whom a statement is about.

use std::fmt;

use crate::{Malformed, Service, json::Json, provider::is_provider};

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Somebody without credentials.
    Anonymous,
    /// The root user of an account.
    Root {
        /// The account.
        account: Account,
    },
    /// A user of an account.
    User {
        /// The account.
        account: Account,
        /// The user's name with its path, as in its ARN.
        name: String,
    },
    /// Somebody in a role of an account.
    Role {
        /// The account.
        account: Account,
        /// The role's name with its path, as in its ARN.
        name: String,
        /// What the session was named when the role was assumed.
        session: String,
    },
    /// Somebody whom a user or the root user of an account lets act with rights of its own. AWS STS API Reference,
    /// "GetFederationToken".
    Federated {
        /// The account.
        account: Account,
        /// The user's name with its path, as in its ARN; none of the root user.
        user: Option<String>,
        /// What the federated user is called.
        name: String,
    },
    /// Somebody who shows a token of a provider of OpenID Connect, which is in an account. It may assume a role, and nothing else.
    WebIdentity {
        /// The account that the provider is in. Who shows the token does not belong to it.
        account: Account,
        /// The provider's URL without `https://`.
        provider: String,
        /// For whom the token is.
        audience: String,
        /// Whom the provider says it is.
        subject: String,
    },
    /// The store itself, in the place of a service of AWS. No request is its.
    Service(Service),
}

/// An account. Policies name it by either id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id of 12 digits, which ARNs have.
    pub number: String,
    /// Its canonical user id.
    pub canonical: String,
}

impl Account {
    fn is(&self, id: &str) -> bool {
        self.number == id || self.canonical == id
    }
}

impl Principal {
    /// `aws:PrincipalArn`, which in a role is the role's, and of a federated user its own; nobody has none, nor a service.
    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Anonymous | Self::WebIdentity { .. } | Self::Service(_) => None,
            Self::Root { account } => Some(format!("arn:aws:iam::{}:root", account.number)),
            Self::User { account, name } => Some(format!("arn:aws:iam::{}:user/{name}", account.number)),
            Self::Role { account, name, .. } => Some(format!("arn:aws:iam::{}:role/{name}", account.number)),
            Self::Federated { account, name, .. } => {
                Some(format!("arn:aws:sts::{}:federated-user/{name}", account.number))
            }
        }
    }

    /// How messages name it: in a role, by the session; with a token by what that says. AWS CloudTrail User Guide, "CloudTrail userIdentity
    /// element", the section "Values for AWS STS APIs with SAML and web identity federation".
    pub fn own_arn(&self) -> Option<String> {
        match self {
            Self::Role { account, name, session } => {
                let role = name.rsplit('/').next().unwrap_or_default();
                Some(format!("arn:aws:sts::{}:assumed-role/{role}/{session}", account.number))
            }
            Self::WebIdentity { account, provider, audience, subject } => {
                Some(format!("arn:aws:iam::{}:oidc-provider/{provider}:{audience}:{subject}", account.number))
            }
            Self::Anonymous
            | Self::Root { .. }
            | Self::User { .. }
            | Self::Federated { .. }
            | Self::Service(_) => self.arn(),
        }
    }

    /// Whose it is.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Anonymous | Self::WebIdentity { .. } | Self::Service(_) => None,
            Self::Root { account }
            | Self::User { account, .. }
            | Self::Role { account, .. }
            | Self::Federated { account, .. } => Some(account),
        }
    }
}

/// Whom a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// Everybody, with credentials or without.
    Everyone,
    /// Everybody of an account.
    Account(String),
    /// One user.
    User {
        /// The account's id.
        account: String,
        /// The user's name with its path.
        name: String,
    },
    /// Everybody in a role.
    Role {
        /// The account's id.
        account: String,
        /// The role's name with its path.
        name: String,
    },
    /// One session of a role.
    Session {
        /// The account's id.
        account: String,
        /// The role's name, without its path.
        role: String,
        /// The session's.
        session: String,
    },
    /// One federated user.
    Federated {
        /// The account's id.
        account: String,
        /// What it is called.
        name: String,
    },
    /// Everybody who shows a token of a provider of OpenID Connect.
    Provider {
        /// The account's id.
        account: String,
        /// The provider's URL without `https://`.
        name: String,
    },
    /// A service of AWS, in whose place the store itself is.
    Service(Service),
    /// Any other service of AWS, by its name. None is here, so that nobody is meant.
    NoService(String),
}

/// Kinds of principals that a policy may name beside those that every policy may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    None,
    /// The services by which S3 delivers something, as in the policies of buckets.
    Deliveries,
    /// Providers of OpenID Connect, and services of any name, as in the policies of who may assume a role.
    Assuming,
}

impl More {
    fn has(self, kind: &str) -> bool {
        match self {
            Self::None => false,
            Self::Deliveries => kind == "Service",
            Self::Assuming => matches!(kind, "Service" | "Federated"),
        }
    }
}

impl Grantee {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        if is_account(text) {
            return Some(Self::Account(text.to_owned()));
        }
        let (service, arn) = text.strip_prefix("arn:aws:")?.split_once("::")?;
        let (account, of_it) = arn.split_once(':').filter(|(account, _)| is_account(account))?;
        let account = account.to_owned();
        if (service, of_it) == ("iam", "root") {
            return Some(Self::Account(account));
        }
        // A principal is one user, role or session: there are no wildcards in it.
        let (kind, name) = of_it.split_once('/')?;
        if name.is_empty() || name.contains(['*', '?']) {
            return None;
        }
        let name = name.to_owned();
        match (service, kind) {
            ("iam", "user") => Some(Self::User { account, name }),
            ("iam", "role") => Some(Self::Role { account, name }),
            ("sts", "assumed-role") => {
                let (role, session) = name.split_once('/')?;
                let is_good = !role.is_empty() && !session.is_empty() && !session.contains('/');
                let (role, session) = (role.to_owned(), session.to_owned());
                is_good.then_some(Self::Session { account, role, session })
            }
            ("sts", "federated-user") => (!name.contains('/')).then_some(Self::Federated { account, name }),
            _ => None,
        }
    }

    /// A provider of OpenID Connect, by its ARN.
    fn parse_provider(text: &str) -> Option<Self> {
        let (account, name) = text.strip_prefix("arn:aws:iam::")?.split_once(":oidc-provider/")?;
        let is_good = is_account(account) && is_provider(name);
        is_good.then(|| Self::Provider { account: account.to_owned(), name: name.to_owned() })
    }

    /// A service, by its name.
    fn parse_service(text: &str, more: More) -> Result<Self, Malformed> {
        match more {
            More::Assuming if is_service(text) => Ok(Self::NoService(text.to_owned())),
            More::Assuming => {
                Err(Malformed::of(format!("Invalid principal in policy: \"SERVICE\":\"{text}\""), text))
            }
            More::None | More::Deliveries => {
                Service::parse(text).map(Self::Service).ok_or_else(|| no_such_service(text))
            }
        }
    }

    fn is(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Everyone, _) => true,
            (Self::Account(account), principal) => principal.account().is_some_and(|own| own.is(account)),
            (Self::User { account, name }, Principal::User { account: own, name: own_name }) => {
                own.is(account) && name == own_name
            }
            // What is granted to the user is granted within what limits the session.
            (
                Self::User { account, name },
                Principal::Federated { account: own, user: Some(own_name), .. },
            )
            | (
                Self::Federated { account, name },
                Principal::Federated { account: own, name: own_name, .. },
            ) => own.is(account) && name == own_name,
            (Self::Role { account, name }, Principal::Role { account: own, name: own_name, session: _ }) => {
                own.is(account) && name == own_name
            }
            (
                Self::Session { account, role, session },
                Principal::Role { account: own, name: own_name, session: own_session },
            ) => own.is(account) && own_name.rsplit('/').next() == Some(role) && session == own_session,
            (
                Self::Provider { account, name },
                Principal::WebIdentity { account: own, provider, audience: _, subject: _ },
            ) => own.is(account) && name == provider,
            (Self::Service(service), Principal::Service(own)) => own == service,
            (
                Self::User { .. }
                | Self::Role { .. }
                | Self::Session { .. }
                | Self::Federated { .. }
                | Self::Provider { .. }
                | Self::Service(_)
                | Self::NoService(_),
                _,
            ) => false,
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("*"),
            Self::Account(account) => f.write_str(account),
            Self::User { account, name } => write!(f, "arn:aws:iam::{account}:user/{name}"),
            Self::Role { account, name } => write!(f, "arn:aws:iam::{account}:role/{name}"),
            Self::Session { account, role, session } => {
                write!(f, "arn:aws:sts::{account}:assumed-role/{role}/{session}")
            }
            Self::Federated { account, name } => write!(f, "arn:aws:sts::{account}:federated-user/{name}"),
            Self::Provider { account, name } => write!(f, "arn:aws:iam::{account}:oidc-provider/{name}"),
            Self::Service(service) => service.fmt(f),
            Self::NoService(name) => f.write_str(name),
        }
    }
}

/// Whether it is the name of a service of AWS: `ec2.amazonaws.com`, `pods.eks.amazonaws.com`, `s3.eu-west-1.amazonaws.com`. Which of them
/// there are AWS alone knows. IAM User Guide, "AWS JSON policy elements: Principal", the section "AWS service principals".
fn is_service(text: &str) -> bool {
    let name = text.strip_suffix(".cn").unwrap_or(text).strip_suffix(".amazonaws.com");
    let is_label = |label: &str| {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(good) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 255 && name.is_some_and(|name| name.split('.').all(is_label))
}

/// 12 digits, or a canonical user id.
fn is_account(text: &str) -> bool {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits || text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The element Principal or NotPrincipal.
#[derive(Debug, Clone)]
pub(crate) struct Principals {
    pub(crate) grantees: Vec<Grantee>,
    /// Whether it is about everybody else.
    pub(crate) is_negated: bool,
}

impl Principals {
    /// It may name principals of one more kind than those that every policy may.
    pub(crate) fn parse(value: &Json, is_negated: bool, more: More) -> Result<Self, Malformed> {
        let invalid = |detail: &str| Malformed::of("Invalid principal in policy", detail);
        let mut grantees = Vec::new();
        match value {
            Json::Text(text) if text == "*" => grantees.push(Grantee::Everyone),
            Json::Object(members) if !members.is_empty() => {
                for (kind, value) in members {
                    if !more.has(kind) && !matches!(kind.as_str(), "AWS" | "CanonicalUser") {
                        return Err(unsupported(kind));
                    }
                    let texts =
                        value.texts().filter(|texts| !texts.is_empty()).ok_or_else(|| invalid(kind))?;
                    for text in texts {
                        match kind.as_str() {
                            "Service" => {
                                grantees.push(Grantee::parse_service(text, more)?);
                                continue;
                            }
                            "Federated" => {
                                let provider = Grantee::parse_provider(text);
                                grantees.push(provider.ok_or_else(|| no_such_federation(text))?);
                                continue;
                            }
                            _ => {}
                        }
                        let grantee = Grantee::parse(text).filter(|grantee| {
                            kind == "AWS" || matches!(grantee, Grantee::Account(_)) && text.len() == 64
                        });
                        grantees.push(grantee.ok_or_else(|| invalid(text))?);
                    }
                }
            }
            _ => return Err(invalid(value.text().unwrap_or_default())),
        }
        Ok(Self { grantees, is_negated })
    }

    /// How a statement names somebody, if it does. What is denied to an account is denied to its users and roles; what is
    /// denied to all but an account is denied to those of them that are not named themselves, of which a session is named by
    /// its role too. IAM User Guide, "AWS JSON policy elements: Principal", the sections "AWS account principals", "IAM role
    /// principals" and "Role session principals", and "AWS JSON policy elements: NotPrincipal". Who has a permissions boundary is
    /// excepted from nothing that is denied. IAM User Guide, "Permissions boundaries for IAM entities". A federated user is not the
    /// user that it is of, and is excepted by its own name alone. Whoever shows the token of a provider is let in by the provider's own name alone, and not as one of
    /// everybody.
    pub(crate) fn names(&self, principal: &Principal, allows: bool, is_bounded: bool) -> Option<Naming> {
        let naming = |grantee: &Grantee| match (principal, grantee) {
            (
                Principal::User { .. } | Principal::Role { .. } | Principal::Federated { .. },
                Grantee::Account(_),
            ) => Naming::OfAccount,
            (_, Grantee::Session { .. } | Grantee::Federated { .. }) => Naming::OfSession,
            _ => Naming::Own,
        };
        let is_meant = |grantee: &&Grantee| match (principal, grantee) {
            (Principal::WebIdentity { .. }, Grantee::Everyone) => !allows,
            _ => grantee.is(principal),
        };
        let naming = self.grantees.iter().filter(is_meant).map(naming).max();
        if !self.is_negated {
            return naming;
        }
        let least = match principal {
            Principal::Federated { .. } => Naming::OfSession,
            _ => Naming::Own,
        };
        let is_excepted = naming.is_some_and(|naming| allows || naming >= least && !is_bounded);
        (!is_excepted).then_some(Naming::Own)
    }
}

/// How a statement names somebody. The later ones say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// A user, a role or a federated user, by its account alone. What a statement allows the account may hand on to its users
    /// and roles, by policies of theirs; by itself it allows them nothing in the account's own buckets.
    OfAccount,
    /// By its own name, which in a role is the role's and of a federated user the user's, or among everybody.
    Own,
    /// By the name of its session, or of the federated user, to which nothing else that limits the session matters.
    OfSession,
}

fn no_such_service(name: &str) -> Malformed {
    Malformed::of(
        format!("Invalid principal in policy: the service {name} does nothing in buckets here"),
        name,
    )
}

fn no_such_federation(name: &str) -> Malformed {
    Malformed::of(
        format!(
            "Invalid principal in policy: of federated principals there are OpenID Connect providers of the account alone, arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH, and not {name}"
        ),
        name,
    )
}

fn unsupported(kind: &str) -> Malformed {
    match kind {
        "Service" | "Federated" => Malformed::of(
            format!("Invalid principal in policy: there are no principals of the kind {kind} here"),
            kind,
        ),
        _ => Malformed::of("Invalid principal in policy", kind),
    }
}
