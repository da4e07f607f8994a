//! Operations as calls, and their answers in the names that both stores share.

use std::fmt::Debug;

use env::Env;
use types::{Attributes, ChunkId, KeyPrefix, ObjectKey, Timestamp, VersionId, Versioning};

use super::{
    super::{
        garbage::collect,
        support::{
            PATIENCE, all_versions, completion, copy, delete_all, entry, etag, get, get_bucket, inline,
            new_upload, part_number, rename, rename_prefix, stored_part, write, write_stored,
        },
    },
    operation::{Fault, Operation, VersionName},
    side::{Side, shared_name},
};
use metadata_api::{
    AbortUpload, CommitVersion, CompleteUpload, CompletedPart, CopyAttributes, CopyVersion, CreateUpload,
    DeleteCondition, DeleteVersion, DeleteVersions, Error, FoundVersion, GetVersion, ListObjects, ListParts,
    ListPosition, ListUploads, ListVersions, ObjectEntry, PAGE_SIZE_MAX, Part, RenameObject, UploadPosition,
    VersionPosition, VersionState, WriteCondition,
};

/// What an operation answered, in shared names.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) succeeded: bool,
}

fn answer<T: Debug>(result: Result<T, Error>) -> Answer {
    Answer { succeeded: result.is_ok(), text: format!("{:#?}", result.map_err(plain)) }
}

/// An error without the words that are each store's own.
fn plain(error: Error) -> Error {
    match error {
        Error::Malformed { .. } => Error::Malformed { reason: String::new() },
        Error::BucketNotEmpty { .. } => Error::BucketNotEmpty { bucket: shared_name() },
        error => error,
    }
}

/// An error of a call of which the contract leaves open whose entity tag it shows.
fn without_tag(error: Error) -> Error {
    match error {
        Error::PreconditionFailed { .. } => Error::PreconditionFailed { current: None },
        error => error,
    }
}

impl Side {
    pub(super) async fn play(&mut self, operation: &Operation) -> Answer {
        match operation.clone() {
            Operation::Put { bucket, key, stored, tag, condition } => {
                self.put(bucket, &key, stored, tag, condition).await
            }
            Operation::Get { bucket, key, version, with_content } => {
                let version_id = version.map(|version| self.id(version));
                let request =
                    GetVersion { bucket: self.name(bucket), key: key.clone(), version_id, with_content };
                let found = self.store.get_version(request).await;
                answer(found.map(|found| self.found(bucket, &key, found)))
            }
            Operation::Delete { bucket, entries } => self.delete(bucket, &entries).await,
            Operation::Copy { from, to, stale, replace, condition } => {
                self.copy(from, to, stale, replace, condition).await
            }
            Operation::Rename { bucket, from, to, condition } => {
                self.rename(bucket, &from, &to, condition).await
            }
            Operation::RenamePrefix { bucket, from, to, stale } => {
                self.rename_prefix(bucket, from, to, stale).await
            }
            Operation::CreateUpload { bucket, key } => self.create_upload(bucket, key).await,
            Operation::Part { upload, number, tag } => self.part(upload, number, tag).await,
            Operation::Complete { upload, parts, fault, condition } => {
                self.complete(upload, &parts, fault, condition).await
            }
            Operation::Abort { upload } => {
                let (bucket, key, upload) = self.uploads[upload].clone();
                let request = AbortUpload { bucket: self.name(bucket), key, upload };
                answer(self.store.abort_upload(request).await)
            }
            Operation::ListParts { upload, limit } => self.list_parts(upload, limit).await,
            Operation::SetVersioning { bucket, versioning } => self.set_versioning(bucket, versioning).await,
            Operation::GetBucket { bucket } => {
                let found = self.store.get_bucket(&self.buckets[bucket]).await;
                answer(found.map(|found| self.bucket(bucket, found)))
            }
            Operation::DeleteBucket { bucket } => self.delete_bucket(bucket).await,
            Operation::Renew { bucket } => self.renew(bucket).await,
            Operation::ListObjects { bucket, prefix, delimiter, after, limit } => {
                let position = after.map_or(ListPosition::Start, ListPosition::After);
                let bucket = self.name(bucket);
                self.list_objects(ListObjects { bucket, prefix, delimiter, position, limit }).await
            }
            Operation::ListVersions { bucket, prefix, delimiter, after, limit } => {
                let position = match after {
                    None => VersionPosition::Start,
                    Some((key, None)) => VersionPosition::AfterKey(key_as_prefix(&key)),
                    Some((key, Some(version))) => VersionPosition::AfterVersion(key, self.id(version)),
                };
                let request = ListVersions { bucket: self.name(bucket), prefix, delimiter, position, limit };
                self.list_versions(bucket, request).await
            }
            Operation::ListUploads { bucket, prefix, delimiter, after } => {
                let position = after.map_or(UploadPosition::Start, UploadPosition::AfterKey);
                let (bucket, limit) = (self.name(bucket), PAGE_SIZE_MAX);
                self.list_uploads(ListUploads { bucket, prefix, delimiter, position, limit }).await
            }
            Operation::Collect => {
                let freed = collect(&self.store, self.minter.lease).await;
                Answer { text: counters(&freed), succeeded: true }
            }
        }
    }

    /// Collects until the answer is `expected` or patience ends.
    pub(super) async fn collect_until(&mut self, expected: &str) -> Answer {
        let (env, start) = (Env::real(), Env::real().now());
        let mut freed = collect(&self.store, self.minter.lease).await;
        loop {
            freed.sort_unstable();
            let text = counters(&freed);
            if text == expected || env.now().since(start) > PATIENCE {
                return Answer { text, succeeded: true };
            }
            env.sleep(PATIENCE / 500).await;
            freed.extend(collect(&self.store, self.minter.lease).await);
        }
    }

    async fn set_versioning(&mut self, bucket: usize, versioning: Versioning) -> Answer {
        let before = get_bucket(&self.store, &self.buckets[bucket]).await.commit_sequence.0;
        let changed = self.store.set_versioning(&self.buckets[bucket], versioning).await;
        let after = get_bucket(&self.store, &self.buckets[bucket]).await.commit_sequence.0;
        self.skipped[bucket] += after - before;
        answer(changed)
    }

    async fn renew(&mut self, bucket: usize) -> Answer {
        let name = self.name(bucket);
        for versions in all_versions(&self.store, &name).await.chunks(PAGE_SIZE_MAX) {
            let entries =
                versions.iter().map(|version| entry(&version.key, Some(version.version_id))).collect();
            delete_all(&self.store, &name, entries).await;
        }
        self.delete_bucket(bucket).await
    }

    /// Deletes a bucket and makes it again when that succeeded.
    async fn delete_bucket(&mut self, bucket: usize) -> Answer {
        let deleted = self.store.delete_bucket(&self.buckets[bucket]).await;
        if deleted.is_ok() {
            self.create_bucket(bucket).await.expect("the name is free again");
        }
        answer(deleted)
    }

    async fn put(
        &mut self,
        bucket: usize,
        key: &ObjectKey,
        stored: bool,
        tag: u64,
        condition: WriteCondition,
    ) -> Answer {
        let name = self.name(bucket);
        let request = if stored {
            let content = self.minter.content(&[tag, 1]);
            write_stored(&name, key, tag, self.minter.lease, content)
        } else {
            let mut request = write(&name, key, tag);
            request.version.content = inline(vec![b'x'; usize::try_from(tag).expect("a small tag")]);
            request
        };
        let made = self.store.commit_version(CommitVersion { condition, ..request }).await;
        answer(made.map(|made| self.committed(bucket, key, made)))
    }

    async fn delete(
        &mut self,
        bucket: usize,
        entries: &[(ObjectKey, Option<VersionName>, DeleteCondition)],
    ) -> Answer {
        let deletes = entries.iter().map(|(key, version, condition)| DeleteVersion {
            key: key.clone(),
            version_id: version.map(|version| self.id(version)),
            condition: *condition,
            bypasses_governance: false,
        });
        let request =
            DeleteVersions { bucket: self.name(bucket), entries: deletes.collect(), marker_owner: None };
        let answers = self.store.delete_versions(request).await.map(|answers| {
            let named = entries.iter().zip(answers).map(|((key, ..), deleted)| {
                deleted.map(|deleted| self.deleted(bucket, key, deleted)).map_err(without_tag)
            });
            named.collect::<Vec<_>>()
        });
        answer(answers)
    }

    async fn copy(
        &mut self,
        (from, from_key, version): (usize, ObjectKey, Option<VersionName>),
        (to, to_key): (usize, ObjectKey),
        stale: bool,
        replace: bool,
        condition: WriteCondition,
    ) -> Answer {
        let (from_name, to_name) = (self.name(from), self.name(to));
        let version = version.map(|version| self.id(version));
        let (id, tag) = match get(&self.store, &from_name, &from_key, version).await {
            Ok(FoundVersion { version_id, state: VersionState::Object(object), .. }) => {
                (version_id, object.etag)
            }
            Ok(FoundVersion { version_id, .. }) => (version_id, etag(1)),
            // Whether there is something to copy must not depend on the store either.
            Err(_) => (version.unwrap_or(VersionId::Null), etag(1)),
        };
        let tag = if stale { etag(99) } else { tag };
        let mut request = copy((&from_name, &from_key, id), tag, (&to_name, &to_key));
        if replace {
            let attributes = Attributes { content_type: Some("copied".to_owned()), ..Attributes::default() };
            request.attributes = CopyAttributes::Replace(Box::new(attributes));
        }
        let made = self.store.copy_version(CopyVersion { condition, ..request }).await;
        answer(made.map(|made| self.committed(to, &to_key, made)).map_err(without_tag))
    }

    async fn rename(
        &mut self,
        bucket: usize,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: WriteCondition,
    ) -> Answer {
        let name = self.name(bucket);
        let (id, tag) = match get(&self.store, &name, from, None).await {
            Ok(FoundVersion { version_id, state: VersionState::Object(object), .. }) => {
                (version_id, object.etag)
            }
            Ok(FoundVersion { version_id, .. }) => (version_id, etag(1)),
            Err(_) => (VersionId::Null, etag(1)),
        };
        let request = rename(&name, (from, id), tag, to);
        let made = self.store.rename_object(RenameObject { condition, ..request }).await;
        answer(made.map(|made| self.committed(bucket, to, made)))
    }

    async fn rename_prefix(&mut self, bucket: usize, from: &str, to: &str, stale: bool) -> Answer {
        let name = self.name(bucket);
        let mut request = rename_prefix(&self.store, &name, from, to).await;
        if stale {
            request.objects.pop();
        }
        answer(self.store.rename_prefix(request).await)
    }

    async fn create_upload(&mut self, bucket: usize, key: ObjectKey) -> Answer {
        let request = CreateUpload { checksum_named: true, ..new_upload(&self.buckets[bucket], &key) };
        let opened = self.store.create_upload(request).await;
        answer(opened.map(|upload| {
            self.uploads.push((bucket, key, upload.id));
            self.upload(upload)
        }))
    }

    async fn part(&mut self, upload: usize, number: u16, tag: u64) -> Answer {
        let (bucket, key, upload) = self.uploads[upload].clone();
        // All but the highest number can stand before another part.
        let size = if number == 9 { 3 } else { (5 << 20) + tag };
        let mut request = stored_part(&self.buckets[bucket], &key, upload, number, &mut self.minter, size);
        request.etag = etag(tag);
        let part = self.store.commit_part(request).await;
        answer(part.map(|part| Part { last_modified: Timestamp(0), ..part }))
    }

    async fn complete(
        &mut self,
        upload: usize,
        parts: &[(u16, u64)],
        fault: Fault,
        condition: WriteCondition,
    ) -> Answer {
        let (bucket, key, upload) = self.uploads[upload].clone();
        let request = CompleteUpload {
            parts: parts.iter().map(|(number, tag)| named_part(*number, *tag)).collect(),
            condition,
            ..completion(&self.buckets[bucket], &key, upload, &[])
        };
        let made = self.store.complete_upload(faulty(request, fault)).await;
        answer(made.map(|made| self.committed(bucket, &key, made)))
    }

    async fn list_parts(&mut self, upload: usize, limit: usize) -> Answer {
        let (bucket, key, upload) = self.uploads[upload].clone();
        let request = ListParts { bucket: self.name(bucket), key, upload, after: None, limit };
        let page = self.store.list_parts(request).await.map(|mut page| {
            page.upload = self.upload(page.upload);
            page.parts.iter_mut().for_each(|part| part.last_modified = Timestamp(0));
            page
        });
        answer(page)
    }

    async fn list_objects(&mut self, request: ListObjects) -> Answer {
        let page = self.store.list_objects(request).await.map(|mut page| {
            for entry in &mut page.entries {
                if let ObjectEntry::Object(object) = entry {
                    object.last_modified = Timestamp(0);
                }
            }
            page
        });
        answer(page)
    }

    async fn list_versions(&mut self, bucket: usize, request: ListVersions) -> Answer {
        let page = self.store.list_versions(request).await.map(|mut page| {
            page.entries = page.entries.into_iter().map(|entry| self.version_entry(bucket, entry)).collect();
            page
        });
        answer(page)
    }

    async fn list_uploads(&mut self, request: ListUploads) -> Answer {
        let page = self.store.list_uploads(request).await.map(|page| {
            let entries = page.entries.into_iter().map(|entry| self.upload_entry(entry));
            let mut entries: Vec<String> = entries.collect();
            // Uploads of one key are ordered by ids that are each store's own.
            entries.sort();
            (entries, page.truncated)
        });
        answer(page)
    }
}

fn key_as_prefix(key: &ObjectKey) -> KeyPrefix {
    KeyPrefix::new(key.to_bytes()).expect("every key is a prefix")
}

fn counters(chunks: &[ChunkId]) -> String {
    format!("{:?}", chunks.iter().map(|chunk| chunk.counter).collect::<Vec<_>>())
}

fn named_part(number: u16, tag: u64) -> CompletedPart {
    CompletedPart { number: part_number(number), etag: etag(tag), checksum: None }
}

fn faulty(mut request: CompleteUpload, fault: Fault) -> CompleteUpload {
    match fault {
        Fault::None => {}
        Fault::UnknownPart => request.parts = vec![named_part(5, 1)],
        Fault::WrongTag => request.parts.iter_mut().for_each(|part| part.etag = etag(99)),
        Fault::Order => request.parts.reverse(),
        Fault::Size => request.object_size = Some(1),
    }
    request
}
