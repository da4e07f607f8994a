//! Accounts: each has buckets, users and limits of its own, which are closed to the others. AWS Organizations API Reference, "Account".

use std::{borrow::Cow, fmt};

use types::Timestamp;

use crate::{AccessSecret, Error};

/// An account: the owner of buckets. Its canonical user id in S3's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub String);

/// The canonical user id of the account that the root user belongs to. Fixed, so that a new root password, or root
/// user name, still finds the account's buckets.
const ROOT_ACCOUNT: &str = "75a81d4e5b7b2f9f3c1e6a0d8f4b2c9e7d5a3f1b8c6e4d2a0f9b7c5e3d1a8f60";

/// The id of the same account in ARNs.
pub const ACCOUNT_NUMBER: &str = "750814517293";

/// What the first account is called.
pub const ROOT_ACCOUNT_NAME: &str = "root";

/// Digits of an account's id in ARNs.
const NUMBER_DIGITS: usize = 12;

/// Most bytes of an account's name, as of AWS Organizations API Reference, "CreateAccount".
pub const ACCOUNT_NAME_LENGTH_MAX: usize = 50;

/// Most bytes of an account's e-mail address, as there.
pub const ACCOUNT_EMAIL_LENGTH_MAX: usize = 64;

/// Most accounts beside the first, closed ones too.
pub const ACCOUNTS_MAX: usize = 10_000;

/// Most accounts in one page.
pub const ACCOUNTS_PAGE_MAX: usize = 500;

/// Most access keys of an account's root user. IAM User Guide, "IAM and AWS STS quotas".
pub const ROOT_KEYS_MAX: usize = 2;

impl AccountId {
    /// The account of the root user: the first one.
    pub fn root() -> Self {
        Self(ROOT_ACCOUNT.to_owned())
    }

    /// Whether it is the first one.
    pub fn is_root(&self) -> bool {
        self.0 == ROOT_ACCOUNT
    }

    /// The account of these random bytes.
    pub fn of_random(random: [u8; 32]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its id in ARNs, and as the value of condition keys: 12 digits, which the canonical id says. No two accounts are made of which it is
    /// the same.
    pub fn number(&self) -> Cow<'_, str> {
        if self.is_root() {
            return Cow::Borrowed(ACCOUNT_NUMBER);
        }
        let is_canonical =
            self.0.len() == 64 && self.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let read = self.0.get(..12).filter(|_| is_canonical).map(|digits| u64::from_str_radix(digits, 16));
        match read {
            Some(Ok(number)) => Cow::Owned(format!("{:012}", number % 1_000_000_000_000)),
            Some(Err(_)) | None => Cow::Borrowed(&self.0),
        }
    }

    /// Whether this text names it: its canonical id, or that of 12 digits.
    pub fn is_named(&self, text: &str) -> bool {
        self.0 == text || self.number() == text
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether those of an account may do anything. AWS Organizations API Reference, "Account", the element Status. Numbers persist and are
/// never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountStatus {
    /// They may do what policies allow.
    Active = 1,
    /// Nobody of it is known; what it has stays, and what it granted others stays granted.
    Suspended = 2,
    /// It was removed. Its ids are never given out again.
    Closed = 3,
}

impl AccountStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Closed];

    /// The status of a persistent number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as i64 == number)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Closed => "CLOSED",
        }
    }
}

/// An account that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its canonical id.
    pub id: AccountId,
    /// What it is called, which owners are shown as too.
    pub name: String,
    /// Its e-mail address, by which lists can grant it something.
    pub email: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether those of it may do anything.
    pub status: AccountStatus,
    /// Names of the access keys of its root user; at most [`ROOT_KEYS_MAX`]. Those of the first account's are no records.
    pub root_keys: Vec<String>,
}

impl Account {
    /// The first one, which is no record: it is always there.
    pub fn root() -> Self {
        Self {
            id: AccountId::root(),
            name: ROOT_ACCOUNT_NAME.to_owned(),
            email: None,
            created: Timestamp(0),
            status: AccountStatus::Active,
            root_keys: Vec::new(),
        }
    }
}

/// How an account is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKey {
    /// By its canonical id.
    Id(String),
    /// By its id of 12 digits.
    Number(String),
    /// By its name.
    Name(String),
    /// By its e-mail address, in small letters.
    Email(String),
}

impl AccountKey {
    /// What a text is that names an account by either id, or by its name.
    pub fn parse(text: &str) -> Self {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.len() {
            NUMBER_DIGITS if text.bytes().all(|byte| byte.is_ascii_digit()) => Self::Number(text.to_owned()),
            64 if text.bytes().all(is_hex) => Self::Id(text.to_owned()),
            _ => Self::Name(text.to_owned()),
        }
    }

    /// Whether it is the first account that is looked for.
    pub fn is_root(&self) -> bool {
        match self {
            Self::Id(id) => id == ROOT_ACCOUNT,
            Self::Number(number) => number == ACCOUNT_NUMBER,
            Self::Name(name) => name == ROOT_ACCOUNT_NAME,
            Self::Email(_) => false,
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Number(text) | Self::Name(text) | Self::Email(text) => text,
        }
    }
}

/// Makes an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAccount {
    /// What it is called: 1 to 50 letters, digits, spaces and any of `_ - . + = , @`, of which a letter or digit is the first and no space the
    /// last, and neither an account's id nor `root`.
    pub name: String,
    /// Its e-mail address, in small letters.
    pub email: Option<String>,
}

impl CreateAccount {
    /// Refuses what is no name or no address.
    pub fn check(&self) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        let name = self.name.as_bytes();
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b" _-.+=,@".contains(byte);
        let is_name = (1..=ACCOUNT_NAME_LENGTH_MAX).contains(&name.len())
            && name.iter().all(good)
            && name[0].is_ascii_alphanumeric()
            && name.last() != Some(&b' ');
        if !is_name {
            return malformed(
                "an account's name has 1 to 50 letters, digits, spaces and any of _-.+=,@ and begins with a letter or a digit",
            );
        }
        if !matches!(AccountKey::parse(&self.name), AccountKey::Name(_))
            || self.name.eq_ignore_ascii_case(ROOT_ACCOUNT_NAME)
        {
            return malformed("an account's name is neither an id nor root");
        }
        if self.email.as_deref().is_some_and(|email| !is_email(email)) {
            return malformed("an e-mail address has 6 to 64 characters, one @ and no capital letters");
        }
        Ok(())
    }
}

fn is_email(text: &str) -> bool {
    let good =
        |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"\"<>&',".contains(&byte);
    let parts = text.split_once('@');
    (6..=ACCOUNT_EMAIL_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(good)
        && parts.is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.contains('@')
        })
}

/// What became of [`CreateAccount`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCreated {
    /// It is there, and that is durable.
    Done(Account),
    /// There is one of this name: nothing was done.
    NameTaken,
    /// There is one with this e-mail address: nothing was done.
    EmailTaken,
    /// There are [`ACCOUNTS_MAX`] already: nothing was done.
    TooMany,
}

/// What became of a change of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChanged {
    /// It is as it was to be, and that is durable.
    Done,
    /// There is no such account, or no such access key of its root user: nothing was done.
    NotFound,
    /// It has buckets: nothing was done.
    HasBuckets,
    /// It has users, groups, roles, policies or providers: nothing was done.
    HasIdentities,
}

/// An access key of an account's root user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootKey {
    /// Its name.
    pub access_key_id: String,
    /// Its secret. It is told this once.
    pub secret: AccessSecret,
}

impl RootKey {
    /// A name of these random bytes. IAM User Guide, "IAM identifiers", the section "Unique identifiers".
    pub fn name_of(random: [u8; 16]) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        "AKIA".chars().chain(letters).collect()
    }

    /// What its record says.
    pub fn document(created: Timestamp) -> bytes::Bytes {
        format!(r#"{{"created_ms":{}}}"#, created.0).into()
    }
}

/// What became of making an access key of an account's root user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootKeyMade {
    /// It is there, and that is durable.
    Done(RootKey),
    /// There is no such account, or it is the first, whose root user is a setting: nothing was done.
    NoSuchAccount,
    /// It has [`ROOT_KEYS_MAX`] already: nothing was done.
    TooMany,
    /// The service has no key to seal a secret with: nothing was done.
    Unsealed,
}

#[cfg(test)]
mod tests {
    use super::{ACCOUNT_NUMBER, AccountId, AccountKey, AccountStatus, CreateAccount, RootKey};

    #[test]
    fn an_account_has_a_number_by_its_canonical_id() {
        assert_eq!(AccountId::root().number(), ACCOUNT_NUMBER);
        let id = AccountId::of_random([0; 32]);
        assert_eq!((id.0.len(), &*id.number()), (64, "000000000000"));
        let mut random = [0xff; 32];
        let id = AccountId::of_random(random);
        assert_eq!(id.number(), "474976710655");
        random[6] = 0;
        assert_eq!(AccountId::of_random(random).number(), id.number(), "by the first 48 bits");
        assert!(id.is_named(&id.0) && id.is_named(&id.number()) && !id.is_named(ACCOUNT_NUMBER));
        assert_eq!(AccountId("owner".to_owned()).number(), "owner");
    }

    #[test]
    fn names_and_addresses_have_bounds() {
        let check = |name: &str, email: Option<&str>| {
            CreateAccount { name: name.to_owned(), email: email.map(str::to_owned) }.check().is_ok()
        };
        for name in ["a", "Team 1", "team_x-y.z+1=2,3@4", &"x".repeat(50), "12345678901", "1234567890123"] {
            assert!(check(name, None), "{name}");
        }
        for name in [
            "",
            " a",
            "a ",
            "-a",
            "a<b",
            "a\nb",
            "é",
            &"x".repeat(51),
            "root",
            "Root",
            "123456789012",
            &"a".repeat(64),
        ] {
            assert!(!check(name, None), "{name}");
        }
        for email in ["a@b.cd", "first.last+x@host.example.org"] {
            assert!(check("a", Some(email)), "{email}");
        }
        for email in ["", "a@b.c", "ab.cde", "A@b.cd", "a@.bcd", "@abc.de", "a@b@c.d", "a b@c.de", "a@bcdef"]
        {
            assert!(!check("a", Some(email)), "{email}");
        }
    }

    #[test]
    fn what_names_an_account_is_known_by_its_form() {
        assert_eq!(AccountKey::parse("123456789012"), AccountKey::Number("123456789012".to_owned()));
        assert_eq!(AccountKey::parse("team"), AccountKey::Name("team".to_owned()));
        let root = AccountId::root();
        assert_eq!(AccountKey::parse(&root.0), AccountKey::Id(root.0.clone()));
        assert!(["root", ACCOUNT_NUMBER, &root.0].iter().all(|text| AccountKey::parse(text).is_root()));
    }

    #[test]
    fn statuses_are_their_numbers() {
        for status in AccountStatus::ALL {
            assert_eq!(AccountStatus::from_number(status as i64), Some(status));
        }
        assert_eq!(AccountStatus::from_number(0), None);
        assert_eq!(RootKey::name_of([31; 16]), "AKIA7777777777777777");
    }
}
