//! The chunk service: keeps erasure-coded shards on its media.
