//! The rules of the schemas (`x-kubernetes-validations`), with the verdicts that an API server gives.
//!
//! The only room that knows `kube-cel`. Rules are compiled once and only where there are some; they may use only what
//! both engines run. A rule's text is `problem; fix`. A rule runs on what is structurally sound, never before.

mod blame;
mod rule;
mod shortcut;
mod value;

#[cfg(test)]
mod facts;
#[cfg(test)]
mod price;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use horizon_api::resource::{Kind, pattern::FORM_RULES};
use serde_json::Value as Json;

use self::{
    rule::{Rule, Scope},
    value::read_by,
};
use crate::{node::Node, schema::Schema, site::Site, validate::Complaint};

/// A broken rule, before its place in a file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What the rule is about, such as `spec.mtu` and `spec.addressPools`.
    pub sites: Vec<String>,
    /// What it complains about.
    pub path: String,
    pub code: &'static str,
    pub message: String,
    pub fix: String,
}

impl Violation {
    /// Finds its place.
    pub(crate) fn at(self, root: &Node) -> Complaint {
        let place = root.place_of(&self.path);
        let error = Complaint::error(place, &self.path, self.code, self.message, self.fix);
        Complaint { sites: Some(self.sites), ..error }
    }
}

/// Checks the rules about a spec as it is.
pub(crate) fn check(kind: Kind, spec: &Json) -> Vec<Violation> {
    let mut violations = Vec::new();
    if let Some(branch) = &RULES[&kind] {
        branch.check(spec, None, &SPEC, &mut violations);
    }
    violations
}

/// Checks the rules about the change of a spec.
pub(crate) fn check_change(kind: Kind, old: &Json, new: &Json) -> Vec<Violation> {
    let mut violations = Vec::new();
    if let Some(branch) = &RULES[&kind] {
        branch.check(new, Some(old), &SPEC, &mut violations);
    }
    violations
}

const SPEC: Site<'_> = Site::Root("spec");

static RULES: LazyLock<BTreeMap<Kind, Option<Branch>>> =
    LazyLock::new(|| Kind::ALL.into_iter().map(|kind| (kind, Branch::of(Schema::of(kind)))).collect());

/// A part of a schema that has rules, in it or below.
#[derive(Debug)]
struct Branch {
    schema: &'static Schema,
    rules: Vec<Rule>,
    /// What the rules read, all of them together.
    reads: Option<BTreeSet<&'static str>>,
    properties: Vec<(&'static str, Self)>,
    items: Option<Box<Self>>,
}

impl Branch {
    fn of(schema: &'static Schema) -> Option<Self> {
        // The types keep those themselves, sooner and with better words; a test knows that both agree.
        let rules = schema.rules.iter().filter(|text| !FORM_RULES.contains(&text.rule.as_str()));
        let rules: Vec<_> = rules.map(|text| Rule::compile(text, schema)).collect();
        let reads = rules.iter().map(|rule| rule.reads.clone()).collect::<Option<Vec<_>>>();
        let reads = reads.map(|reads| reads.into_iter().flatten().collect());
        let properties = schema.properties.iter();
        let properties: Vec<_> =
            properties.filter_map(|(name, schema)| Some((name.as_str(), Self::of(schema)?))).collect();
        let items = schema.items.as_deref().and_then(Self::of).map(Box::new);
        (!rules.is_empty() || !properties.is_empty() || items.is_some()).then_some(Self {
            schema,
            rules,
            reads,
            properties,
            items,
        })
    }

    fn check<'a>(
        &self,
        json: &'a Json,
        old: Option<&'a Json>,
        site: &Site<'_>,
        violations: &mut Vec<Violation>,
    ) {
        let rules = self.rules.iter().filter(|rule| rule.is_about_changes == old.is_some());
        let unsure: Vec<&Rule> =
            rules.filter(|rule| rule.holds_plainly(json, old, self.schema) != Some(true)).collect();
        if !unsure.is_empty() {
            let value = |json: &Json| read_by(self.reads.as_ref(), json, self.schema);
            let scope = Scope::new(value(json), old.map(value));
            for rule in unsure.into_iter().filter(|rule| !rule.holds(&scope)) {
                rule.check(self.schema, json, old, &site.to_string(), violations);
            }
        }
        for (name, branch) in &self.properties {
            let default = branch.schema.default.as_ref();
            let field = |json: &'a Json| json.get(name).filter(|value| !value.is_null()).or(default);
            let Some(json) = field(json) else { continue };
            let before = old.map(field);
            // What was not there before has not changed.
            if before != Some(None) {
                branch.check(json, before.flatten(), &Site::Field(site, name), violations);
            }
        }
        // Nobody can tell which item of a list was which before; a test keeps rules about changes out of lists.
        if let (Some(branch), Json::Array(items), None) = (&self.items, json, old) {
            for (index, item) in items.iter().enumerate() {
                branch.check(item, None, &Site::Item(site, index), violations);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{formats, schema::Reason};

    /// Calls a function with every part of a schema, and where it stands.
    fn walk<'a>(
        schema: &'a Schema,
        path: &str,
        in_list: bool,
        visit: &mut dyn FnMut(&'a Schema, &str, bool),
    ) {
        visit(schema, path, in_list);
        for (name, property) in &schema.properties {
            walk(property, &format!("{path}.{name}"), in_list, visit);
        }
        if let Some(items) = &schema.items {
            walk(items, &format!("{path}[]"), true, visit);
        }
    }

    fn every_part(mut visit: impl FnMut(Kind, &'static Schema, &str, bool)) {
        for kind in Kind::ALL {
            walk(Schema::of(kind), "spec", false, &mut |schema, path, in_list| {
                visit(kind, schema, path, in_list)
            });
        }
    }

    #[test]
    fn every_rule_is_compiled_and_says_what_to_do() {
        let mut rules = 0;
        every_part(|kind, schema, path, in_list| {
            for text in &schema.rules {
                let rule = Rule::compile(text, schema);
                rules += 1;

                let said = text.message.as_deref().or(text.message_expression.as_deref()).unwrap_or_default();
                assert!(said.contains("; "), "{kind} {path}: no fix in `{said}`");
                // An API server shows no message with this one.
                assert!(text.reason != Reason::FieldValueDuplicate, "{kind} {path}: `{said}` is never read");
                assert!(!(rule.is_about_changes && in_list), "{kind} {path}: nobody knows which item it was");
                assert!(!text.rule.contains('\n') && text.rule.len() < 2048, "{kind} {path}");
            }
        });
        assert!(rules > 50, "{rules}");
    }

    /// CEL escapes some names, and computes with moments; ours do neither, so that nothing need be translated.
    #[test]
    fn names_need_no_escapes_and_moments_are_only_looked_for() {
        const RESERVED: [&str; 21] = [
            "as",
            "break",
            "const",
            "continue",
            "else",
            "false",
            "for",
            "function",
            "if",
            "import",
            "in",
            "let",
            "loop",
            "namespace",
            "null",
            "package",
            "return",
            "true",
            "var",
            "void",
            "while",
        ];
        every_part(|kind, schema, path, _| {
            for (name, property) in &schema.properties {
                assert!(!RESERVED.contains(&name.as_str()), "{kind} {path}.{name}");
                assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{kind} {path}.{name}");
                if property.format.as_deref() == Some("date-time") {
                    let has = format!("has(self.{name})");
                    let computes = |text: &str| text.replace(&has, "").contains(&format!("self.{name}"));
                    assert!(!schema.rules.iter().any(|rule| computes(&rule.rule)), "{kind} {path}.{name}");
                }
            }
        });
    }

    /// Rules that the types keep are left out; API servers run them, and must come to the same verdict.
    #[test]
    fn types_and_rules_agree_on_forms() {
        const TEXTS: [&str; 30] = [
            "10.77.0.0/16",
            "10.77.0.1/16",
            "10.77.0.0/33",
            "10.77.0.0/016",
            "10.77/16",
            "fd77:1::/48",
            "fd77:1::1/48",
            "FD77::/16",
            "::ffff:10.0.0.0/104",
            "::/0",
            "0.0.0.0/0",
            "10.77.0.1",
            "010.77.0.1",
            "fd77::1",
            "::",
            "::ffff:10.0.0.1",
            "1.2.3",
            "445",
            "0",
            "65535",
            "65536",
            "8000-8010",
            "8010-8000",
            "80-80",
            "0-1",
            "00:00",
            "24:00",
            "24:01",
            "23:59",
            "08:30",
        ];
        let mut compared = BTreeMap::new();
        every_part(|_, schema, _, _| {
            for text in schema.rules.iter().filter(|text| FORM_RULES.contains(&text.rule.as_str())) {
                let rule = Rule::compile(text, schema);
                let pattern = schema.pattern.as_ref().expect("a rule about a form stands beside a pattern");
                for sample in TEXTS {
                    let mut violations = Vec::new();
                    rule.check(schema, &Json::from(sample), None, "spec", &mut violations);
                    let by_server = pattern.matches(sample) && violations.is_empty();
                    assert_eq!(formats::check(schema, sample).is_ok(), by_server, "{sample}: {}", text.rule);
                }
                compared.insert(text.rule.as_str(), ());
            }
        });
        assert_eq!(compared.len(), FORM_RULES.len());
    }
}
