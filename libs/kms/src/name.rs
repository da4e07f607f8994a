//! How clients name keys. Source: API Reference, "PutObject", `x-amz-server-side-encryption-aws-kms-key-id`; AWS KMS Developer
//! Guide, "Key identifiers (KeyId)".

/// Longest name of a key in characters. Source: AWS KMS API Reference, "GenerateDataKey", `KeyId`.
const NAME_MAX: usize = 2048;

/// A key as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyName {
    /// By its id.
    Id(String),
    /// By an alias, which is written here without the `alias/` in front.
    Alias(String),
}

impl KeyName {
    /// What a bucket's configuration names, which was checked when it was put.
    pub fn of_checked(text: &str) -> Self {
        let name = text.rsplit_once(':').map_or(text, |(_, name)| name);
        match name.strip_prefix("alias/") {
            Some(alias) => Self::Alias(alias.to_owned()),
            None => Self::Id(name.strip_prefix("key/").unwrap_or(name).to_owned()),
        }
    }
}

/// A text names no key of this store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is no id, alias or ARN.
    #[error("not an id, an alias or an ARN of a key")]
    Malformed,
    /// It is the ARN of a key in another region or of another account.
    #[error("a key elsewhere")]
    Elsewhere,
}

/// Where this store's keys are, as their ARNs say it.
#[derive(Debug, Clone)]
pub struct Arns {
    prefix: String,
}

impl Arns {
    /// Of a region and an account's number.
    pub fn new(region: &str, account: &str) -> Self {
        Self { prefix: format!("arn:aws:kms:{region}:{account}:") }
    }

    /// The ARN of a key.
    pub fn of(&self, id: &str) -> String {
        format!("{}key/{id}", self.prefix)
    }

    /// Reads an id, the ARN of a key, an alias, or the ARN of an alias.
    pub fn parse(&self, text: &str) -> Result<KeyName, NameError> {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_./:".contains(&letter);
        if text.is_empty() || text.len() > NAME_MAX || !text.bytes().all(is_plain) {
            return Err(NameError::Malformed);
        }
        let (name, is_arn) = match text.strip_prefix(self.prefix.as_str()) {
            Some(name) => (name, true),
            None if text.starts_with("arn:") => return Err(elsewhere(text)),
            None => (text, false),
        };
        if let Some(alias) = name.strip_prefix("alias/") {
            return if alias.is_empty() {
                Err(NameError::Malformed)
            } else {
                Ok(KeyName::Alias(alias.to_owned()))
            };
        }
        let id = if is_arn { name.strip_prefix("key/").ok_or(NameError::Malformed)? } else { name };
        // One that had a slash or were two dots would be another path of the external service.
        if id.is_empty() || id.contains(['/', ':']) || id.starts_with('.') {
            return Err(NameError::Malformed);
        }
        Ok(KeyName::Id(id.to_owned()))
    }
}

fn elsewhere(arn: &str) -> NameError {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_whole = parts.len() == 6 && parts[1].starts_with("aws") && parts[2] == "kms";
    let names_one = parts.last().is_some_and(|name| name.starts_with("key/") || name.starts_with("alias/"));
    if is_whole && names_one { NameError::Elsewhere } else { NameError::Malformed }
}
