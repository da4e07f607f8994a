//! The file of a backup.
//!
//! ```text
//! file     = "ASHLARBK" version:u32 block*
//! block    = kind:u8 length:u32 payload checksum:u64
//! ```
//!
//! Numbers are little-endian. A block's checksum is the CRC-64/NVME of the whole file up to it, its own kind, length and payload
//! included, so that no block can be changed, left out, repeated or put elsewhere. Kinds: 1 the header, which is first; 2 a table
//! with its columns; 3 rows of the last table, each with its length; 4 the end, with the number of rows, after which nothing
//! follows. A file without its end was cut.

use std::{path::Path, sync::Arc};

use bytes::{Buf, Bytes};
use checksum::Crc64;
use env::{Env, File, OpenMode};

use crate::store::engine::Value;

use super::{
    BackupError, Header, Schema,
    export::Piece,
    tables::{Column, Kind},
};

const MAGIC: &[u8; 8] = b"ASHLARBK";

/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;

/// A block of rows ends when it has this many bytes.
const BLOCK: usize = 1 << 20;

/// Longest payload of a block: far more than the longest row.
const PAYLOAD_MAX: usize = 256 << 20;

const HEADER: u8 = 1;
const TABLE: u8 = 2;
const ROWS: u8 = 3;
const END: u8 = 4;

/// Writes a file that nobody sees under its name before it is whole and on the medium.
pub(super) struct Writer {
    env: Env,
    file: Arc<dyn File>,
    offset: u64,
    checksum: Crc64,
    rows: u64,
}

impl Writer {
    /// Makes the file, which the caller removes if it does not come to its end; only its owner may read it.
    pub(super) async fn create(env: &Env, path: &Path, header: &Header) -> Result<Self, BackupError> {
        let (own_env, own_path) = (env.clone(), path.to_owned());
        let creating = env.spawn_blocking(move || own_env.disk().open(&own_path, OpenMode::CreateNew));
        let file = super::io(path, creating.await)?;
        let mut writer = Self { env: env.clone(), file, offset: 0, checksum: Crc64::new(), rows: 0 };
        let mut start = MAGIC.to_vec();
        start.extend_from_slice(&VERSION.to_le_bytes());
        writer.write(start).await?;
        let mut payload = Vec::new();
        put_number(&mut payload, header.schema.version);
        put_number(&mut payload, header.schema.checksum.cast_signed());
        put_run(&mut payload, &header.cluster)?;
        put_number(&mut payload, header.epoch);
        put_number(&mut payload, header.taken_ms);
        put_run(&mut payload, header.program.as_bytes())?;
        writer.block(HEADER, &payload).await?;
        Ok(writer)
    }

    pub(super) async fn piece(&mut self, piece: &Piece) -> Result<(), BackupError> {
        let mut payload = Vec::new();
        match piece {
            Piece::Table { name, columns } => {
                put_run(&mut payload, name.as_bytes())?;
                put_length(&mut payload, columns.len())?;
                for Column { name, kind } in columns {
                    put_run(&mut payload, name.as_bytes())?;
                    payload.push(match kind {
                        Kind::Number => 1,
                        Kind::Bytes => 2,
                        Kind::Text => 3,
                    });
                }
                self.block(TABLE, &payload).await
            }
            Piece::Rows(rows) => {
                for row in rows {
                    let mut one = Vec::new();
                    put_row(&mut one, row)?;
                    put_run(&mut payload, &one)?;
                    if payload.len() >= BLOCK {
                        self.block(ROWS, &payload).await?;
                        payload.clear();
                    }
                }
                self.rows += rows.len() as u64;
                if payload.is_empty() { Ok(()) } else { self.block(ROWS, &payload).await }
            }
        }
    }

    /// How long the file is so far.
    pub(super) fn length(&self) -> u64 {
        self.offset
    }

    /// Ends the file and waits until it is on the medium. Answers its length.
    pub(super) async fn finish(mut self) -> Result<u64, BackupError> {
        let payload = self.rows.to_le_bytes();
        self.block(END, &payload).await?;
        let (file, env) = (self.file.clone(), self.env.clone());
        given_up(env.spawn_blocking(move || file.sync_data()).await).map_err(BackupError::Write)?;
        Ok(self.offset)
    }

    async fn block(&mut self, kind: u8, payload: &[u8]) -> Result<(), BackupError> {
        let mut block = Vec::with_capacity(payload.len() + 13);
        block.push(kind);
        put_run(&mut block, payload)?;
        self.checksum.update(&block);
        let checksum = self.checksum.value();
        self.checksum.update(&checksum.to_le_bytes());
        block.extend_from_slice(&checksum.to_le_bytes());
        self.put(block).await
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.checksum.update(&bytes);
        self.put(bytes).await
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        let (file, at, length) = (self.file.clone(), self.offset, bytes.len() as u64);
        let writing = self.env.spawn_blocking(move || file.write_all_at(&bytes, at));
        given_up(writing.await).map_err(BackupError::Write)?;
        self.offset += length;
        Ok(())
    }
}

fn given_up<T>(result: Option<std::io::Result<T>>) -> std::io::Result<T> {
    result.unwrap_or_else(|| Err(std::io::Error::other("the work was given up")))
}

/// Reads a file and believes nothing of it that its checksums do not prove.
pub(super) struct Reader {
    env: Env,
    file: Arc<dyn File>,
    length: u64,
    offset: u64,
    checksum: Crc64,
    rows: u64,
    columns: usize,
    has_ended: bool,
}

impl Reader {
    /// Opens the file and reads its header.
    pub(super) async fn open(env: &Env, path: &Path) -> Result<(Self, Header), BackupError> {
        let (own_env, own_path) = (env.clone(), path.to_owned());
        let opening = env.spawn_blocking(move || {
            let file = own_env.disk().open(&own_path, OpenMode::Read)?;
            let length = file.length()?;
            Ok((file, length))
        });
        let (file, length) = super::io(path, opening.await)?;
        let mut reader = Self {
            env: env.clone(),
            file,
            length,
            offset: 0,
            checksum: Crc64::new(),
            rows: 0,
            columns: 0,
            has_ended: false,
        };
        if length < 12 {
            return Err(BackupError::Foreign);
        }
        let start = reader.get(12).await?;
        reader.checksum.update(&start);
        let (magic, version) = start.split_at(8);
        if magic != MAGIC {
            return Err(BackupError::Foreign);
        }
        let found = u32::from_le_bytes(version.try_into().unwrap_or_default());
        if found != VERSION {
            return Err(BackupError::Format { found, known: VERSION });
        }
        let (kind, mut payload) = reader.block().await?;
        if kind != HEADER {
            return Err(reader.damaged("it does not begin with its header"));
        }
        let header = take_header(&mut payload).filter(|_| payload.is_empty());
        let header = header.ok_or_else(|| reader.damaged("its header cannot be understood"))?;
        Ok((reader, header))
    }

    /// The next piece; none when the end was reached and was what it should be.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, BackupError> {
        if self.has_ended {
            return Ok(None);
        }
        let (kind, mut payload) = self.block().await?;
        match kind {
            TABLE => {
                let table = take_table(&mut payload).filter(|_| payload.is_empty());
                let (name, columns) = table.ok_or_else(|| self.damaged("a table cannot be understood"))?;
                self.columns = columns.len();
                Ok(Some(Piece::Table { name, columns }))
            }
            ROWS => {
                let mut rows = Vec::new();
                while !payload.is_empty() {
                    let row = take_run(&mut payload).and_then(|row| take_row(row, self.columns));
                    rows.push(row.ok_or_else(|| self.damaged("a row cannot be understood"))?);
                }
                self.rows += rows.len() as u64;
                Ok(Some(Piece::Rows(rows)))
            }
            END => {
                let rows = payload.try_get_u64_le().ok().filter(|_| payload.is_empty());
                if rows != Some(self.rows) {
                    return Err(self.damaged("it has another number of rows than its end says"));
                }
                if self.offset != self.length {
                    return Err(self.damaged("something follows its end"));
                }
                self.has_ended = true;
                Ok(None)
            }
            _ => Err(self.damaged("a block of an unknown kind")),
        }
    }

    /// How much of the file was read, and its length.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.offset, self.length)
    }

    async fn block(&mut self) -> Result<(u8, Bytes), BackupError> {
        if self.offset == self.length {
            return Err(BackupError::Cut { length: self.length });
        }
        let start = self.get(5).await?;
        let (kind, mut length) = (start[0], &start[1..]);
        let length = usize::try_from(length.get_u32_le()).unwrap_or(usize::MAX);
        if length > PAYLOAD_MAX {
            return Err(self.damaged("a block is longer than any may be"));
        }
        let payload = self.get(length).await?;
        let mut told = self.get(8).await?;
        self.checksum.update(&start);
        self.checksum.update(&payload);
        let value = self.checksum.value();
        self.checksum.update(&told);
        if told.get_u64_le() != value {
            return Err(self.damaged("a checksum does not match"));
        }
        Ok((kind, payload))
    }

    async fn get(&mut self, length: usize) -> Result<Bytes, BackupError> {
        if self.length - self.offset < length as u64 {
            return Err(BackupError::Cut { length: self.length });
        }
        let (file, at) = (self.file.clone(), self.offset);
        let reading = self.env.spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            Ok(Bytes::from(bytes))
        });
        let bytes = given_up(reading.await).map_err(BackupError::Read)?;
        self.offset += length as u64;
        Ok(bytes)
    }

    fn damaged(&self, problem: &'static str) -> BackupError {
        BackupError::Damaged { offset: self.offset, problem }
    }
}

fn put_number(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_length(out: &mut Vec<u8>, length: usize) -> Result<(), BackupError> {
    let length = u32::try_from(length).ok().filter(|_| length <= PAYLOAD_MAX);
    out.extend_from_slice(&length.ok_or(BackupError::TooLong)?.to_le_bytes());
    Ok(())
}

fn put_run(out: &mut Vec<u8>, run: &[u8]) -> Result<(), BackupError> {
    put_length(out, run.len())?;
    out.extend_from_slice(run);
    Ok(())
}

/// Each value by its kind, 0 for NULL.
fn put_row(out: &mut Vec<u8>, row: &[Value]) -> Result<(), BackupError> {
    for value in row {
        match value {
            Value::Number(Some(number)) => {
                out.push(1);
                put_number(out, *number);
            }
            Value::Bytes(Some(bytes)) => {
                out.push(2);
                put_run(out, bytes)?;
            }
            Value::Text(Some(text)) => {
                out.push(3);
                put_run(out, text.as_bytes())?;
            }
            _ => out.push(0),
        }
    }
    Ok(())
}

fn take_run(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    (length <= from.len()).then(|| from.split_to(length))
}

fn take_text(from: &mut Bytes) -> Option<String> {
    String::from_utf8(take_run(from)?.to_vec()).ok()
}

fn take_header(from: &mut Bytes) -> Option<Header> {
    let version = from.try_get_i64_le().ok()?;
    let checksum = from.try_get_u64_le().ok()?;
    Some(Header {
        schema: Schema { version, checksum },
        cluster: take_run(from)?.to_vec(),
        epoch: from.try_get_i64_le().ok()?,
        taken_ms: from.try_get_i64_le().ok()?,
        program: take_text(from)?,
    })
}

fn take_table(from: &mut Bytes) -> Option<(String, Vec<Column>)> {
    let name = take_text(from)?;
    let count = from.try_get_u32_le().ok()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let name = take_text(from)?;
        let kind = match from.try_get_u8().ok()? {
            1 => Kind::Number,
            2 => Kind::Bytes,
            3 => Kind::Text,
            _ => return None,
        };
        columns.push(Column { name, kind });
    }
    Some((name, columns))
}

fn take_row(mut from: Bytes, columns: usize) -> Option<Vec<Value>> {
    let mut row = Vec::with_capacity(columns);
    while from.has_remaining() {
        row.push(match from.try_get_u8().ok()? {
            0 => Value::Number(None),
            1 => Value::Number(Some(from.try_get_i64_le().ok()?)),
            2 => Value::Bytes(Some(take_run(&mut from)?)),
            3 => Value::Text(Some(take_text(&mut from)?)),
            _ => return None,
        });
    }
    (row.len() == columns).then_some(row)
}
