//! What accounts are called, and which there are. What an account is called never changes, and its ids are never given out again, so that
//! what was found stays right; that there is none is asked for anew each time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use metadata_api::{AccountId, AccountKey, Error as MetadataError, Metadata, ROOT_ACCOUNT_NAME};
use s3_wire::xml::Owner;

/// Accounts that are kept.
const KEPT_MAX: usize = 4096;

/// An account with what owners are shown as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: AccountId,
    /// None of one that there is no more.
    name: Option<String>,
}

impl Named {
    /// As XML shows it.
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { id: &self.id.0, display_name: self.name.as_deref() }
    }
}

/// What accounts are called.
#[derive(Debug, Default)]
pub(crate) struct Names {
    kept: Mutex<HashMap<AccountKey, Named>>,
}

impl Names {
    /// The account that is called so by one of its ids or its address, if there is one.
    pub(crate) async fn find(
        &self,
        metadata: &dyn Metadata,
        key: AccountKey,
    ) -> Result<Option<Named>, MetadataError> {
        if key.is_root() {
            return Ok(Some(root()));
        }
        // An address may be another account's when the one that had it is gone.
        let is_kept = matches!(key, AccountKey::Id(_) | AccountKey::Number(_));
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(known.clone()));
        }
        let Some(found) = metadata.find_account(&key).await? else { return Ok(None) };
        let named = Named { id: found.id, name: Some(found.name) };
        if is_kept {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(key, named.clone());
        }
        Ok(Some(named))
    }

    /// What an account is called that owns something.
    pub(crate) async fn of(
        &self,
        metadata: &dyn Metadata,
        account: &AccountId,
    ) -> Result<Named, MetadataError> {
        let found = self.find(metadata, AccountKey::Id(account.0.clone())).await?;
        Ok(found.unwrap_or_else(|| Named { id: account.clone(), name: None }))
    }

    /// Which of these, each one of an account's ids, are those of accounts. It is looked no further when one is none, as whoever asks
    /// refuses that.
    pub(crate) async fn known_of<'a>(
        &self,
        metadata: &dyn Metadata,
        ids: BTreeSet<&'a str>,
    ) -> Result<BTreeSet<&'a str>, MetadataError> {
        let mut known = BTreeSet::new();
        for id in ids {
            if self.find(metadata, AccountKey::parse(id)).await?.is_none() {
                break;
            }
            known.insert(id);
        }
        Ok(known)
    }
}

fn root() -> Named {
    Named { id: AccountId::root(), name: Some(ROOT_ACCOUNT_NAME.to_owned()) }
}
