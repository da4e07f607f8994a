//! Puts of large shards: cells go to their room as they come, in buffers of bounded size, and the writer commits.

use std::sync::Arc;

use chunk_api::{Cell, CheckedCells, Error, ShardHeader};
use env::Task;

use super::{
    Handle, Shared,
    active::Share,
    blocks::{Blocks, GATHERED},
    format::{Chain, GROUP_ALIGNMENT, ShardRecord, cell_offset, push_cell},
    index::Claim,
    request::{Request, Reserve, Room, StreamedPut, TakenName},
};

/// Writes that follow each other in a room, one at a time. What comes is gathered in one buffer while another is written.
struct RoomWriter {
    shared: Arc<Shared>,
    room: Arc<Room>,
    gathered: Blocks,
    under_way: Option<Task<Result<Blocks, Error>>>,
}

impl RoomWriter {
    fn new(shared: Arc<Shared>, room: Arc<Room>, position: u64) -> Self {
        let gathered = shared.blocks.take(position);
        Self { shared, room, gathered, under_way: None }
    }

    /// Takes a cell as it is kept, with its checksum behind it.
    async fn push(&mut self, cell: &Cell) -> Result<(), Error> {
        push_cell(self.gathered.appended(), cell);
        if self.gathered.content().len() < GATHERED {
            return Ok(());
        }
        // What ends within a block waits for what comes next in it.
        let end = self.gathered.end();
        self.flush(end - end % GROUP_ALIGNMENT).await
    }

    /// Writes what was gathered up to `end`, once the write before it is done.
    async fn flush(&mut self, end: u64) -> Result<(), Error> {
        let mut next = match self.finish().await? {
            Some(mut written) => {
                written.restart(end);
                written
            }
            None => self.shared.blocks.take(end),
        };
        next.push(self.gathered.behind(end));
        self.gathered.truncate(end);
        let gathered = std::mem::replace(&mut self.gathered, next);
        let (shared, room) = (self.shared.clone(), self.room.clone());
        // The task holds the room, so the disk is not let go before the last write has ended, awaited or not. Nor is a
        // failure overlooked when nobody waits.
        self.under_way = Some(self.shared.env.spawn_blocking(move || {
            let written = gathered.write(&shared, &room.active);
            written.map(|()| gathered).map_err(|error| shared.fail(&error))
        }));
        Ok(())
    }

    /// Waits for the write that is under way, whose buffer comes back.
    async fn finish(&mut self) -> Result<Option<Blocks>, Error> {
        let Some(task) = self.under_way.take() else { return Ok(None) };
        let given_up = || Err(Error::Unavailable { reason: "the write was given up".to_owned() });
        task.await.unwrap_or_else(given_up).map(Some)
    }

    /// Writes all that is left. Buffers go back.
    async fn end(mut self) -> Result<Arc<Room>, Error> {
        self.flush(self.gathered.end()).await?;
        if let Some(written) = self.finish().await? {
            self.shared.blocks.give(written);
        }
        self.shared.blocks.give(self.gathered);
        Ok(self.room)
    }
}

impl Handle {
    /// Writes a large shard's record but for its footer, and asks the writer to commit it.
    pub(super) async fn put_stream(
        &self,
        header: ShardHeader,
        cells: CheckedCells,
        claim: Claim,
        name: TakenName,
    ) -> Result<(), Error> {
        let (room, chain) = self.until_closed(self.write_stream(&header, claim.share(), cells)).await?;
        let record = ShardRecord::from(&header);
        self.ask(|reply| Request::Commit(StreamedPut { record, claim, room, chain, name, reply })).await
    }

    async fn write_stream(
        &self,
        header: &ShardHeader,
        share: Share,
        mut cells: CheckedCells,
    ) -> Result<(Arc<Room>, Chain), Error> {
        let (room, mut chain) = self.reserve(header, share).await?;
        let position = room.position + cell_offset(ShardRecord::from(header).owner_length, 0);
        let mut writer = RoomWriter::new(self.shared.clone(), room, position);
        while let Some(cell) = cells.next().await? {
            chain.push(cell.checksum());
            writer.push(&cell).await?;
        }
        Ok((writer.end().await?, chain))
    }

    async fn reserve(&self, header: &ShardHeader, share: Share) -> Result<(Arc<Room>, Chain), Error> {
        let (record, owner) = (ShardRecord::from(header), header.owner.clone());
        let permit = self.streams.clone().acquire_owned().await.map_err(|_| super::closed())?;
        self.ask(|reply| Request::Reserve(Reserve { record, owner, share, permit, reply })).await
    }
}
