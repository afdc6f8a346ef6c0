//! Writes, one case at a time.
