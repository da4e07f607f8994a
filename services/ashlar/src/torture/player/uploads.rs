//! Multipart uploads: parts uploaded twice or copied, uploads aborted, completes repeated when their answer was lost.

use crate::torture::{
    findings::{Finding, Kind},
    history::{Condition, Outcome, Read, Seen},
    keys::Key,
    plan::{self, PART, Upload},
    player::{Attempt, Failed, Player, writes::DISTINCT_SIZE},
    requests::{ByteRange, Part},
    stage::outcome_of,
    values::{Piece, Value, ValueId},
};
use s3_client::Content;

/// Tries of one part, and of one complete.
const TRIES: u32 = 3;

/// Size of a part that is sent because what was to be copied is not there.
const REPLACEMENT: u64 = 1 << 10;

/// What a part is copied from: the value that a key has under this ETag.
#[derive(Debug, Clone)]
struct Source {
    key: Key,
    id: ValueId,
    etag: String,
    range: ByteRange,
}

impl Player<'_> {
    pub(super) async fn multipart(&mut self, key: Key, id: ValueId, upload: &Upload) -> Result<(), Failed> {
        let stage = self.stage;
        let (name, label) = (key.name(), stage.values.label(id));
        let place = self.place(key, &name);
        let created = self.connected().await?.create_upload(&place, &label).await;
        let upload_id = match created {
            Ok(upload_id) => upload_id,
            Err(failure) => return self.complain(key, "CreateMultipartUpload", &failure, &[]),
        };
        let mut pieces = Vec::new();
        let parts = self.parts(key, &upload_id, id, upload, &mut pieces).await;
        let size = stage.values.add_composed(id, key, pieces);
        let attempt = Attempt { value: id, size, condition: Condition::None, start: stage.now() };
        match parts {
            Ok(parts) if !upload.aborted => self.complete(key, attempt, &upload_id, &parts).await,
            Ok(parts) => self.abort(key, attempt, &upload_id, &parts).await,
            Err(Failed) => {
                self.abort(key, attempt, &upload_id, &[]).await?;
                Err(Failed)
            }
        }
    }

    /// Uploads all parts and tells of what they consist.
    async fn parts(
        &mut self,
        key: Key,
        upload_id: &str,
        id: ValueId,
        upload: &Upload,
        pieces: &mut Vec<Piece>,
    ) -> Result<Vec<Part>, Failed> {
        let mut parts = Vec::new();
        for (index, planned) in upload.parts.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let is_last = index + 1 == upload.parts.len();
            let (mut piece, source) = self.planned(number, planned, is_last).await?;
            if upload.again == Some(index) {
                let decoy = self.stage.values.decoy(id, piece.length() / 2 + 1);
                self.part(key, upload_id, number, decoy).await?;
            }
            let mut part = None;
            if let Some(source) = source {
                part = self.copied(key, upload_id, number, &source).await?;
                if part.is_none() {
                    piece = replacement(number, is_last);
                }
            }
            let part = match part {
                Some(part) => part,
                None => self.part(key, upload_id, number, self.stage.values.piece(id, piece)).await?,
            };
            pieces.push(piece);
            parts.push(part);
        }
        Ok(parts)
    }

    /// What a planned part is, as things are: one that is to be copied needs an object that is large enough.
    async fn planned(
        &mut self,
        number: u32,
        part: &plan::Part,
        is_last: bool,
    ) -> Result<(Piece, Option<Source>), Failed> {
        let (from, thousandths) = match part {
            plan::Part::Own(length) => return Ok((Piece::Own { number, length: *length }, None)),
            plan::Part::Copied { from, range } => (*from, *range),
        };
        let own = (replacement(number, is_last), None);
        let Some((found, id)) = self.head(from).await? else { return Ok(own) };
        let Some(value) = self.stage.values.get(id) else { return Ok(own) };
        let (offset, length) = thousandths.map_or((0, value.size), |range| between(value, range));
        if value.size < DISTINCT_SIZE || length == 0 || (length < PART && !is_last) {
            return Ok(own);
        }
        let range = thousandths.map(|_| (offset, length));
        let source = Some(Source { key: from, id, etag: found.etag, range });
        Ok((Piece::Of { value, offset, length }, source))
    }

    /// Copies a part. `None` when the source is not what it was any more.
    async fn copied(
        &mut self,
        key: Key,
        upload_id: &str,
        number: u32,
        source: &Source,
    ) -> Result<Option<Part>, Failed> {
        let stage = self.stage;
        let (name, source_name) = (key.name(), source.key.name());
        let (place, source_place) = (self.place(key, &name), self.place(source.key, &source_name));
        for _ in 0..TRIES {
            let Ok(requests) = self.connected().await else {
                self.pause_after(Err::<(), _>(Failed)).await;
                continue;
            };
            let start = stage.now();
            let (etag, range) = (&source.etag, source.range);
            let answer =
                requests.upload_part_copy(&place, upload_id, number, &source_place, etag, range).await;
            match answer {
                Ok(part) => {
                    // No other value of that key has this ETag.
                    let (span, seen) = (self.span(start), Seen::Value(source.id));
                    stage.log.read(source.key, Read { span, seen });
                    stage.has_read();
                    return Ok(Some(part));
                }
                Err(failure) => {
                    let expected = ["PreconditionFailed", "NoSuchKey"];
                    let failed = self.complain(source.key, "UploadPartCopy", &failure, &expected);
                    if failed.is_ok() {
                        return Ok(None);
                    }
                    self.pause_after(failed).await;
                }
            }
        }
        Err(Failed)
    }

    /// Uploads a part, again when there is no good answer.
    async fn part(
        &mut self,
        key: Key,
        upload_id: &str,
        number: u32,
        content: Content,
    ) -> Result<Part, Failed> {
        let name = key.name();
        let place = self.place(key, &name);
        for _ in 0..TRIES {
            let sent = match self.connected().await {
                Ok(requests) => requests.upload_part(&place, upload_id, number, content.clone()).await,
                Err(Failed) => {
                    self.pause_after(Err::<(), _>(Failed)).await;
                    continue;
                }
            };
            match sent {
                Ok(part) => {
                    self.stage.answered();
                    return Ok(part);
                }
                Err(failure) => {
                    let failed = self.complain(key, "UploadPart", &failure, &[]);
                    self.pause_after(failed).await;
                }
            }
        }
        Err(Failed)
    }

    async fn complete(
        &mut self,
        key: Key,
        attempt: Attempt,
        upload_id: &str,
        parts: &[Part],
    ) -> Result<(), Failed> {
        let name = key.name();
        let place = self.place(key, &name);
        let attempt = Attempt { start: self.stage.now(), ..attempt };
        // One try without an answer may have happened, whatever the others are told.
        let mut outcome = Outcome::Refused;
        for _ in 0..TRIES {
            let Ok(requests) = self.connected().await else {
                self.pause_after(Err::<(), _>(Failed)).await;
                continue;
            };
            let failure = match requests.complete_upload(&place, upload_id, parts).await {
                Ok(written) => {
                    self.record_write(key, attempt, Outcome::Acknowledged, Some(written));
                    self.stage.acknowledge();
                    return Ok(());
                }
                Err(failure) => failure,
            };
            // An upload that an earlier try has completed is there no more; that is no refusal of the write.
            let expected: &[&str] = if outcome == Outcome::Unknown { &["NoSuchUpload"] } else { &[] };
            let complained = self.complain(key, "CompleteMultipartUpload", &failure, expected);
            if outcome_of(&failure) == Outcome::Unknown {
                outcome = Outcome::Unknown;
            }
            if complained.is_ok() {
                break;
            }
            self.pause_after(complained).await;
        }
        self.record_write(key, attempt, outcome, None);
        Err(Failed)
    }

    /// Aborts an upload; what was uploaded must never be seen, and completing it must fail.
    async fn abort(
        &mut self,
        key: Key,
        attempt: Attempt,
        upload_id: &str,
        parts: &[Part],
    ) -> Result<(), Failed> {
        let stage = self.stage;
        let name = key.name();
        let place = self.place(key, &name);
        self.record_write(key, attempt, Outcome::Refused, None);
        let aborted = self.connected().await?.abort_upload(&place, upload_id).await;
        if let Err(failure) = aborted {
            return self.complain(key, "AbortMultipartUpload", &failure, &[]);
        }
        stage.answered();
        if !parts.is_empty() {
            match self.connected().await?.complete_upload(&place, upload_id, parts).await {
                Ok(_) => stage.find(Finding::new(
                    Kind::Resurrected,
                    format!("{key}: an upload was completed after its abort was acknowledged"),
                )),
                Err(failure) => {
                    self.complain(
                        key,
                        "CompleteMultipartUpload after an abort",
                        &failure,
                        &["NoSuchUpload"],
                    )?;
                }
            }
        }
        Ok(())
    }
}

fn replacement(number: u32, is_last: bool) -> Piece {
    Piece::Own { number, length: if is_last { REPLACEMENT } else { PART } }
}

/// Offset and length of the bytes between two places, in thousandths of the value.
fn between(value: Value, (from, to): (u64, u64)) -> (u64, u64) {
    let place = |thousandths| value.size / 1_000 * thousandths + value.size % 1_000 * thousandths / 1_000;
    (place(from), place(to) - place(from))
}
