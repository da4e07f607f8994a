//! Who asks, and whom a statement is about.

use std::fmt;

use crate::{Malformed, json::Json};

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
    /// `aws:PrincipalArn`; nobody has none.
    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Root { account } => Some(format!("arn:aws:iam::{}:root", account.number)),
            Self::User { account, name } => Some(format!("arn:aws:iam::{}:user/{name}", account.number)),
        }
    }

    /// Whose it is.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Anonymous => None,
            Self::Root { account } | Self::User { account, .. } => Some(account),
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
}

impl Grantee {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        let Some(arn) = text.strip_prefix("arn:aws:iam::") else {
            return is_account(text).then(|| Self::Account(text.to_owned()));
        };
        let (account, of_it) = arn.split_once(':').filter(|(account, _)| is_account(account))?;
        let account = account.to_owned();
        match of_it.strip_prefix("user/") {
            // A principal is one user: there are no wildcards in it.
            Some(name) if !name.is_empty() && !name.contains(['*', '?']) => {
                Some(Self::User { account, name: name.to_owned() })
            }
            None if of_it == "root" => Some(Self::Account(account)),
            _ => None,
        }
    }

    fn is(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Everyone, _) => true,
            (Self::Account(account), principal) => principal.account().is_some_and(|own| own.is(account)),
            (Self::User { account, name }, Principal::User { account: own, name: own_name }) => {
                own.is(account) && name == own_name
            }
            (Self::User { .. }, _) => false,
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("*"),
            Self::Account(account) => f.write_str(account),
            Self::User { account, name } => write!(f, "arn:aws:iam::{account}:user/{name}"),
        }
    }
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
    pub(crate) fn parse(value: &Json, is_negated: bool) -> Result<Self, Malformed> {
        let invalid = |detail: &str| Malformed::of("Invalid principal in policy", detail);
        let mut grantees = Vec::new();
        match value {
            Json::Text(text) if text == "*" => grantees.push(Grantee::Everyone),
            Json::Object(members) if !members.is_empty() => {
                for (kind, value) in members {
                    if !matches!(kind.as_str(), "AWS" | "CanonicalUser") {
                        return Err(unsupported(kind));
                    }
                    let texts =
                        value.texts().filter(|texts| !texts.is_empty()).ok_or_else(|| invalid(kind))?;
                    for text in texts {
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

    /// How a statement names somebody, if it does. What is denied to an account is denied to its users; what is denied to all
    /// but an account is denied to those of its users that are not named themselves. IAM User Guide, "AWS JSON policy elements:
    /// Principal", the section "AWS account principals", and "AWS JSON policy elements: NotPrincipal".
    pub(crate) fn names(&self, principal: &Principal, allows: bool) -> Option<Naming> {
        let is_user = matches!(principal, Principal::User { .. });
        let mut naming = None;
        for grantee in self.grantees.iter().filter(|grantee| grantee.is(principal)) {
            if !is_user || !matches!(grantee, Grantee::Account(_)) {
                naming = Some(Naming::Own);
                break;
            }
            naming = Some(Naming::OfAccount);
        }
        if !self.is_negated {
            return naming;
        }
        let is_excepted = naming == Some(Naming::Own) || allows && naming.is_some();
        (!is_excepted).then_some(Naming::Own)
    }
}

/// How a statement names somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By its own name, or among everybody.
    Own,
    /// A user, by its account alone.
    OfAccount,
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
