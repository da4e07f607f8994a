//! S3 checksums and ETags, over streams and over parts.
