//! `disk.json`: what says that a directory is one of our disks, and which.

use std::{fmt, io, path::Path, str::FromStr};

use env::{DirectoryLock, Disk};
use serde::{Deserialize, Serialize};
use types::DiskId;

use super::{DiskOptions, OpenError, format::FORMAT_VERSION};

const FILE_NAME: &str = "disk.json";
const LOCK_NAME: &str = "lock";
const LENGTH_MAX: usize = 4096;

/// A cluster's identity, kept on its disks so that a disk of another cluster is not taken for one of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterId(pub [u8; 16]);

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster id has 32 hexadecimal digits")]
pub struct ParseClusterIdError;

impl FromStr for ClusterId {
    type Err = ParseClusterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A disk's id is written the same way.
        text.parse::<DiskId>().map(|id| Self(id.0)).map_err(|_| ParseClusterIdError)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DiskId(self.0).fmt(f)
    }
}

/// The file's first field alone: it is read before anything else is believed.
#[derive(Deserialize)]
struct VersionOnly {
    format_version: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    format_version: u16,
    disk: String,
    cluster: Option<String>,
    /// CRC-32C of the fields above, in hexadecimal: an identity that lost a bit is nobody's.
    checksum: String,
}

fn checksum(disk: &str, cluster: Option<&str>) -> String {
    format!("{:08x}", checksum::crc32c(format!("{disk}/{}", cluster.unwrap_or_default()).as_bytes()))
}

/// A disk's directory, recognised or made, and held against other processes.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) disk: DiskId,
    pub(super) lock: DirectoryLock,
}

/// Whether the directory has an identity, readable or not.
pub(super) fn is_there(disk: &dyn Disk, directory: &Path) -> io::Result<bool> {
    disk.exists(&directory.join(FILE_NAME))
}

/// The disk that is in a directory, of whatever cluster and held by whomever; none when the directory does not say.
pub(super) fn disk_in(disk: &dyn Disk, directory: &Path) -> Option<DiskId> {
    let text = disk.read_small(&directory.join(FILE_NAME), LENGTH_MAX).ok()?;
    let file: IdentityFile = serde_json::from_slice(&text).ok()?;
    let is_whole = checksum(&file.disk, file.cluster.as_deref()) == file.checksum;
    file.disk.parse().ok().filter(|_| is_whole)
}

/// Opens the directory, or makes it a new disk when there is nothing in it.
///
/// A directory of a newer format version, of another cluster, or with files that are not ours is left untouched.
pub(super) fn open_or_format(
    disk: &dyn Disk,
    options: &DiskOptions,
    new_id: DiskId,
) -> Result<Identity, OpenError> {
    let directory = &options.directory;
    let failed = |source| OpenError::of(directory, source);
    let path = directory.join(FILE_NAME);
    // Looked at before the lock is taken, as taking it writes.
    if disk.exists(&path).map_err(failed)? {
        read(disk, &path, options)?;
    } else {
        disk.create_directory(directory).map_err(failed)?;
        refuse_foreign_files(disk, directory)?;
    }
    let lock = disk.lock(&directory.join(LOCK_NAME)).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { directory: directory.clone() },
        _ => failed(source),
    })?;
    let known = if disk.exists(&path).map_err(failed)? { Some(read(disk, &path, options)?) } else { None };
    let (id, complete) = known.unwrap_or((options.new_disk.unwrap_or(new_id), false));
    if !complete {
        let (disk_text, cluster) = (id.to_string(), options.cluster.map(|cluster| cluster.to_string()));
        let checksum = checksum(&disk_text, cluster.as_deref());
        let file = IdentityFile { format_version: FORMAT_VERSION, disk: disk_text, cluster, checksum };
        let text = serde_json::to_vec_pretty(&file).map_err(|error| failed(error.into()))?;
        disk.replace_small(&path, &text).map_err(failed)?;
    }
    Ok(Identity { disk: id, lock })
}

/// The disk's id, and whether the file says all that `options` know.
fn read(disk: &dyn Disk, path: &Path, options: &DiskOptions) -> Result<(DiskId, bool), OpenError> {
    let directory = options.directory.clone();
    let malformed = || OpenError::MalformedIdentity { directory: directory.clone() };
    let text = disk.read_small(path, LENGTH_MAX).map_err(|source| OpenError::of(&directory, source))?;
    let version = serde_json::from_slice::<VersionOnly>(&text).map_err(|_| malformed())?.format_version;
    if version > FORMAT_VERSION {
        return Err(OpenError::Newer { directory, version });
    }
    let file: IdentityFile = serde_json::from_slice(&text).map_err(|_| malformed())?;
    if checksum(&file.disk, file.cluster.as_deref()) != file.checksum {
        return Err(malformed());
    }
    let id = file.disk.parse().map_err(|_| malformed())?;
    let cluster = file.cluster.map(|text| text.parse::<ClusterId>()).transpose().map_err(|_| malformed())?;
    match (cluster, options.cluster) {
        (Some(found), Some(wanted)) if found != wanted => {
            Err(OpenError::OtherCluster { directory, cluster: found })
        }
        (found, wanted) => Ok((id, found.is_some() || wanted.is_none())),
    }
}

/// A new disk begins in an empty directory: anything else may be someone's data, or a disk that lost its identity.
fn refuse_foreign_files(disk: &dyn Disk, directory: &Path) -> Result<(), OpenError> {
    let names = disk.list_directory(directory).map_err(|source| OpenError::of(directory, source))?;
    // What an interrupted first start leaves, and what mkfs makes.
    let ours = [LOCK_NAME, "disk.json.new", "lost+found"];
    match names.into_iter().find(|name| !ours.iter().any(|known| name.as_os_str() == *known)) {
        Some(file) => Err(OpenError::NotADisk { directory: directory.to_owned(), file }),
        None => Ok(()),
    }
}
