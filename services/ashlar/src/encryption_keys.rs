//! Files of master keys, by which objects are encrypted: read, made, and added to.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use encryption::{Keyring, KeyringError, is_alias, line_of_key};
use env::{DirectoryLock, Env};
use zeroize::Zeroizing;

use crate::Exit;

/// Longest file of keys.
const FILE_LENGTH_MAX: usize = 1 << 20;

const HEADER: &str = "# Master keys of Ashlar: id, key, and `current` at the one that encrypts what is new; named keys have `kms`.\n\
                      # Keep a copy elsewhere: without its key an object is lost.\n";

/// What stands behind the key that encrypts what is new.
const CURRENT: &str = " current";

/// What stands behind a named key, and behind that at one that is disabled.
const KMS: &str = "kms";
const DISABLED: &str = "disabled";

/// A file of master keys cannot be used. Nothing was changed, unless writing it failed at its end.
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
    /// Another process is writing it.
    #[error("{path} is being changed by another ashlar process; try again when that has ended")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It has no such key.
    #[error("there is no key {id} in {path}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The id that was given.
        id: String,
    },
    /// It has no such named key.
    #[error("there is no key {id} for SSE-KMS in {path}")]
    NotNamed {
        /// The file.
        path: PathBuf,
        /// The id that was given.
        id: String,
    },
    /// A key cannot have this alias.
    #[error("{alias} is no alias: letters, digits, `-`, `_` and `/`, 250 at most, and not `aws/` in front")]
    Alias {
        /// The alias that was given.
        alias: String,
    },
    /// It lacks a key that was the current one before.
    #[error(
        "{path} lacks the key {id}, by which objects may be encrypted; add its line from a copy of the keys, or give those objects up and take the id out of `encryption_keys` in {identity}"
    )]
    Lacks {
        /// The file.
        path: PathBuf,
        /// The id of the key.
        id: String,
        /// The file that names the keys that there were.
        identity: PathBuf,
    },
    /// It was there.
    #[error(
        "{path} is missing while objects may be encrypted by its keys; restore it from a backup or give its copy with --encryption-keys"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
}

/// Settings of `ashlar encryption-key`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  ashlar encryption-key encryption.keys\n  \
    ashlar encryption-key encryption.keys --kms --alias payroll\n  \
    ashlar encryption-key encryption.keys --disable 4f1c0a97e2b85d36")]
pub(crate) struct Args {
    /// The file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Let the key that is current stay so, for as long as not every service has the new one.
    #[arg(long)]
    not_current: bool,
    /// Add no key, and make the one of this id the current one.
    #[arg(long, value_name = "ID", conflicts_with = "not_current")]
    make_current: Option<String>,
    /// Add a named key, by which clients ask for SSE-KMS, in place of a master key. Every service has to be of a version that knows
    /// them before the file has one: older ones do not start with it.
    #[arg(long, conflicts_with_all = ["not_current", "make_current"])]
    kms: bool,
    /// A name that the named key has beside its id: clients ask for `alias/NAME`. May be given more than once.
    #[arg(long, value_name = "NAME", requires = "kms")]
    alias: Vec<String>,
    /// Add no key, and let the named key of this id wrap and unwrap nothing for now.
    #[arg(long, value_name = "ID", conflicts_with_all = ["not_current", "make_current", "kms"])]
    disable: Option<String>,
    /// Add no key, and let the named key of this id be used again.
    #[arg(long, value_name = "ID", conflicts_with_all = ["not_current", "make_current", "kms", "disable"])]
    enable: Option<String>,
}

/// Adds a key, which becomes the current one if that is not deferred, and shows its id; or makes another the current one.
pub(crate) async fn run(env: &Env, args: &Args) -> Result<(), Exit> {
    let args = args.clone();
    let done = in_background(env, args.path.clone(), move |env, path| {
        if let Some(id) = args.make_current {
            make_current(env, path, &id).map(|()| format!("made the key {id} the current one"))
        } else if let Some(id) = args.disable {
            set_disabled(env, path, &id, true).map(|()| format!("disabled the key {id}"))
        } else if let Some(id) = args.enable {
            set_disabled(env, path, &id, false).map(|()| format!("enabled the key {id}"))
        } else if args.kms {
            add_named(env, path, &args.alias).map(|id| format!("added the key {id} for SSE-KMS"))
        } else {
            add(env, path, args.not_current).map(|id| format!("added the key {id}"))
        }
    });
    println!("{}", done.await.map_err(|error| Exit::because(Exit::FAILED, &error))?);
    Ok(())
}

/// Adds a key to a file, which is made if there is none, and answers its id. The first key is the current one in any case.
fn add(env: &Env, path: &Path, stays: bool) -> Result<String, KeysError> {
    let _lock = lock(env, path)?;
    let line = line_of_key(env.random_bytes(), true);
    let id = line.split(' ').next().unwrap_or_default();
    if !exists(env, path)? {
        write(env, path, &Zeroizing::new(format!("{HEADER}{}", *line)))?;
        return Ok(id.to_owned());
    }
    let kept = read(env, path)?;
    let keyring = parse(path, &kept)?;
    let current = if stays { keyring.current().0 } else { id };
    let all = Zeroizing::new(format!("{}\n{}", kept.trim_end_matches('\n'), *line));
    write_with_current(env, path, &all, current)?;
    Ok(id.to_owned())
}

/// Adds a named key to a file, which has to be there since a named key alone is no file of keys, and answers its id.
fn add_named(env: &Env, path: &Path, aliases: &[String]) -> Result<String, KeysError> {
    if let Some(alias) = aliases.iter().find(|alias| !is_alias(alias)) {
        return Err(KeysError::Alias { alias: alias.clone() });
    }
    let _lock = lock(env, path)?;
    let kept = read(env, path)?;
    parse(path, &kept)?;
    let line = line_of_key(env.random_bytes(), false);
    let id = line.split(' ').next().unwrap_or_default().to_owned();
    let names: String = aliases.iter().map(|alias| format!(" alias={alias}")).collect();
    let kept = kept.trim_end_matches('\n');
    let all = Zeroizing::new(format!("{kept}\n{} {KMS}{names}\n", line.trim_end_matches('\n')));
    parse(path, &all)?;
    write(env, path, &all)?;
    Ok(id)
}

fn set_disabled(env: &Env, path: &Path, id: &str, is_disabled: bool) -> Result<(), KeysError> {
    let _lock = lock(env, path)?;
    let kept = read(env, path)?;
    if parse(path, &kept)?.named(id).is_none() {
        return Err(KeysError::NotNamed { path: path.to_owned(), id: id.to_owned() });
    }
    let mut out = Zeroizing::new(String::with_capacity(kept.len() + DISABLED.len() + 2));
    for line in kept.lines() {
        let mut words = line.split_ascii_whitespace();
        if !line.starts_with('#') && words.next() == Some(id) {
            let key = words.next().unwrap_or_default();
            out.extend([id, " ", key, " ", KMS, if is_disabled { " disabled" } else { "" }]);
            for word in words.filter(|word| *word != KMS && *word != DISABLED) {
                out.extend([" ", word]);
            }
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    parse(path, &out)?;
    write(env, path, &out)
}

fn make_current(env: &Env, path: &Path, id: &str) -> Result<(), KeysError> {
    let _lock = lock(env, path)?;
    let kept = read(env, path)?;
    if parse(path, &kept)?.get(id).is_none() {
        return Err(KeysError::Unknown { path: path.to_owned(), id: id.to_owned() });
    }
    write_with_current(env, path, &kept, id)
}

/// Writes the keys with the mark at this one alone.
fn write_with_current(env: &Env, path: &Path, text: &str, current: &str) -> Result<(), KeysError> {
    // With room for everything, so that no keys are left behind where it lay before it grew.
    let mut out = Zeroizing::new(String::with_capacity(text.len() + CURRENT.len() + 1));
    for line in text.lines() {
        let is_key = !line.starts_with('#') && !line.trim().is_empty();
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(id), Some(key), role) if is_key && role != Some(KMS) => {
                out.extend([id, " ", key, if id == current { CURRENT } else { "" }]);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    parse(path, &out)?;
    write(env, path, &out)
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
            let _lock = lock(env, path)?;
            // Whoever had the lock before may have made it.
            if !exists(env, path)? {
                let line = line_of_key(env.random_bytes(), true);
                write(env, path, &Zeroizing::new(format!("{HEADER}{}", *line)))?;
            }
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

/// Keeps others from changing the file: what one of two wrote would be lost.
fn lock(env: &Env, path: &Path) -> Result<DirectoryLock, KeysError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    env.disk().lock(&path.with_file_name(name)).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => KeysError::Busy { path: path.to_owned() },
        _ => failed(path)(source),
    })
}

fn read(env: &Env, path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let contents = Zeroizing::new(env.disk().read_small(path, FILE_LENGTH_MAX).map_err(failed(path))?);
    let text = str::from_utf8(&contents);
    text.map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| failed(path)(io::Error::new(io::ErrorKind::InvalidData, "it is no text")))
}

fn write(env: &Env, path: &Path, text: &str) -> Result<(), KeysError> {
    env.replace_named(path, text.as_bytes()).map_err(failed(path))
}

fn parse(path: &Path, text: &str) -> Result<Keyring, KeysError> {
    Keyring::parse(text).map_err(|source| KeysError::Malformed { path: path.to_owned(), source })
}
