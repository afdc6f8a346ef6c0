//! Keeps what is in a process's memory in it: keys and tokens must not lie about in core dumps.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Switches core dumps of this process off, and takes the right to look into it from everybody but root.
///
/// A limit of zero is not enough: the kernel disregards it where a program takes the dumps (core(5)).
pub(crate) fn harden() {
    // What the kernel refuses here is a weaker wall, and no reason not to run.
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let limit = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = dumpable.and(limit) {
        tracing::warn!(%error, "core dumps of this process cannot be switched off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn a_process_leaves_no_core() {
        harden();

        assert!(matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)));
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }
}
