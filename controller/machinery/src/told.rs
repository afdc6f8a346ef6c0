//! Paths and values as they are told. A client can make one as long as a body and have it told a hundred times, so that
//! each is cut.

use std::fmt::{self, Write};

/// How much of a path or a value is told, in bytes: more than any field of ours needs.
const PATH_BYTES_MAX: usize = 256;

/// Returns the path that is made of these parts; what is behind 256 bytes is left out, for a `…`.
pub(crate) fn path(parts: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut cut = Cut(String::new());
    for part in parts {
        // It fails when there is enough.
        if write!(cut, "{part}").is_err() {
            break;
        }
    }
    cut.0
}

struct Cut(String);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = PATH_BYTES_MAX - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_between_characters() {
        assert_eq!(path(["spec", ".", "mtu"]), "spec.mtu");
        assert_eq!(path(["x".repeat(256)]), "x".repeat(256));
        assert_eq!(path(["x".repeat(255), "é".to_owned(), "y".to_owned()]), "x".repeat(255) + "…");
        assert_eq!(path(["é".repeat(200)]), "é".repeat(128) + "…");
    }
}
