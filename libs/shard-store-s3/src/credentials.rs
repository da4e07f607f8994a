//! As whom to speak to a remote server.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use env::Env;

/// Longest file of credentials.
const FILE_LENGTH_MAX: usize = 16 << 10;

/// Where credentials come from when a location names no file. Never shown.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: Option<String>,
    /// Secret access key.
    pub secret_access_key: Option<String>,
    /// Token that goes with temporary credentials.
    pub session_token: Option<String>,
}

/// Credentials are missing.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// None in the environment, and the location names no file.
    #[error(
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with credentials=FILE"
    )]
    Missing,
    /// The file cannot be read.
    #[error("cannot read the credentials in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has no keys.
    #[error("{path} has no lines `aws_access_key_id = ...` and `aws_secret_access_key = ...`")]
    Form {
        /// The file.
        path: PathBuf,
    },
}

impl Credentials {
    /// The credentials for a location: its file's, or these.
    pub(crate) async fn resolve(
        self,
        env: &Env,
        file: Option<&Path>,
    ) -> Result<sigv4::Credentials, CredentialsError> {
        let Some(file) = file else { return self.complete().ok_or(CredentialsError::Missing) };
        let (own_env, path) = (env.clone(), file.to_owned());
        let reading = env.spawn_blocking(move || own_env.disk().read_small(&path, FILE_LENGTH_MAX));
        let text = reading.await.unwrap_or_else(|| Err(io::Error::other("reading was given up")));
        let text = text.map_err(|source| CredentialsError::Read { path: file.to_owned(), source })?;
        let found = Self::parse(&String::from_utf8_lossy(&text));
        found.complete().ok_or_else(|| CredentialsError::Form { path: file.to_owned() })
    }

    /// Reads the first profile of a file as the AWS tools keep it.
    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let slot = match name.trim() {
                "aws_access_key_id" => &mut found.access_key_id,
                "aws_secret_access_key" => &mut found.secret_access_key,
                "aws_session_token" => &mut found.session_token,
                _ => continue,
            };
            slot.get_or_insert_with(|| value.trim().to_owned());
        }
        found
    }

    fn complete(self) -> Option<sigv4::Credentials> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Some(sigv4::Credentials {
            access_key_id: given(self.access_key_id)?,
            secret_access_key: given(self.secret_access_key)?,
            session_token: given(self.session_token),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    #[test]
    fn a_file_of_the_aws_tools_is_read() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=s=/+\n\n[other]\naws_access_key_id = B\n";
        let found = Credentials::parse(text).complete().unwrap();
        assert_eq!((found.access_key_id.as_str(), found.secret_access_key.as_str()), ("A", "s=/+"));
        assert!(Credentials::parse("aws_access_key_id = A").complete().is_none());
        assert!(!format!("{:?}", Credentials::parse(text)).contains("s="));
    }
}
