//! One rule: its program and its text.

use std::{collections::BTreeSet, sync::LazyLock};

use kube_cel::{
    KubeCelExt,
    cel::{Context, Program, Value},
};
use serde_json::Value as Json;

use super::{Violation, blame, shortcut::Shortcut, value::read_by};
use crate::schema::{Reason, RuleText, Schema};

/// A rule, ready to run.
#[derive(Debug)]
pub(super) struct Rule {
    text: &'static RuleText,
    program: Program,
    shortcut: Shortcut,
    message: Option<Program>,
    /// The fields of `self` that it reads; nothing when it looks at all of it.
    pub(super) reads: Option<BTreeSet<&'static str>>,
    /// It compares with what was before.
    pub(super) is_about_changes: bool,
}

/// What rules see: a value, and what it was before.
pub(super) struct Scope(Context<'static>);

impl Scope {
    pub(super) fn new(value: Value, old: Option<Value>) -> Self {
        let mut context = FUNCTIONS.new_inner_scope();
        context.add_variable_from_value("self", value);
        if let Some(old) = old {
            context.add_variable_from_value("oldSelf", old);
        }
        Self(context)
    }
}

static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

impl Rule {
    pub(super) fn compile(text: &'static RuleText, schema: &'static Schema) -> Self {
        let compile = |source: &str| {
            Program::compile(source).expect("embedded rules are CEL; a test compiles them all")
        };
        let program = compile(&text.rule);
        Self {
            text,
            message: text.message_expression.as_deref().map(compile),
            reads: fields_read(&[&text.rule, text.message_expression.as_deref().unwrap_or_default()], schema),
            is_about_changes: program.references().has_variable("oldSelf"),
            shortcut: Shortcut::of(program.expression()),
            program,
        }
    }

    /// Answers without the engine, if that can be done. `old` is what was before, for a rule about changes.
    pub(super) fn holds_plainly(&self, json: &Json, old: Option<&Json>, schema: &Schema) -> Option<bool> {
        self.shortcut.holds(json, old, schema)
    }

    /// Asks the rule about what a scope holds.
    pub(super) fn holds(&self, scope: &Scope) -> bool {
        self.program.execute(&scope.0) == Ok(Value::Bool(true))
    }

    /// Says which part of a value breaks the rule, and how.
    pub(super) fn check(
        &self,
        schema: &Schema,
        json: &Json,
        old: Option<&Json>,
        site: &str,
        violations: &mut Vec<Violation>,
    ) {
        let value = |json: &Json| read_by(self.reads.as_ref(), json, schema);
        let before = old.map(value);
        let run = |json: &Json| self.run(value(json), before.as_ref());
        let Err(sentence) = run(json) else { return };
        let holds = |json: &Json| self.holds_plainly(json, old, schema).unwrap_or_else(|| run(json).is_ok());
        let ask = blame::Ask { holds: &holds, sentence: &|json| run(json).err().unwrap_or_default() };
        let field = self.text.field_path.as_deref().unwrap_or_default();
        let path = format!("{site}{field}");
        let is_about_items = self.text.rule.contains(&format!("self{field}.all("));
        let items = if is_about_items { blame::items(json, schema, field, &ask) } else { vec![] };
        for (item, sentence) in &items {
            violations.push(self.violation(site, format!("{path}{item}"), sentence));
        }
        if items.is_empty() {
            violations.push(self.violation(site, path, &sentence));
        }
    }

    fn run(&self, value: Value, old: Option<&Value>) -> Result<(), String> {
        let Scope(context) = &Scope::new(value, old.cloned());
        match self.program.execute(context) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Bool(false)) => Err(self.sentence(context)),
            // Closed, as an API server does it.
            Ok(_) => Err(format!("the rule `{}` says neither yes nor no", self.text.rule)),
            Err(error) => Err(format!("the rule `{}` cannot be checked: {error}", self.text.rule)),
        }
    }

    fn sentence(&self, context: &Context<'_>) -> String {
        match self.message.as_ref().map(|message| message.execute(context)) {
            Some(Ok(Value::String(sentence))) => sentence.to_string(),
            Some(_) | None => match &self.text.message {
                Some(message) => message.clone(),
                None => format!("breaks the rule `{}`", self.text.rule),
            },
        }
    }

    fn violation(&self, site: &str, path: String, sentence: &str) -> Violation {
        let (message, fix) = sentence.split_once("; ").unwrap_or((sentence, ""));
        let code = match self.text.reason {
            Reason::FieldValueInvalid => "Invalid",
            Reason::FieldValueForbidden => "Forbidden",
            Reason::FieldValueRequired => "Required",
            Reason::FieldValueDuplicate => "Duplicate",
        };
        let sites = match &self.reads {
            Some(fields) => fields.iter().map(|field| format!("{site}.{field}")).collect(),
            None => vec![site.to_owned()],
        };
        Violation { sites, path, code, message: message.to_owned(), fix: fix.to_owned() }
    }
}

/// Runs any program on a value.
#[cfg(test)]
pub(super) fn answer(program: &Program, value: Value) -> Result<Value, kube_cel::cel::ExecutionError> {
    program.execute(&Scope::new(value, None).0)
}

/// Returns the fields of `self` that are named in texts of CEL, or nothing when `self` is used in any other way.
fn fields_read(texts: &[&str], schema: &'static Schema) -> Option<BTreeSet<&'static str>> {
    const SELF: &str = "self";
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut fields = BTreeSet::new();
    for text in texts {
        for (at, _) in text.match_indices(SELF).filter(|(at, _)| !text[..*at].ends_with(is_word)) {
            let rest = text[at + SELF.len()..].strip_prefix('.')?;
            let name = rest.split(|c| !is_word(c)).next()?;
            let (name, _) = schema.properties.get_key_value(name)?;
            fields.insert(name.as_str());
        }
    }
    // What was before is read as the same fields: a rule that reads others would be blind.
    let of_old = texts.iter().flat_map(|text| text.split("oldSelf.").skip(1));
    let of_old = of_old.filter_map(|rest| rest.split(|c| !is_word(c)).next());
    fields.extend(of_old.filter_map(|name| Some(schema.properties.get_key_value(name)?.0.as_str())));
    Some(fields)
}
