//! Output that nobody reads to its end, as in `… | head`.

use std::{
    panic::{self, PanicHookInfo},
    process,
};

/// The exit code of a program that SIGPIPE ends, as a shell says it.
const CUT_OFF: i32 = 141;

/// Has this process end without a word where its output is closed while it prints: whoever read it has seen enough.
///
/// Rust ignores SIGPIPE and `println!` panics in its place. Daemons print nothing and never come here.
pub(crate) fn end_quietly() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if is_cut_off(panic) {
            process::exit(CUT_OFF);
        }
        others(panic);
    }));
}

/// The words are the standard library's; a test with a real pipe notices when they change.
fn is_cut_off(panic: &PanicHookInfo<'_>) -> bool {
    let words = panic.payload().downcast_ref::<String>();
    words.is_some_and(|words| words.starts_with("failed printing to std") && words.contains("Broken pipe"))
}
