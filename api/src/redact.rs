//! Takes secrets out of text that is about to leave a process: the one layer that logs and errors go through.

use std::borrow::Cow;

/// `hzr_`, `hzc_`, `hza_`: every kind of token begins like this.
const PREFIX_CHARS: usize = 4;
/// Prefix, id and the mark after it, which may be shown.
const SHOWN_CHARS: usize = PREFIX_CHARS + 10 + 1;

/// Returns the text with the secret part of every token in it left out. What is too short to hold one stays.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let Some(first) = find(text, 0) else { return Cow::Borrowed(text) };
    let mut clean = String::with_capacity(text.len());
    let mut rest = 0;
    let mut next = Some(first);
    while let Some(start) = next {
        let end = end_of(text, start);
        clean.push_str(&text[rest..start + SHOWN_CHARS]);
        clean.push('…');
        rest = end;
        next = find(text, end);
    }
    clean.push_str(&text[rest..]);
    Cow::Owned(clean)
}

/// Returns where the next text begins that may be a token with more than its id.
fn find(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let begins = |at: &usize| {
        let word = &bytes[*at..];
        word.starts_with(b"hz")
            && word.get(2).is_some_and(u8::is_ascii_lowercase)
            && word.get(3) == Some(&b'_')
            && end_of(text, *at) > at + SHOWN_CHARS
    };
    (from..bytes.len()).find(begins)
}

fn end_of(text: &str, start: usize) -> usize {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let rest = &text.as_bytes()[start..];
    start + rest.iter().position(|byte| !is_of_token(byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Token, TokenKind};

    #[test]
    fn no_secret_of_a_token_is_left_wherever_it_stands() {
        let token = Token::generate(TokenKind::Registration, &std::array::from_fn(|i| i as u8));
        let secret = &token.reveal()[SHOWN_CHARS..];

        for text in [
            token.reveal().to_owned(),
            format!("key={}#root", token.reveal()),
            format!("x{}\n{} é", token.reveal(), token.reveal()),
        ] {
            let clean = redacted(&text);
            assert!(!clean.contains(secret) && clean.contains(token.id()), "{clean}");
        }
        let cut = &token.reveal()[..40];
        assert!(!redacted(cut).contains(&cut[SHOWN_CHARS..]), "a part is as secret");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["", "hz", "hzr_", "hzr_0123456789", "a hzn-cfg/1 link, größer"] {
            assert!(matches!(redacted(text), Cow::Borrowed(same) if same == text));
        }
    }
}
