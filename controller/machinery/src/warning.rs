//! The `Warning` headers of an answer (RFC 7234 §5.5): what `kubectl` prints as `Warning: …`.
//!
//! As in an API server (`apiserver/pkg/endpoints/filters`): each text once, whole as long as all of them are short
//! enough together, else each one cut. What it drops because of a control character is told here, with the character
//! spelled out.

use std::collections::BTreeSet;

use horizon_api::problem::printable;

/// How many characters of a text are told when there is too much of it.
const TEXT_CHARACTERS_MAX: usize = 256;
/// How much the headers of one answer may say together, in bytes.
const BYTES_MAX: usize = 4 * 1024;

/// Returns the values of the headers, such as `299 - "unknown field \"spec.x\""`. They may hold UTF-8, but neither line
/// breaks nor other control characters.
pub fn headers<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut told = BTreeSet::new();
    let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty() && told.insert(*text)).collect();
    let whole: Option<Vec<String>> = fitting(texts.iter().copied()).collect();
    whole.unwrap_or_else(|| fitting(texts.iter().map(|text| cut(text))).map_while(|header| header).collect())
}

/// Returns headers, and nothing for those that are too much.
fn fitting<'t>(texts: impl Iterator<Item = &'t str>) -> impl Iterator<Item = Option<String>> {
    let mut bytes = 0;
    texts.map(move |text| {
        let header = header(text);
        bytes += header.len();
        (bytes <= BYTES_MAX).then_some(header)
    })
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARACTERS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// 299 is a lasting warning, the dash an agent without a name; a quoted text escapes quotes and backslashes.
fn header(text: &str) -> String {
    let text = printable(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("299 - \"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_quoted() {
        let texts = [r#"unknown field "spec.x""#, r"a\b", "é"];

        let headers = headers(texts);

        assert_eq!(headers, [r#"299 - "unknown field \"spec.x\"""#, r#"299 - "a\\b""#, r#"299 - "é""#]);
    }

    #[test]
    fn nothing_breaks_out_of_a_header() {
        let header = headers(["a\r\nSet-Cookie: b\u{1b}[2J\u{7f}\u{202e}"]).remove(0);

        assert_eq!(header, r#"299 - "a\\u000d\\u000aSet-Cookie: b\\u001b[2J\\u007f\\u202e""#);
    }

    #[test]
    fn each_is_told_once_and_emptiness_never() {
        assert_eq!(headers(["a", "", "b", "a"]), [r#"299 - "a""#, r#"299 - "b""#]);
    }

    #[test]
    fn what_fits_is_whole_and_too_much_is_cut() {
        let long = "x".repeat(3000);
        assert_eq!(headers([long.as_str()])[0].len(), 3000 + 8);

        let longer = "é".repeat(3000);
        assert_eq!(headers([longer.as_str()]), [format!("299 - \"{}\"", "é".repeat(256))]);
        let many: Vec<String> = (0..1000).map(|n| format!("{n}{long}")).collect();
        let headers = headers(many.iter().map(String::as_str));
        assert_eq!(headers.len(), 4096 / (256 + 8));
        assert!(headers.iter().map(String::len).sum::<usize>() <= 4096);
    }
}
