//! How to open a disk, and why it cannot be opened.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::DiskId;

use super::{format::FORMAT_VERSION, identity::ClusterId, unread::is_out_of_descriptors};

/// How much of a file system shards leave free, for tombstones and for whoever else writes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// At least this many bytes.
    pub bytes: u64,
    /// And at least this share of the file system.
    pub percent: u8,
}

impl Default for Reserve {
    /// 64 MiB and 2 %.
    fn default() -> Self {
        Self { bytes: 64 << 20, percent: 2 }
    }
}

/// Lets one disk at a time scan a segment in the background, as such a scan holds all that it finds. Clones share it.
#[derive(Debug, Clone)]
pub struct ScanTurns(Arc<Semaphore>);

impl Default for ScanTurns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl ScanTurns {
    /// Waits for a turn, which lasts until what is returned is dropped.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        self.0.clone().acquire_owned().await.ok()
    }
}

/// How to open a disk.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// The disk's directory. Made a new disk when it is missing or empty.
    pub directory: PathBuf,
    /// What the operator calls this kind of medium.
    pub medium: String,
    /// The cluster that the disk must belong to; not checked when it is not known. A disk without one is given it.
    pub cluster: Option<ClusterId>,
    /// Identity for a new disk; random when it is not given.
    pub new_disk: Option<DiskId>,
    /// Length at which a segment of shards is full.
    pub segment_bytes: u64,
    /// Length at which a segment of marks is full.
    pub mark_segment_bytes: u64,
    /// What is left free.
    pub reserve: Reserve,
    /// How long a write or sync may take before the disk is taken to hang, and takes nothing until it answers. After twenty times
    /// as long it counts as failed meanwhile.
    pub hung_after: Duration,
    /// Shared by the disks of a process.
    pub scan_turns: ScanTurns,
}

impl DiskOptions {
    /// The defaults for a directory: segments of 256 MiB, of marks 16 MiB, medium `disk`, taken
    /// to hang after a write or sync of 30 seconds.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            medium: "disk".to_owned(),
            cluster: None,
            new_disk: None,
            segment_bytes: 256 << 20,
            mark_segment_bytes: 16 << 20,
            reserve: Reserve::default(),
            hung_after: Duration::from_secs(30),
            scan_turns: ScanTurns::default(),
        }
    }
}

/// A disk cannot be opened. Nothing on it was changed, unless the error is `Io`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer release.
    #[error("{directory} has disk format {version}; this release reads up to {FORMAT_VERSION}")]
    Newer {
        /// The disk's directory.
        directory: PathBuf,
        /// Its format version.
        version: u16,
    },
    /// Another process has it open.
    #[error("{directory} is in use by another process")]
    Locked {
        /// The disk's directory.
        directory: PathBuf,
    },
    /// A disk of another cluster.
    #[error("{directory} belongs to cluster {cluster}")]
    OtherCluster {
        /// The disk's directory.
        directory: PathBuf,
        /// The cluster it belongs to.
        cluster: ClusterId,
    },
    /// Neither a disk nor empty.
    #[error("{directory} is not a disk and not empty: it holds {file}")]
    NotADisk {
        /// The directory.
        directory: PathBuf,
        /// A file that stands in the way.
        file: PathBuf,
    },
    /// Another folder holds the same disk: one is a copy of the other.
    #[error("{directory} holds disk {disk}, which another folder holds too")]
    Repeated {
        /// The disk's directory.
        directory: PathBuf,
        /// The disk.
        disk: DiskId,
    },
    /// The directory is empty, and a disk that was there before is not: a file system is not mounted, it seems.
    #[error(
        "{directory} is empty, and disk {missing} of this node is in none of its folders, as far as they can be read: mount its \
         file system and start again; if the disk is lost for good, say so first: ashlar admin disk remove {missing}"
    )]
    NotMounted {
        /// The directory that was not made a new disk.
        directory: PathBuf,
        /// A disk that the node had.
        missing: DiskId,
    },
    /// `disk.json` cannot be understood.
    #[error("disk.json in {directory} is damaged")]
    MalformedIdentity {
        /// The disk's directory.
        directory: PathBuf,
    },
    /// The process, or the machine, has no file descriptor left. That says nothing of the disk.
    #[error(
        "{directory} cannot be opened for want of file descriptors, and nothing is wrong with it: raise the limit of open files \
         (LimitNOFILE= of a systemd unit, --ulimit nofile= of a container, ulimit -n of a shell; fs.file-max of the machine) and \
         start again"
    )]
    OutOfFiles {
        /// The disk's directory.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The operating system refused.
    #[error("{directory} cannot be opened")]
    Io {
        /// The disk's directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// Whether the process lacked file descriptors: the disk is as good as it was, and is not to be left out.
    pub fn is_out_of_files(&self) -> bool {
        matches!(self, Self::OutOfFiles { .. })
    }

    /// What a refusal of the operating system comes to.
    pub(super) fn of(directory: &Path, source: io::Error) -> Self {
        let directory = directory.to_owned();
        if is_out_of_descriptors(&source) {
            Self::OutOfFiles { directory, source }
        } else {
            Self::Io { directory, source }
        }
    }
}
