//! Scalars that can be copied, or nearly so, from the text.

use super::line::Lines;
use crate::node::{Node, Place, Value};

/// Reads a scalar that ends in its line, in a block collection.
pub(super) fn value(lines: &mut Lines<'_>) -> Option<Value> {
    match lines.byte() {
        b'"' | b'\'' => quoted(lines),
        _ => {
            let rest = lines.rest();
            let text = plain(rest)?;
            lines.at += text.len();
            Some(Value::of_scalar(text, true))
        }
    }
}

/// Reads a quoted scalar without escapes.
pub(super) fn quoted(lines: &mut Lines<'_>) -> Option<Value> {
    let quote = lines.byte();
    let inner = &lines.rest()[1..];
    let length = inner.bytes().position(|byte| byte == quote || byte == b'\\')?;
    let after = inner.as_bytes().get(length + 1);
    if inner.as_bytes()[length] != quote || after == Some(&quote) {
        return None;
    }
    lines.at += length + 2;
    Some(Value::Text { text: inner[..length].to_owned(), is_plain: false })
}

/// Returns the plain scalar at the beginning of the rest of a line.
fn plain(rest: &str) -> Option<&str> {
    let bytes = rest.as_bytes();
    is_start(bytes)?;
    let mut end = bytes.len();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b':' if matches!(bytes.get(index + 1), None | Some(b' ')) => return None,
            b'#' if bytes[index - 1] == b' ' => {
                end = index;
                break;
            }
            _ => {}
        }
    }
    Some(rest[..end].trim_end_matches(' '))
}

/// Says yes to what surely begins a plain scalar.
pub(super) fn is_start(bytes: &[u8]) -> Option<()> {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./~+=$^(".contains(byte) || *byte >= 0x80;
    let is_start = match bytes {
        [b'-', next, ..] => is_safe(next),
        [first, ..] => is_safe(first),
        [] => false,
    };
    is_start.then_some(())
}

/// Reads a literal or folded scalar whose lines all begin in one column, below a collection in another.
pub(super) fn block(lines: &mut Lines<'_>, column: usize) -> Option<Node> {
    let header = lines.rest();
    let is_folded = header.starts_with('>');
    let is_stripped = match header[1..].trim_end_matches(' ') {
        "" => false,
        "-" => true,
        _ => return None,
    };
    let first = lines.peek_next()?;
    let indentation = first.len() - first.trim_start_matches(' ').len();
    if indentation <= column || indentation == first.len() {
        return None;
    }
    let place = Place { line: lines.place().line + 1, column: u32::try_from(indentation + 1).ok()? };
    let mut text = String::new();
    let mut blank = 0;
    while let Some(line) = lines.peek_next() {
        if line.is_empty() {
            blank += 1;
        } else if line.len() > indentation && line.as_bytes()[..indentation].iter().all(|byte| *byte == b' ')
        {
            let line = &line[indentation..];
            if line.ends_with(' ')
                || (is_folded && line.starts_with(' '))
                || line.trim_start_matches(' ').is_empty()
            {
                return None;
            }
            match (text.is_empty(), is_folded, blank) {
                (true, ..) => {}
                (false, true, 0) => text.push(' '),
                (false, true, _) => text.extend(std::iter::repeat_n('\n', blank)),
                (false, false, _) => text.extend(std::iter::repeat_n('\n', blank + 1)),
            }
            text.push_str(line);
            blank = 0;
        } else if line.trim_start_matches(' ').is_empty() {
            return None;
        } else {
            break;
        }
        lines.enter_next();
    }
    // Without a line's end, readers differ about it.
    if !lines.text.ends_with('\n') {
        return None;
    }
    if !is_stripped {
        text.push('\n');
    }
    lines.advance()?;
    Some(Node { place, value: Value::Text { text, is_plain: false } })
}
