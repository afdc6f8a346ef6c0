//! Runs one test in the small world: as root, one at a time, with the logs of all when it fails. Whatever a test is
//! about, no secret of its world may be found where none belongs.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Mutex,
};

use crate::{canary, world::World};

/// Two worlds at once would wait for each other's CPU, and deadlines would mean nothing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Makes a world, runs the test in it, and takes the world away.
///
/// # Panics
/// When the test fails, or when it cannot run although `HORIZON_E2E_REQUIRED` is set.
#[expect(clippy::print_stderr, reason = "a skip and a failure are said aloud")]
pub fn in_world(test: impl FnOnce(&mut World) -> anyhow::Result<()>) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !is_root() {
        assert!(env::var_os("HORIZON_E2E_REQUIRED").is_none(), "network namespaces need root");
        eprintln!("SKIPPED: network namespaces need root");
        return;
    }
    let mut world = World::for_test().unwrap_or_else(|error| panic!("no world: {error:#}"));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        test(&mut world)?;
        canary::check(&world)
    }));
    if !matches!(ended, Ok(Ok(()))) {
        eprintln!("{}", world.logs());
    }
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(panic) => resume_unwind(panic),
    }
}

fn is_root() -> bool {
    #[allow(unsafe_code, reason = "geteuid has no safe form")]
    // SAFETY: it takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    user == 0
}
