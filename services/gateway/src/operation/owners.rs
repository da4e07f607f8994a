//! What owners and initiators are shown as.

use std::collections::{BTreeMap, BTreeSet};

use metadata_api::{AccountId, Bucket, Initiator};
use s3_wire::{S3Error, xml::Owner};

use crate::{Gateway, auth::ownership, identity::Named, request::Request};

/// What the accounts are called that an answer names, each asked for once.
pub(super) struct Owners {
    of_bucket: Named,
    /// By their canonical ids.
    others: BTreeMap<String, Named>,
    /// Whether what is in the bucket may be another account's than its.
    are_several: bool,
}

impl Owners {
    /// Those that own and that opened what is in a bucket, by canonical ids and ARNs, where they are not its owner's.
    pub(super) async fn of(
        gateway: &Gateway,
        request: &Request,
        bucket: &Bucket,
        others: BTreeSet<&str>,
    ) -> Result<Self, S3Error> {
        let mut named = BTreeMap::new();
        for id in others {
            if !is_arn(id) {
                named.insert(id.to_owned(), request.owner(gateway, &AccountId(id.to_owned())).await?);
            }
        }
        let are_several = !named.is_empty() && ownership(gateway, bucket)?.has_acls();
        let of_bucket = request.owner(gateway, &bucket.owner).await?;
        Ok(Self { of_bucket, others: named, are_several })
    }

    /// Whose something is that is another account's if its list says so and lists have an effect.
    pub(super) fn owner<'a>(&'a self, owner: Option<&'a str>) -> Owner<'a> {
        owner.filter(|_| self.are_several).map_or_else(|| self.of_bucket.owner(), |id| self.account(id))
    }

    /// Who opened an upload. API Reference, "Initiator": an account is named as an owner is, a user by its ARN and its name.
    pub(super) fn initiator<'a>(&'a self, initiator: Option<&'a Initiator>) -> Owner<'a> {
        match initiator {
            None => self.of_bucket.owner(),
            Some(Initiator(arn)) if is_arn(arn) => Owner { id: arn, display_name: name_in(arn) },
            Some(Initiator(id)) => self.account(id),
        }
    }

    fn account<'a>(&'a self, id: &'a str) -> Owner<'a> {
        self.others.get(id).map_or(Owner { id, display_name: None }, Named::owner)
    }
}

fn is_arn(id: &str) -> bool {
    id.starts_with("arn:")
}

/// The name of a user or a federated user, or those of a role and a session of it. A path is no part of a name.
fn name_in(arn: &str) -> Option<&str> {
    let (kind, name) = arn.splitn(6, ':').nth(5)?.split_once('/')?;
    match kind {
        "user" => name.rsplit('/').next(),
        _ => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn a_name_is_what_is_behind_the_path() {
        for (arn, name) in [
            ("arn:aws:iam::750814517293:user/ann", Some("ann")),
            ("arn:aws:iam::750814517293:user/a:b/c/ann", Some("ann")),
            ("arn:aws:sts::750814517293:assumed-role/writer/one", Some("writer/one")),
            ("arn:aws:sts::750814517293:federated-user/app", Some("app")),
            ("arn:aws:iam::750814517293:root", None),
            ("arn:", None),
        ] {
            assert_eq!(name_in(arn), name, "{arn}");
        }
    }
}
