//! Writes, deletes, copies and renames.

use crate::torture::{
    history::{Condition, Delete, Outcome, Rename},
    keys::Key,
    player::{Attempt, Failed, Player},
    requests::{OnlyIf, marker_of},
    stage::outcome_of,
    values::ValueId,
};
use s3_client::Failure;

/// Objects below this size may have the same bytes, so their ETag does not tell them apart.
pub(super) const DISTINCT_SIZE: u64 = 64;

/// Tries of a rename.
const TRIES: u32 = 3;

/// What S3 may answer to a condition.
const CONDITION: [&str; 3] = ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"];

impl Player<'_> {
    pub(super) async fn put(&mut self, key: Key, id: ValueId, size: u64) -> Result<(), Failed> {
        self.put_if(key, id, size, Condition::None, OnlyIf::Always).await.map(drop)
    }

    pub(super) async fn create(&mut self, key: Key, id: ValueId, size: u64) -> Result<(), Failed> {
        let start = self.stage.now();
        let refused = self.put_if(key, id, size, Condition::Absent, OnlyIf::Absent).await?;
        if let Some(Failure::Status { code, .. }) = refused
            && code == "PreconditionFailed"
        {
            self.stage.log.found_present(key, self.span(start));
        }
        Ok(())
    }

    pub(super) async fn replace(&mut self, key: Key, id: ValueId, size: u64) -> Result<(), Failed> {
        let Some((found, value)) = self.head(key).await? else { return Ok(()) };
        if self.stage.values.get(value).is_none_or(|value| value.size < DISTINCT_SIZE) {
            return Ok(());
        }
        self.put_if(key, id, size, Condition::Value(value), OnlyIf::Match(&found.etag)).await.map(drop)
    }

    /// Puts a value; tells the refusal, if it was one that the condition explains.
    async fn put_if(
        &mut self,
        key: Key,
        id: ValueId,
        size: u64,
        condition: Condition,
        only_if: OnlyIf<'_>,
    ) -> Result<Option<Failure>, Failed> {
        let stage = self.stage;
        stage.values.add(id, key, size);
        let (name, label) = (key.name(), stage.values.label(id));
        let value = stage.values.get(id).ok_or(Failed)?;
        let place = self.place(key, &name);
        let requests = self.connected().await?;
        let start = stage.now();
        let answer = requests.put(&place, &label, stage.values.content(value), only_if).await;
        let attempt = Attempt { value: id, size, condition, start };
        let expected: &[&str] = if condition == Condition::None { &[] } else { &CONDITION };
        self.log_write(key, attempt, &answer, expected)?;
        Ok(answer.err())
    }

    pub(super) async fn delete(&mut self, key: Key) -> Result<(), Failed> {
        let stage = self.stage;
        let name = key.name();
        let place = self.place(key, &name);
        let requests = self.connected().await?;
        let start = stage.now();
        let answer = requests.delete(&place).await;
        let span = self.span(start);
        let outcome = answer.as_ref().map_or_else(outcome_of, |_| Outcome::Acknowledged);
        let marker = answer.as_ref().ok().cloned().flatten();
        stage.log.delete(key, Delete { span, outcome, marker, taken: None });
        match answer {
            Ok(_) => {
                stage.acknowledge();
                Ok(())
            }
            Err(failure) => self.complain(key, "a delete", &failure, &[]),
        }
    }

    pub(super) async fn copy(&mut self, from: Key, to: Key, id: ValueId) -> Result<(), Failed> {
        let stage = self.stage;
        let Some((found, source)) = self.head(from).await? else { return Ok(()) };
        let Some(value) = stage.values.get(source) else { return Ok(()) };
        if value.size < DISTINCT_SIZE {
            return Ok(());
        }
        stage.values.add_copy(id, to, value);
        let (from_name, to_name, label) = (from.name(), to.name(), stage.values.label(id));
        let (from_place, to_place) = (self.place(from, &from_name), self.place(to, &to_name));
        let requests = self.connected().await?;
        let start = stage.now();
        let answer = requests.copy(&from_place, &found.etag, &to_place, &label).await;
        let attempt = Attempt { value: id, size: value.size, condition: Condition::None, start };
        self.log_write(to, attempt, &answer, &["PreconditionFailed", "NoSuchKey"])
    }

    /// Renames what is there, and repeats it with the same token when its answer was lost.
    pub(super) async fn rename(&mut self, from: Key, to: Key, id: ValueId) -> Result<(), Failed> {
        let stage = self.stage;
        let Some((found, source)) = self.head(from).await? else { return Ok(()) };
        let Some(value) = stage.values.get(source) else { return Ok(()) };
        if value.size < DISTINCT_SIZE {
            return Ok(());
        }
        stage.values.rename(source, to);
        let (from_name, to_name, token) = (from.name(), to.name(), stage.values.label(id));
        let place = self.place(to, &to_name);
        let start = stage.now();
        // One try without an answer may have happened, whatever the others are told.
        let mut outcome = Outcome::Refused;
        let mut version = None;
        for _ in 0..TRIES {
            let Ok(requests) = self.connected().await else {
                self.pause_after(Err::<(), _>(Failed)).await;
                continue;
            };
            match requests.rename(&from_name, &found.etag, &place, &token).await {
                Ok(told) => {
                    (outcome, version) = (Outcome::Acknowledged, told);
                    stage.acknowledge();
                    break;
                }
                Err(failure) => {
                    let complained = self.complain(from, "RenameObject", &failure, &CONDITION);
                    if outcome_of(&failure) == Outcome::Unknown {
                        outcome = Outcome::Unknown;
                    }
                    if complained.is_ok() {
                        break;
                    }
                    self.pause_after(complained).await;
                }
            }
        }
        let (span, etag) = (self.span(start), found.etag);
        stage.log.rename(Rename { value: source, size: value.size, etag, from, to, span, outcome, version });
        if outcome == Outcome::Unknown { Err(Failed) } else { Ok(()) }
    }

    /// The delete marker that a failure names, if it is a 404.
    pub(super) fn absent(failure: &Failure) -> Option<Absent> {
        let Failure::Status { status, headers, code, .. } = failure else { return None };
        if status.as_u16() != 404 || !matches!(code.as_str(), "NoSuchKey" | "HTTP404") {
            return None;
        }
        Some(match marker_of(headers) {
            Some(marker) => Absent::Marker(marker),
            None if headers.contains_key("x-amz-delete-marker") => Absent::Nameless,
            None => Absent::Nothing,
        })
    }
}

/// What a 404 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Absent {
    /// This delete marker is there.
    Marker(String),
    /// A delete marker is there.
    Nameless,
    /// Nothing is there.
    Nothing,
}
