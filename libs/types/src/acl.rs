//! Access control lists. Source: Amazon S3 User Guide, "Access control list (ACL) overview".

/// Who is granted what of a bucket or an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Acl {
    /// The canonical user id of the account that owns the object; `None` of a bucket, and of what belongs to the bucket's owner.
    pub owner: Option<String>,
    /// The grants, in the order in which they are shown.
    pub grants: Vec<Grant>,
}

impl Acl {
    /// Most grants of a list.
    pub const GRANTS_MAX: usize = 100;

    /// The list by which an account alone has every right.
    pub fn of_owner(account: &str) -> Self {
        let grantee = Grantee::Account(account.to_owned());
        Self { owner: None, grants: vec![Grant { grantee, permission: Permission::FullControl }] }
    }

    /// Whether it grants a group in which everybody is, or everybody with an account. Source: Amazon S3 User Guide, "Blocking
    /// public access to your Amazon S3 storage", "The meaning of 'public'".
    pub fn is_public(&self) -> bool {
        let public = [Grantee::Group(Group::AllUsers), Grantee::Group(Group::AuthenticatedUsers)];
        self.grants.iter().any(|grant| public.contains(&grant.grantee))
    }

    /// Whether it grants this permission to an account, or to somebody without one.
    pub fn grants(&self, account: Option<&str>, permission: Permission) -> bool {
        let is_meant = |grantee: &Grantee| match grantee {
            Grantee::Account(id) => account == Some(id),
            Grantee::Group(Group::AllUsers) => true,
            Grantee::Group(Group::AuthenticatedUsers) => account.is_some(),
            Grantee::Group(Group::LogDelivery) => false,
        };
        self.grants.iter().any(|grant| {
            is_meant(&grant.grantee)
                && (grant.permission == permission || grant.permission == Permission::FullControl)
        })
    }
}

/// One permission that one grantee has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Who has it.
    pub grantee: Grantee,
    /// What it allows.
    pub permission: Permission,
}

/// Who is granted something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// The account of this canonical user id.
    Account(String),
    /// Everybody in a group.
    Group(Group),
}

/// A predefined group. The numbers are persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Everybody, also without credentials.
    AllUsers = 1,
    /// Everybody who has an account.
    AuthenticatedUsers = 2,
    /// What writes access logs.
    LogDelivery = 3,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 3] = [Self::AllUsers, Self::AuthenticatedUsers, Self::LogDelivery];

    /// The group of a persistent number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|group| *group as u64 == number)
    }

    /// S3's name of it.
    pub fn uri(self) -> &'static str {
        match self {
            Self::AllUsers => "http://acs.amazonaws.com/groups/global/AllUsers",
            Self::AuthenticatedUsers => "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
            Self::LogDelivery => "http://acs.amazonaws.com/groups/s3/LogDelivery",
        }
    }

    /// The group of S3's name.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.uri() == uri)
    }
}

/// What a grant allows. The numbers are persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// All of the others.
    FullControl = 1,
    /// To list a bucket, to read an object.
    Read = 2,
    /// To write to a bucket; nothing of an object.
    Write = 3,
    /// To read the list itself.
    ReadAcp = 4,
    /// To write the list itself.
    WriteAcp = 5,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 5] = [Self::FullControl, Self::Read, Self::Write, Self::ReadAcp, Self::WriteAcp];

    /// The permission of a persistent number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| *permission as u64 == number)
    }

    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullControl => "FULL_CONTROL",
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadAcp => "READ_ACP",
            Self::WriteAcp => "WRITE_ACP",
        }
    }

    /// The permission of S3's name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Acl, Grant, Grantee, Group, Permission};

    #[test]
    fn a_grant_is_for_those_who_are_in_its_group() {
        for (grantee, nobody, me) in [
            (Grantee::Account("me".to_owned()), false, true),
            (Grantee::Account("you".to_owned()), false, false),
            (Grantee::Group(Group::AllUsers), true, true),
            (Grantee::Group(Group::AuthenticatedUsers), false, true),
            (Grantee::Group(Group::LogDelivery), false, false),
        ] {
            let list = Acl { owner: None, grants: vec![Grant { grantee, permission: Permission::Read }] };
            assert_eq!(list.grants(None, Permission::Read), nobody, "{list:?}");
            assert_eq!(list.grants(Some("me"), Permission::Read), me, "{list:?}");
        }
    }

    #[test]
    fn full_control_is_every_permission() {
        for granted in Permission::ALL {
            for asked in Permission::ALL {
                let grant = Grant { grantee: Grantee::Group(Group::AllUsers), permission: granted };
                let allowed = granted == asked || granted == Permission::FullControl;
                assert_eq!(Acl { owner: None, grants: vec![grant] }.grants(None, asked), allowed);
            }
        }
    }

    #[test]
    fn a_list_is_public_that_grants_anything_to_everybody() {
        assert!(!Acl::of_owner("me").is_public());
        for (group, public) in
            [(Group::AllUsers, true), (Group::AuthenticatedUsers, true), (Group::LogDelivery, false)]
        {
            let mut list = Acl::of_owner("me");
            list.grants.push(Grant { grantee: Grantee::Group(group), permission: Permission::ReadAcp });
            assert_eq!(list.is_public(), public);
        }
    }

    #[test]
    fn names_and_numbers_are_found_again() {
        for group in Group::ALL {
            assert_eq!(Group::from_uri(group.uri()), Some(group));
            assert_eq!(Group::from_number(group as u64), Some(group));
        }
        for permission in Permission::ALL {
            assert_eq!(Permission::from_name(permission.name()), Some(permission));
            assert_eq!(Permission::from_number(permission as u64), Some(permission));
        }
        assert_eq!((Group::from_number(0), Permission::from_number(6)), (None, None));
    }
}
