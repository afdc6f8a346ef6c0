//! A list on its way: written piece by piece, so that many long lists to slow readers take little memory.

use std::{iter, mem, sync::Arc, vec};

use axum::body::{Body, Bytes};
use horizon_machinery::{refusal::Refusal, stored::Stored};
use serde_json::Value;

use super::lane::Place;

/// A piece is at least this long, unless it is the last: few enough writes, little enough work and memory.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes one object of a list behind what is there.
pub(super) type Writer = Box<dyn Fn(&Stored, &mut Vec<u8>) + Send + Sync>;

/// Returns a list as JSON: what it says about itself, and its objects as the last `member`. A short one is whole, and
/// says its length; a longer one takes its place in a lane.
///
/// # Errors
/// 429 when the lane is full.
pub(super) fn body(
    about: &Value,
    member: &str,
    items: Vec<Arc<Stored>>,
    write: Writer,
    place: impl FnOnce() -> Result<Place, Refusal>,
) -> Result<Body, Refusal> {
    let mut pieces = Pieces::new(about, member, items, write);
    Ok(match pieces.next() {
        None => Body::empty(),
        Some(first) if pieces.is_over => Body::from(first),
        Some(first) => place()?.send(iter::once(first).chain(pieces)),
    })
}

/// Cuts what is written already into pieces that do not keep the rest in memory.
pub(super) fn cut(whole: Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..whole.len()).step_by(PIECE_BYTES);
    starts.map(move |start| {
        let end = whole.len().min(start + PIECE_BYTES);
        Bytes::copy_from_slice(&whole[start..end])
    })
}

struct Pieces {
    begun: Vec<u8>,
    items: vec::IntoIter<Arc<Stored>>,
    write: Writer,
    is_first: bool,
    is_over: bool,
}

impl Pieces {
    fn new(about: &Value, member: &str, items: Vec<Arc<Stored>>, write: Writer) -> Self {
        let mut begun = about.to_string().into_bytes();
        // The bracket that closes it comes last.
        begun.pop();
        begun.extend_from_slice(format!(",{}:[", Value::from(member)).as_bytes());
        Self { begun, items: items.into_iter(), write, is_first: true, is_over: false }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = mem::take(&mut self.begun);
        while piece.len() < PIECE_BYTES && !self.is_over {
            match self.items.next() {
                None => {
                    piece.extend_from_slice(b"]}\n");
                    self.is_over = true;
                }
                Some(object) => {
                    if !mem::take(&mut self.is_first) {
                        piece.push(b',');
                    }
                    (self.write)(&object, &mut piece);
                }
            }
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_cut_is_whole() {
        for length in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let whole: Bytes = (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect();

            let pieces: Vec<Bytes> = cut(whole.clone()).collect();

            assert_eq!((pieces.len(), pieces.concat()), (length.div_ceil(PIECE_BYTES), whole.to_vec()));
        }
    }

    #[test]
    fn the_pieces_are_the_list() {
        for (count, is_one) in [(0, true), (1, true), (2_000, false)] {
            let metadata =
                |number| json!({ "name": format!("u{number}"), "annotations": { "a": "x".repeat(60) } });
            let object = |number: usize| json!({ "metadata": metadata(number) });
            let items = (0..count).map(|number| Stored::new(&object(number), 1, &[])).collect();
            let write: Writer = Box::new(|object, piece| piece.extend_from_slice(&object.json()));

            let pieces: Vec<Bytes> =
                Pieces::new(&json!({ "kind": "UserList" }), "items", items, write).collect();

            assert_eq!(pieces.len() == 1, is_one, "{count}");
            assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE_BYTES));
            let whole: Value = serde_json::from_slice(&pieces.concat()).unwrap();
            let objects: Vec<Value> = (0..count).map(object).collect();
            assert_eq!(whole, json!({ "kind": "UserList", "items": objects }));
        }
    }
}
