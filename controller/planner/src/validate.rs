//! The structural check: a tree against a schema. It complains about everything, each thing once.

use std::collections::BTreeMap;

use horizon_api::problem::{Severity, printable};

use crate::{
    formats,
    node::{Entry, Node, Place, Value},
    parse::PROBLEMS_MAX,
    schema::{ListType, Schema, Type},
    secret::Secret,
    site::Site,
};

/// Something wrong with an object, before it is known with which.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    pub place: Place,
    pub path: String,
    /// What it is about, if that is more than what it points at.
    pub sites: Option<Vec<String>>,
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    pub fix: String,
}

/// Plain words that YAML 1.1 readers, Kubernetes among them, take for booleans.
const BOOLEAN_WORDS: [&str; 8] = ["yes", "no", "on", "off", "y", "n", "true", "false"];
/// What `kubectl get -o yaml` prints and people paste back.
const SERVER_FIELDS: [&str; 7] = [
    "uid",
    "generation",
    "resourceVersion",
    "managedFields",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
];

const METADATA: Site<'_> = Site::Root("metadata");

/// What a check has to say about a document.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    pub list: Vec<Complaint>,
    /// How many more errors there are than anybody reads.
    pub left_out: usize,
    /// The same of what refuses nothing.
    pub left_out_remarks: usize,
    errors: usize,
}

impl Complaints {
    /// Adds a complaint. Errors and remarks are counted apart, so that many of one kind hide none of the other.
    pub(crate) fn push(&mut self, complaint: Complaint) {
        let is_error = complaint.severity == Severity::Error;
        let listed = if is_error { self.errors } else { self.list.len() - self.errors };
        if listed < PROBLEMS_MAX {
            self.errors += usize::from(is_error);
            self.list.push(complaint);
        } else if is_error {
            self.left_out += 1;
        } else {
            self.left_out_remarks += 1;
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        other.list.into_iter().for_each(|complaint| self.push(complaint));
        self.left_out += other.left_out;
        self.left_out_remarks += other.left_out_remarks;
    }
}

/// Checks a tree against a schema.
pub(crate) fn validate(node: &Node, schema: &Schema, path: &str) -> Complaints {
    let mut check = Check::default();
    check.value(node, schema, &Site::Root(path));
    check.complaints
}

/// Checks `metadata`: fields that only the server writes are ignored with a warning.
pub(crate) fn validate_metadata(node: &Node) -> Complaints {
    let mut check = Check::default();
    let is_ours = |entry: &&Entry| SERVER_FIELDS.contains(&entry.key.as_str());
    if node.entries().iter().any(|entry| is_ours(&entry)) {
        node.entries().iter().filter(is_ours).for_each(|entry| check.server_field(entry));
        let theirs = node.entries().iter().filter(|entry| !is_ours(entry)).cloned().collect();
        check.value(&Node { place: node.place, value: Value::Map(theirs) }, Schema::of_metadata(), &METADATA);
    } else {
        check.value(node, Schema::of_metadata(), &METADATA);
    }
    for (field, entry) in ["labels", "annotations"]
        .iter()
        .filter_map(|field| node.field(field).map(|map| (field, map)))
        .flat_map(|(field, map)| map.entries().iter().map(move |entry| (field, entry)))
    {
        check.metadata_key(field, entry);
    }
    check.complaints
}

#[derive(Default)]
struct Check {
    complaints: Complaints,
}

impl Check {
    fn add(
        &mut self,
        place: Place,
        path: &Site<'_>,
        code: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (path, message, fix) = (path.to_string(), message.into(), fix.into());
        let complaint = Complaint { place, path, sites: None, severity: Severity::Error, code, message, fix };
        self.complaints.push(complaint);
    }

    fn value(&mut self, node: &Node, schema: &Schema, path: &Site<'_>) {
        if node.value == Value::Null && schema.nullable {
            return;
        }
        match schema.kind {
            Type::Object => self.object(node, schema, path),
            Type::Array => self.list(node, schema, path),
            Type::String => self.string(node, schema, path),
            Type::Integer => self.integer(node, schema, path),
            Type::Boolean => self.boolean(node, path),
        }
    }

    fn wrong_type(&mut self, node: &Node, path: &Site<'_>, wanted: &str) {
        self.add(node.place, path, "Type", format!("must be {wanted}, not {}", node.value.describe()), "");
    }

    fn object(&mut self, node: &Node, schema: &Schema, path: &Site<'_>) {
        let Value::Map(entries) = &node.value else {
            return self.wrong_type(node, path, "a mapping");
        };
        for entry in entries {
            let path = Site::Field(path, &entry.key);
            match schema.properties.get(&entry.key).or(schema.additional_properties.as_deref()) {
                Some(schema) => self.value(&entry.node, schema, &path),
                None => self.unknown_field(entry, schema, &path),
            }
        }
        let (least, most) = (schema.min_properties.unwrap_or(0), schema.max_properties.unwrap_or(usize::MAX));
        if entries.len() < least {
            let message = format!("must have at least {}", count(least, "entry", "entries"));
            self.add(node.place, path, "TooShort", message, "add one");
        }
        if entries.len() > most {
            let message =
                format!("must have at most {}, not {}", count(most, "entry", "entries"), entries.len());
            self.add(node.place, path, "TooLong", message, "split the object");
        }
        for name in &schema.required {
            if node.field(name).is_none() {
                let message = format!("`{name}` is required");
                self.add(node.place, path, "Required", message, format!("add `{name}:`"));
            }
        }
    }

    fn unknown_field(&mut self, entry: &Entry, schema: &Schema, path: &Site<'_>) {
        let known = schema.properties.keys().map(String::as_str);
        let fix = match nearest(&entry.key, known.clone()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if schema.properties.is_empty() => "it has no fields".to_owned(),
            None => {
                format!("known fields are {}", known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))
            }
        };
        let message = format!("unknown field `{}`", printable(&entry.key));
        self.add(entry.place, path, "UnknownField", message, fix);
    }

    fn list(&mut self, node: &Node, schema: &Schema, path: &Site<'_>) {
        let Value::List(items) = &node.value else {
            return self.wrong_type(node, path, "a list");
        };
        let (least, most) = (schema.min_items.unwrap_or(0), schema.max_items.unwrap_or(usize::MAX));
        if items.len() < least {
            let message = format!("must have at least {}", count(least, "entry", "entries"));
            self.add(node.place, path, "TooShort", message, "add one");
        }
        if items.len() > most {
            let message =
                format!("must have at most {}, not {}", count(most, "entry", "entries"), items.len());
            return self.add(node.place, path, "TooLong", message, "split the object");
        }
        if let Some(schema) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.value(item, schema, &Site::Item(path, index));
            }
        }
        self.duplicates(items, schema, path);
    }

    fn duplicates(&mut self, items: &[Node], schema: &Schema, path: &Site<'_>) {
        if items.len() < 2 {
            return;
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(identity) = identity(item, schema) else { continue };
            if let Some(first) = seen.get(&identity) {
                let what = match schema.list {
                    ListType::Map => format!("the same {}", schema.list_keys.join(" and ")),
                    ListType::Set | ListType::Atomic => "the same value".to_owned(),
                };
                let message = format!("has {what} as `{path}[{first}]`");
                self.add(item.place, &Site::Item(path, index), "Duplicate", message, "remove one of them");
            } else {
                seen.insert(identity, index);
            }
        }
    }

    fn string(&mut self, node: &Node, schema: &Schema, path: &Site<'_>) {
        let (text, is_plain) = match &node.value {
            Value::Text { text, is_plain } => (text, *is_plain),
            Value::Integer(_) | Value::OddNumber(_) | Value::Bool(_) => {
                return self.unquoted(node, schema, path);
            }
            Value::Null | Value::List(_) | Value::Map(_) => return self.wrong_type(node, path, "a string"),
        };
        if let Some(secret) = Secret::find(last(path.name()), text) {
            return self.add(node.place, path, "Secret", secret.message(), secret.fix());
        }
        if !schema.values.is_empty() {
            return self.choice(node, schema, path, text);
        }
        let (length, most) = (text.chars().count(), schema.max_length.unwrap_or(usize::MAX));
        if length > most {
            let message =
                format!("must have at most {}, not {length}", count(most, "character", "characters"));
            return self.add(node.place, path, "TooLong", message, "shorten it");
        }
        let least = schema.min_length.unwrap_or(0);
        if length == 0 && least > 0 {
            let fix = "give it a value, or leave the field out";
            return self.add(node.place, path, "TooShort", "must not be empty", fix);
        }
        if length < least {
            let message =
                format!("must have at least {}, not {length}", count(least, "character", "characters"));
            return self.add(node.place, path, "TooShort", message, "lengthen it");
        }
        if let Err((message, fix)) = formats::check(schema, text) {
            return self.add(node.place, path, "Format", message, fix);
        }
        if is_plain && is_boolean_word(text) {
            let message = format!("Kubernetes reads the word `{text}` as a boolean");
            let complaint =
                Complaint::error(node.place, &path.to_string(), "BooleanWord", message, "put it in quotes");
            self.complaints.push(Complaint { severity: Severity::Warning, ..complaint });
        }
    }

    /// A number or boolean where text belongs: quotes help only if the text would do.
    fn unquoted(&mut self, node: &Node, schema: &Schema, path: &Site<'_>) {
        let text = match &node.value {
            Value::OddNumber(text) => text.clone(),
            Value::Integer(value) => value.to_string(),
            Value::Null | Value::Bool(_) | Value::Text { .. } | Value::List(_) | Value::Map(_) => {
                String::new()
            }
        };
        match formats::check(schema, &text) {
            Err((message, fix)) if !text.is_empty() => self.add(node.place, path, "Format", message, fix),
            Ok(()) | Err(_) => {
                let message = format!("must be a string, not {}", node.value.describe());
                self.add(node.place, path, "Type", message, "put it in quotes");
            }
        }
    }

    fn choice(&mut self, node: &Node, schema: &Schema, path: &Site<'_>, text: &str) {
        if schema.values.iter().any(|value| value == text) {
            return;
        }
        let known = schema.values.iter().map(String::as_str);
        let list = known.clone().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        let fix =
            nearest(text, known).map(|nearest| format!("did you mean `{nearest}`?")).unwrap_or_default();
        self.add(node.place, path, "Enum", format!("must be one of {list}"), fix);
    }

    fn integer(&mut self, node: &Node, schema: &Schema, path: &Site<'_>) {
        if matches!(node.value, Value::Integer(value) if is_within(value, schema)) {
            return;
        }
        let bounds = bounds(schema);
        let message = format!("must be an integer{bounds}");
        match &node.value {
            Value::Text { text, is_plain: false } if text.parse::<i64>().is_ok() => {
                self.add(node.place, path, "Type", message, "remove the quotes");
            }
            Value::OddNumber(_) => self.add(node.place, path, "Type", message, "write it with plain digits"),
            Value::Integer(_) => self.add(node.place, path, "Range", message, ""),
            Value::Text { .. } | Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.add(node.place, path, "Type", format!("{message}, not {}", node.value.describe()), "");
            }
        }
    }

    fn boolean(&mut self, node: &Node, path: &Site<'_>) {
        let fix = match &node.value {
            Value::Bool(_) => return,
            Value::Text { text, .. } => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => "write `true`",
                "no" | "off" | "n" => "write `false`",
                "true" | "false" => "remove the quotes",
                _ => "",
            },
            Value::Null | Value::Integer(_) | Value::OddNumber(_) | Value::List(_) | Value::Map(_) => "",
        };
        self.add(node.place, path, "Type", "must be `true` or `false`", fix);
    }

    fn server_field(&mut self, entry: &Entry) {
        let path = Site::Field(&METADATA, &entry.key).to_string();
        let (message, fix) = ("is written by the server and ignored here", "remove it");
        let complaint = Complaint::error(entry.place, &path, "Ignored", message, fix);
        self.complaints.push(Complaint { severity: Severity::Warning, ..complaint });
    }

    fn metadata_key(&mut self, field: &str, entry: &Entry) {
        let of = Site::Field(&METADATA, field);
        let path = Site::Field(&of, &entry.key);
        let (prefix, name) = entry.key.rsplit_once('/').unwrap_or(("", &entry.key));
        if prefix == horizon_api::resource::GROUP || prefix.ends_with(".horizon.dev") {
            let message = format!("keys with `{prefix}/` are reserved for Horizon");
            return self.add(entry.place, &path, "Reserved", message, "use a prefix of your own");
        }
        let is_word = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        if name.len() > 63 || !is_word(name) || prefix.len() > 253 || !(prefix.is_empty() || is_word(prefix))
        {
            let message =
                "must be a name of at most 63 characters, with an optional prefix such as `example.net/`";
            let fix = "write letters, digits, `-`, `_` and `.`, such as `team` or `example.net/team`";
            self.add(entry.place, &path, "Format", message, fix);
        }
    }
}

/// Returns what must be unique about an item, if anything.
fn identity(item: &Node, schema: &Schema) -> Option<String> {
    match schema.list {
        ListType::Atomic => None,
        ListType::Set => Some(item.to_json().to_string()),
        ListType::Map => {
            let items = schema.items.as_ref()?;
            let keys = schema.list_keys.iter().map(|key| {
                let written = item.field(key).filter(|node| node.value != Value::Null).map(Node::to_json);
                let default = || items.properties.get(key).and_then(|schema| schema.default.clone());
                // Left out is a value too, unless it is a mistake of its own.
                let absent = || (!items.required.contains(key)).then_some(serde_json::Value::Null);
                written.or_else(default).or_else(absent).map(|value| value.to_string())
            });
            keys.collect::<Option<Vec<_>>>().map(|keys| keys.join("\n"))
        }
    }
}

/// Returns a number with its noun: "1 entry", "2 entries".
fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn is_within(value: i64, schema: &Schema) -> bool {
    // Bounds of our schemas are far below 2^53, so nothing is lost.
    #[expect(clippy::cast_precision_loss, reason = "a value beyond 2^53 is out of every bound either way")]
    let value = value as f64;
    schema.minimum.is_none_or(|least| value >= least) && schema.maximum.is_none_or(|most| value <= most)
}

fn bounds(schema: &Schema) -> String {
    match (schema.minimum, schema.maximum) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    }
}

fn is_boolean_word(text: &str) -> bool {
    BOOLEAN_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// Letters that a person gets wrong in a word.
const DISTANCE_MAX: usize = 2;

/// Returns the known word that a person probably meant: one that begins so, one that is the beginning of it, or one
/// that is spelt nearly so.
pub(crate) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let begins = |word: &&str| {
        let both = word.len().min(text.len());
        both >= 3 && word.as_bytes()[..both].eq_ignore_ascii_case(&text.as_bytes()[..both])
    };
    if let Some(word) = known.clone().find(begins) {
        return Some(word);
    }
    let (lower, letters) = (text.to_ascii_lowercase(), Letters::of(text));
    // A word of another length or of other letters is further away than counts, and a long text is no word at all.
    let (distance, word) = known
        .filter(|word| word.len().abs_diff(lower.len()) <= 2 * DISTANCE_MAX)
        .filter(|word| letters.differ_from(&Letters::of(word)) <= 2 * DISTANCE_MAX)
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_ascii_lowercase()), word))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= DISTANCE_MAX.min(text.chars().count() / 2)).then_some(word)
}

/// How often each letter stands in a word, whatever its case. One mistake takes one away, adds one, or both.
struct Letters([u8; 32]);

impl Letters {
    fn of(word: &str) -> Self {
        let mut letters = [0_u8; 32];
        for letter in word.chars() {
            let count = &mut letters[u32::from(letter.to_ascii_lowercase()) as usize % 32];
            *count = count.saturating_add(1);
        }
        Self(letters)
    }

    fn differ_from(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).map(|(ours, theirs)| usize::from(ours.abs_diff(*theirs))).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 8] =
        ["Europe/Berlin", "Europe/Bern", "expiresAt", "groups", "Tcp", "Udp", "addressPools", "Ünïcode"];

    /// The same without a look at the letters first.
    fn nearest_by_distance(text: &str) -> Option<&'static str> {
        let lower = text.to_ascii_lowercase();
        let begins = |word: &&&str| {
            let word = word.to_ascii_lowercase();
            text.len() >= 3 && word.len() >= 3 && (word.starts_with(&lower) || lower.starts_with(&word))
        };
        if let Some(word) = WORDS.iter().find(begins) {
            return Some(word);
        }
        let distance = |word: &str| strsim::damerau_levenshtein(&lower, &word.to_ascii_lowercase());
        let near = WORDS.iter().filter(|word| word.len().abs_diff(lower.len()) <= 2 * DISTANCE_MAX);
        let (distance, word) =
            near.map(|word| (distance(word), *word)).min_by_key(|(distance, _)| *distance)?;
        (distance <= DISTANCE_MAX.min(text.chars().count() / 2)).then_some(word)
    }

    proptest! {
        #[test]
        fn a_look_at_the_letters_changes_no_advice(
            word in proptest::sample::select(WORDS.to_vec()),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4, any::<char>()), 0..4),
        ) {
            let mut letters: Vec<char> = word.chars().collect();
            for (index, edit, letter) in edits {
                let at = index.index(letters.len() + 1);
                match edit {
                    0 => letters.insert(at, letter),
                    1 if at < letters.len() => drop(letters.remove(at)),
                    2 if at < letters.len() => letters[at] = letter,
                    _ if at + 1 < letters.len() => letters.swap(at, at + 1),
                    _ => {}
                }
            }
            let text: String = letters.into_iter().collect();

            prop_assert_eq!(nearest(&text, WORDS.into_iter()), nearest_by_distance(&text), "{}", text);
        }
    }
}
