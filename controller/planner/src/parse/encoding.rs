//! Bytes to text: what is not UTF-8 is named for what it is.

use super::Fault;
use crate::node::Place;

/// So many bytes are looked at to tell text from other things.
const SAMPLE_BYTES: usize = 1024;

/// A few control characters are a slip in a text, and get their own message.
const CONTROLS_MAX: usize = 3;

pub(super) fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    let start = Place { line: 1, column: 1 };
    if is_utf16(bytes) {
        return Err(Fault::new(start, "Utf16", "the file is UTF-16", "save it as UTF-8"));
    }
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let text = std::str::from_utf8(bytes);
    if is_binary(sample, text.is_ok()) {
        return Err(Fault::new(
            start,
            "NotText",
            "the file is not text",
            "give it another ending or move it away",
        ));
    }
    let text = text.map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        let byte = bad.first().copied().unwrap_or_default();
        let message = format!("byte 0x{byte:02x} is not UTF-8");
        Fault::new(end_of(&String::from_utf8_lossy(good)), "NotUtf8", message, "save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.find('\0') {
        None => Ok(text),
        Some(offset) => {
            let place = end_of(&text[..offset]);
            Err(Fault::new(place, "NotText", "a NUL character is not text", "remove it"))
        }
    }
}

/// A byte-order mark, or the NULs that ASCII in UTF-16 has in every other byte.
fn is_utf16(bytes: &[u8]) -> bool {
    let nuls = |odd: usize| {
        bytes.len() >= 4 && bytes.iter().skip(odd).step_by(2).take(SAMPLE_BYTES / 2).all(|b| *b == 0)
    };
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || nuls(0) != nuls(1)
}

fn is_binary(sample: &[u8], is_utf8: bool) -> bool {
    let controls = sample.iter().filter(|b| b.is_ascii_control() && !b"\t\n\r\x1b".contains(b)).count();
    (controls > CONTROLS_MAX && controls * 20 > sample.len()) || (!is_utf8 && sample.contains(&0))
}

fn end_of(text: &str) -> Place {
    let line = text.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(line), column: number(column) }
}
