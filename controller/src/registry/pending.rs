//! What clients wrote and the reconciler has not heard of: the newest word about each object.

use std::collections::{BTreeMap, VecDeque};

use horizon_api::resource::{Kind, ObjectKey};

use crate::fate::{ApiChanges, ApiObject};

/// Changes that wait for the reconciler.
#[derive(Debug, Default)]
pub(super) struct Pending {
    objects: BTreeMap<ObjectKey, Change>,
    /// Who waits, the first that came first.
    authors: VecDeque<String>,
}

#[derive(Debug)]
struct Change {
    object: Option<ApiObject>,
    author: String,
}

impl Pending {
    pub(super) fn put(&mut self, key: ObjectKey, object: Option<ApiObject>, author: &str) {
        self.objects.insert(key, Change { object, author: author.to_owned() });
        if !self.authors.iter().any(|waiting| waiting == author) {
            self.authors.push_back(author.to_owned());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key)
    }

    /// Takes out everything that one author changed: whoever takes their own way in is told so, and nobody else. Authors
    /// take turns.
    pub(super) fn take(&mut self) -> ApiChanges {
        let Some(author) = self.authors.pop_front() else { return ApiChanges::default() };
        let all = std::mem::take(&mut self.objects).into_iter();
        let (of_author, of_others) = all.partition(|(_, change)| change.author == author);
        self.objects = of_others;
        let of_author: BTreeMap<_, Change> = of_author;
        let objects = of_author.into_iter().map(|(key, change)| (key, change.object)).collect();
        ApiChanges { objects, by: admin(&author) }
    }
}

/// Returns the Admin whom a subject names: `NAMESPACE/NAME`. The operator of the host is none.
fn admin(subject: &str) -> Option<ObjectKey> {
    let (namespace, name) = subject.split_once('/')?;
    Some(ObjectKey::new(Kind::Admin, namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_one_author_go_together() {
        let key = |name: &str| ObjectKey::new(Kind::User, "default", name);
        let mut pending = Pending::default();
        pending.put(key("a"), None, "default/ann");
        pending.put(key("b"), None, "operator");
        pending.put(key("c"), None, "default/ann");
        pending.put(key("c"), None, "operator");

        let first = pending.take();
        pending.put(key("a"), None, "default/ann");
        let second = pending.take();

        let names =
            |changes: &ApiChanges| changes.objects.keys().map(|key| key.name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (names(&first), names(&second)),
            (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()])
        );
        assert_eq!(first.by, Some(ObjectKey::new(Kind::Admin, "default", "ann")));
        assert_eq!(second.by, None);
        assert_eq!(names(&pending.take()), ["a"]);
        assert!(pending.is_empty());
    }
}
