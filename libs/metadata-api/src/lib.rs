//! Contract of the metadata service.
