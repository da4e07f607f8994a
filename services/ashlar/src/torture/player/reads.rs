//! Reads and listings.

use crate::torture::{
    findings::{Finding, Kind},
    history::{Entry, ListedVersion, Page, Read, Seen, Versions, VersionsPage},
    keys::{Folder, Key},
    player::{Failed, Player, writes::Absent},
    requests::{ByteRange, Found, VersionMarker, VersionRow},
    stage::Stage,
    values::{Value, ValueId},
    zones::Time,
};
use s3_client::Failure;

/// Pages of a listing that are read by their tokens.
pub(super) const PAGES_MAX: usize = 8;
/// Longest range that is read.
const RANGE_MAX: u64 = 256 << 10;

impl Player<'_> {
    pub(super) async fn get(&mut self, key: Key) -> Result<(), Failed> {
        self.read(key, None).await.map(drop)
    }

    pub(super) async fn range(&mut self, key: Key, thousandths: u64) -> Result<(), Failed> {
        let Some((_, id)) = self.head(key).await? else { return Ok(()) };
        let size = self.stage.values.get(id).map_or(0, |value| value.size);
        if size == 0 {
            return Ok(());
        }
        let offset = size / 1_000 * thousandths + size % 1_000 * thousandths / 1_000;
        let length = (size - offset).min(RANGE_MAX);
        self.read(key, Some((offset, length))).await.map(drop)
    }

    /// Reads an object, whole or a range of it; every byte is compared. Tells what was there.
    pub(in crate::torture) async fn read(
        &mut self,
        key: Key,
        range: ByteRange,
    ) -> Result<Option<ValueId>, Failed> {
        let stage = self.stage;
        let name = key.name();
        let place = self.place(key, &name);
        let requests = self.connected().await?;
        let start = stage.now();
        let judge = |found: &Found| {
            let (_, value) = value_of(stage, key, found)?;
            let content = stage.values.content(value);
            match range {
                None => Ok(content),
                Some((offset, _)) if offset >= value.size => {
                    Err(Failure::Corrupt(format!("bytes from {offset} of {}", value.size)))
                }
                Some((offset, length)) => Ok(content.range(offset, length.min(value.size - offset))),
            }
        };
        let answer = requests.get(&place, None, range, judge).await;
        let expected: &[&str] = if range.is_some() { &["InvalidRange"] } else { &[] };
        self.log_read(key, "a read", start, answer, expected).map(|read| read.map(|(_, id)| id))
    }

    /// Reads the head of an object. Tells what was there.
    pub(super) async fn head(&mut self, key: Key) -> Result<Option<(Found, ValueId)>, Failed> {
        let stage = self.stage;
        let name = key.name();
        let place = self.place(key, &name);
        let requests = self.connected().await?;
        let start = stage.now();
        let answer = requests.head(&place).await.and_then(|found| {
            let (_, value) = value_of(stage, key, &found)?;
            match found.length {
                Some(length) if length == value.size => Ok(found),
                told => Err(Failure::Corrupt(format!("HEAD told {told:?} bytes instead of {}", value.size))),
            }
        });
        self.log_read(key, "a HEAD", start, answer, &[])
    }

    fn log_read(
        &self,
        key: Key,
        what: &str,
        start: Time,
        answer: Result<Found, Failure>,
        expected: &[&str],
    ) -> Result<Option<(Found, ValueId)>, Failed> {
        let span = self.span(start);
        let failure = match answer {
            Ok(found) => {
                let Ok((id, _)) = value_of(self.stage, key, &found) else { return Err(Failed) };
                self.stage.log.read(key, Read { span, seen: Seen::Value(id) });
                self.stage.has_read();
                return Ok(Some((found, id)));
            }
            Err(failure) => failure,
        };
        let seen = match Self::absent(&failure) {
            Some(Absent::Marker(marker)) => Some(Seen::Marker(marker)),
            Some(Absent::Nothing) => Some(Seen::Absent),
            Some(Absent::Nameless) => None,
            None => return self.complain(key, what, &failure, expected).map(|()| None),
        };
        if let Some(seen) = seen {
            self.stage.log.read(key, Read { span, seen });
        }
        self.stage.has_read();
        Ok(None)
    }

    /// Lists a folder page by page.
    pub(in crate::torture) async fn list(&mut self, folder: Folder, limit: u64) -> Result<(), Failed> {
        let stage = self.stage;
        let (bucket, prefix) = (stage.bucket(folder.bucket), folder.prefix());
        let (mut token, mut after) = (None, None);
        for _ in 0..PAGES_MAX {
            let requests = self.connected().await?;
            let start = stage.now();
            let answer = requests.list(bucket, &prefix, limit, token.as_deref()).await;
            let span = self.span(start);
            let listed = match answer {
                Ok(listed) => listed,
                Err(failure) => return self.complain(folder.first(), "a listing", &failure, &[]),
            };
            stage.has_read();
            let mut entries = Vec::with_capacity(listed.entries.len());
            for (name, size, etag) in listed.entries {
                match folder.key(&name) {
                    Some(key) => entries.push(Entry { key, size, etag }),
                    None => stage.find(Finding::new(
                        Kind::Wrong,
                        format!("{bucket}: the listing of {prefix} has {name}, which nobody wrote"),
                    )),
                }
            }
            let last = entries.last().map(|entry| entry.key);
            if listed.next.is_some() && last.is_none() {
                stage.find(Finding::new(
                    Kind::Wrong,
                    format!("{bucket}: an empty page of {prefix} is not the last"),
                ));
                return Ok(());
            }
            let until = last.filter(|_| listed.next.is_some());
            stage.log.page(Page { span, folder, after, until, entries });
            if listed.next.is_none() {
                return Ok(());
            }
            (token, after) = (listed.next, until);
        }
        Ok(())
    }
}

impl Player<'_> {
    /// Lists the versions of a folder page by page, from its beginning or after those of a key.
    pub(in crate::torture) async fn list_versions(
        &mut self,
        folder: Folder,
        after: Option<Key>,
        limit: u64,
        pages_max: usize,
    ) -> Result<(), Failed> {
        let stage = self.stage;
        let (bucket, prefix) = (stage.bucket(folder.bucket), folder.prefix());
        let mut next = after.map(|key| VersionMarker { key: key.name(), version: None });
        let mut listing = Versions { folder, after, pages: Vec::new(), is_whole: false };
        while listing.pages.len() < pages_max && !listing.is_whole {
            let requests = self.connected().await?;
            let start = stage.now();
            let answer = requests.list_versions(bucket, &prefix, limit, next.as_ref()).await;
            let span = self.span(start);
            let listed = match answer {
                Ok(listed) => listed,
                Err(failure) => return self.complain(folder.first(), "a listing of versions", &failure, &[]),
            };
            stage.has_read();
            let mut entries = Vec::with_capacity(listed.entries.len());
            for VersionRow { key: name, version, is_latest, object } in listed.entries {
                match folder.key(&name) {
                    Some(key) => entries.push(ListedVersion { key, version, is_latest, object }),
                    None => stage.find(Finding::new(
                        Kind::Wrong,
                        format!(
                            "{bucket}: the listing of {prefix} has versions of {name}, which nobody wrote"
                        ),
                    )),
                }
            }
            if listed.next.is_some() && entries.is_empty() {
                stage.find(Finding::new(
                    Kind::Wrong,
                    format!("{bucket}: an empty page of the versions of {prefix} is not the last"),
                ));
                return Ok(());
            }
            listing.is_whole = listed.next.is_none();
            listing.pages.push(VersionsPage { span, entries });
            next = listed.next;
        }
        stage.log.versions(listing);
        Ok(())
    }
}

/// The value that an object says to be; it must have been written or renamed to this key.
pub(super) fn value_of(stage: &Stage, key: Key, found: &Found) -> Result<(ValueId, Value), Failure> {
    let Some((id, value)) = stage.values.by_label(&found.label) else {
        return Err(Failure::Corrupt(format!("its metadata names {}, which nobody wrote", found.label)));
    };
    if !stage.values.may_be_at(id, key) {
        return Err(Failure::Corrupt(format!("it is what was written to {}", value.key)));
    }
    Ok((id, value))
}
