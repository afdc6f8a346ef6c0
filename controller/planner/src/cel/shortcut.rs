//! The way past the engine: presence, comparisons, logic and loops, computed on JSON as it is.
//!
//! The engine copies what it looks at, time and again. A shortcut copies nothing, and knows only part of CEL; of what it
//! is not sure it says nothing, and the engine is asked. A test holds that both agree wherever it says something.

mod known;
mod run;

use kube_cel::cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators},
};
use serde_json::Value as Json;

use self::{known::known, run::Variables};
use crate::schema::Schema;

/// An expression, as far as it is known here.
#[derive(Debug)]
pub(super) enum Shortcut {
    Bool(bool),
    Int(i64),
    Text(String),
    Variable(String),
    Field(Box<Self>, String),
    Has(Box<Self>, String),
    Size(Box<Self>),
    /// A list that is written out.
    List(Vec<Self>),
    /// What a text says, as a prefix of addresses.
    Prefix(Box<Self>),
    PrefixLength(Box<Self>),
    /// Of the addresses of a prefix: 4 or 6.
    Family(Box<Self>),
    Contains(Box<[Self; 2]>),
    ContainsAddress(Box<[Self; 2]>),
    /// What a text says, as a span of time.
    Span(Box<Self>),
    Not(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    If(Box<[Self; 3]>),
    Sum(Box<[Self; 2]>),
    Equal(Box<[Self; 2]>),
    AtLeast(Box<[Self; 2]>),
    OneOf(Box<[Self; 2]>),
    Loop(Box<Loop>),
    /// Something that only the engine knows.
    Unknown,
}

/// What the macros `all`, `exists` and `exists_one` become.
#[derive(Debug)]
pub(super) struct Loop {
    items: Shortcut,
    item: String,
    sum: String,
    start: Shortcut,
    goes_on: Shortcut,
    step: Shortcut,
    end: Shortcut,
}

impl Shortcut {
    pub(super) fn of(expression: &IdedExpr) -> Self {
        let part = |expression: &IdedExpr| Box::new(Self::of(expression));
        match &expression.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => Self::Bool(*value.inner()),
            Expr::Literal(LiteralValue::Int(value)) => Self::Int(*value.inner()),
            Expr::Literal(LiteralValue::String(text)) => Self::Text(text.inner().to_owned()),
            Expr::Ident(name) => Self::Variable(name.clone()),
            Expr::Select(select) if select.test => Self::Has(part(&select.operand), select.field.clone()),
            Expr::Select(select) => Self::Field(part(&select.operand), select.field.clone()),
            Expr::Comprehension(parts) if parts.iter_var2.is_none() => Self::Loop(Box::new(Loop::of(parts))),
            Expr::Call(call) => Self::of_call(call).unwrap_or(Self::Unknown),
            Expr::List(list) if list.optional_indices.is_empty() => {
                Self::List(list.elements.iter().map(Self::of).collect())
            }
            Expr::Literal(
                LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::Null | LiteralValue::UInt(_),
            )
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Map(_)
            | Expr::Struct(_)
            | Expr::Unspecified => Self::Unknown,
        }
    }

    fn of_call(call: &CallExpr) -> Option<Self> {
        // A method is a function of what it is called on.
        let arguments: Vec<&IdedExpr> = call.target.iter().map(Box::as_ref).chain(&call.args).collect();
        let part = |index: usize| Self::of(arguments[index]);
        let one = || Box::new(part(0));
        let two = || Box::new([part(0), part(1)]);
        let swapped = || Box::new([part(1), part(0)]);
        let not = |inner: Self| Self::Not(Box::new(inner));
        Some(match (call.func_name.as_str(), call.target.is_some(), arguments.len()) {
            ("size", _, 1) => Self::Size(one()),
            ("cidr", false, 1) => Self::Prefix(one()),
            ("duration", false, 1) => Self::Span(one()),
            ("prefixLength", true, 1) => Self::PrefixLength(one()),
            ("family", true, 1) => Self::Family(Box::new(Self::of(whose_address(arguments[0])?))),
            ("containsCIDR", true, 2) => Self::Contains(two()),
            ("containsIP", true, 2) => Self::ContainsAddress(two()),
            (operators::LOGICAL_NOT, false, 1) => Self::Not(one()),
            // What is no boolean is not known here anyway.
            (operators::NOT_STRICTLY_FALSE, false, 1) => part(0),
            (operators::LOGICAL_AND, false, 2) => Self::And(two()),
            (operators::LOGICAL_OR, false, 2) => Self::Or(two()),
            (operators::ADD, false, 2) => Self::Sum(two()),
            (operators::EQUALS, false, 2) => Self::Equal(two()),
            (operators::NOT_EQUALS, false, 2) => not(Self::Equal(two())),
            (operators::GREATER_EQUALS, false, 2) => Self::AtLeast(two()),
            (operators::LESS_EQUALS, false, 2) => Self::AtLeast(swapped()),
            (operators::GREATER, false, 2) => not(Self::AtLeast(swapped())),
            (operators::LESS, false, 2) => not(Self::AtLeast(two())),
            (operators::CONDITIONAL, false, 3) => Self::If(Box::new([part(0), part(1), part(2)])),
            (operators::IN, false, 2) => Self::OneOf(two()),
            _ => return None,
        })
    }

    /// Returns whether a rule holds for a value, and for what was before if it is about changes; nothing if unsure.
    pub(super) fn holds(&self, json: &Json, old: Option<&Json>, schema: &Schema) -> Option<bool> {
        let old = match old {
            Some(old) => Some(Variables { name: "oldSelf", value: known(old, Some(schema))?, outer: None }),
            None => None,
        };
        let value = known(json, Some(schema))?;
        self.run(&Variables { name: "self", value, outer: old.as_ref() })?.bool()
    }
}

/// Returns what an expression such as `cidr(…).ip()` takes the address of.
fn whose_address(expression: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &expression.expr else { return None };
    call.target.as_deref().filter(|_| call.func_name == "ip" && call.args.is_empty())
}

impl Loop {
    fn of(parts: &ComprehensionExpr) -> Self {
        Self {
            items: Shortcut::of(&parts.iter_range),
            item: parts.iter_var.clone(),
            sum: parts.accu_var.clone(),
            start: Shortcut::of(&parts.accu_init),
            goes_on: Shortcut::of(&parts.loop_cond),
            step: Shortcut::of(&parts.loop_step),
            end: Shortcut::of(&parts.result),
        }
    }
}
