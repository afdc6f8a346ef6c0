//! Join strings and links on a command line: they hold a secret, so they may come on standard input as well.

use horizon_api::join::{JoinError, JoinString};

/// Reads a join string from an argument, or from standard input where the argument is `-`.
///
/// # Errors
/// When it is none.
pub fn read(argument: &str) -> Result<JoinString, JoinError> {
    if argument != "-" {
        return argument.parse();
    }
    let mut line = String::new();
    // An empty or unreadable standard input is no join string, and is refused as such.
    drop(std::io::stdin().read_line(&mut line));
    line.parse()
}
