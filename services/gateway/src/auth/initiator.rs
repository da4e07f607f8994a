//! Who opened a multipart upload, and what that lets them do. Amazon S3 User Guide, "Multipart upload API and permissions".

use metadata_api::{AccountId, Error as MetadataError, Initiator};
use policy::{Decision, Otherwise, Principal};
use s3_wire::S3Error;

use super::{Authenticated, authority::Authority, calls::principal};
use crate::{Gateway, operation::upload_id, request::Request};

/// What whoever opened an upload may do to it, unless it is denied them.
const ACTIONS: [&str; 2] = ["AbortMultipartUpload", "ListMultipartUploadParts"];

/// Whether whoever opened an upload may do this to it.
pub(super) fn is_of_initiator(action: &str) -> bool {
    ACTIONS.contains(&action)
}

/// Who opens an upload with a request, in a bucket of this owner.
pub(crate) fn initiator(authenticated: &Authenticated, owner: &AccountId) -> Option<Initiator> {
    match principal(authenticated) {
        Principal::Root { account } => {
            (account.canonical != owner.0).then_some(account.canonical).map(Initiator)
        }
        principal => principal.own_arn().map(Initiator),
    }
}

/// Why a request, to which nothing else allows this action on an upload, may do it, if it may. Only who may not anyway costs the call that
/// reads the upload; that there is none is told by the handler to whoever may know.
pub(super) async fn right_of_initiator(
    gateway: &Gateway,
    request: &Request,
    action: &'static str,
    authority: &Authority,
) -> Result<Option<Otherwise>, S3Error> {
    let has_account = authority.principal.account().is_some();
    if !is_of_initiator(action) || !has_account || authority.is_restricted {
        return Ok(None);
    }
    let key = request.key()?;
    if !matches!(authority.check(action, Some(key), &authority.facts), Err(Decision::NotAllowed(_))) {
        return Ok(None);
    }
    let Ok(upload) = upload_id(&request.query()?) else { return Ok(None) };
    let found = match gateway.metadata.get_upload(request.bucket()?, key, upload).await {
        Ok(found) => found,
        Err(MetadataError::UploadNotFound) => return Ok(None),
        Err(error) => return Err(request.metadata_error(error)),
    };
    Ok(found.initiator.and_then(|initiator| right(&authority.principal, authority.owns, &initiator)))
}

/// Whoever opened it may, and whose user that is. In the own account policies of its users decide on who may in its place.
fn right(principal: &Principal, owns: bool, initiator: &Initiator) -> Option<Otherwise> {
    let account = principal.account()?;
    let is_own = match principal {
        Principal::Root { account } => account.canonical == initiator.0,
        principal => principal.own_arn().as_deref() == Some(&initiator.0),
    };
    if is_own {
        return Some(Otherwise::Initiator);
    }
    let of_user = initiator.0.strip_prefix("arn:aws:iam::").and_then(|arn| arn.split_once(":user/"));
    let is_accounts = of_user.is_some_and(|(number, _)| number == account.number);
    (is_accounts && !owns).then_some(Otherwise::AccountOfInitiator)
}

#[cfg(test)]
mod tests {
    use metadata_api::Initiator;
    use policy::{Account, Otherwise, Principal};

    use super::right;

    #[test]
    fn who_opened_an_upload_and_whose_user_that_is_has_a_right_to_it() {
        let account =
            |number: &str| Account { number: number.to_owned(), canonical: format!("canonical of {number}") };
        let root = |number| Principal::Root { account: account(number) };
        let user = |number, name: &str| Principal::User { account: account(number), name: name.to_owned() };
        let role = |session: &str| Principal::Role {
            account: account("111"),
            name: "path/r".to_owned(),
            session: session.to_owned(),
        };
        let federated = Principal::Federated { account: account("111"), user: None, name: "f".to_owned() };
        let initiator = Some(Otherwise::Initiator);
        let accounts = Some(Otherwise::AccountOfInitiator);
        for (principal, opened, in_others, in_own) in [
            (root("111"), "canonical of 111", initiator, initiator),
            (root("111"), "canonical of 222", None, None),
            (root("111"), "arn:aws:iam::111:user/team/ann", accounts, None),
            (root("222"), "arn:aws:iam::111:user/team/ann", None, None),
            (root("111"), "arn:aws:sts::111:assumed-role/r/one", None, None),
            (user("111", "team/ann"), "arn:aws:iam::111:user/team/ann", initiator, initiator),
            (user("111", "ann"), "arn:aws:iam::111:user/team/ann", accounts, None),
            (user("111", "ann"), "canonical of 111", None, None),
            (user("222", "team/ann"), "arn:aws:iam::111:user/team/ann", None, None),
            (role("one"), "arn:aws:sts::111:assumed-role/r/one", initiator, initiator),
            (role("two"), "arn:aws:sts::111:assumed-role/r/one", None, None),
            (federated, "arn:aws:sts::111:federated-user/f", initiator, initiator),
            (Principal::Anonymous, "canonical of 111", None, None),
        ] {
            let opened = Initiator(opened.to_owned());
            assert_eq!(right(&principal, false, &opened), in_others, "{principal:?} {opened:?}");
            assert_eq!(right(&principal, true, &opened), in_own, "{principal:?} {opened:?}");
        }
    }
}
