//! The chunks of a write, one after the other, each tried in more than one group where that is needed.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use tracing::warn;
use types::{ChunkId, Coding, Content, DiskId, Extent, GroupId, Manifest, StorageClassName};

use crate::{
    Claim, Pool, Stored, WriteError,
    claim::Unnamed,
    cleanup::Abandoned,
    cluster::HeldSnapshot,
    delete::Doomed,
    lease::Grant,
    limits::{WRITE_QUORUM_WAIT_MAX, WRITE_RETRIES_MAX},
    snapshot::{Class, Group},
    write::{
        choose::{self, Part, Without},
        chunk::{self, ChunkUpload, Ending, Lost, Unfilled},
        input::Input,
        kept::Kept,
    },
};

/// A write of one or more chunks.
pub(super) struct ChunkedWrite<'a> {
    pub(super) pool: &'a Pool,
    /// The map that it began by.
    pub(super) map: Arc<HeldSnapshot>,
    pub(super) class: &'a StorageClassName,
    /// The class's coding in that map.
    pub(super) class_coding: Coding,
    pub(super) owner: Bytes,
    /// That of its chunks.
    pub(super) coding: Coding,
    pub(super) chunk_size: u64,
    pub(super) grant: &'a Arc<Grant>,
    /// Whether no client waits for it.
    pub(super) in_background: bool,
}

/// A group that a chunk is to be written to, by a map, and what each of its disks is for.
struct Choice {
    map: Arc<HeldSnapshot>,
    group: Arc<Group>,
    parts: Vec<Part>,
}

/// A chunk in one of its stages, and what it takes to write it anew.
struct Trial<Stage> {
    stage: Stage,
    length: u64,
    kept: Kept,
    /// Its present name, and the map by which that was placed.
    chunk: ChunkId,
    map: Arc<HeldSnapshot>,
    /// The groups in which it was tried.
    groups: Vec<GroupId>,
}

impl Trial<Ending> {
    /// Does something else while the chunk gets its quorum. What was kept of it is let go as soon as it has it, however long the rest takes.
    async fn alongside<T>(trial: &mut Option<Self>, doing: impl Future<Output = T>) -> T {
        let mut doing = pin!(doing);
        let Some(trial) = trial else { return doing.await };
        let mut is_open = true;
        while is_open {
            tokio::select! {
                biased;
                done = &mut doing => return done,
                still_open = trial.stage.next_answer() => is_open = still_open,
            }
        }
        trial.let_go_if_stable();
        doing.await
    }

    /// A chunk that has its quorum is not written anew.
    fn let_go_if_stable(&mut self) {
        if self.stage.has_quorum() {
            self.kept = Kept::nothing();
        }
    }
}

impl<Stage> Trial<Stage> {
    fn may_be_tried_again(&self) -> bool {
        self.kept.is_whole() && self.groups.len() <= WRITE_RETRIES_MAX
    }

    fn in_stage<Next>(self, turn: impl FnOnce(Stage) -> Next) -> Trial<Next> {
        let Self { stage, length, kept, chunk, map, groups } = self;
        Trial { stage: turn(stage), length, kept, chunk, map, groups }
    }
}

impl ChunkedWrite<'_> {
    /// Writes chunk after chunk. While one chunk is filled the one before becomes stable.
    pub(super) async fn run<S, E>(&self, input: &mut Input<'_, S>) -> Result<Stored, WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let mut unnamed = Unnamed::new(self.pool.cleanup(), self.grant, &self.map);
        let mut stored = Stored {
            content: Content::Stored(Manifest::default()),
            lease: Some(self.grant.id),
            missing: vec![],
            claim: Claim::default(),
        };
        let mut extents = Vec::new();
        let mut before: Option<Trial<Ending>> = None;
        if input.left() == 0 {
            input.end().await?;
        }
        while input.left() > 0 {
            let length = input.left().min(self.chunk_size);
            let trial = self.start(length, &mut unnamed)?;
            let trial = self.fill(trial, input, &mut before, &mut unnamed).await?;
            if let Some(ending) = before.replace(trial) {
                let settling = self.settle(ending, input, &mut unnamed, &mut extents, &mut stored);
                Trial::alongside(&mut before, settling).await?;
            }
            Trial::alongside(&mut before, input.read_ahead()).await?;
        }
        if let Some(ending) = before {
            self.settle(ending, input, &mut unnamed, &mut extents, &mut stored).await?;
        }
        stored.claim = unnamed.into_claim();
        stored.content = Content::Stored(Manifest { extents });
        Ok(stored)
    }

    /// Begins the next chunk.
    fn start<E>(&self, length: u64, unnamed: &mut Unnamed) -> Result<Trial<ChunkUpload>, WriteError<E>> {
        let choice = self.choose_group()?;
        let has_spare_disks =
            choice.map.class_with(self.class, self.class_coding).is_some_and(|class| class.has_spare_disks);
        let (upload, extent) = self.begin(&choice, length, unnamed)?;
        let kept = if chunk::is_handed_over_whole(&extent) {
            Kept::held()
        } else if has_spare_disks {
            Kept::counted(&self.pool.shared().kept)
        } else {
            Kept::nothing()
        };
        let groups = vec![extent.group];
        Ok(Trial { stage: upload, length, kept, chunk: extent.chunk, map: choice.map, groups })
    }

    /// Names a chunk and begins to write it.
    fn begin<E>(
        &self,
        Choice { map, group, parts }: &Choice,
        length: u64,
        unnamed: &mut Unnamed,
    ) -> Result<(ChunkUpload, Extent), WriteError<E>> {
        let now = self.pool.shared().env.now();
        let chunk = self.grant.mint(now).map_err(|_| WriteError::LeaseNotHeld)?;
        let doomed = Doomed { chunk, group: group.id, coding: self.coding };
        unnamed.add(Abandoned::new(doomed, map.epoch, parts));
        let extent = Extent {
            chunk,
            group: group.id,
            coding: self.coding,
            chunk_length: length,
            offset: 0,
            length,
            checksum: 0,
        };
        let upload = ChunkUpload::start(self.pool.shared(), extent, group, parts, map, &self.owner);
        Ok((upload, extent))
    }

    /// Fills a chunk, and tries it and the one before again where they lose their quorum meanwhile.
    async fn fill<S, E>(
        &self,
        mut trial: Trial<ChunkUpload>,
        input: &mut Input<'_, S>,
        before: &mut Option<Trial<Ending>>,
        unnamed: &mut Unnamed,
    ) -> Result<Trial<Ending>, WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        while !trial.stage.is_full() {
            if let Some(Err(lost)) = before.as_mut().map(|before| before.stage.take_in())
                && let Some(lost_before) = before.take()
            {
                *before = Some(self.repeat(lost_before, lost, input, unnamed).await?);
            }
            let filling = trial.stage.fill_stripe(&mut trial.kept, input);
            match Trial::alongside(before, filling).await {
                Ok(()) => {}
                Err(Unfilled::Lost(lost)) => {
                    let silent = trial.stage.silent_disks();
                    trial = self.again(trial, lost, &silent, unnamed)?;
                }
                Err(Unfilled::Failed(error)) => return Err(error),
            }
        }
        Ok(trial.in_stage(ChunkUpload::end))
    }

    /// Waits until a chunk is stable, and tries it again in another group where it loses its quorum or the last disks that this takes
    /// keep it waiting.
    async fn settle<S, E>(
        &self,
        mut trial: Trial<Ending>,
        input: &mut Input<'_, S>,
        unnamed: &mut Unnamed,
        extents: &mut Vec<Extent>,
        stored: &mut Stored,
    ) -> Result<(), WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        loop {
            let patience = trial.may_be_tried_again().then_some(WRITE_QUORUM_WAIT_MAX);
            let mut reached = trial.stage.quorum(patience).await;
            if reached == Ok(false) {
                if let Some(spare) = self.spare_for(&trial) {
                    let lost = trial.stage.give_up();
                    let trial_anew = self.anew(trial, lost, spare, unnamed)?;
                    trial = self.refill(trial_anew, input, unnamed).await?;
                    continue;
                }
                reached = trial.stage.quorum(None).await;
            }
            trial.let_go_if_stable();
            let settled = match reached {
                Ok(_) => trial.stage.settle(extents, &mut stored.missing).await,
                Err(lost) => Err(lost),
            };
            match settled {
                Ok(()) => return Ok(()),
                Err(lost) => trial = self.repeat(trial, lost, input, unnamed).await?,
            }
        }
    }

    /// Writes a chunk that was filled and lost its quorum anew.
    async fn repeat<S, E>(
        &self,
        trial: Trial<Ending>,
        lost: Lost,
        input: &mut Input<'_, S>,
        unnamed: &mut Unnamed,
    ) -> Result<Trial<Ending>, WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let silent = trial.stage.silent_disks();
        let trial = self.again(trial, lost, &silent, unnamed)?;
        self.refill(trial, input, unnamed).await
    }

    /// Fills a chunk of which everything was kept.
    async fn refill<S, E>(
        &self,
        mut trial: Trial<ChunkUpload>,
        input: &mut Input<'_, S>,
        unnamed: &mut Unnamed,
    ) -> Result<Trial<Ending>, WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        while !trial.stage.is_full() {
            match trial.stage.fill_stripe(&mut trial.kept, input).await {
                Ok(()) => {}
                Err(Unfilled::Lost(lost)) => {
                    let silent = trial.stage.silent_disks();
                    trial = self.again(trial, lost, &silent, unnamed)?;
                }
                Err(Unfilled::Failed(error)) => return Err(error),
            }
        }
        Ok(trial.in_stage(ChunkUpload::end))
    }

    /// Begins a chunk that lost its quorum anew in another group, if it was kept and there is one.
    fn again<Stage, E>(
        &self,
        trial: Trial<Stage>,
        lost: Lost,
        silent: &[DiskId],
        unnamed: &mut Unnamed,
    ) -> Result<Trial<ChunkUpload>, WriteError<E>> {
        if !trial.may_be_tried_again() {
            return Err(lost.into());
        }
        let without = Without { groups: &trial.groups, disks: silent };
        let Some(choice) = self.choose_by(|groups, turn| {
            let health = &self.pool.shared().health;
            choose::choose_another(groups, self.coding, health, turn, self.in_background, without)
        }) else {
            return Err(lost.into());
        };
        self.anew(trial, lost, choice, unnamed)
    }

    /// Begins a chunk anew, under another name. What there is of it under its former name is deleted in the background.
    fn anew<Stage, E>(
        &self,
        trial: Trial<Stage>,
        lost: Lost,
        choice: Choice,
        unnamed: &mut Unnamed,
    ) -> Result<Trial<ChunkUpload>, WriteError<E>> {
        let Trial { stage, length, kept, chunk, map, mut groups } = trial;
        // What was not sent yet is not sent any more.
        drop(stage);
        warn!(%chunk, ?lost, group = choice.group.id.0, "a chunk is written anew in another group");
        self.pool.shared().counts.retried.increment();
        unnamed.give_up(chunk, map);
        let (upload, extent) = self.begin(&choice, length, unnamed)?;
        groups.push(extent.group);
        Ok(Trial { stage: upload, length, kept, chunk: extent.chunk, map: choice.map, groups })
    }

    /// A group in whose favour a chunk that is kept waiting for its quorum can be given up.
    fn spare_for(&self, trial: &Trial<Ending>) -> Option<Choice> {
        let silent = trial.stage.silent_disks();
        let without = Without { groups: &trial.groups, disks: &silent };
        let health = &self.pool.shared().health;
        trial.stage.is_mostly_stable().then_some(())?;
        self.choose_by(|groups, turn| {
            choose::choose_spare(groups, self.coding, health, turn, self.in_background, without)
        })
    }

    /// A group of the coding that the write began by that can reach the quorum by the latest map.
    fn choose_group<E>(&self) -> Result<Choice, WriteError<E>> {
        let mut reachable = 0;
        let chosen = self.choose_by(|groups, turn| {
            let health = &self.pool.shared().health;
            choose::choose_group(groups, self.coding, health, turn, self.in_background)
                .map_err(|most| reachable = most)
                .ok()
        });
        chosen.ok_or(WriteError::NotEnoughShards { reachable, needed: self.coding.write_quorum() })
    }

    /// A group by the latest map.
    fn choose_by(
        &self,
        choose: impl FnOnce(&[Arc<Group>], usize) -> Option<(Arc<Group>, Vec<Part>)>,
    ) -> Option<Choice> {
        let shared = self.pool.shared();
        let map = Arc::new(shared.view.hold());
        let class = map.class_with(self.class, self.class_coding);
        let groups = class.map_or(&[][..], |class: &Arc<Class>| &class.groups);
        let (group, parts) = choose(groups, shared.turn())?;
        Some(Choice { map, group, parts })
    }
}
