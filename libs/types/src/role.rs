//! What processes of a cluster are to each other.

use std::fmt;

/// What a process is, as its certificate says. Services are called, and all of these call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Speaks to clients.
    Gateway,
    /// Manages data in the background.
    Worker,
    /// Keeps shards.
    Chunk,
    /// Keeps metadata.
    Metadata,
    /// A tool of an operator's.
    Admin,
    /// Reads metrics, and nothing else.
    Monitor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Gateway, Self::Worker, Self::Chunk, Self::Metadata, Self::Admin, Self::Monitor];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Chunk => "chunk",
            Self::Metadata => "metadata",
            Self::Admin => "admin",
            Self::Monitor => "monitor",
        }
    }

    /// The DNS name by which a certificate says it. It is compared and never resolved; `internal` is a domain that nobody can be
    /// given (ICANN, resolution 2024.07.29.06), so that no public authority certifies it.
    pub fn dns_name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway.ashlar.internal",
            Self::Worker => "worker.ashlar.internal",
            Self::Chunk => "chunk.ashlar.internal",
            Self::Metadata => "metadata.ashlar.internal",
            Self::Admin => "admin.ashlar.internal",
            Self::Monitor => "monitor.ashlar.internal",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and no others.
    pub const fn of(roles: &[Role]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < roles.len() {
            set |= 1 << roles[at] as u8;
            at += 1;
        }
        Self(set)
    }

    /// Whether one of these is among the others.
    pub const fn meet(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether this is one of them.
    pub const fn have(self, role: Role) -> bool {
        self.meet(Self::of(&[role]))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, |all, role| Self(all.0 | Self::of(&[role]).0))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            Role::ALL.into_iter().filter(|role| self.have(*role)).map(Role::name).collect();
        f.write_str(if names.is_empty() { "no service" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Roles};

    #[test]
    fn roles_are_sets() {
        const SOME: Roles = Roles::of(&[Role::Worker, Role::Admin]);
        assert!(SOME.have(Role::Worker) && SOME.have(Role::Admin) && !SOME.have(Role::Gateway));
        assert!(SOME.meet(Roles::of(&[Role::Gateway, Role::Admin])) && !SOME.meet(Roles::NONE));
        assert_eq!([Role::Admin, Role::Worker].into_iter().collect::<Roles>(), SOME);
        assert_eq!(
            (SOME.to_string(), Roles::NONE.to_string()),
            ("worker, admin".into(), "no service".into())
        );
        for role in Role::ALL {
            assert_eq!(role.dns_name(), format!("{role}.ashlar.internal"));
        }
    }
}
