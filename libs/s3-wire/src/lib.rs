//! S3 on the wire: operation parsing, XML bodies, error codes, aws-chunked framing.
