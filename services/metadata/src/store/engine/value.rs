//! Values that go into statements, and rows that come back.

use bytes::Bytes;

use super::DatabaseError;

/// A parameter or a column. An absent value keeps its type, because Postgres plans statements by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(Option<i64>),
    Bytes(Option<Bytes>),
    Text(Option<String>),
    /// A column of a list of rows, on Postgres.
    Numbers(Vec<Option<i64>>),
    ByteStrings(Vec<Option<Bytes>>),
    Texts(Vec<Option<String>>),
}

impl Value {
    /// The cells of a column as one value; they have one type.
    pub(super) fn array_of<'a>(cells: impl Iterator<Item = &'a Self>) -> Self {
        let mut cells = cells.peekable();
        match cells.peek() {
            Some(Self::Bytes(_)) => Self::ByteStrings(cells.map(Self::as_bytes).collect()),
            Some(Self::Text(_)) => Self::Texts(cells.map(Self::as_text).collect()),
            _ => Self::Numbers(cells.map(Self::as_number).collect()),
        }
    }

    fn as_number(&self) -> Option<i64> {
        debug_assert!(matches!(self, Self::Number(_)), "the cells of a column have one type");
        if let Self::Number(number) = self { *number } else { None }
    }

    fn as_bytes(&self) -> Option<Bytes> {
        debug_assert!(matches!(self, Self::Bytes(_)), "the cells of a column have one type");
        if let Self::Bytes(bytes) = self { bytes.clone() } else { None }
    }

    fn as_text(&self) -> Option<String> {
        debug_assert!(matches!(self, Self::Text(_)), "the cells of a column have one type");
        if let Self::Text(text) = self { text.clone() } else { None }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Number(Some(i64::from(flag)))
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl From<Option<Bytes>> for Value {
    fn from(bytes: Option<Bytes>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes.into()))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(Bytes::copy_from_slice(bytes)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

/// A row, read from left to right.
#[derive(Debug)]
pub(crate) struct Row {
    values: std::vec::IntoIter<Value>,
}

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter() }
    }

    fn next(&mut self) -> Result<Value, DatabaseError> {
        self.values.next().ok_or_else(|| DatabaseError::corrupt("a row has too few columns"))
    }

    /// The columns that were not read yet.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values.collect()
    }

    /// Passes over columns.
    pub(crate) fn skip(&mut self, columns: usize) -> Result<(), DatabaseError> {
        (0..columns).try_for_each(|_| self.next().map(drop))
    }

    pub(crate) fn optional_i64(&mut self) -> Result<Option<i64>, DatabaseError> {
        match self.next()? {
            Value::Number(number) => Ok(number),
            Value::Bytes(None) | Value::Text(None) => Ok(None),
            _ => Err(DatabaseError::corrupt("a column is not a number")),
        }
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DatabaseError> {
        self.optional_i64()?.ok_or_else(|| DatabaseError::corrupt("a number is missing"))
    }

    /// A number of a narrower type.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, DatabaseError> {
        T::try_from(self.i64()?).map_err(|_| DatabaseError::corrupt("a number is out of its range"))
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DatabaseError> {
        Ok(self.i64()? != 0)
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Bytes>, DatabaseError> {
        match self.next()? {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Number(None) | Value::Text(None) => Ok(None),
            _ => Err(DatabaseError::corrupt("a column is not bytes")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, DatabaseError> {
        self.optional_bytes()?.ok_or_else(|| DatabaseError::corrupt("bytes are missing"))
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DatabaseError> {
        self.bytes()?
            .as_ref()
            .try_into()
            .map_err(|_| DatabaseError::corrupt("an identifier has another length"))
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, DatabaseError> {
        match self.next()? {
            Value::Text(text) => Ok(text),
            Value::Number(None) | Value::Bytes(None) => Ok(None),
            _ => Err(DatabaseError::corrupt("a column is not text")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, DatabaseError> {
        self.optional_text()?.ok_or_else(|| DatabaseError::corrupt("text is missing"))
    }
}
