//! Multipart uploads: parts uploaded twice, uploads aborted, completes repeated when their answer was lost.

use crate::torture::{
    findings::{Finding, Kind},
    history::{Condition, Outcome},
    keys::Key,
    plan::Upload,
    player::{Attempt, Failed, Player},
    requests::Part,
    stage::outcome_of,
    values::ValueId,
};
use s3_client::Content;

/// Tries of one part, and of one complete.
const TRIES: u32 = 3;

impl Player<'_> {
    pub(super) async fn multipart(&mut self, key: Key, id: ValueId, upload: &Upload) -> Result<(), Failed> {
        let stage = self.stage;
        let size = upload.parts.iter().sum();
        stage.values.add(id, key, size);
        let attempt = Attempt { value: id, size, condition: Condition::None, start: stage.now() };
        let (name, label) = (key.name(), stage.values.label(id));
        let place = self.place(key, &name);
        let created = self.connected().await?.create_upload(&place, &label).await;
        let upload_id = match created {
            Ok(upload_id) => upload_id,
            Err(failure) => return self.complain(key, "CreateMultipartUpload", &failure, &[]),
        };
        let parts = self.parts(key, &upload_id, id, upload).await;
        match parts {
            Ok(parts) if !upload.aborted => self.complete(key, attempt, &upload_id, &parts).await,
            Ok(parts) => self.abort(key, attempt, &upload_id, &parts).await,
            Err(Failed) => {
                self.abort(key, attempt, &upload_id, &[]).await?;
                Err(Failed)
            }
        }
    }

    async fn parts(
        &mut self,
        key: Key,
        upload_id: &str,
        id: ValueId,
        upload: &Upload,
    ) -> Result<Vec<Part>, Failed> {
        let stage = self.stage;
        let value = stage.values.get(id).ok_or(Failed)?;
        let whole = stage.values.content(value);
        let mut parts = Vec::new();
        let mut offset = 0;
        for (index, length) in upload.parts.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            if upload.again == Some(index) {
                let decoy = stage.values.decoy(id, length / 2 + 1);
                self.part(key, upload_id, number, decoy).await?;
            }
            parts.push(self.part(key, upload_id, number, whole.range(offset, *length)).await?);
            offset += length;
        }
        Ok(parts)
    }

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
