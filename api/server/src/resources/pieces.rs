//! A list on its way: written piece by piece from the bytes that its objects share with every other reader, so that many
//! long lists to slow readers take little memory.

use std::{convert::Infallible, iter, mem, sync::Arc, vec};

use axum::body::{Body, Bytes};
use horizon_machinery::{list::Page, resource::Resource, stored::Stored};

/// A piece is at least this long, unless it is the last: few enough writes, little enough memory.
const PIECE_BYTES: usize = 64 * 1024;

/// Returns a page as JSON; a short one is whole, and says its length.
pub(super) fn body(page: Page, resource: &Resource) -> Body {
    let mut pieces = Pieces::of(page, resource);
    match pieces.next() {
        None => Body::empty(),
        Some(first) if pieces.is_over => Body::from(first),
        Some(first) => {
            let all = iter::once(first).chain(pieces).map(Ok::<_, Infallible>);
            Body::from_stream(tokio_stream::iter(all))
        }
    }
}

struct Pieces {
    begun: Vec<u8>,
    items: vec::IntoIter<Arc<Stored>>,
    is_first: bool,
    is_over: bool,
}

impl Pieces {
    fn of(mut page: Page, resource: &Resource) -> Self {
        let items = mem::take(&mut page.items).into_iter();
        let mut begun = page.json(&resource.api_version(), &resource.kind);
        // What is left is `…"items":[]}`.
        begun.truncate(begun.len().saturating_sub(END.len()));
        Self { begun, items, is_first: true, is_over: false }
    }
}

const END: &[u8] = b"]}";

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = mem::take(&mut self.begun);
        while piece.len() < PIECE_BYTES && !self.is_over {
            match self.items.next() {
                None => {
                    piece.extend_from_slice(END);
                    self.is_over = true;
                }
                Some(object) => {
                    if !mem::take(&mut self.is_first) {
                        piece.push(b',');
                    }
                    piece.extend_from_slice(object.json());
                }
            }
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_pieces_are_the_list() {
        for (count, is_one) in [(0, true), (1, true), (2_000, false)] {
            let object = |number: usize| {
                let metadata =
                    json!({ "name": format!("u{number}"), "annotations": { "a": "x".repeat(60) } });
                Stored::new(&json!({ "metadata": metadata }), 1, &[])
            };
            let page = || Page {
                items: (0..count).map(object).collect(),
                version: 7,
                continuation: "more".to_owned(),
                remaining: Some(3),
            };
            let resource = Resource::of(Kind::User);

            let pieces: Vec<Bytes> = Pieces::of(page(), resource).collect();

            assert_eq!(pieces.len() == 1, is_one, "{count}");
            assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE_BYTES));
            let whole: Value = serde_json::from_slice(&pieces.concat()).unwrap();
            let expected = page().json(&resource.api_version(), &resource.kind);
            assert_eq!(whole, serde_json::from_slice::<Value>(&expected).unwrap());
        }
    }
}
