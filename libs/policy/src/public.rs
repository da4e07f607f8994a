//! Whether a policy is public. Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of
//! public".

use crate::{Policy, document::Statement, principal::Grantee};

/// Keys by whose fixed values a grant to everybody is one to somebody, of those that are known here.
const FIXING: [&str; 4] = ["aws:SourceAccount", "aws:SourceArn", "aws:SourceIp", "aws:userid"];

impl Policy {
    /// Whether it grants anything to everybody. A policy is taken for public until every grant of it is seen to be to fixed
    /// principals, or under a condition that fixes where requests come from or who sends them.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| statement.allows && !statement.is_for_some())
    }
}

impl Statement {
    fn is_for_some(&self) -> bool {
        let Some(principals) = &self.principals else { return true };
        let names_somebody = !principals.is_negated && !principals.grantees.contains(&Grantee::Everyone);
        let fixed = self
            .conditions
            .iter()
            .any(|condition| FIXING.contains(&condition.key.name()) && condition.fixes_its_key());
        names_somebody || fixed
    }
}
