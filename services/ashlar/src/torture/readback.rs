//! Reading everything back when the faults are over: every key, every listing, every version that was acknowledged.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use env::Instant;

use crate::torture::{
    findings::{Finding, Kind},
    history::Records,
    keys::{Bucket, Folder, Key},
    player::{Failed, Player},
    renames::spread,
    stage::Stage,
    values::ValueId,
};
use s3_client::Failure;

/// Keys of a page: a folder fits.
const PAGE: u64 = 1_000;
/// Versions of a page.
const VERSIONS_PAGE: u64 = 100;

/// One thing to read.
#[derive(Debug, Clone)]
enum Item {
    Key(Key),
    Folder(Folder),
    /// All versions of all keys of a folder, page by page.
    Versions(Folder),
    /// A version that was acknowledged in the bucket with versioning, whether it is still the current one or not.
    Version(Key, ValueId, String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{key}"),
            Self::Folder(folder) => write!(f, "{:?}: the listing of {}", folder.bucket, folder.prefix()),
            Self::Versions(folder) => {
                write!(f, "{:?}: the listing of the versions of {}", folder.bucket, folder.prefix())
            }
            Self::Version(key, _, version) => write!(f, "{key}: version {version}"),
        }
    }
}

/// Reads everything back; what cannot be read within `patience`, counted from now for all of it, is lost.
pub(crate) async fn read_back(stage: &Arc<Stage>, clients: u32, patience: Duration) {
    let items = Arc::new(items(&spread(stage.log.records()).0));
    let next = Arc::new(AtomicUsize::new(0));
    let deadline = stage.env.now().after(patience);
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (stage, items, next) = (stage.clone(), items.clone(), next.clone());
            stage.env.clone().spawn(async move {
                let mut player = Player::new(&stage, u64::MAX, client);
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    player.read_item(item, deadline).await;
                }
            })
        })
        .collect();
    for task in tasks {
        if task.await.is_none() {
            stage.find(Finding::new(Kind::Wrong, "a client of the final reading panicked"));
        }
    }
}

fn items(records: &Records) -> Vec<Item> {
    let mut folders: Vec<Folder> = records.keys.keys().map(|key| key.folder()).collect();
    folders.dedup();
    let keys = records.keys.keys().map(|key| Item::Key(*key));
    let versions = records.keys.iter().filter(|(key, _)| key.bucket == Bucket::Versioned);
    let versions = versions.flat_map(|(key, history)| {
        let versions = history.writes.iter().filter_map(|write| Some((write.value, write.version.clone()?)));
        versions.map(|(value, version)| Item::Version(*key, value, version))
    });
    let folders = folders.into_iter().flat_map(|folder| [Item::Folder(folder), Item::Versions(folder)]);
    keys.chain(folders).chain(versions).collect()
}

impl Player<'_> {
    async fn read_item(&mut self, item: &Item, deadline: Instant) {
        loop {
            let read = match item {
                Item::Key(key) => self.read(*key, None).await.map(drop),
                Item::Folder(folder) => self.list(*folder, PAGE).await,
                Item::Versions(folder) => self.list_versions(*folder, None, VERSIONS_PAGE, usize::MAX).await,
                Item::Version(key, value, version) => self.read_version(*key, *value, version).await,
            };
            if read.is_ok() {
                return;
            }
            if self.stage.env.now() > deadline {
                let text = format!("{item} cannot be read, long after the faults are over");
                self.stage.find(Finding::new(Kind::Lost, text));
                return;
            }
            self.pause_after(read).await;
        }
    }

    async fn read_version(&mut self, key: Key, value: ValueId, version: &str) -> Result<(), Failed> {
        let stage = self.stage;
        let name = key.name();
        let place = self.place(key, &name);
        let requests = self.connected().await?;
        let answer = requests
            .get(&place, Some(version), None, |found| match stage.values.by_label(&found.label) {
                Some((id, written)) if id == value => Ok(stage.values.content(written)),
                _ => Err(Failure::Corrupt(format!("version {version} holds {}", found.label))),
            })
            .await;
        match answer {
            Ok(_) => {
                stage.has_read();
                Ok(())
            }
            Err(Failure::Status { status, code, .. }) if status.as_u16() == 404 => {
                let text = format!("{key}: version {version} was acknowledged, and is answered with {code}");
                stage.find(Finding::new(Kind::Lost, text));
                Ok(())
            }
            Err(failure) => self.complain(key, "a read of a version", &failure, &[]),
        }
    }
}
