//! Accounts beside the first.

use metadata_api::{AccountCreated, AccountId, CreateAccount, Metadata, RootKeyMade};

use crate::Client;

/// An account beside the first.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its canonical id.
    pub id: AccountId,
    /// Its id of 12 digits.
    pub number: String,
    /// Its root user.
    pub root: Client,
    /// The root user's access key.
    pub access_key_id: String,
}

impl Account {
    /// A new account with an access key of its root user, who asks as `front` does.
    pub(crate) async fn make(metadata: &dyn Metadata, front: &Client, name: &str) -> Self {
        let email = Some(format!("{name}@example.org"));
        let request = CreateAccount { name: name.to_owned(), email };
        let AccountCreated::Done(made) = metadata.create_account(request).await.expect("an answer") else {
            panic!("the account {name} is made");
        };
        let RootKeyMade::Done(key) = metadata.make_root_key(&made.id).await.expect("an answer") else {
            panic!("a key of {name} is made");
        };
        let root = front.with_credentials(&key.access_key_id, key.secret.expose());
        let number = made.id.number().into_owned();
        Self { id: made.id, number, root, access_key_id: key.access_key_id }
    }
}
