//! Contract of the chunk service.
