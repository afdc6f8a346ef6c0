//! Flow collections that end in their line: `[a, b]` and `{name: a}`.

use super::{is_known, line::Lines, scalar};
use crate::node::{Entry, Node, Value};

/// Reads the collection at the cursor, which may hold so many levels.
pub(super) fn collection(lines: &mut Lines<'_>, levels: usize) -> Option<Node> {
    let levels = levels.checked_sub(1)?;
    let place = lines.place();
    let is_list = lines.byte() == b'[';
    lines.at += 1;
    let value =
        if is_list { Value::List(items(lines, levels)?) } else { Value::Map(entries(lines, levels)?) };
    Some(Node { place, value })
}

fn items(lines: &mut Lines<'_>, levels: usize) -> Option<Vec<Node>> {
    let mut items = Vec::new();
    lines.skip_blanks();
    while lines.byte() != b']' || !items.is_empty() {
        items.push(item(lines, levels)?);
        if !goes_on(lines, b']')? {
            return Some(items);
        }
    }
    lines.at += 1;
    Some(items)
}

fn entries(lines: &mut Lines<'_>, levels: usize) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    lines.skip_blanks();
    while lines.byte() != b'}' || !entries.is_empty() {
        let place = lines.place();
        let key = lines.key()?;
        if is_known(&entries, key) {
            return None;
        }
        lines.skip_blanks();
        let node = item(lines, levels)?;
        entries.push(Entry { key: key.to_owned(), place, node });
        if !goes_on(lines, b'}')? {
            return Some(entries);
        }
    }
    lines.at += 1;
    Some(entries)
}

/// Goes over a comma and says yes, or over the end and says no.
fn goes_on(lines: &mut Lines<'_>, end: u8) -> Option<bool> {
    lines.skip_blanks();
    let byte = lines.byte();
    lines.at += 1;
    if byte == b',' {
        lines.skip_blanks();
    }
    (byte == b',' || byte == end).then_some(byte == b',')
}

fn item(lines: &mut Lines<'_>, levels: usize) -> Option<Node> {
    let place = lines.place();
    let value = match lines.byte() {
        b'[' | b'{' => return collection(lines, levels),
        b'"' | b'\'' => scalar::quoted(lines)?,
        _ => {
            let text = plain(lines.rest())?;
            lines.at += text.len();
            Value::of_scalar(text, true)
        }
    };
    Some(Node { place, value })
}

/// Returns the plain scalar at the beginning of the rest of a line.
fn plain(rest: &str) -> Option<&str> {
    let bytes = rest.as_bytes();
    scalar::is_start(bytes)?;
    let end = bytes.iter().position(|byte| b",[]{}".contains(byte))?;
    let is_clear = |(index, byte): (usize, &u8)| match byte {
        b':' => !matches!(bytes[index + 1], b' ' | b',' | b'[' | b']' | b'{' | b'}'),
        b'#' => bytes[index - 1] != b' ',
        _ => true,
    };
    (!b"[{".contains(&bytes[end]) && bytes[..end].iter().enumerate().all(is_clear)).then_some(())?;
    Some(rest[..end].trim_end_matches(' '))
}
