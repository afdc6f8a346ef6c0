//! What an API server believes that a rule may cost: computed from the bounds of the schema, before any object is there.
//!
//! It refuses a definition whose rules or messages could cost too much. See "Resource use by validation functions" of
//! Kubernetes' documentation, `checker/cost.go` of cel-go and `pkg/cel/library/cost.go` of `k8s.io/apiserver`.
//! Only what our rules use is known here; a fact holds it to numbers that an API server computed.

use horizon_api::resource::Kind;
use kube_cel::cel::{
    IdedExpr, Program,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators},
};

use crate::schema::{Schema, Type};

/// The most that one expression may cost.
const EXPRESSION_MAX: u64 = 10_000_000;
/// The most that all expressions of a definition may cost together.
const DEFINITION_MAX: u64 = 100_000_000;
/// A size that nothing bounds.
const UNKNOWN: u64 = u64::MAX;
/// Making a list costs this much, whatever is in it.
const LIST_COST: u64 = 10;
/// A character takes at most four bytes.
const CHAR_BYTES: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    List,
    Other,
}

/// The worst that an expression can come to.
#[derive(Clone, Debug)]
struct Worst<'a> {
    cost: u64,
    form: Form,
    /// Bytes of a text, items of a list, fields of a map; 1 for everything else.
    size: u64,
    /// The part of the schema that bounds it. What was made on the way, such as by a filter, has none.
    schema: Option<&'a Schema>,
    /// Of a list that was made on the way: its largest item.
    item: Option<Box<Self>>,
}

impl<'a> Worst<'a> {
    fn new(form: Form, size: u64, cost: u64) -> Self {
        Self { cost, form, size, schema: None, item: None }
    }

    fn scalar(cost: u64) -> Self {
        Self::new(Form::Other, 1, cost)
    }

    fn text(size: u64, cost: u64) -> Self {
        Self::new(Form::Text, size, cost)
    }

    fn of_schema(schema: &'a Schema) -> Self {
        let bound = |max: Option<usize>| max.map_or(UNKNOWN, |max| max as u64);
        let (form, size) = match schema.kind {
            Type::String => {
                let longest = schema.values.iter().map(String::len).max();
                let by_length = schema.max_length.map(|max| max as u64 * CHAR_BYTES);
                (Form::Text, by_length.unwrap_or_else(|| bound(longest)))
            }
            Type::Array => (Form::List, bound(schema.max_items)),
            Type::Object => (Form::Other, bound(schema.max_properties)),
            Type::Integer | Type::Boolean => (Form::Other, 1),
        };
        Self { schema: Some(schema), ..Self::new(form, size, 0) }
    }

    fn with_cost(self, cost: u64) -> Self {
        Self { cost, ..self }
    }

    /// Returns the worst of an item of this list.
    fn of_item(&self) -> Self {
        let by_schema = self.schema.and_then(|schema| schema.items.as_deref()).map(Self::of_schema);
        by_schema.or_else(|| self.item.as_deref().cloned()).unwrap_or(Self::new(Form::Other, UNKNOWN, 0))
    }

    fn field(&self, name: &str) -> Self {
        let values = |schema: &'a Schema| schema.additional_properties.as_deref();
        let field = self.schema.and_then(|schema| schema.properties.get(name).or_else(|| values(schema)));
        field.map_or(Self::text(UNKNOWN, 0), Self::of_schema)
    }

    /// Returns what is at least as bad as either.
    fn or(self, other: Self) -> Self {
        let item = match (self.item, other.item) {
            (Some(one), Some(other)) => Some(Box::new(one.or(*other))),
            (one, other) => one.or(other),
        };
        let form = if self.form == Form::Other { other.form } else { self.form };
        Self { item, ..Self::new(form, self.size.max(other.size), self.cost.max(other.cost)) }
    }
}

/// Texts are walked at a tenth of a unit for each byte.
fn tenth(bytes: u64) -> u64 {
    bytes.div_ceil(10)
}

/// What names stand for, the latest last.
struct Prices<'a>(Vec<(String, Worst<'a>)>);

impl<'a> Prices<'a> {
    fn of_rule(text: &str, schema: &'a Schema) -> u64 {
        let program = Program::compile(text).expect("a test compiles all rules");
        let value = |name: &str| (name.to_owned(), Worst::of_schema(schema));
        Self(vec![value("self"), value("oldSelf")]).of(program.expression()).cost
    }

    fn of(&mut self, expression: &IdedExpr) -> Worst<'a> {
        match &expression.expr {
            Expr::Literal(LiteralValue::String(text)) => Worst::text(text.inner().len() as u64, 0),
            Expr::Literal(_) => Worst::scalar(0),
            Expr::Ident(name) => {
                let known = self.0.iter().rev().find(|(known, _)| known == name);
                known.expect("rules use their own names only").1.clone().with_cost(1)
            }
            Expr::Select(select) => {
                let operand = self.of(&select.operand);
                if select.test {
                    return Worst::scalar(operand.cost);
                }
                operand.field(&select.field).with_cost(operand.cost.saturating_add(1))
            }
            Expr::List(list) => {
                let items: Vec<_> = list.elements.iter().map(|item| self.of(item)).collect();
                let cost = items.iter().fold(LIST_COST, |sum, item| sum.saturating_add(item.cost));
                let list = Worst::new(Form::List, items.len() as u64, cost);
                let item = items.into_iter().reduce(Worst::or);
                Worst { item: item.map(|item| Box::new(Worst { schema: None, ..item })), ..list }
            }
            Expr::Comprehension(parts) => self.of_loop(parts),
            Expr::Call(call) => self.of_call(call),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                panic!("no price is known for {expression:?}")
            }
        }
    }

    fn of_loop(&mut self, parts: &ComprehensionExpr) -> Worst<'a> {
        let (range, start) = (self.of(&parts.iter_range), self.of(&parts.accu_init));
        self.0.push((parts.accu_var.clone(), start.clone()));
        self.0.push((parts.iter_var.clone(), range.of_item()));
        let goes_on = self.of(&parts.loop_cond);
        let step = self.of(&parts.loop_step);
        self.0.pop();
        let end = self.of(&parts.result);
        self.0.pop();
        let rounds = range.size.saturating_mul(goes_on.cost.saturating_add(step.cost));
        let cost = [start.cost, end.cost, rounds].into_iter().fold(range.cost, u64::saturating_add);
        match start.form {
            Form::List => Worst { item: step.item, ..Worst::new(Form::List, range.size, cost) },
            Form::Text | Form::Other => Worst::scalar(cost),
        }
    }

    fn of_call(&mut self, call: &CallExpr) -> Worst<'a> {
        // A method is a function of what it is called on.
        let parts: Vec<_> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let parts: Vec<_> = parts.into_iter().map(|part| self.of(part)).collect();
        let before = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.cost));
        let and = |cost: u64| before.saturating_add(cost);
        let (size, name) = (|index: usize| parts[index].size, call.func_name.as_str());
        let if_text = |index: usize| if parts[index].form == Form::Text { tenth(size(index)) } else { 0 };
        match (name, parts.as_slice()) {
            (operators::CONDITIONAL, [condition, one, other]) => {
                let worst = one.clone().or(other.clone());
                let cost = condition.cost.saturating_add(worst.cost);
                worst.with_cost(cost)
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, _) => Worst::scalar(before),
            (operators::ADD, [one, other]) => sum(one, other, before),
            (operators::INDEX, [list, _]) => list.of_item().with_cost(and(1)),
            (operators::IN, _) => Worst::scalar(and(size(1))),
            (
                operators::EQUALS
                | operators::NOT_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS,
                _,
            ) => Worst::scalar(and(tenth(size(0).min(size(1))))),
            ("cidr" | "isCIDR" | "isIP" | "indexOf", _) => Worst::scalar(and(tenth(size(0)))),
            // An address is 16 bytes at most; both are compared, and prefixes are shortened before.
            ("containsIP", _) => Worst::scalar(and(tenth(32)).saturating_add(if_text(1))),
            ("containsCIDR", _) => Worst::scalar(and(tenth(32) + tenth(16) + 1).saturating_add(if_text(1))),
            ("contains", _) => Worst::scalar(and(tenth(size(0)).saturating_mul(tenth(size(1))))),
            ("split", _) => {
                let item = Some(Box::new(Worst::text(UNKNOWN, 0)));
                Worst { item, ..Worst::new(Form::List, size(0), and(size(0).div_ceil(5))) }
            }
            ("substring", _) => Worst::text(size(0), and(tenth(size(0)))),
            ("replace", _) => {
                let times = size(0).div_ceil(size(1).max(1));
                let longest = size(0).max(times.saturating_mul(size(2)));
                Worst::text(longest, and(size(0).div_ceil(5)))
            }
            ("join", [list, between]) => {
                // How long the items of a list are that was made on the way is not asked here.
                let by_schema = if list.schema.is_some() { list.of_item().size } else { UNKNOWN };
                let bytes = list.size.saturating_mul(by_schema.saturating_add(between.size));
                Worst::text(bytes, and(tenth(bytes)))
            }
            ("string", _) => Worst::text(UNKNOWN, and(1)),
            (
                operators::LOGICAL_NOT
                | operators::NOT_STRICTLY_FALSE
                | "size"
                | "int"
                | "duration"
                | "ip"
                | "family"
                | "masked"
                | "prefixLength",
                _,
            ) => Worst::scalar(and(1)),
            _ => panic!("no price is known for `{name}`; add what an API server estimates"),
        }
    }
}

fn sum<'a>(one: &Worst<'a>, other: &Worst<'a>, before: u64) -> Worst<'a> {
    let both = one.clone().or(other.clone());
    let size = one.size.saturating_add(other.size);
    match both.form {
        Form::Text => Worst::text(size, before.saturating_add(tenth(size))),
        Form::List => Worst { size, ..both }.with_cost(before.saturating_add(1)),
        Form::Other => Worst::scalar(before.saturating_add(1)),
    }
}

/// What one rule may cost, and its message once.
struct Price {
    path: String,
    rule: u64,
    message: u64,
    /// How many values there may be in an object that the rule runs on.
    values: u64,
}

impl Price {
    fn of_object(&self) -> u64 {
        self.rule.saturating_mul(self.values)
    }
}

fn prices(schema: &Schema, path: &str, values: u64, found: &mut Vec<Price>) {
    for (index, text) in schema.rules.iter().enumerate() {
        let price = |text: &str| Prices::of_rule(text, schema);
        let message = text.message_expression.as_deref().map_or(0, price);
        found.push(Price { path: format!("{path}#{index}"), rule: price(&text.rule), message, values });
    }
    for (name, property) in &schema.properties {
        prices(property, &format!("{path}.{name}"), values, found);
    }
    let parts = [
        (schema.items.as_deref(), schema.max_items, "[]"),
        (schema.additional_properties.as_deref(), schema.max_properties, "{}"),
    ];
    for (part, max, sign) in parts {
        let Some(part) = part else { continue };
        let values = values.saturating_mul(max.map_or(UNKNOWN, |max| max as u64));
        prices(part, &format!("{path}{sign}"), values, found);
    }
}

fn prices_of(kind: Kind) -> Vec<Price> {
    let mut found = Vec::new();
    prices(Schema::of(kind), "spec", 1, &mut found);
    found
}

#[test]
fn an_api_server_takes_every_definition() {
    for kind in Kind::ALL {
        let prices = prices_of(kind);
        for price in &prices {
            let (path, rule, message) = (&price.path, price.of_object(), price.message);
            assert!(rule <= EXPRESSION_MAX, "{kind} {path}: the rule may cost {rule}; bound what it reads");
            assert!(message <= EXPRESSION_MAX, "{kind} {path}: the message may cost {message}; see rule.rs");
        }

        let total: u64 = prices.iter().map(|price| price.of_object() + price.message).sum();
        assert!(total <= DEFINITION_MAX, "{kind}: all rules together may cost {total}");
    }
}

/// As Kubernetes 1.34.4 estimates them, or a little above: it takes items of a list that is written out for free.
#[test]
fn prices_are_those_of_an_api_server() {
    let known = [
        (Kind::AccessPolicy, "spec#0", 147_843, 68),
        (Kind::AccessPolicy, "spec.rules[]#0", 20, 0),
        (Kind::AccessPolicy, "spec.rules[].ports[]#0", 439, 0),
        (Kind::AccessPolicy, "spec.rules[].to[]#0", 18, 148),
        (Kind::AccessPolicy, "spec.rules[].to[].cidr#0", 65, 0),
        (Kind::AccessPolicy, "spec.windows[].end#0", 2, 0),
        (Kind::AccessTest, "spec.cases[]#0", 16, 11),
        (Kind::Network, "spec#0", 6_715, 19_953),
        (Kind::Network, "spec#1", 239, 0),
        (Kind::Network, "spec#2", 3_571, 0),
        (Kind::Network, "spec#3", 13, 0),
        (Kind::Network, "spec.addressPools[]#0", 73, 131),
        (Kind::Network, "spec.addressPools[]#1", 524, 0),
        (Kind::Network, "spec.addressPools[]#2", 3_077, 50),
        (Kind::Network, "spec.lan.groups#0", 3_330, 0),
        (Kind::Network, "spec.offlineGrace#0", 8, 0),
        (Kind::RegistrationKey, "spec#5", 37, 0),
        (Kind::Server, "spec#1", 143_877, 144_779),
        (Kind::Server, "spec#3", 246_213, 0),
    ];
    for (kind, path, rule, message) in known {
        let prices = prices_of(kind);
        let price = prices.iter().find(|price| price.path == path).expect("the rule is there");
        for (ours, theirs) in [(price.rule, rule), (price.message, message)] {
            assert!((theirs..=theirs + theirs / 10).contains(&ours), "{kind} {path}: {ours} for {theirs}");
        }
    }
}

/// All of these were refused by an API server.
#[test]
fn texts_without_a_known_length_cost_too_much() {
    let schema = Schema::of(Kind::Network);
    for text in [
        "'not /' + string(cidr(self.addressPools[0].cidr).prefixLength())",
        "['a', has(self.dns) ? 'b' : ''].filter(x, x != '').join(' and ')",
        "self.addressPools.filter(p, has(p.cidr)).map(p, p.cidr).join(' and ') + ' overlap'",
        "self.addressPools.filter(p, has(p.cidr))[0].cidr + ' is alone'",
    ] {
        assert!(Prices::of_rule(text, schema) > EXPRESSION_MAX, "{text}");
    }
}
