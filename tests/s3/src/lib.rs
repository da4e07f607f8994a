//! Nothing: the black-box tests of the S3 API are in `tests/`.
