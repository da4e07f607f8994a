//! Makes the inventories of buckets: lists of what is in them, written as files to the buckets that they are configured to go
//! to. Amazon S3 User Guide, "Cataloging and analyzing your data with S3 Inventory".
//!
//! A bucket is listed page by page, and one page and one file are in memory. The pages are not of one moment: as on S3, what is written or
//! deleted meanwhile is in the list or is not. Files come first and the manifest that names them comes last, so that a list is
//! there in whole or not at all; only then it is recorded that the list was made. A list that is broken off is begun anew.
//!
//! Invariant: files are taken away again only when it is sure that no manifest names them.

mod file;
mod publish;
mod retry;
mod rows;
mod schedule;
#[cfg(test)]
mod tests;

use std::time::Duration;

use metadata_api::{
    AccountId, Bucket, Error, INVENTORIES_PAGE_MAX, ListObjects, ListPosition, ObjectEntry, PAGE_SIZE_MAX,
};
use s3_wire::{
    inventory::{Format, IncludedVersions, Inventory, hive_time, manifest_time},
    xml::parse_inventory,
};
use types::{BucketName, KeyPrefix, Timestamp};

use self::{
    file::File,
    publish::{Failed, Published, Stop},
    retry::persistently,
    rows::{Entry, Source},
};
use crate::{context::Context, jobs::Progress, version_pages::VersionPages};

/// Longest pause between two passes.
const PERIOD_MAX: Duration = Duration::from_secs(60 * 60);

/// Shortest pause, when a day is made short for tests.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// Bytes at which a file of a list is written and the next one begun.
const FILE_BYTES: usize = 16 << 20;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// The version of the manifests. Source: User Guide, "Inventory manifest".
const MANIFEST_VERSION: &str = "2016-11-30";

/// Makes the lists that are due as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let day = context.options.lifecycle.day();
    loop {
        if let Err(error) = pass(&context, &progress, day).await {
            tracing::warn!(%error, "inventories were not all made");
        }
        progress.set_left(0);
        context.pause((day / 24).clamp(PERIOD_MIN, PERIOD_MAX)).await;
    }
}

async fn pass(context: &Context, progress: &Progress, day: Duration) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = context.metadata.list_buckets_with_inventories(after.as_ref(), PAGE_SIZE_MAX).await?;
        for (bucket, left) in page.iter().zip((1..=page.len()).rev()) {
            progress.set_left(left as u64);
            match of_bucket(context, bucket, day).await {
                // Or it was deleted meanwhile.
                Ok(()) | Err(Error::BucketNotFound { .. }) => {}
                Err(error) => tracing::warn!(%error, %bucket, "inventories of a bucket were not made"),
            }
            progress.add(1);
        }
        if page.len() < PAGE_SIZE_MAX {
            return Ok(());
        }
        after = page.into_iter().next_back();
    }
}

async fn of_bucket(context: &Context, bucket: &BucketName, day: Duration) -> Result<(), Error> {
    let metadata = &context.metadata;
    let mut from = String::new();
    loop {
        let request = || metadata.list_inventories(bucket, &from, INVENTORIES_PAGE_MAX);
        let page = persistently(context, request).await?;
        let (is_last, mut made) = (page.len() < INVENTORIES_PAGE_MAX, false);
        for stored in page {
            // The least name that is greater.
            from = format!("{}\0", stored.id);
            let inventory = match parse_inventory(&stored.document) {
                Ok(inventory) => inventory,
                Err(error) => {
                    tracing::error!(%error, %bucket, id = stored.id, "an inventory configuration cannot be read");
                    continue;
                }
            };
            if inventory.enabled && schedule::is_due(inventory.frequency, day, stored.now, stored.listed) {
                carry_out(context, bucket, &inventory, stored.now, day).await;
                // That may take hours: the clock and the configurations are read again.
                made = true;
                break;
            }
        }
        if is_last && !made {
            return Ok(());
        }
    }
}

/// Makes a list and records that it was made, or says why not.
async fn carry_out(
    context: &Context,
    bucket: &BucketName,
    inventory: &Inventory,
    begun: Timestamp,
    day: Duration,
) {
    let id = &inventory.id;
    match make(context, bucket, inventory, begun, day).await {
        Ok(Made::Now { objects }) => tracing::info!(%bucket, id, objects, "made an inventory"),
        Ok(Made::Before) => tracing::info!(%bucket, id, "an inventory was made before"),
        Ok(Made::Nowhere) => {
            let destination = &inventory.destination.bucket;
            return tracing::info!(%bucket, id, %destination, "an inventory has no bucket to go to");
        }
        Ok(Made::Denied { key }) => {
            let destination = &inventory.destination.bucket;
            return tracing::info!(%bucket, id, %destination, key, "an inventory is denied by its destination");
        }
        // It was deleted meanwhile.
        Err(Error::BucketNotFound { .. }) => return,
        Err(error) => {
            return tracing::warn!(%error, %bucket, id, "an inventory was not made; it is tried again");
        }
    }
    match persistently(context, || context.metadata.mark_inventory(bucket, id, begun)).await {
        Ok(()) | Err(Error::BucketNotFound { .. }) => {}
        Err(error) => tracing::warn!(%error, %bucket, id, "it was not recorded that an inventory was made"),
    }
}

/// What became of a list.
enum Made {
    /// It is there.
    Now { objects: u64 },
    /// That of the same day or week was there.
    Before,
    /// There is no bucket of the same owner for it.
    Nowhere,
    /// The policy of that bucket denies that something is put under this key.
    Denied { key: String },
}

async fn make(
    context: &Context,
    bucket: &BucketName,
    inventory: &Inventory,
    begun: Timestamp,
    day: Duration,
) -> Result<Made, Error> {
    let metadata = &context.metadata;
    let destination = &inventory.destination.bucket;
    let source = persistently(context, || metadata.get_bucket(bucket)).await?;
    let target = match persistently(context, || metadata.get_bucket(destination)).await {
        Ok(target) => target,
        Err(Error::BucketNotFound { .. }) => return Ok(Made::Nowhere),
        Err(error) => return Err(error),
    };
    if target.owner != source.owner {
        return Ok(Made::Nowhere);
    }
    if was_made(context, bucket, inventory, begun, day).await? {
        return Ok(Made::Before);
    }
    let mut list = List { context, inventory, source, begun, files: Vec::new(), named: false, rows: 0 };
    let made = list.make().await;
    let List { files, named, rows, .. } = list;
    if made.is_err() && !named {
        publish::withdraw(context, destination, files).await;
    }
    match made {
        Ok(()) => Ok(Made::Now { objects: rows }),
        Err(Stop::Denied { key }) => Ok(Made::Denied { key }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Whether the list of this day or week is there although that was not recorded: the checksum of its manifest, which comes last.
async fn was_made(
    context: &Context,
    bucket: &BucketName,
    inventory: &Inventory,
    begun: Timestamp,
    day: Duration,
) -> Result<bool, Error> {
    let period = schedule::begin(inventory.frequency, day, begun);
    // Folders are named by minutes: from the first that is wholly in the period.
    let (first, last) =
        (manifest_time(Timestamp(period.0.saturating_add(MINUTE_MS - 1))), manifest_time(begun));
    let folder = format!("{}/", inventory.folder(bucket));
    let request = ListObjects {
        bucket: inventory.destination.bucket.clone(),
        prefix: prefix(folder.clone())?,
        delimiter: None,
        position: ListPosition::After(prefix(format!("{folder}{first}"))?),
        limit: PAGE_SIZE_MAX,
    };
    let page = persistently(context, || context.metadata.list_objects(request.clone())).await?;
    Ok(page.entries.iter().any(|entry| match entry {
        ObjectEntry::Object(object) => {
            let time = object.key.as_str().strip_prefix(&folder);
            let time = time.and_then(|rest| rest.strip_suffix("/manifest.checksum"));
            time.is_some_and(|time| time <= last.as_str())
        }
        ObjectEntry::CommonPrefix(_) => false,
    }))
}

/// A text as a prefix. One that is none, of which a list of the whole bucket must not be made, is an error.
fn prefix(text: String) -> Result<KeyPrefix, Error> {
    KeyPrefix::new(text)
        .map_err(|error| Error::Internal { reason: format!("an inventory's prefix: {error}") })
}

/// A list that is being made.
struct List<'a> {
    context: &'a Context,
    inventory: &'a Inventory,
    source: Bucket,
    begun: Timestamp,
    files: Vec<Published>,
    /// Whether something that names the files is there, or may be, so that they stay.
    named: bool,
    rows: u64,
}

impl List<'_> {
    async fn make(&mut self) -> Result<(), Stop> {
        self.ask_for_keys().await?;
        let mut file = None;
        match self.inventory.versions {
            IncludedVersions::Current => self.list_objects(&mut file).await?,
            IncludedVersions::All => self.list_versions(&mut file).await?,
        }
        if let Some(file) = file {
            self.publish_file(file).await?;
        }
        self.publish_manifests().await
    }

    /// Asks before anything is listed, so that no bucket is listed in vain again and again. Each is asked for once more when it is put.
    async fn ask_for_keys(&self) -> Result<(), Stop> {
        for key in [self.new_file(), self.links(), self.manifest_key("json"), self.manifest_key("checksum")] {
            let (source, bucket) = (&self.source, &self.inventory.destination.bucket);
            let is_denied = || publish::is_denied(self.context, source, bucket, &key);
            if persistently(self.context, is_denied).await? {
                return Err(Stop::Denied { key });
            }
        }
        Ok(())
    }

    fn prefix(&self) -> Result<KeyPrefix, Error> {
        prefix(self.inventory.prefix.clone().unwrap_or_default())
    }

    async fn list_objects(&mut self, file: &mut Option<File>) -> Result<(), Stop> {
        let (mut position, prefix) = (ListPosition::Start, self.prefix()?);
        loop {
            let request = ListObjects {
                bucket: self.source.name.clone(),
                prefix: prefix.clone(),
                delimiter: None,
                position,
                limit: PAGE_SIZE_MAX,
            };
            let metadata = &self.context.metadata;
            let page = persistently(self.context, || metadata.list_objects(request.clone())).await?;
            let entries = page.entries.into_iter().filter_map(|entry| match entry {
                ObjectEntry::Object(object) => Some(Entry::current(object)),
                ObjectEntry::CommonPrefix(_) => None,
            });
            let entries: Vec<Entry> = entries.collect();
            let last = entries.last().map(|entry| entry.key.as_str().to_owned());
            self.write(entries, &page.owner, file).await?;
            match last {
                Some(last) if page.truncated => position = ListPosition::After(self::prefix(last)?),
                _ => return Ok(()),
            }
        }
    }

    async fn list_versions(&mut self, file: &mut Option<File>) -> Result<(), Stop> {
        let mut pages = VersionPages::new(self.source.name.clone(), self.prefix()?, PAGE_SIZE_MAX);
        while let Some(request) = pages.request() {
            let metadata = &self.context.metadata;
            let page = persistently(self.context, || metadata.list_versions(request.clone())).await?;
            let page = pages.take(page);
            let entries = page.versions.into_iter().map(Entry::version).collect();
            self.write(entries, &page.owner, file).await?;
        }
        Ok(())
    }

    /// Writes a page to the file, and files that are full to the destination.
    async fn write(
        &mut self,
        mut entries: Vec<Entry>,
        owner: &AccountId,
        file: &mut Option<File>,
    ) -> Result<(), Stop> {
        // The name may be another account's by now.
        if *owner != self.source.owner {
            return Err(Error::BucketNotFound { bucket: self.source.name.clone() }.into());
        }
        let columns = self.inventory.columns();
        let locks = self.source.object_lock.is_some() && rows::shows_locks(&columns);
        if locks || rows::shows_encryption(&columns) {
            rows::look_up(self.context, &self.source.name, &mut entries).await?;
        }
        let source = Source::of(&self.source)?;
        for entry in entries {
            let open = match file {
                Some(open) => open,
                None => file.insert(File::new(self.inventory.destination.format, columns.clone())?),
            };
            open.push(entry.row(&columns, &source))?;
            self.rows += 1;
            if open.bytes() >= FILE_BYTES
                && let Some(full) = file.take()
            {
                self.publish_file(full).await?;
            }
        }
        Ok(())
    }

    fn key(&self, rest: &str) -> String {
        format!("{}/{rest}", self.inventory.folder(&self.source.name))
    }

    /// The key of another file.
    fn new_file(&self) -> String {
        let extension = match self.inventory.destination.format {
            Format::Csv => "csv.gz",
            Format::Parquet => "parquet",
        };
        self.key(&format!("data/{}.{extension}", uuid(self.context.env.random_bytes())))
    }

    /// The key of the links to the files.
    fn links(&self) -> String {
        self.key(&format!("hive/dt={}/symlink.txt", hive_time(self.begun)))
    }

    /// The key of the manifest, or of its checksum.
    fn manifest_key(&self, extension: &str) -> String {
        self.key(&format!("{}/manifest.{extension}", manifest_time(self.begun)))
    }

    async fn publish_file(&mut self, file: File) -> Result<(), Stop> {
        let published = self.publish(self.new_file(), "application/octet-stream", file.finish()?).await;
        self.files.push(published.map_err(|failed| failed.why)?);
        Ok(())
    }

    async fn publish(&self, key: String, content_type: &str, body: Vec<u8>) -> Result<Published, Failed> {
        let buckets = (&self.source, &self.inventory.destination.bucket);
        publish::publish(self.context, buckets, key, content_type, body.into()).await
    }

    /// Publishes what names the files.
    async fn publish_name(
        &mut self,
        key: String,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Published, Stop> {
        let published = self.publish(key, content_type, body).await;
        published.map_err(|Failed { why, may_be_there }| {
            self.named |= may_be_there;
            why
        })
    }

    /// The manifest and what goes with it. The checksum comes last: who waits for it finds everything else.
    async fn publish_manifests(&mut self) -> Result<(), Stop> {
        let destination = self.inventory.destination.bucket.as_str();
        let links: Vec<String> =
            self.files.iter().map(|file| format!("s3://{destination}/{}", file.key)).collect();
        let links = self.publish_name(self.links(), "text/plain", links.join("\n").into_bytes()).await?;
        let manifest = manifest(self.inventory, &self.source.name, self.begun, &self.files);
        // They are withdrawn with the files, should there be no manifest.
        self.files.push(links);
        let manifest = self.publish_name(self.manifest_key("json"), "application/json", manifest).await?;
        self.named = true;
        self.publish_name(self.manifest_key("checksum"), "text/plain", manifest.md5.into_bytes()).await?;
        Ok(())
    }
}

/// The manifest of a list. Source: User Guide, "Inventory manifest".
fn manifest(inventory: &Inventory, source: &BucketName, begun: Timestamp, files: &[Published]) -> Vec<u8> {
    let files: Vec<serde_json::Value> = files
        .iter()
        .map(|file| serde_json::json!({ "key": file.key, "size": file.size, "MD5checksum": file.md5 }))
        .collect();
    let manifest = serde_json::json!({
        "sourceBucket": source.as_str(),
        "destinationBucket": format!("arn:aws:s3:::{}", inventory.destination.bucket.as_str()),
        "version": MANIFEST_VERSION,
        "creationTimestamp": begun.0.to_string(),
        "fileFormat": inventory.destination.format.name(),
        "fileSchema": inventory.schema(),
        "files": files,
    });
    format!("{manifest:#}").into_bytes()
}

/// A random UUID as text.
fn uuid(mut bytes: [u8; 16]) -> String {
    // Version 4. Source: RFC 9562, section 5.4.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = format!("{:032x}", u128::from_be_bytes(bytes));
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
