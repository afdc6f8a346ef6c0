//! `%41` for `A`, as it stands in URLs (RFC 3986 §2.1).

/// Undoes the escapes of a text, once. Nothing if one is broken, or if what comes out is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(rest.next(), rest.next())? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn hex(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(decode("a%2525+%C3%A9").as_deref(), Some("a%25+é"));
        for broken in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }
}
