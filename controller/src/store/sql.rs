//! Where one SQL statement ends and the next begins.
//!
//! libsql runs only the first statement of a text and says `Ok`, so a text is counted before it is run,
//! and migrations are cut into statements here.

/// Returns the statements of a text without their final semicolons; comments alone are no statement.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = statement_end(rest);
        let statement = rest[..end].trim();
        if has_token(statement) {
            found.push(statement);
        }
        rest = rest.get(end + 1..).unwrap_or("");
    }
    found
}

/// Returns the offset of the semicolon that ends the first statement, or the text's length.
fn statement_end(text: &str) -> usize {
    let mut offset = 0;
    let mut words = Words::default();
    while let Some((length, token)) = next_token(&text[offset..]) {
        match token {
            Token::Word => words.see(&text[offset..offset + length]),
            Token::Semicolon if words.is_complete() => return offset,
            Token::Semicolon => words.last_is_end = false,
            Token::Blank | Token::Other => {}
        }
        offset += length;
    }
    text.len()
}

fn has_token(text: &str) -> bool {
    let mut offset = 0;
    while let Some((length, token)) = next_token(&text[offset..]) {
        if token != Token::Blank {
            return true;
        }
        offset += length;
    }
    false
}

/// What is known of the statement so far: a trigger's body has semicolons of its own, up to its `END`.
#[derive(Default)]
struct Words {
    seen: usize,
    is_create: bool,
    is_trigger: bool,
    last_is_end: bool,
}

impl Words {
    fn see(&mut self, word: &str) {
        let is = |expected: &str| word.eq_ignore_ascii_case(expected);
        match self.seen {
            0 => self.is_create = is("create"),
            1 | 2 if self.is_create => self.is_trigger |= is("trigger"),
            _ => {}
        }
        self.last_is_end = is("end");
        self.seen += 1;
    }

    fn is_complete(&self) -> bool {
        !self.is_trigger || self.last_is_end
    }
}

#[derive(PartialEq)]
enum Token {
    /// White space or a comment.
    Blank,
    Word,
    Semicolon,
    /// A quoted text or name, or any other character.
    Other,
}

fn next_token(text: &str) -> Option<(usize, Token)> {
    let first = text.chars().next()?;
    let until = |pattern: &str, from: usize| {
        text[from..].find(pattern).map_or(text.len(), |found| from + found + pattern.len())
    };
    let token = match first {
        ';' => (1, Token::Semicolon),
        '\'' | '"' | '`' => (until(&first.to_string(), 1), Token::Other),
        '[' => (until("]", 1), Token::Other),
        '-' if text.starts_with("--") => (until("\n", 2), Token::Blank),
        '/' if text.starts_with("/*") => (until("*/", 2), Token::Blank),
        _ if first.is_whitespace() => (first.len_utf8(), Token::Blank),
        _ if is_word(first) => (text.find(|c| !is_word(c)).unwrap_or(text.len()), Token::Word),
        _ => (first.len_utf8(), Token::Other),
    };
    Some(token)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(statements(text), expected);
    }

    #[test]
    fn text_is_cut_at_semicolons() {
        check("a; b;", &["a", "b"]);
        check("a", &["a"]);
        check(" ;; ", &[]);
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        check("a ';' b", &["a ';' b"]);
        check("a 'it''s;' b", &["a 'it''s;' b"]);
        check("a \";\" [;] `;` b", &["a \";\" [;] `;` b"]);
        check("a /* ; */ b -- ;\n; c", &["a /* ; */ b -- ;", "c"]);
        check("a; -- the end", &["a"]);
    }

    #[test]
    fn trigger_ends_at_its_end() {
        let trigger = "CREATE TRIGGER t BEFORE UPDATE ON a BEGIN SELECT 1; SELECT 2; END";
        check(&format!("{trigger}; b"), &[trigger, "b"]);
    }
}
