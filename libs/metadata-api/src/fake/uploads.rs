//! Multipart uploads.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{
    BucketName, Checksum, ChecksumType, Content, Manifest, ObjectKey, ObjectPart, PartNumber, UploadId,
};

use super::{State, malformed};
use crate::{
    AbortUpload, CommitPart, Committed, CompleteUpload, CompletedPart, CreateUpload, Error, ListParts, Part,
    PartPage, Upload, UploadChecksum, Version, size_of_part,
};

/// How long the answer to a completion is kept for its repetition.
const COMPLETED_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug, Clone)]
pub(super) struct UploadRow {
    pub(super) upload: Upload,
    pub(super) parts: BTreeMap<PartNumber, PartRow>,
}

#[derive(Debug, Clone)]
pub(super) struct PartRow {
    part: Part,
    pub(super) content: Content,
}

impl State {
    pub(super) fn upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<&UploadRow, Error> {
        self.bucket(bucket)?.uploads.get(&(key.clone(), upload)).ok_or(Error::UploadNotFound)
    }

    pub(super) fn create_upload(&mut self, request: CreateUpload) -> Result<Upload, Error> {
        self.bucket(&request.bucket)?.check_lock(&request.attributes.lock)?;
        let upload = Upload {
            id: UploadId::new(self.now(), self.env.random_bytes()),
            key: request.key.clone(),
            initiated: self.now(),
            attributes: request.attributes,
            storage_class: request.storage_class,
            checksum: request.checksum,
            checksum_named: request.checksum_named,
            initiator: request.initiator,
        };
        let row = UploadRow { upload: upload.clone(), parts: BTreeMap::new() };
        self.bucket_mut(&request.bucket)?.uploads.insert((request.key, upload.id), row);
        Ok(upload)
    }

    pub(super) fn commit_part(&mut self, request: CommitPart) -> Result<Part, Error> {
        let open = self.upload(&request.bucket, &request.key, request.upload)?;
        let size = size_of_part(&open.upload, &request.content)?;
        self.check_lease(request.lease, &request.content)?;
        let part = Part {
            number: request.number,
            size,
            etag: request.etag,
            checksum: request.checksum,
            last_modified: self.now(),
        };
        let row = PartRow { part: part.clone(), content: request.content };
        self.missing.add(&request.missing);
        let bucket = self.bucket_mut(&request.bucket)?;
        let place = (request.key, request.upload);
        let upload = bucket.uploads.get_mut(&place).ok_or(Error::UploadNotFound)?;
        if let Some(replaced) = upload.parts.insert(request.number, row) {
            self.free_part_in(&request.bucket, &place.0, &replaced.content);
        }
        Ok(part)
    }

    pub(super) fn list_parts(&self, request: &ListParts) -> Result<PartPage, Error> {
        let row = self.upload(&request.bucket, &request.key, request.upload)?;
        let after = |part: &&PartRow| request.after.is_none_or(|after| part.part.number > after);
        let mut parts: Vec<Part> = row.parts.values().filter(after).map(|row| row.part.clone()).collect();
        let truncated = parts.len() > request.limit;
        parts.truncate(request.limit);
        Ok(PartPage { upload: row.upload.clone(), parts, truncated })
    }

    pub(super) fn abort_upload(&mut self, request: &AbortUpload) -> Result<(), Error> {
        let row = self.take_upload(&request.bucket, &request.key, request.upload)?;
        for part in row.parts.into_values() {
            self.free_part_in(&request.bucket, &request.key, &part.content);
        }
        Ok(())
    }

    pub(super) fn complete_upload(&mut self, request: CompleteUpload) -> Result<Committed, Error> {
        if let Some((earlier, answer)) = self.bucket(&request.bucket)?.completed.get(&request.upload) {
            let recent = self.now().0 - answer.last_modified.0 < COMPLETED_KEPT_MS;
            return if recent && *earlier == request {
                Ok(answer.clone())
            } else {
                Err(Error::UploadNotFound)
            };
        }
        let row = self.upload(&request.bucket, &request.key, request.upload)?;
        let version = complete(row, &request, self.options.part_size_min)?;
        self.bucket(&request.bucket)?.check(&request.key, request.condition)?;
        self.bucket(&request.bucket)?.check_quota(&request.key, version.size, 0, false)?;

        let row = self.take_upload(&request.bucket, &request.key, request.upload)?;
        for part in row.parts.values().filter(|row| !names(&request, row.part.number)) {
            self.free_part_in(&request.bucket, &request.key, &part.content);
        }
        let committed = self.commit(&request.bucket, request.key.clone(), version)?;
        let answer = (request, committed.clone());
        self.bucket_mut(&answer.0.bucket)?.completed.insert(answer.0.upload, answer);
        Ok(committed)
    }

    fn take_upload(
        &mut self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<UploadRow, Error> {
        self.bucket_mut(bucket)?.uploads.remove(&(key.clone(), upload)).ok_or(Error::UploadNotFound)
    }
}

fn names(request: &CompleteUpload, number: PartNumber) -> bool {
    request.parts.iter().any(|part| part.number == number)
}

/// The version that a completion makes.
fn complete(upload: &UploadRow, request: &CompleteUpload, part_size_min: u64) -> Result<Version, Error> {
    if request.parts.is_empty() {
        return Err(malformed("a completion names no part"));
    }
    if !request.parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(Error::InvalidPartOrder);
    }
    let parts: Vec<&PartRow> =
        request.parts.iter().map(|named| find_part(upload, named)).collect::<Result<_, _>>()?;
    let size = parts.iter().try_fold(0_u64, |size, row| size.checked_add(row.part.size));
    let size = size.ok_or_else(|| malformed("the object is longer than can be counted"))?;
    if let Some(row) = parts[..parts.len() - 1].iter().find(|row| row.part.size < part_size_min) {
        let Part { number, size, etag, .. } = row.part;
        return Err(Error::PartTooSmall { number, size, minimum: part_size_min, etag });
    }
    if let Some(stated) = request.object_size.filter(|stated| *stated != size) {
        return Err(Error::UploadSizeMismatch { stated, actual: size });
    }
    let checksum = object_checksum(upload.upload.checksum, &parts)?;
    if upload.upload.is_belied_by(request, &checksum) {
        return Err(Error::UploadChecksumMismatch);
    }
    let digests: Vec<[u8; 16]> = parts.iter().map(|row| row.part.etag.digest).collect();
    let object_part = |part: &Part| ObjectPart {
        number: part.number,
        size: part.size,
        etag: part.etag,
        checksum: Some(part.checksum),
    };
    Ok(Version {
        size,
        content: join(&parts)?,
        etag: checksum::multipart_etag(&digests).map_err(|_| malformed("too many parts"))?,
        checksum: Some(checksum),
        attributes: upload.upload.attributes.clone(),
        storage_class: upload.upload.storage_class.clone(),
        parts: parts.iter().map(|row| object_part(&row.part)).collect(),
    })
}

fn find_part<'a>(upload: &'a UploadRow, named: &CompletedPart) -> Result<&'a PartRow, Error> {
    let same = |row: &&PartRow| {
        row.part.etag == named.etag && named.checksum.is_none_or(|checksum| checksum == row.part.checksum)
    };
    upload.parts.get(&named.number).filter(same).ok_or(Error::InvalidPart { number: named.number })
}

fn object_checksum(upload: UploadChecksum, parts: &[&PartRow]) -> Result<Checksum, Error> {
    let value = match upload.kind {
        ChecksumType::Composite => {
            let values: Vec<_> = parts.iter().map(|row| row.part.checksum).collect();
            checksum::composite(upload.algorithm, &values)
        }
        ChecksumType::FullObject => {
            let values: Vec<_> = parts.iter().map(|row| (row.part.checksum, row.part.size)).collect();
            checksum::full_object(upload.algorithm, &values)
        }
    };
    let value = value.map_err(|error| malformed(&error.to_string()))?;
    Ok(Checksum { value, kind: upload.kind })
}

/// All inline, or all stored; an empty part goes with either.
fn join(parts: &[&PartRow]) -> Result<Content, Error> {
    let (mut inline, mut manifest) = (Vec::new(), Manifest::default());
    for part in parts {
        match &part.content {
            Content::Inline(bytes) => inline.extend_from_slice(bytes),
            Content::Stored(stored) => manifest.extents.extend_from_slice(&stored.extents),
        }
    }
    match (inline.is_empty(), manifest.extents.is_empty()) {
        (_, true) => Ok(Content::Inline(Bytes::from(inline))),
        (true, false) => Ok(Content::Stored(manifest)),
        (false, false) => Err(malformed("inline and stored parts in one upload")),
    }
}
