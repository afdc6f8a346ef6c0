//! What was seen of the cluster. A delete is believed when the definition of its kind stands: with a definition the API
//! server deletes all of its objects, and a list without them is no wish of anybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::resource::{GROUP, Kind, ObjectKey};
use horizon_kube::{Definition, Seen, Sight, Trouble};
use horizon_planner::manifest::{Parsed, parse_object};
use serde_json::Value;

use super::{ClusterScan, Declared, KindScan, locator};

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    kinds: BTreeMap<Kind, Shelf>,
}

/// What was seen of a kind.
#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<ObjectKey, Entry>,
    /// The list that is under way.
    incoming: Option<BTreeMap<ObjectKey, Entry>>,
    /// What is said to be gone, and of it what was said before the look that is under way.
    gone: BTreeSet<ObjectKey>,
    gone_before: BTreeSet<ObjectKey>,
    is_listed: bool,
    /// Everything was believed once since.
    is_believed: bool,
    /// It is listed again after a trouble: what happened meanwhile was not seen.
    is_listing_again: bool,
    /// The definition must be looked at before anything is believed to be gone.
    is_in_doubt: bool,
    trouble: Option<String>,
    definition: Option<String>,
    is_news: bool,
    /// Objects whose status changed by itself.
    drifted: BTreeSet<ObjectKey>,
}

/// An object, without its text: that is read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) status: Value,
    parsed: Arc<Parsed>,
}

impl Mirror {
    pub(super) fn handle_sight(&mut self, kind: Kind, sight: Sight) {
        self.kinds.entry(kind).or_default().handle_sight(sight);
    }

    /// The status of an object was written, and is as good as seen.
    pub(super) fn set_status(&mut self, key: &ObjectKey, uid: &str, status: Value) {
        let shelf = self.kinds.get_mut(&key.kind);
        let entry = shelf.and_then(|shelf| shelf.objects.get_mut(key)).filter(|entry| entry.uid == uid);
        entry.into_iter().for_each(|entry| entry.status = status.clone());
    }

    /// A look begins: what is said to be gone from here on is another doubt.
    pub(super) fn begin_look(&mut self, kind: Kind) {
        let shelf = self.kinds.entry(kind).or_default();
        shelf.gone_before.append(&mut shelf.gone);
    }

    /// Takes in whether the definition of a kind stands and its objects can be listed. Returns whether the kind is to be
    /// listed again.
    pub(super) fn handle_look(&mut self, kind: Kind, look: Result<Definition, Trouble>) -> bool {
        self.kinds.entry(kind).or_default().handle_look(kind, look)
    }

    /// Returns the kinds whose definition must be looked at.
    pub(super) fn in_doubt(&self) -> impl Iterator<Item = Kind> {
        let in_doubt = |shelf: &Shelf| shelf.is_in_doubt && !shelf.is_listing_again;
        self.kinds.iter().filter(move |(_, shelf)| in_doubt(shelf)).map(|(kind, _)| *kind)
    }

    pub(super) fn is_in_trouble(&self, kind: Kind) -> bool {
        self.kinds.get(&kind).is_some_and(|shelf| shelf.trouble.is_some())
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.kinds.get(&key.kind)?.objects.get(key)
    }

    /// Says whether there is something to tell. A trouble from before the first list is told when patience is over: an
    /// API server may only be about to start.
    pub(super) fn has_news(&self, is_patient: bool) -> bool {
        self.kinds.values().any(|shelf| shelf.is_due(is_patient) || !shelf.drifted.is_empty())
    }

    /// Returns what is new of the kinds. What is said to be gone and is in doubt is still among it.
    pub(super) fn take_news(&mut self, is_patient: bool) -> ClusterScan {
        let drifted = self.kinds.values_mut().flat_map(|shelf| std::mem::take(&mut shelf.drifted)).collect();
        let due = self.kinds.iter_mut().filter(|(_, shelf)| shelf.is_due(is_patient));
        ClusterScan { kinds: due.map(|(kind, shelf)| (*kind, shelf.take_news())).collect(), drifted }
    }
}

impl Shelf {
    fn handle_sight(&mut self, sight: Sight) {
        match sight {
            Sight::Begins => self.incoming = Some(BTreeMap::new()),
            Sight::Listed(seen) => {
                let (key, entry) = Entry::of(seen);
                // Without a beginning there is no list.
                self.incoming.get_or_insert_default().insert(key, entry);
            }
            Sight::Whole => self.end_list(),
            Sight::Changed(seen) => {
                let (key, entry) = Entry::of(seen);
                self.gone.remove(&key);
                self.gone_before.remove(&key);
                // A state that only we wrote is no news of what is declared.
                let known = self.objects.get(&key);
                let is_same_text = known.is_some_and(|known| known.parsed_as(&entry));
                if is_same_text && known.is_some_and(|known| known.status != entry.status) {
                    self.drifted.insert(key.clone());
                }
                self.objects.insert(key, entry);
                self.is_news |= !is_same_text;
            }
            Sight::Gone(key) => {
                if self.objects.contains_key(&key) {
                    self.gone.insert(key);
                    self.is_in_doubt = true;
                }
            }
            Sight::Failed(trouble) => {
                self.is_listing_again = false;
                self.fail(trouble.to_string());
            }
        }
    }

    /// A list takes the place of what was there.
    fn end_list(&mut self) {
        let Some(list) = self.incoming.take() else { return };
        self.gone_before.clear();
        self.gone = self.objects.keys().filter(|key| !list.contains_key(*key)).cloned().collect();
        self.objects.extend(list);
        (self.is_listed, self.is_in_doubt, self.is_news) = (true, true, true);
        if std::mem::take(&mut self.is_listing_again) {
            // From here on a look that finds nothing wrong ends it; until then nothing is told.
            (self.trouble, self.is_believed) = (None, false);
        }
    }

    fn handle_look(&mut self, kind: Kind, look: Result<Definition, Trouble>) -> bool {
        let definition = match look {
            Ok(Definition::Stands { uid }) => Some(uid),
            // Whoever may not look believes what is said: a delete that is not heeded lets people in.
            Ok(Definition::Hidden) => None,
            Ok(Definition::Goes) => {
                let plural = kind.plural();
                self.fail(format!(
                    "the CustomResourceDefinition {plural}.{GROUP} is gone or going, and the {plural} with it: install the ones in crds/, and apply the objects again"
                ));
                return false;
            }
            Err(trouble) => {
                self.fail(trouble.to_string());
                return false;
            }
        };
        if self.trouble.is_some() {
            self.is_listing_again = true;
            return true;
        }
        let is_first = !std::mem::replace(&mut self.is_believed, true);
        self.is_news |= is_first || self.definition != definition || !self.gone_before.is_empty();
        self.definition = definition;
        for key in std::mem::take(&mut self.gone_before) {
            self.objects.remove(&key);
        }
        self.is_in_doubt = !self.gone.is_empty();
        false
    }

    fn fail(&mut self, trouble: String) {
        self.is_in_doubt = true;
        if self.trouble.as_ref() != Some(&trouble) {
            self.trouble = Some(trouble);
            self.is_news = true;
        }
    }

    /// A list waits until its definition was looked at; what is in trouble is told with it.
    fn is_due(&self, is_patient: bool) -> bool {
        let is_troubled = self.trouble.is_some() && (self.is_listed || !is_patient);
        self.is_news && (is_troubled || (self.trouble.is_none() && self.is_believed))
    }

    fn take_news(&mut self) -> KindScan {
        self.is_news = false;
        let Self { objects, trouble, definition, .. } = self;
        // Before the first list is whole, nobody knows what there is.
        let trouble =
            trouble.clone().or_else(|| (!self.is_listed).then(|| "it is not listed yet".to_owned()));
        KindScan {
            parsed: Arc::new(Parsed::merge(objects.values().map(|entry| entry.parsed.as_ref()))),
            declared: objects.iter().map(|(key, entry)| (key.clone(), entry.declared())).collect(),
            trouble,
            definition: definition.clone(),
        }
    }
}

impl Entry {
    fn of(seen: Seen) -> (ObjectKey, Self) {
        let Seen { key, uid, generation, mut object } = seen;
        let parsed = Arc::new(parse_object(&key, &locator(&key), &object));
        let status = object.get_mut("status").map(Value::take).unwrap_or_default();
        (key, Self { uid, generation, status, parsed })
    }

    fn declared(&self) -> Declared {
        Declared { uid: self.uid.clone(), generation: self.generation }
    }

    /// Says whether another state of the object declares the same.
    fn parsed_as(&self, other: &Self) -> bool {
        let text = |entry: &Self| {
            entry.parsed.manifests.first().map(|manifest| (manifest.spec.clone(), manifest.metadata.clone()))
        };
        self.uid == other.uid
            && self.generation == other.generation
            && self.parsed.problems == other.parsed.problems
            && text(self) == text(other)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::User, "default", name)
    }

    fn user(name: &str, generation: i64) -> Seen {
        let object = json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "name": name, "namespace": "default", "uid": name, "generation": generation },
            "spec": { "groups": [format!("g{generation}")] },
            "status": { "revision": 1 },
        });
        Seen { key: key(name), uid: name.into(), generation, object }
    }

    fn stands(uid: &str) -> Result<Definition, Trouble> {
        Ok(Definition::Stands { uid: uid.into() })
    }

    /// A mirror that has listed these, and told of it.
    fn listed(names: &[&str]) -> Mirror {
        let mut mirror = Mirror::default();
        list(&mut mirror, names);
        look(&mut mirror, stands("1"));
        mirror.take_news(false);
        mirror
    }

    fn look(mirror: &mut Mirror, found: Result<Definition, Trouble>) -> bool {
        mirror.begin_look(Kind::User);
        mirror.handle_look(Kind::User, found)
    }

    fn list(mirror: &mut Mirror, names: &[&str]) {
        mirror.handle_sight(Kind::User, Sight::Begins);
        names.iter().for_each(|name| mirror.handle_sight(Kind::User, Sight::Listed(user(name, 1))));
        mirror.handle_sight(Kind::User, Sight::Whole);
    }

    /// Names, and trouble.
    fn told(mirror: &mut Mirror) -> Option<(Vec<String>, Option<String>)> {
        let scan = mirror.take_news(false).kinds.remove(&Kind::User)?;
        assert_eq!(scan.parsed.manifests.len(), scan.declared.len());
        Some((scan.declared.keys().map(|key| key.name.to_string()).collect(), scan.trouble))
    }

    #[test]
    fn the_first_list_is_told_when_it_is_whole_and_the_definition_stands() {
        let mut mirror = Mirror::default();
        mirror.handle_sight(Kind::User, Sight::Begins);
        mirror.handle_sight(Kind::User, Sight::Listed(user("alice", 1)));
        assert!(!mirror.has_news(false));

        mirror.handle_sight(Kind::User, Sight::Whole);
        assert!(!mirror.has_news(false));
        assert_eq!(mirror.in_doubt().collect::<Vec<_>>(), [Kind::User]);

        look(&mut mirror, stands("1"));
        assert_eq!(told(&mut mirror), Some((vec!["alice".into()], None)));
        assert_eq!(told(&mut mirror), None);
    }

    #[test]
    fn a_list_that_is_cut_off_takes_nothing_away() {
        let mut mirror = listed(&["alice", "ben"]);

        mirror.handle_sight(Kind::User, Sight::Begins);
        mirror.handle_sight(Kind::User, Sight::Listed(user("alice", 1)));
        mirror.handle_sight(Kind::User, Sight::Failed(Trouble::Away("gone".into())));
        let (names, trouble) = told(&mut mirror).unwrap();
        assert_eq!((names.len(), trouble), (2, Some("gone".into())));

        assert!(look(&mut mirror, stands("1")));
        list(&mut mirror, &["alice"]);
        look(&mut mirror, stands("1"));
        assert_eq!(told(&mut mirror), Some((vec!["alice".into()], None)));
    }

    #[test]
    fn a_delete_is_believed_when_the_definition_stands() {
        let mut mirror = listed(&["alice", "ben"]);

        mirror.handle_sight(Kind::User, Sight::Gone(key("ben")));
        assert!(!mirror.has_news(false));
        look(&mut mirror, stands("1"));

        assert_eq!(told(&mut mirror), Some((vec!["alice".into()], None)));
    }

    #[test]
    fn a_look_from_before_a_delete_says_nothing_about_it() {
        let mut mirror = listed(&["alice", "ben"]);

        mirror.handle_sight(Kind::User, Sight::Gone(key("ben")));
        mirror.begin_look(Kind::User);
        mirror.handle_sight(Kind::User, Sight::Gone(key("alice")));
        mirror.handle_look(Kind::User, stands("1"));
        assert_eq!(told(&mut mirror).unwrap().0, ["alice"]);
        assert_eq!(mirror.in_doubt().count(), 1);

        look(&mut mirror, Ok(Definition::Goes));
        assert_eq!(told(&mut mirror).unwrap().0, ["alice"]);
    }

    #[test]
    fn what_is_in_doubt_holds_nothing_else_back() {
        let mut mirror = listed(&["alice", "ben"]);

        mirror.handle_sight(Kind::User, Sight::Gone(key("ben")));
        mirror.handle_sight(Kind::User, Sight::Changed(user("carl", 1)));

        assert_eq!(told(&mut mirror).unwrap().0, ["alice", "ben", "carl"]);
    }

    #[test]
    fn a_trouble_before_the_first_list_waits_for_a_moment() {
        let mut mirror = Mirror::default();
        mirror.handle_sight(Kind::User, Sight::Failed(Trouble::Away("not up yet".into())));

        assert!(!mirror.has_news(true));
        assert_eq!(told(&mut mirror), Some((vec![], Some("not up yet".into()))));
    }

    #[test]
    fn a_status_that_was_written_is_as_good_as_seen() {
        let mut mirror = listed(&["alice"]);

        mirror.set_status(&key("alice"), "another", json!({ "revision": 2 }));
        assert_eq!(mirror.get(&key("alice")).unwrap().status, json!({ "revision": 1 }));
        mirror.set_status(&key("alice"), "alice", json!({ "revision": 2 }));

        assert_eq!(mirror.get(&key("alice")).unwrap().status, json!({ "revision": 2 }));
    }

    #[test]
    fn what_goes_with_its_definition_stays() {
        let mut mirror = listed(&["alice", "ben"]);

        mirror.handle_sight(Kind::User, Sight::Gone(key("ben")));
        look(&mut mirror, Ok(Definition::Goes));
        mirror.handle_sight(Kind::User, Sight::Gone(key("alice")));
        look(&mut mirror, Ok(Definition::Goes));
        mirror.handle_sight(Kind::User, Sight::Failed(Trouble::Missing("no such kind".into())));

        let (names, trouble) = told(&mut mirror).unwrap();
        assert_eq!((names.len(), trouble), (2, Some("no such kind".into())));
        // One that is made anew is told as another one; what it lacks is for others to judge.
        assert!(look(&mut mirror, stands("2")));
        assert_eq!((told(&mut mirror), mirror.in_doubt().count()), (None, 0));
        list(&mut mirror, &["alice"]);
        assert!(!look(&mut mirror, stands("2")));
        let scan = mirror.take_news(false).kinds.remove(&Kind::User).unwrap();
        assert_eq!((scan.declared.len(), scan.trouble, scan.definition), (1, None, Some("2".into())));
    }

    #[test]
    fn after_a_trouble_everything_is_listed_again() {
        let mut mirror = listed(&["alice", "ben"]);

        mirror.handle_sight(Kind::User, Sight::Failed(Trouble::Forbidden("no right".into())));
        assert_eq!(told(&mut mirror).unwrap().1, Some("no right".into()));
        assert!(!look(&mut mirror, Err(Trouble::Forbidden("no right".into()))));
        assert_eq!(told(&mut mirror), None);
        assert!(look(&mut mirror, stands("1")));
        // Until the list is whole nothing is believed to be well.
        assert_eq!(told(&mut mirror), None);
        list(&mut mirror, &["alice"]);
        look(&mut mirror, stands("1"));

        assert_eq!(told(&mut mirror), Some((vec!["alice".into()], None)));
        assert_eq!(mirror.in_doubt().count(), 0);
    }

    #[test]
    fn a_status_alone_is_no_news() {
        let mut mirror = listed(&["alice"]);
        let mut seen = user("alice", 1);
        seen.object["status"] = json!({ "revision": 2 });

        mirror.handle_sight(Kind::User, Sight::Changed(seen.clone()));
        let scan = mirror.take_news(false);
        assert!(scan.kinds.is_empty());
        assert_eq!(scan.drifted, [key("alice")].into());
        // What we wrote ourselves is none.
        mirror.handle_sight(Kind::User, Sight::Changed(seen));
        assert!(!mirror.has_news(false));
        assert_eq!(mirror.get(&key("alice")).unwrap().status, json!({ "revision": 2 }));

        mirror.handle_sight(Kind::User, Sight::Changed(user("alice", 2)));
        assert!(told(&mut mirror).is_some());
    }
}
