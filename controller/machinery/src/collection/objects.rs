//! Objects in the order of their keys, in chunks that snapshots share: a clone costs one pointer, and a write after it
//! copies the list of chunks and one chunk, never an object.

use std::{fmt, ops::Bound, sync::Arc};

use crate::stored::Stored;

/// Every object of one kind, in order.
#[derive(Clone, Default)]
pub(crate) struct Objects {
    /// Each has at least one object, and all of its keys are below those of the next.
    chunks: Arc<Vec<Arc<Chunk>>>,
    len: usize,
}

type Chunk = Vec<Arc<Stored>>;

/// Where an object stands; true until the objects change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    chunk: usize,
    index: usize,
}

/// A chunk with more objects is split: what a write copies, two kilobytes of pointers.
const CHUNK_MAX: usize = 256;
/// A chunk with fewer objects is joined with one beside it.
const CHUNK_MIN: usize = CHUNK_MAX / 4;
/// How many objects a chunk begins with, and may have after it was joined: there is room for more.
const CHUNK_FILL: usize = CHUNK_MAX * 3 / 4;

/// Of several objects with one key the last counts.
impl FromIterator<Arc<Stored>> for Objects {
    fn from_iter<I: IntoIterator<Item = Arc<Stored>>>(objects: I) -> Self {
        let mut objects: Vec<_> = objects.into_iter().collect();
        objects.sort_by(|a, b| a.key().cmp(b.key()));
        objects.dedup_by(|later, earlier| {
            let is_same = later.key() == earlier.key();
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        let len = objects.len();
        let chunks = objects.chunks(CHUNK_FILL).map(|chunk| Arc::new(chunk.to_vec())).collect();
        Self { chunks: Arc::new(chunks), len }
    }
}

impl Objects {
    /// Puts an object where it belongs and returns the one that stood there.
    pub(crate) fn put(&mut self, object: Arc<Stored>) -> Option<Arc<Stored>> {
        let at = self.chunk_of(object.key());
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(chunk) = chunks.get_mut(at) else {
            chunks.push(Arc::new(vec![object]));
            self.len += 1;
            return None;
        };
        let chunk = Arc::make_mut(chunk);
        match find(chunk, object.key()) {
            Ok(index) => Some(std::mem::replace(&mut chunk[index], object)),
            Err(index) => {
                chunk.insert(index, object);
                self.len += 1;
                if chunk.len() > CHUNK_MAX {
                    let upper = chunk.split_off(chunk.len() / 2);
                    chunks.insert(at + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Takes an object out; one that is not there copies nothing.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Arc<Stored>> {
        let at = self.chunk_of(key);
        let index = find(self.chunks.get(at)?, key).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[at]);
        let gone = chunk.remove(index);
        self.len -= 1;
        match chunk.len() {
            0 => {
                chunks.remove(at);
            }
            1..CHUNK_MIN => join(chunks, at),
            _ => {}
        }
        Some(gone)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Stored>> {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        find(chunk, key).ok().map(|index| &chunk[index])
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the place of the first object from a key on.
    pub(crate) fn place(&self, from: Bound<&str>) -> Place {
        match from {
            Bound::Unbounded => Place { chunk: 0, index: 0 },
            Bound::Included(start) => self.place_behind(|key| key < start),
            Bound::Excluded(start) => self.place_behind(|key| key <= start),
        }
    }

    /// Returns the place behind all objects of which something is true that is true of none behind them.
    fn place_behind(&self, is_before: impl Fn(&str) -> bool) -> Place {
        let is_before = |object: &Arc<Stored>| is_before(object.key());
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_before));
        let index = self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(is_before));
        Place { chunk, index }
    }

    /// Counts the objects from a key on whose keys begin with a prefix; it looks at no object but a few.
    pub(crate) fn count(&self, from: Bound<&str>, prefix: &str) -> usize {
        let end = self.place_behind(|key| key < prefix || key.starts_with(prefix));
        let rank = |place: Place| {
            self.chunks.iter().take(place.chunk).map(|chunk| chunk.len()).sum::<usize>() + place.index
        };
        let begin = self.place(from).max(self.place(Bound::Included(prefix)));
        rank(end).saturating_sub(rank(begin))
    }

    /// Returns the objects from a place on.
    pub(crate) fn iter_from(&self, place: Place) -> Iter<'_> {
        Iter { objects: self, place }
    }

    /// Returns which chunk has an object, or would have it.
    fn chunk_of(&self, key: &str) -> usize {
        let begins_after = |chunk: &Arc<Chunk>| chunk.first().is_none_or(|first| first.key() > key);
        self.chunks.partition_point(|chunk| !begins_after(chunk)).saturating_sub(1)
    }
}

fn find(chunk: &Chunk, key: &str) -> Result<usize, usize> {
    chunk.binary_search_by(|object| object.key().cmp(key))
}

/// Joins a small chunk with the next or the last one, if both leave room for more.
fn join(chunks: &mut Vec<Arc<Chunk>>, at: usize) {
    let fits = |left: usize| {
        let right = chunks.get(left + 1)?;
        (chunks[left].len() + right.len() <= CHUNK_FILL).then_some(left)
    };
    let Some(left) = fits(at).or_else(|| fits(at.checked_sub(1)?)) else { return };
    let right = chunks.remove(left + 1);
    Arc::make_mut(&mut chunks[left]).extend(right.iter().cloned());
}

/// Objects in order, from a place on.
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a> {
    objects: &'a Objects,
    place: Place,
}

impl Iter<'_> {
    /// Returns the place of the next object.
    pub(crate) fn place(&self) -> Place {
        self.place
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Arc<Stored>;

    fn next(&mut self) -> Option<&'a Arc<Stored>> {
        let Place { chunk, index } = self.place;
        let chunk_here = self.objects.chunks.get(chunk)?;
        let object = chunk_here.get(index)?;
        let is_last = index + 1 == chunk_here.len();
        self.place = match is_last {
            true => Place { chunk: chunk + 1, index: 0 },
            false => Place { chunk, index: index + 1 },
        };
        Some(object)
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn object(number: u64, version: u64) -> Arc<Stored> {
        Stored::new(&json!({ "metadata": { "name": format!("u{number:05}") } }), version, &[])
    }

    fn chunks_apart(a: &Objects, b: &Objects) -> usize {
        let is_shared = |chunk: &&Arc<Chunk>| b.chunks.iter().any(|other| Arc::ptr_eq(chunk, other));
        a.chunks.len() - a.chunks.iter().filter(is_shared).count()
    }

    fn check(objects: &Objects, expected: &BTreeMap<String, Arc<Stored>>) {
        let all: Vec<_> = objects.iter_from(objects.place(Bound::Unbounded)).collect();
        assert!(all.iter().zip(expected.values()).all(|(a, b)| Arc::ptr_eq(a, b)));
        assert_eq!((all.len(), objects.len()), (expected.len(), expected.len()));
        assert!(objects.chunks.iter().all(|chunk| (1..=CHUNK_MAX).contains(&chunk.len())));
        let crumbs = objects.chunks.windows(2).filter(|pair| pair[0].len() + pair[1].len() < CHUNK_MIN);
        assert_eq!(crumbs.count(), 0, "small chunks are joined");
    }

    #[test]
    fn they_are_as_a_map_through_any_writes() {
        let (mut objects, mut expected) = (Objects::default(), BTreeMap::new());
        // A linear congruential generator: any order that is none.
        let mut random: u64 = 1;
        let numbers = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        });

        for (step, number) in (0_u64..16_000).zip(numbers) {
            let object = object(number % 3000, step);
            // First they grow, then they shrink to nothing.
            let is_put = number / 3000 % 10 < if step < 8000 { 8 } else { 1 };
            let key = object.key().to_owned();
            let (ours, theirs) = match is_put {
                true => (objects.put(Arc::clone(&object)), expected.insert(key, object)),
                false => (objects.remove(&key), expected.remove(&key)),
            };
            assert_eq!(ours, theirs);
            if step % 200 == 0 {
                check(&objects, &expected);
            }
        }
        let keys: Vec<String> = expected.keys().cloned().collect();
        for key in keys {
            assert_eq!(objects.remove(&key), expected.remove(&key));
        }
        check(&objects, &expected);
        assert!(objects.chunks.is_empty());
    }

    #[test]
    fn a_write_after_a_clone_copies_one_chunk() {
        let objects: Objects = (0..10_000).map(|number| object(number, 1)).collect();
        let snapshot = objects.clone();
        assert!(objects.chunks.len() <= 80 && Arc::ptr_eq(&objects.chunks, &snapshot.chunks));

        let mut changed = objects.clone();
        changed.put(object(5000, 2));
        assert_eq!(chunks_apart(&changed, &snapshot), 1);
        changed.remove("u05000");
        assert_eq!(chunks_apart(&changed, &snapshot), 1);

        let mut same = objects;
        same.remove("nobody");
        assert!(Arc::ptr_eq(&same.chunks, &snapshot.chunks));
        assert_eq!(snapshot.get("u05000").map(|object| object.version()), Some(1));
        assert_eq!((changed.get("u05000"), changed.len(), snapshot.len()), (None, 9999, 10_000));
    }

    #[test]
    fn a_place_is_found_before_on_and_behind_every_key() {
        let objects: Objects = (0..1000).map(|number| object(number * 2, 1)).collect();
        let first = |from: Bound<&str>| {
            let next = objects.iter_from(objects.place(from)).next();
            next.map(|object| object.key().to_owned())
        };

        for number in 0..=1999_u64 {
            let key = format!("u{number:05}");
            let even = |number: u64| (number < 2000).then(|| format!("u{number:05}"));
            assert_eq!(first(Bound::Included(&key)), even(number.next_multiple_of(2)), "{key}");
            assert_eq!(first(Bound::Excluded(&key)), even(number / 2 * 2 + 2), "{key}");
            let behind = (1999 - number) as usize / 2;
            assert_eq!(objects.count(Bound::Excluded(&key), "u"), behind, "{key}");
        }
        assert_eq!(first(Bound::Included("")), Some("u00000".to_owned()));
        assert_eq!(first(Bound::Excluded("z")), None);
        assert_eq!(objects.count(Bound::Included("u0100"), "u0100"), 5);
        assert_eq!((objects.count(Bound::Unbounded, ""), objects.count(Bound::Unbounded, "t")), (1000, 0));
        assert_eq!(Objects::default().place(Bound::Included("a")), Place { chunk: 0, index: 0 });
    }

    #[test]
    fn of_two_objects_with_one_key_the_last_counts() {
        let objects: Objects = [object(1, 1), object(2, 1), object(1, 3), object(1, 2)].into_iter().collect();

        assert_eq!((objects.len(), objects.get("u00001").map(|object| object.version())), (2, Some(2)));
    }
}
