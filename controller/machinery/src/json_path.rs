//! The part of JSONPath that printer columns use: `.a.b`, `[*]`, `[0]`, `[?(@.type=='Ready')]`
//! (Kubernetes, "JSONPath Support").

use serde::Deserialize;
use serde_json::Value;

/// A path into an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    /// Every item of a list, or every member of a map.
    Every,
    /// The items whose member has this text.
    Where {
        member: Vec<String>,
        text: String,
    },
}

/// A path that is not read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path such as .spec.groups[*] or .status.conditions[?(@.type=='Ready')].status")]
pub struct UnreadablePath(pub String);

impl TryFrom<String> for JsonPath {
    type Error = UnreadablePath;
    fn try_from(text: String) -> Result<Self, UnreadablePath> {
        Self::parse(&text)
    }
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Names the text that is none, or uses more of JSONPath than is read here.
    pub fn parse(text: &str) -> Result<Self, UnreadablePath> {
        let mut steps = vec![];
        let mut rest = text;
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(|| UnreadablePath(text.to_owned()))?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Returns the path as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns everything that the path leads to, in order.
    pub fn find<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![object];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.walk(value)).collect();
        }
        found
    }
}

impl Step {
    fn walk<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Member(name) => value.get(name).into_iter().collect(),
            Self::Item(index) => value.get(index).into_iter().collect(),
            Self::Every => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(members) => members.values().collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
            },
            Self::Where { member, text } => {
                let has = |item: &&Value| {
                    let found = member.iter().try_fold(*item, |value, name| value.get(name));
                    found.and_then(Value::as_str) == Some(text)
                };
                value.as_array().into_iter().flatten().filter(has).collect()
            }
        }
    }
}

/// Reads the first step of a path; returns it and what follows.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(inside) = text.strip_prefix("[?(@.") {
        let (condition, rest) = inside.split_once(")]")?;
        let (member, quoted) = condition.split_once("==")?;
        let quoted = quoted.trim();
        let unquoted = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        let text = unquoted.or_else(|| quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')))?;
        let member = member.trim().split('.').map(str::to_owned).collect();
        return Some((Step::Where { member, text: text.to_owned() }, rest));
    }
    if let Some(inside) = text.strip_prefix('[') {
        let (index, rest) = inside.split_once(']')?;
        let step = if index == "*" { Step::Every } else { Step::Item(index.parse().ok()?) };
        return Some((step, rest));
    }
    let name = text.strip_prefix('.')?;
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let is_plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_plain.then(|| (Step::Member(name.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: &Value) {
        let object = json!({
            "spec": { "groups": ["a", "b"], "refs": [{ "name": "x" }, { "name": "y" }, {}] },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Held", "status": "False" }] },
        });
        let found = JsonPath::parse(path).unwrap().find(&object);
        assert_eq!(&json!(found), expected, "{path}");
    }

    #[test]
    fn paths_lead_to_values() {
        check(".spec.groups[*]", &json!(["a", "b"]));
        check(".spec.groups[1]", &json!(["b"]));
        check(".spec.groups", &json!([["a", "b"]]));
        check(".spec.refs[*].name", &json!(["x", "y"]));
        check(".status.conditions[?(@.type=='Ready')].status", &json!(["True"]));
        check(".status.conditions[?(@.type == \"Held\")].status", &json!(["False"]));
        check(".status.nothing[*].at.all", &json!([]));
        check(".spec.groups.name", &json!([]));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["spec", ".", ".a[", ".a[x]", ".a[?(@.b)]", ".a[?(@.b==c)]", ".a..b", ".a b"] {
            assert_eq!(JsonPath::parse(text), Err(UnreadablePath(text.to_owned())));
        }
    }
}
