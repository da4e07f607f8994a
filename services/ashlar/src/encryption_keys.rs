//! Files of master keys, by which objects are encrypted: read, made, and added to.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use encryption::{Keyring, KeyringError, line_of_key};
use env::Env;

use crate::Exit;

/// Longest file of keys.
const FILE_LENGTH_MAX: usize = 1 << 20;

const HEADER: &str = "# Master keys of Ashlar: id, key, and `current` at the one that encrypts what is new.\n\
                      # Keep a copy elsewhere: without its key an object is lost.\n";

/// A file of master keys cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read or written.
    #[error("cannot use the encryption keys in {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no file of keys.
    #[error("{path} is no file of encryption keys; make one with `ashlar encryption-key`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyringError,
    },
    /// It was there.
    #[error(
        "{path} is missing while objects may be encrypted by its keys; restore it from a backup or give its copy with --encryption-keys, or give those objects up and make new keys with `ashlar encryption-key {path}`"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
}

/// Settings of `ashlar encryption-key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

/// Adds a key that becomes the current one, and shows its id.
pub(crate) async fn run(env: &Env, args: &Args) -> Result<(), Exit> {
    let path = args.path.clone();
    let added = in_background(env, path, |env, path| {
        let kept = if exists(env, path)? { read(env, path)? } else { HEADER.to_owned() };
        if kept != HEADER {
            parse(path, &kept)?;
        }
        let line = line_of_key(env.random_bytes(), true);
        let mut text = String::new();
        for line in kept.lines() {
            let is_key = !line.starts_with('#');
            text.push_str(line.strip_suffix(" current").filter(|_| is_key).unwrap_or(line));
            text.push('\n');
        }
        text.push_str(&line);
        parse(path, &text)?;
        write(env, path, &text)?;
        Ok(line.split(' ').next().unwrap_or_default().to_owned())
    });
    let id = added.await.map_err(|error| Exit::because(Exit::FAILED, &error))?;
    println!("added the key {id}");
    Ok(())
}

/// Reads a file of keys.
pub(crate) async fn load(env: &Env, path: &Path) -> Result<Arc<Keyring>, KeysError> {
    in_background(env, path.to_owned(), |env, path| parse(path, &read(env, path)?)).await.map(Arc::new)
}

/// Reads a file of keys, or makes one with one key when there never was one.
pub(crate) async fn load_or_make(env: &Env, path: &Path, was_there: bool) -> Result<Arc<Keyring>, KeysError> {
    let keys = in_background(env, path.to_owned(), move |env, path| {
        if !exists(env, path)? {
            if was_there {
                return Err(KeysError::Missing { path: path.to_owned() });
            }
            write(env, path, &format!("{HEADER}{}", *line_of_key(env.random_bytes(), true)))?;
        }
        parse(path, &read(env, path)?)
    });
    keys.await.map(Arc::new)
}

async fn in_background<T: Send + 'static>(
    env: &Env,
    path: PathBuf,
    work: impl FnOnce(&Env, &Path) -> Result<T, KeysError> + Send + 'static,
) -> Result<T, KeysError> {
    let (own_env, own_path) = (env.clone(), path.clone());
    let gone = || KeysError::Io { path, source: io::Error::other("it was given up") };
    env.spawn_blocking(move || work(&own_env, &own_path)).await.unwrap_or_else(|| Err(gone()))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> KeysError + '_ {
    |source| KeysError::Io { path: path.to_owned(), source }
}

fn exists(env: &Env, path: &Path) -> Result<bool, KeysError> {
    env.disk().exists(path).map_err(failed(path))
}

fn read(env: &Env, path: &Path) -> Result<String, KeysError> {
    let contents = env.disk().read_small(path, FILE_LENGTH_MAX).map_err(failed(path))?;
    String::from_utf8(contents.to_vec())
        .map_err(|_| failed(path)(io::Error::new(io::ErrorKind::InvalidData, "it is no text")))
}

fn write(env: &Env, path: &Path, text: &str) -> Result<(), KeysError> {
    env.disk().replace_small(path, text.as_bytes()).map_err(failed(path))
}

fn parse(path: &Path, text: &str) -> Result<Keyring, KeysError> {
    Keyring::parse(text).map_err(|source| KeysError::Malformed { path: path.to_owned(), source })
}
