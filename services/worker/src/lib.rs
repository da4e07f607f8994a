//! The worker: background data management.
