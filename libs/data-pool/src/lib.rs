//! Writes and reads object bytes across chunk services.
