//! Fields, owners and conflicts, one case at a time.
