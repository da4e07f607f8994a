//! A file of a list, made row by row in memory: comma-separated values under gzip, or Parquet.

use std::{io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use metadata_api::Error;
use parquet::{
    basic::Compression as Codec,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use s3_wire::inventory::{Column, Format, Value, parquet_schema, write_csv_row};

/// Rows that are held until they are written to a Parquet file together.
const ROW_GROUP: usize = 10_000;

/// A file that is being made.
pub(super) enum File {
    /// Comma-separated values.
    Csv {
        /// What is in a row.
        columns: Vec<Column>,
        /// What was written.
        out: GzEncoder<Vec<u8>>,
        /// The next row.
        row: Vec<u8>,
    },
    /// Parquet.
    Parquet {
        /// What is in a row.
        columns: Vec<Column>,
        /// What was written.
        out: Box<SerializedFileWriter<Vec<u8>>>,
        /// Rows that are not written yet.
        rows: Vec<Vec<Option<Value>>>,
    },
}

impl File {
    /// A file without rows.
    pub(super) fn new(format: Format, columns: Vec<Column>) -> Result<Self, Error> {
        Ok(match format {
            Format::Csv => {
                let out = GzEncoder::new(Vec::new(), Compression::default());
                Self::Csv { columns, out, row: Vec::new() }
            }
            Format::Parquet => {
                let schema = parse_message_type(&parquet_schema(&columns)).map_err(broken)?;
                let properties = WriterProperties::builder().set_compression(Codec::UNCOMPRESSED).build();
                let out = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties));
                Self::Parquet { columns, out: Box::new(out.map_err(broken)?), rows: Vec::new() }
            }
        })
    }

    /// Adds a row.
    pub(super) fn push(&mut self, values: Vec<Option<Value>>) -> Result<(), Error> {
        match self {
            Self::Csv { columns, out, row } => {
                row.clear();
                write_csv_row(columns, &values, row);
                out.write_all(row).map_err(|error| Error::Internal { reason: error.to_string() })
            }
            Self::Parquet { columns, out, rows } => {
                rows.push(values);
                if rows.len() < ROW_GROUP {
                    return Ok(());
                }
                write_group(columns, out, std::mem::take(rows))
            }
        }
    }

    /// How long it is, without rows that are held.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Csv { out, .. } => out.get_ref().len(),
            Self::Parquet { out, .. } => out.bytes_written(),
        }
    }

    /// The whole file.
    pub(super) fn finish(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv { out, .. } => {
                out.finish().map_err(|error| Error::Internal { reason: error.to_string() })
            }
            Self::Parquet { columns, mut out, rows } => {
                if !rows.is_empty() {
                    write_group(&columns, &mut out, rows)?;
                }
                out.into_inner().map_err(broken)
            }
        }
    }
}

fn broken(error: ParquetError) -> Error {
    Error::Internal { reason: format!("a Parquet file was not made: {error}") }
}

fn write_group(
    columns: &[Column],
    out: &mut SerializedFileWriter<Vec<u8>>,
    rows: Vec<Vec<Option<Value>>>,
) -> Result<(), Error> {
    let mut group = out.next_row_group().map_err(broken)?;
    for (number, column) in columns.iter().enumerate() {
        let mut writer = group
            .next_column()
            .map_err(broken)?
            .ok_or_else(|| Error::Internal { reason: "a Parquet file has fewer columns".to_owned() })?;
        let values = || rows.iter().map(|row| row.get(number).and_then(Option::as_ref));
        // Level 1 is a value, and level 0 none; a column that always has one has no levels.
        let levels: Vec<i16> = values().map(|value| i16::from(value.is_some())).collect();
        let levels = (!column.is_required()).then_some(&levels[..]);
        match writer.untyped() {
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let texts = values().filter_map(|value| match value {
                    Some(Value::Text(text)) => Some(ByteArray::from(text.as_str())),
                    _ => None,
                });
                writer.write_batch(&texts.collect::<Vec<_>>(), levels, None).map_err(broken)?;
            }
            ColumnWriter::BoolColumnWriter(writer) => {
                let truths = values().filter_map(|value| match value {
                    Some(Value::Boolean(truth)) => Some(*truth),
                    _ => None,
                });
                writer.write_batch(&truths.collect::<Vec<_>>(), levels, None).map_err(broken)?;
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                let numbers = values().filter_map(|value| match value {
                    Some(Value::Number(number)) => Some(number.cast_signed()),
                    Some(Value::Time(time)) => Some(time.0),
                    _ => None,
                });
                writer.write_batch(&numbers.collect::<Vec<_>>(), levels, None).map_err(broken)?;
            }
            _ => return Err(Error::Internal { reason: "a Parquet column of another type".to_owned() }),
        }
        writer.close().map_err(broken)?;
    }
    group.close().map_err(broken)?;
    Ok(())
}
