//! Reads cells and owners, and verifies whole shards.

use bytes::Bytes;
use chunk_api::{Cell, CellRange, Error, READ_CELLS_MAX, ShardHeader, ShardSummary};
use s3_client::Failure;
use tracing::warn;
use types::ShardId;

use crate::{
    body::{CRC_LENGTH, span, take_cells, take_owner},
    index::Place,
    shared::Shared,
};

/// Most readings of one shard that is replaced meanwhile.
const READS_MAX: u32 = 3;

impl Shared {
    fn place(&self, shard: ShardId) -> Result<Place, Error> {
        self.open_index()?.shards.get(&shard).copied().ok_or(Error::ShardNotFound { shard })
    }

    /// Reads cells of a shard, each verified. An object that is lost or of another length is a corrupt shard.
    pub(crate) async fn read_cells(&self, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        for _ in 0..READS_MAX {
            let place = self.place(shard)?;
            cells.validate(place.name.cells())?;
            match self.read_at(&place, cells).await {
                // Deleted or replaced meanwhile.
                Err(_) if self.place(shard) != Ok(place) => {}
                result => return result,
            }
        }
        Err(Error::Unavailable { reason: "the shard is replaced again and again".to_owned() })
    }

    async fn read_at(&self, place: &Place, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let shard = place.name.shard;
        let corrupt = Error::ShardCorrupt { shard, cell: cells.first };
        if place.damaged {
            return Err(corrupt);
        }
        let (offset, length) = span(&place.name, cells);
        match self.bucket.get_range(&self.shard_key(&place.name), offset, length).await {
            Ok(Some(bytes)) => take_cells(&place.name, cells, bytes),
            Ok(None) => {
                warn!(%shard, disk = %self.disk, "the remote bucket has lost a shard");
                Err(corrupt)
            }
            Err(failure) => Err(self.unreadable(shard, &failure).unwrap_or(corrupt)),
        }
    }

    /// What a failed read means, unless the object is damaged.
    fn unreadable(&self, shard: ShardId, failure: &Failure) -> Option<Error> {
        warn!(%shard, disk = %self.disk, %failure, "shard cannot be read");
        match failure {
            Failure::Corrupt(_) => None,
            // The range lies behind the object's end.
            Failure::Status { status, .. } if status.as_u16() == 416 => None,
            Failure::TimedOut => Some(Error::TimedOut),
            _ => Some(Error::Unavailable { reason: format!("the remote bucket cannot be read: {failure}") }),
        }
    }

    /// Reads every byte of a shard.
    pub(crate) async fn verify(&self, shard: ShardId) -> Result<(), Error> {
        let place = self.place(shard)?;
        let cells = place.name.cells();
        if place.damaged {
            return Err(Error::ShardCorrupt { shard, cell: 0 });
        }
        if cells == 0 && self.read_owner(&place).await?.is_none() {
            return Err(Error::ShardCorrupt { shard, cell: 0 });
        }
        let mut first = 0;
        while first < cells {
            let count = u32::try_from(cells - first).unwrap_or(u32::MAX).min(READ_CELLS_MAX);
            self.read_cells(shard, CellRange { first, count }).await?;
            first += u64::from(count);
        }
        Ok(())
    }

    /// A shard's line in a listing; an owner that is damaged is listed empty.
    pub(crate) async fn summary(&self, place: Place) -> Result<ShardSummary, Error> {
        let owner = if place.damaged || place.name.owner_length == 0 {
            Bytes::new()
        } else {
            self.read_owner(&place).await?.unwrap_or_default()
        };
        Ok(ShardSummary { header: place.name.header(owner), is_damaged: place.damaged })
    }

    async fn read_owner(&self, place: &Place) -> Result<Option<Bytes>, Error> {
        let shard = place.name.shard;
        let length = u64::from(place.name.owner_length) + CRC_LENGTH as u64;
        let owner = match self.bucket.get_range(&self.shard_key(&place.name), 0, length).await {
            Ok(bytes) => bytes.and_then(take_owner),
            Err(failure) => match self.unreadable(shard, &failure) {
                Some(error) => return Err(error),
                None => None,
            },
        };
        if owner.is_none() {
            warn!(%shard, disk = %self.disk, "the shard's owner is damaged or gone");
        }
        Ok(owner)
    }

    /// The headers of shards that the start found damaged.
    pub(crate) fn list_damaged(&self) -> Result<Vec<ShardHeader>, Error> {
        let index = self.open_index()?;
        let damaged = index.shards.values().filter(|place| place.damaged);
        Ok(damaged.map(|place| place.name.header(Bytes::new())).collect())
    }
}
