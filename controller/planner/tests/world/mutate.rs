//! Turns good files into bad ones the way that hands, editors and enemies do.

#![allow(dead_code, unreachable_pub, reason = "each program that includes it uses another part")]

/// Returns a number below another one, which is more than 0.
pub type Below<'a> = dyn FnMut(usize) -> usize + 'a;

/// Changes a text in one to four places.
pub fn mutate(text: &mut Vec<u8>, below: &mut Below<'_>) {
    for _ in 0..=below(4) {
        let at = place(text, below);
        match below(10) {
            0 => drop(text.drain(at..(at + 1 + below(40)).min(text.len()))),
            1 => text.truncate(at),
            2 => insert(text, at, &PIECES[below(PIECES.len())].repeat(1 + below(300))),
            3 => insert(text, at, &b" ".repeat(1 + below(4))),
            4 => {
                let copy = text[at..(at + below(120)).min(text.len())].to_vec();
                let to = place(text, below);
                insert(text, to, &copy);
            }
            5 => insert(text, at, &[below(256) as u8]),
            6 if at < text.len() => text[at] = PIECES[below(PIECES.len())][0],
            _ => insert(text, at, PIECES[below(PIECES.len())]),
        }
    }
}

/// Half of the places are where a line begins, because most of YAML's meaning is there.
fn place(text: &[u8], below: &mut Below<'_>) -> usize {
    let at = below(text.len() + 1);
    match below(2) {
        0 => at,
        _ => text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1),
    }
}

fn insert(text: &mut Vec<u8>, at: usize, piece: &[u8]) {
    text.splice(at..at, piece.iter().copied());
}

/// What has a meaning somewhere in YAML, and what nobody expects.
pub const PIECES: [&[u8]; 78] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b"{a: ",
    b", ",
    b",",
    b": ",
    b":",
    b":\n",
    b"- ",
    b"-",
    b"-\n",
    b"? ",
    b"?\n",
    b"\n",
    b"\n\n",
    b" ",
    b"  ",
    b"\t",
    b"\r",
    b"\r\n",
    b"#",
    b" # a\n",
    b"# a\n",
    b"---\n",
    b"--- ",
    b"...\n",
    b"--- # a\n",
    b"%YAML 1.1\n",
    b"%TAG ! tag:a,2000:\n",
    b"&a ",
    b"*a",
    b"*a ",
    b"!!str ",
    b"!b ",
    b"!<tag:a> ",
    b"|\n",
    b">\n",
    b"|-\n",
    b">-\n",
    b"|+\n",
    b">2-\n",
    b"| # a\n",
    b"\"",
    b"'",
    b"''",
    b"\\",
    b"\\n",
    b"\\x41",
    b"\\\n",
    b"<<: ",
    b"a: b\n",
    b"a:\n",
    b"  a: b\n",
    b"- a\n",
    b"- a: b\n  c: d\n",
    b"- - a\n",
    b"a: [b, c]\n",
    b"a: {b: c, d: [e]}\n",
    b"a: \"b\" # c\n",
    b"a: 'b'\n",
    b"a: |\n  b\n  c\n",
    b"a: >-\n  b\n  c\n",
    b"a: b\n  c\n",
    b"0x1F",
    b"-1",
    b"1e3",
    b".nan",
    b"~",
    b"null",
    b"true",
    b"\xc3\xbc",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x90\x9d",
    b"\xff",
    b"\0",
];
