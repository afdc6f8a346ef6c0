//! The shortcut and the engine say the same about everything that the shortcut takes.

#[path = "../../tests/world/spec.rs"]
mod spec;

use std::collections::BTreeMap;

use horizon_api::resource::{Kind, pattern::FORM_RULES};
use serde_json::{Value as Json, json};

use super::{
    rule::{Rule, Scope},
    shortcut::Shortcut,
    value::read_by,
};
use crate::{
    parse::facts::crowd,
    schema::{Schema, Type},
};

/// What was asked of a rule, and how often the shortcut knew.
#[derive(Default)]
struct Asked {
    answered: usize,
    held: usize,
    all: usize,
}

/// Compares both for one value, and what it was before.
#[track_caller]
fn check(rule: &Rule, schema: &'static Schema, json: &Json, old: Option<&Json>, asked: &mut Asked) {
    asked.all += 1;
    let Some(holds) = rule.holds_plainly(json, old, schema) else { return };
    let value = |json: &Json| read_by(rule.reads.as_ref(), json, schema);
    let scope = Scope::new(value(json), old.map(value));
    assert_eq!(holds, rule.holds(&scope), "{rule:?}\n{json}\n{old:?}");
    asked.answered += 1;
    asked.held += usize::from(holds);
}

/// Returns every part of a schema that has rules.
fn parts_with_rules(schema: &'static Schema, parts: &mut Vec<&'static Schema>) {
    if !schema.rules.is_empty() {
        parts.push(schema);
    }
    schema.properties.values().chain(schema.items.as_deref()).for_each(|part| parts_with_rules(part, parts));
}

#[test]
fn every_rule_is_answered_alike() {
    let mut random = crowd::Random::new(3);
    let mut below = |end: usize| random.below(end);
    let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
    for kind in Kind::ALL {
        let mut parts = Vec::new();
        parts_with_rules(Schema::of(kind), &mut parts);
        for schema in parts {
            let texts = || schema.rules.iter().filter(|text| !FORM_RULES.contains(&text.rule.as_str()));
            let rules: Vec<Rule> = texts().map(|text| Rule::compile(text, schema)).collect();
            for _ in 0..250 {
                let (json, other) = (spec::value(schema, &mut below), spec::value(schema, &mut below));
                for (rule, text) in rules.iter().zip(texts()) {
                    let asked = asked.entry(format!("{kind}: {}", text.rule)).or_default();
                    check(rule, schema, &json, rule.is_about_changes.then_some(&other), asked);
                }
            }
        }
    }

    assert!(asked.len() > 30, "{}", asked.len());
    for (rule, Asked { all, answered, held }) in asked {
        // Without the engine where it can be, and for those who keep the rule and those who break it.
        assert!(answered * 3 > all && 0 < held && held < answered, "{held} {answered} {all} {rule}");
    }
}

/// Expressions that no rule of ours needs yet, and what is easy to get wrong about them.
#[test]
fn odd_expressions_are_answered_alike_or_not_at_all() {
    let expressions = [
        "self.a == self.b",
        "self.a != self.b",
        "self.a < self.b",
        "self.a <= self.b",
        "self.a > self.b",
        "self.a >= self.b",
        "self.a + self.b == 3",
        "9223372036854775807 + self.a > 0",
        "self.a in ['x', 'y', 1, true]",
        "self.a in self.list",
        "has(self.a.b) || has(self.b)",
        "has(self.map.a) && self.map.a == 'x'",
        "size(self.list) == 2",
        "size(self.map) == 1",
        "size(self.text) == 3",
        "self.list.all(x, x == self.a)",
        "self.list.exists(x, x == self.a)",
        "self.list.exists_one(x, x == self.a)",
        "self.list.all(x, self.list.exists(y, x == y))",
        "self.list.all(self, self == 1)",
        "self.map.all(key, key == 'a')",
        "self.list.filter(x, x == 1).size() == 1",
        "self.list.map(x, x == 1)[0]",
        "(self.a == 1) ? self.b == 1 : has(self.missing) || self.missing == 1",
        "self.missing == 1 || true",
        "self.missing == 1 && false",
        "!(self.a == 1)",
        "self.a == null",
        "self == self",
        "self.a == 1.0",
        "1u == 1u",
        "self.text == 'abc'",
        "self.text < 'b'",
        "self.list == [1, 'x']",
        "other == 1",
        "self.a",
    ];
    let values = [
        json!(1),
        json!(2),
        json!(true),
        json!("x"),
        json!("abc"),
        json!([1, "x"]),
        json!({"b": 1}),
        json!(1.5),
    ];
    let schema = Schema::of(Kind::User);
    let (mut answered, mut all) = (0, 0);
    for text in expressions {
        let program = kube_cel::cel::Program::compile(text).expect("it is CEL");
        let shortcut = Shortcut::of(program.expression());
        for a in &values {
            for b in &values {
                let json = json!({"a": a, "b": b, "list": [a, b, 1], "map": {"a": a}, "text": "abc", "nothing": null});
                all += 1;
                let Some(holds) = shortcut.holds(&json, None, schema) else { continue };
                let engine = super::rule::answer(&program, read_by(None, &json, schema));
                assert_eq!(engine, Ok(kube_cel::cel::Value::Bool(holds)), "{text}\n{json}");
                answered += 1;
            }
        }
    }
    assert!(answered > 300 && answered < all, "{answered} of {all}");
}
