//! Access control lists.

use types::{Acl, Grant, Grantee, Group, Permission};

use super::{
    WireError,
    common::{bucket_name, object_key},
    optional, proto,
};
use crate::{SetAcl, Tagged};

/// Longest canonical user id of a grantee in bytes.
const ACCOUNT_LENGTH_MAX: usize = 256;

impl From<Group> for proto::AclGroup {
    fn from(group: Group) -> Self {
        match group {
            Group::AllUsers => Self::AllUsers,
            Group::AuthenticatedUsers => Self::AuthenticatedUsers,
            Group::LogDelivery => Self::LogDelivery,
        }
    }
}

impl From<Permission> for proto::AclPermission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::FullControl => Self::FullControl,
            Permission::Read => Self::Read,
            Permission::Write => Self::Write,
            Permission::ReadAcp => Self::ReadAcp,
            Permission::WriteAcp => Self::WriteAcp,
        }
    }
}

fn group(value: i32) -> Result<Group, WireError> {
    match proto::AclGroup::try_from(value) {
        Ok(proto::AclGroup::AllUsers) => Ok(Group::AllUsers),
        Ok(proto::AclGroup::AuthenticatedUsers) => Ok(Group::AuthenticatedUsers),
        Ok(proto::AclGroup::LogDelivery) => Ok(Group::LogDelivery),
        Ok(proto::AclGroup::Unspecified) | Err(_) => Err(WireError::UnknownValue { field: "group", value }),
    }
}

fn permission(value: i32) -> Result<Permission, WireError> {
    match proto::AclPermission::try_from(value) {
        Ok(proto::AclPermission::FullControl) => Ok(Permission::FullControl),
        Ok(proto::AclPermission::Read) => Ok(Permission::Read),
        Ok(proto::AclPermission::Write) => Ok(Permission::Write),
        Ok(proto::AclPermission::ReadAcp) => Ok(Permission::ReadAcp),
        Ok(proto::AclPermission::WriteAcp) => Ok(Permission::WriteAcp),
        Ok(proto::AclPermission::Unspecified) | Err(_) => {
            Err(WireError::UnknownValue { field: "permission", value })
        }
    }
}

impl From<Grant> for proto::Grant {
    fn from(grant: Grant) -> Self {
        let grantee = match grant.grantee {
            Grantee::Account(account) => proto::grant::Grantee::Account(account),
            Grantee::Group(group) => proto::grant::Grantee::Group(proto::AclGroup::from(group).into()),
        };
        Self { grantee: Some(grantee), permission: proto::AclPermission::from(grant.permission).into() }
    }
}

impl TryFrom<proto::Grant> for Grant {
    type Error = WireError;

    fn try_from(message: proto::Grant) -> Result<Self, WireError> {
        let grantee = match message.grantee.ok_or(WireError::Missing { field: "grantee" })? {
            proto::grant::Grantee::Account(account) if account.len() > ACCOUNT_LENGTH_MAX => {
                return Err(WireError::invalid("grantee", "too long"));
            }
            proto::grant::Grantee::Account(account) => Grantee::Account(account),
            proto::grant::Grantee::Group(value) => Grantee::Group(group(value)?),
        };
        Ok(Self { grantee, permission: permission(message.permission)? })
    }
}

impl From<Acl> for proto::Acl {
    fn from(acl: Acl) -> Self {
        Self { grants: acl.grants.into_iter().map(Into::into).collect(), owner: acl.owner }
    }
}

impl TryFrom<proto::Acl> for Acl {
    type Error = WireError;

    fn try_from(message: proto::Acl) -> Result<Self, WireError> {
        if message.grants.len() > Self::GRANTS_MAX {
            return Err(WireError::invalid("grants", "too many"));
        }
        if message.owner.as_ref().is_some_and(|owner| owner.len() > ACCOUNT_LENGTH_MAX) {
            return Err(WireError::invalid("owner", "too long"));
        }
        let grants = message.grants.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { owner: message.owner, grants })
    }
}

impl From<SetAcl> for proto::SetAclRequest {
    fn from(request: SetAcl) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            version_id: request.version_id.map(Into::into),
            acl: request.acl.map(Into::into),
        }
    }
}

impl TryFrom<proto::SetAclRequest> for SetAcl {
    type Error = WireError;

    fn try_from(message: proto::SetAclRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            version_id: optional(message.version_id)?,
            acl: optional(message.acl)?,
        })
    }
}

impl From<Tagged> for proto::SetAclResponse {
    fn from(tagged: Tagged) -> Self {
        let proto::SetTagsResponse { versioning, version_id } = tagged.into();
        Self { versioning, version_id }
    }
}

impl TryFrom<proto::SetAclResponse> for Tagged {
    type Error = WireError;

    fn try_from(message: proto::SetAclResponse) -> Result<Self, WireError> {
        let proto::SetAclResponse { versioning, version_id } = message;
        proto::SetTagsResponse { versioning, version_id }.try_into()
    }
}
