//! Encodes chunks into shards and rebuilds them.
