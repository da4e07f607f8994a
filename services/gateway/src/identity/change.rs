//! Changes of the account: planned by what was just read of it, and made only if it is still the same; if not, planned anew.

use metadata_api::{
    AccessSecret, AccountId, ChangeIdentities, Error as MetadataError, IdentitiesChanged, IdentityRecord,
};

use super::Directory;
use crate::Gateway;

/// How often a change is planned anew when others change the account meanwhile.
const ATTEMPTS: usize = 16;

/// What somebody asks for comes to: an answer, and what has to be changed for it.
pub(crate) struct Plan<T> {
    pub(crate) result: T,
    pub(crate) changes: Vec<IdentityRecord>,
    /// An access key that gets a secret, which is told in the answer.
    pub(crate) secret_for: Option<String>,
}

/// Why nothing was changed.
pub(crate) enum Unchanged<E> {
    /// It may not be, or cannot.
    Refused(E),
    /// The account has records that this gateway cannot read, which would be lost by it.
    Unread,
    /// The metadata service has no key to seal a secret with.
    Unsealed,
    /// The account is suspended by now, or gone.
    Closed,
    /// Too many others changed the account at the same time.
    TooBusy,
    /// What there is of the account cannot be read or changed.
    Failed(MetadataError),
}

/// Changes the account as it is planned to be, and tells the secret that was made.
pub(crate) async fn change<T, E>(
    gateway: &Gateway,
    account: &AccountId,
    mut plan: impl FnMut(&Directory) -> Result<Plan<T>, E>,
) -> Result<(T, Option<AccessSecret>), Unchanged<E>> {
    for _ in 0..ATTEMPTS {
        let directory = gateway.identities.read(&*gateway.metadata, account).await;
        let directory = directory.map_err(Unchanged::Failed)?;
        if !directory.is_active() {
            return Err(Unchanged::Closed);
        }
        let Plan { result, changes, secret_for } = plan(&directory).map_err(Unchanged::Refused)?;
        if changes.is_empty() {
            return Ok((result, None));
        }
        // The root user is asked by no policy, so that it can mend what cannot be read.
        directory.check_changes(&changes).map_err(|_| Unchanged::Unread)?;
        let expected = directory.position();
        let request = ChangeIdentities { account: account.clone(), expected, changes, secret_for };
        match gateway.metadata.change_identities(request).await.map_err(Unchanged::Failed)? {
            IdentitiesChanged::Done { secret } => return Ok((result, secret)),
            IdentitiesChanged::Outdated => {}
            IdentitiesChanged::Unsealed => return Err(Unchanged::Unsealed),
        }
    }
    Err(Unchanged::TooBusy)
}
