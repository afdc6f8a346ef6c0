//! Bytes as they arrive to whole lines.

/// What has arrived of a line that is not whole yet.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes a piece, and returns the lines that it completes. What is no text is passed over.
    pub fn take(&mut self, piece: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return vec![] };
        let later = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, later);
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| String::from_utf8(line.to_vec()).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let mut lines = Lines::default();

        assert_eq!(lines.take(b"{\"a\":\"\xc3"), Vec::<String>::new());
        assert_eq!(lines.take(b"\xa9\"}\n{\"b\""), ["{\"a\":\"\u{e9}\"}"]);
        assert_eq!(lines.take(b":1}\n\n{}\n"), ["{\"b\":1}", "{}"]);
    }
}
