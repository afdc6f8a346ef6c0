//! What the reconciler promises.
