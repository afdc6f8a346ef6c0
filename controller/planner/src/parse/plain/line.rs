//! Lines of a plain text, and a cursor in them.

use crate::node::Place;

/// Where the cursor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Content,
    /// After a `---` that is alone in its line.
    Document,
    End,
}

pub(super) struct Lines<'t> {
    pub text: &'t str,
    pub stop: Stop,
    /// Offset of the cursor.
    pub at: usize,
    line: u32,
    line_start: usize,
    /// Where the next line begins.
    next: usize,
    /// Bytes of this line that begin no character, up to an offset.
    wide: (usize, usize),
}

/// Says whether a text has nothing that needs a second thought wherever it stands.
pub(super) fn is_plain(text: &str) -> bool {
    if text.is_ascii() {
        return text.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte));
    }
    text.chars().all(|c| matches!(c, '\n' | ' '..='~') || is_letter(c))
}

/// Says whether a character is surely visible, upright and alone: Latin, Greek, Cyrillic, kana, Han, Hangul.
fn is_letter(c: char) -> bool {
    matches!(c, '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' | '\u{391}'..='\u{481}' | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, stop: Stop::End, at: 0, line: 0, line_start: 0, next: 0, wide: (0, 0) }
    }

    /// Goes to the first character of the next line that is more than blanks and comment.
    pub(super) fn advance(&mut self) -> Option<()> {
        loop {
            if self.next >= self.text.len() {
                self.at = self.text.len();
                self.stop = Stop::End;
                return Some(());
            }
            self.enter_next();
            let bytes = self.text.as_bytes();
            while bytes.get(self.at) == Some(&b' ') {
                self.at += 1;
            }
            match bytes.get(self.at) {
                None | Some(b'\n' | b'#') => {}
                Some(b'-' | b'.' | b'%') if self.at == self.line_start => return self.mark(),
                Some(_) => {
                    self.stop = Stop::Content;
                    return Some(());
                }
            }
        }
    }

    /// Enters the next line, whatever it holds.
    pub(super) fn enter_next(&mut self) {
        self.line += 1;
        self.line_start = self.next;
        self.at = self.next;
        self.wide = (self.next, 0);
        let rest = &self.text.as_bytes()[self.next..];
        self.next += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |length| length + 1);
    }

    /// Returns the next line without its end, unless there is none.
    pub(super) fn peek_next(&self) -> Option<&'t str> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        Some(rest.split_once('\n').map_or(rest, |(line, _)| line))
    }

    fn mark(&mut self) -> Option<()> {
        let line = self.rest();
        let Some(after) = line.strip_prefix("---") else {
            self.stop = Stop::Content;
            return line.starts_with("- ").then_some(());
        };
        self.stop = Stop::Document;
        let rest = after.trim_start_matches(' ');
        (rest.is_empty() || (rest.starts_with('#') && after.starts_with(' '))).then_some(())
    }

    /// Returns the rest of the line.
    pub(super) fn rest(&self) -> &'t str {
        let end = if self.text.as_bytes().get(self.next.wrapping_sub(1)) == Some(&b'\n') {
            self.next - 1
        } else {
            self.next
        };
        &self.text[self.at..end.max(self.at)]
    }

    pub(super) fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b'\n')
    }

    pub(super) fn column(&self) -> usize {
        self.at - self.line_start
    }

    pub(super) fn place(&mut self) -> Place {
        let (from, before) = self.wide;
        let passed = &self.text.as_bytes()[from..self.at];
        let wide = before + passed.iter().filter(|byte| (0x80..0xc0).contains(*byte)).count();
        self.wide = (self.at, wide);
        let column = u32::try_from(self.column() - wide + 1).unwrap_or(u32::MAX);
        Place { line: self.line, column }
    }

    /// Goes over blanks, and says whether only a comment is left in the line.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let before = self.at;
        while self.byte() == b' ' {
            self.at += 1;
        }
        self.byte() == b'\n' || (self.byte() == b'#' && self.at > before)
    }

    /// Leaves the line, if nothing is left in it.
    pub(super) fn end(&mut self) -> Option<()> {
        if self.skip_blanks() { self.advance() } else { None }
    }

    /// Says whether the line at the cursor goes on with a collection in this column; deeper ones belong nowhere.
    pub(super) fn continues(&self, column: usize) -> Option<bool> {
        match self.stop {
            Stop::Content if self.column() > column => None,
            Stop::Content => Some(self.column() == column),
            Stop::Document | Stop::End => Some(false),
        }
    }

    /// Says whether the cursor is at the dash of a list.
    pub(super) fn is_dash(&self) -> bool {
        let bytes = self.text.as_bytes();
        self.byte() == b'-' && matches!(bytes.get(self.at + 1), None | Some(b' ' | b'\n'))
    }

    pub(super) fn is_key(&self) -> bool {
        self.key_length().is_some()
    }

    /// Reads a key and its colon.
    pub(super) fn key(&mut self) -> Option<&'t str> {
        let length = self.key_length()?;
        let key = &self.text[self.at..self.at + length];
        self.at += length + 1;
        Some(key)
    }

    fn key_length(&self) -> Option<usize> {
        let bytes = &self.text.as_bytes()[self.at..];
        let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
        let length = bytes.iter().take(KEY_MAX).take_while(|byte| is_inner(byte)).count();
        let is_key = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.get(length) == Some(&b':')
            && matches!(bytes.get(length + 1), None | Some(b' ' | b'\n'));
        is_key.then_some(length)
    }
}

/// Longer keys are left to the full parser, which has a limit of its own.
const KEY_MAX: usize = 320;
