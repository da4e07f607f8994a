//! The metadata service: buckets, objects, versions and placement in Postgres or SQLite.
