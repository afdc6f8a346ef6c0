//! Cuts the text of a label selector into words and signs, as `apimachinery/pkg/labels` does.

/// A word or sign of a label selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key or a value; `in` and `notin` too, which mean what they mean by their place.
    Word(&'a str),
    /// One of `( ) , ! = == != > <`.
    Sign(&'a str),
    End,
}

impl<'a> Token<'a> {
    /// Returns how complaints name it.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Sign(text) => text,
            Self::End => "",
        }
    }
}

/// Reads token after token; at the end it gives [`Token::End`] for ever.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches(is_space);
        let Some(first) = self.rest.chars().next() else { return Token::End };
        if is_sign(first) {
            let length = if self.rest.starts_with("==") || self.rest.starts_with("!=") { 2 } else { 1 };
            let (sign, rest) = self.rest.split_at(length);
            self.rest = rest;
            return Token::Sign(sign);
        }
        let length = self.rest.find(|c| is_sign(c) || is_space(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Token::Word(word)
    }

    /// Returns the next token and leaves it there.
    pub(super) fn peek(&self) -> Token<'a> {
        Self { rest: self.rest }.take()
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_sign(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}
