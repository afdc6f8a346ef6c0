//! What a process has in its memory: the last word on what it can read.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use anyhow::Context;
use memchr::memmem::Finder;

/// Read at once; pieces overlap by the length of what is looked for.
const PIECE_BYTES: usize = 1 << 20;

/// Says whether these bytes stand anywhere in what a process may write to.
///
/// # Errors
/// When its memory cannot be read: without root, or because it is gone.
pub fn holds(pid: u32, wanted: &[u8]) -> anyhow::Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).context("read the list of its memory")?;
    let memory = File::open(format!("/proc/{pid}/mem")).context("open its memory")?;
    let finder = Finder::new(wanted);
    let mut piece = vec![0; PIECE_BYTES];
    for (start, end) in maps.lines().filter_map(writable) {
        let mut at = start;
        while at < end {
            let length = PIECE_BYTES.min(usize::try_from(end - at)?);
            // What was given back meanwhile holds nothing.
            let Ok(read) = memory.read_at(&mut piece[..length], at) else { break };
            if finder.find(&piece[..read]).is_some() {
                return Ok(true);
            }
            if read <= wanted.len() {
                break;
            }
            at += u64::try_from(if at + read as u64 >= end { read } else { read - wanted.len() })?;
        }
    }
    Ok(false)
}

/// Reads the ends of a piece of memory that the process may write to.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    words.next().filter(|rights| rights.starts_with("rw"))?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_a_process_has_is_found_and_what_it_lacks_is_not() {
        let mut other = Command::new("sleep").arg("30").env("MARKER", "a-word-that-it-has").spawn().unwrap();
        // The environment is there once the program is.
        while !fs::read_to_string(format!("/proc/{}/comm", other.id())).unwrap().starts_with("sleep") {}

        let found = holds(other.id(), b"a-word-that-it-has").unwrap();
        let lacking = holds(other.id(), b"a-word-that-it-lacks").unwrap();

        other.kill().unwrap();
        other.wait().unwrap();
        assert!(found && !lacking);
    }
}
