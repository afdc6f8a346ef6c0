//! Which items break a rule about a list: asked again with fewer of them, because an answer names only the rule.

use serde_json::Value as Json;

use crate::schema::Schema;

/// Asks the rule about another value.
pub(super) struct Ask<'a> {
    pub holds: &'a dyn Fn(&Json) -> bool,
    /// What it says about a value for which it does not hold.
    pub sentence: &'a dyn Fn(&Json) -> String,
}

/// Returns the items of the list at `field` (`.rules`, or nothing for the value itself) that break a rule beside
/// those before them, each with its sentence and as a path such as `[1].to[0].network`.
pub(super) fn items(value: &Json, schema: &Schema, field: &str, ask: &Ask<'_>) -> Vec<(String, String)> {
    let field = field.trim_start_matches('.');
    let (list, schema) = if field.is_empty() {
        (value.as_array(), Some(schema))
    } else {
        (value.get(field).and_then(Json::as_array), schema.properties.get(field))
    };
    let (Some(list), Some(items)) = (list, schema.and_then(|schema| schema.items.as_deref())) else {
        return vec![];
    };
    let rest = without(value, field);
    let only = |items: &[Json]| {
        let items = Json::Array(items.to_vec());
        if field.is_empty() { items } else { with(&rest, field, items) }
    };
    if !(ask.holds)(&only(&[])) {
        return vec![];
    }
    let (mut kept, mut breaking) = (Vec::new(), Vec::new());
    let mut blame = |path: String, sentence: String| breaking.push((path, sentence));
    for (index, item) in list.iter().enumerate() {
        let alone = only(std::slice::from_ref(item));
        if (ask.holds)(&alone) {
            kept.push((index, item));
            continue;
        }
        let sentence = (ask.sentence)(&alone);
        let holds = |item: Json| (ask.holds)(&only(&[item]));
        let parts = parts(item, items, &holds);
        let paths = if parts.is_empty() { vec![String::new()] } else { parts };
        paths.into_iter().for_each(|part| blame(format!("[{index}]{part}"), sentence.clone()));
    }
    together(&kept, ask, &only)
        .into_iter()
        .for_each(|(index, sentence)| blame(format!("[{index}]"), sentence));
    breaking
}

/// Returns the items, each fine by itself, that break the rule beside those before them.
fn together(items: &[(usize, &Json)], ask: &Ask<'_>, only: &dyn Fn(&[Json]) -> Json) -> Vec<(usize, String)> {
    let all: Vec<Json> = items.iter().map(|(_, item)| (*item).clone()).collect();
    if (ask.holds)(&only(&all)) {
        return vec![];
    }
    let mut breaking = Vec::new();
    let mut kept: Vec<Json> = Vec::new();
    for ((index, _), item) in items.iter().zip(all) {
        kept.push(item);
        let with_item = only(&kept);
        if !(ask.holds)(&with_item) {
            kept.pop();
            breaking.push((*index, (ask.sentence)(&with_item)));
        }
    }
    breaking
}

/// Returns the parts of an item without which the rule holds.
fn parts(item: &Json, schema: &Schema, holds: &dyn Fn(Json) -> bool) -> Vec<String> {
    let fields = item.as_object().into_iter().flatten();
    fields
        .flat_map(|(name, value)| {
            match (value, schema.properties.get(name).map(|field| field.items.as_deref())) {
                (Json::Array(list), Some(Some(items))) if holds(with(item, name, Json::Array(vec![]))) => {
                    let rest = without(item, name);
                    let of_list = |(index, part): (usize, &Json)| {
                        let holds = |part: Json| holds(with(&rest, name, Json::Array(vec![part])));
                        let is_fine = holds(part.clone());
                        let deeper = if is_fine { vec![] } else { parts(part, items, &holds) };
                        let deeper = if is_fine || !deeper.is_empty() { deeper } else { vec![String::new()] };
                        deeper.into_iter().map(move |deeper| format!(".{name}[{index}]{deeper}"))
                    };
                    list.iter().enumerate().flat_map(of_list).collect()
                }
                _ if !schema.required.contains(name) && holds(without(item, name)) => {
                    vec![format!(".{name}")]
                }
                _ => vec![],
            }
        })
        .collect()
}

fn with(object: &Json, field: &str, value: Json) -> Json {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    object
}

fn without(object: &Json, field: &str) -> Json {
    let mut object = object.clone();
    object.as_object_mut().and_then(|fields| fields.remove(field));
    object
}
