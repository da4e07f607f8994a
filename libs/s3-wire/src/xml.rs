//! XML bodies of S3: parsers for what clients send, writers for what they are answered.

#[cfg(test)]
pub(crate) mod testing;
mod write;

pub(crate) use write::Document;
