//! The gateway: speaks the S3 API.
