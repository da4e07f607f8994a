//! The data folders: which one is home, who holds them, and which version wrote them.
//!
//! The home folder is the first one at the first start. It holds
//!
//! ```text
//! ashlar.json        format version and identity of the installation, and the ids of the master keys that it had
//! lock               held while a server runs
//! credentials.json   the root user, when it was generated
//! identity.key       what the secrets of users' access keys are sealed with
//! encryption.keys    the master keys by which objects are encrypted, unless a file of them is given
//! admin.json         where a running server answers `ashlar admin`
//! metadata.db        buckets, keys and versions
//! shards/            the first disk
//! ```
//!
//! Every other folder holds `shards/` alone.

use std::{
    io,
    path::{Path, PathBuf},
};

use env::{DirectoryLock, Env};
use serde::{Deserialize, Serialize};

/// The format of the home folder. A higher one was written by a newer version.
const FORMAT: u32 = 1;

const IDENTITY: &str = "ashlar.json";
const DATABASE: &str = "metadata.db";
const IDENTITY_LENGTH_MAX: usize = 64 << 10;

/// A disk within a folder.
const SHARDS: &str = "shards";

/// An opened installation; nobody else has it open.
#[derive(Debug)]
pub(crate) struct Installation {
    home: PathBuf,
    folders: Vec<PathBuf>,
    identity: Identity,
    cluster: [u8; 16],
    _lock: DirectoryLock,
}

/// The folders cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// A file or folder cannot be read or written.
    #[error("cannot use {path}; check that the folder is writable and its disk is not full")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another ashlar process; stop that one first, or choose another folder")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error(
        "{path} was written by a newer version of ashlar (format {found}, this one knows {FORMAT}); nothing was changed: upgrade ashlar"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The identity file cannot be understood.
    #[error("{path} is damaged; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Two folders claim to be home.
    #[error("{first} and {second} belong to two different installations; give the folders of one")]
    TwoHomes {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The folder with the database is not among them.
    #[error(
        "{path} holds data, but no folder given holds its database; give the folder that was first at the first start too"
    )]
    HomeMissing {
        /// The folder with data.
        path: PathBuf,
    },
    /// The home folder has shards and no database.
    #[error(
        "{path} is missing while its shards are there; restore the database from a backup, or give an empty folder to start afresh"
    )]
    DatabaseMissing {
        /// Where the database should be.
        path: PathBuf,
    },
    /// The same folder is given twice.
    #[error("{path} is given twice")]
    Repeated {
        /// The folder.
        path: PathBuf,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    format: u32,
    cluster: String,
    /// The ids of the master keys that were the current one at a start, by which objects may be encrypted since.
    #[serde(default)]
    encryption_keys: Vec<String>,
}

impl Installation {
    /// Makes what is not there, takes the lock and checks the format. Blocks.
    pub(crate) fn open(env: &Env, folders: &[PathBuf]) -> Result<Self, InstallationError> {
        let disk = env.disk();
        for (at, folder) in folders.iter().enumerate() {
            disk.create_directory(folder).map_err(failed(folder))?;
            if folders[..at].contains(folder) {
                return Err(InstallationError::Repeated { path: folder.clone() });
            }
        }
        let home = find_home(env, folders)?;
        let lock = lock_home(env, &home)?;
        let (identity, cluster) = identity(env, &home.join(IDENTITY))?;
        refuse_lost_database(env, &home)?;
        Ok(Self { home, folders: folders.to_vec(), identity, cluster, _lock: lock })
    }

    /// The ids of the master keys that were the current one at a start, by which objects may be encrypted since.
    pub(crate) fn known_encryption_keys(&self) -> &[String] {
        &self.identity.encryption_keys
    }

    /// The file that these ids are in.
    pub(crate) fn identity(&self) -> PathBuf {
        self.home.join(IDENTITY)
    }

    /// Writes down, before anything is encrypted by it, that there is this master key. Blocks.
    pub(crate) fn remember_encryption_key(&mut self, env: &Env, id: &str) -> Result<(), InstallationError> {
        let known = &mut self.identity.encryption_keys;
        if !known.iter().any(|known| known == id) {
            known.push(id.to_owned());
            write_identity(env, &self.home.join(IDENTITY), &self.identity)?;
        }
        Ok(())
    }

    /// The home folder.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Where the root user's generated credentials are.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.home.join("credentials.json")
    }

    /// Where the key is that secrets of access keys are sealed with.
    pub(crate) fn identity_key(&self) -> PathBuf {
        self.home.join("identity.key")
    }

    /// Where the master keys of encryption are.
    pub(crate) fn encryption_keys(&self) -> PathBuf {
        self.home.join("encryption.keys")
    }

    /// Where the embedded database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.home.join(DATABASE)
    }

    /// The folders of the disks.
    pub(crate) fn disks(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join(SHARDS)).collect()
    }

    /// What this installation's disks are marked with.
    pub(crate) fn cluster(&self) -> [u8; 16] {
        self.cluster
    }
}

/// Holds a home folder against servers and other processes until it is dropped. Blocks.
pub(crate) fn lock_home(env: &Env, home: &Path) -> Result<DirectoryLock, InstallationError> {
    env.disk().lock(&home.join("lock")).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => InstallationError::InUse { path: home.to_owned() },
        _ => InstallationError::Io { path: home.to_owned(), source },
    })
}

/// Where the embedded database of a home folder is.
pub(crate) fn database_in(home: &Path) -> PathBuf {
    home.join(DATABASE)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> InstallationError + '_ {
    |source| InstallationError::Io { path: path.to_owned(), source }
}

/// The folder that has an identity, wherever it stands in the list; the first one when none has. An identity is made
/// before any disk, so a disk without one means that home is not mounted or not given: starting afresh beside it would
/// look like the loss of everything.
fn find_home(env: &Env, folders: &[PathBuf]) -> Result<PathBuf, InstallationError> {
    let mut home: Option<&PathBuf> = None;
    for folder in folders {
        let path = folder.join(IDENTITY);
        if env.disk().exists(&path).map_err(failed(&path))? {
            if let Some(first) = home {
                return Err(InstallationError::TwoHomes { first: first.clone(), second: folder.clone() });
            }
            home = Some(folder);
        }
    }
    if let Some(home) = home {
        return Ok(home.clone());
    }
    for folder in folders {
        let shards = folder.join(SHARDS);
        if env.disk().exists(&shards).map_err(failed(&shards))? {
            return Err(InstallationError::HomeMissing { path: folder.clone() });
        }
    }
    Ok(folders[0].clone())
}

/// The database is made before the first disk, so shards without one mean that it was lost. An empty one in its place
/// would show no object and look like a fresh start.
fn refuse_lost_database(env: &Env, home: &Path) -> Result<(), InstallationError> {
    let (database, shards) = (home.join(DATABASE), home.join(SHARDS));
    let there = |path: &Path| env.disk().exists(path).map_err(failed(path));
    if there(&shards)? && !there(&database)? {
        return Err(InstallationError::DatabaseMissing { path: database });
    }
    Ok(())
}

/// Reads the identity, or makes one.
fn identity(env: &Env, path: &Path) -> Result<(Identity, [u8; 16]), InstallationError> {
    let damaged = || InstallationError::Damaged { path: path.to_owned() };
    if env.disk().exists(path).map_err(failed(path))? {
        let contents = env.disk().read_small(path, IDENTITY_LENGTH_MAX).map_err(failed(path))?;
        let format = serde_json::from_slice::<serde_json::Value>(&contents).map_err(|_| damaged())?;
        let found =
            format["format"].as_u64().and_then(|format| u32::try_from(format).ok()).ok_or_else(damaged)?;
        if found > FORMAT {
            let path = path.parent().unwrap_or(path).to_owned();
            return Err(InstallationError::Newer { path, found });
        }
        let identity: Identity = serde_json::from_slice(&contents).map_err(|_| damaged())?;
        let mut cluster = [0; 16];
        hex::decode_to_slice(&identity.cluster, &mut cluster).map_err(|_| damaged())?;
        return Ok((identity, cluster));
    }
    let cluster = env.random_bytes();
    let identity = Identity { format: FORMAT, cluster: hex::encode(cluster), encryption_keys: Vec::new() };
    write_identity(env, path, &identity)?;
    Ok((identity, cluster))
}

fn write_identity(env: &Env, path: &Path, identity: &Identity) -> Result<(), InstallationError> {
    let damaged = |_| InstallationError::Damaged { path: path.to_owned() };
    let contents = serde_json::to_vec_pretty(identity).map_err(damaged)?;
    env.disk().replace_small(path, &contents).map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use env::Env;

    use super::{DATABASE, Installation, InstallationError, SHARDS};

    #[test]
    fn shards_without_their_database_are_refused() {
        let (env, folder) = (Env::real(), tempfile::tempdir().unwrap());
        let folders = [folder.path().to_owned()];
        // A start that ended before it made a database is no loss.
        drop(Installation::open(&env, &folders).unwrap());
        let database = folder.path().join(DATABASE);
        env.disk().replace_small(&database, b"").unwrap();
        env.disk().create_directory(&folder.path().join(SHARDS)).unwrap();
        drop(Installation::open(&env, &folders).unwrap());
        env.disk().remove(&database).unwrap();
        let refused = Installation::open(&env, &folders);
        assert!(matches!(refused, Err(InstallationError::DatabaseMissing { path }) if path == database));
    }
}
