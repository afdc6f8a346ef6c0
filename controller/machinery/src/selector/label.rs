//! Label selectors: `a=b,c!=d,e in (f,g),h notin (i),j,!k`, as an API server reads them, with its complaints.
//! A selector is read once, in linear time, and matched in logarithmic time a requirement.

use std::{collections::BTreeSet, fmt};

use super::lexer::{Lexer, Token};
use crate::{field_cause, names, refusal::Cause};

/// What the labels of an object must satisfy, all of it; sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// What one label must satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Greater(i64),
    Less(i64),
}

/// The sentence that an API server says about a selector that it cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Selector {
    /// Reads a selector. The empty text selects everything.
    ///
    /// # Errors
    /// Says what was found, what was expected, or which key or value no label can have.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut lexer = Lexer::new(text);
        let mut requirements = vec![];
        if lexer.peek() != Token::End && !begins_requirement(lexer.peek()) {
            let found = lexer.peek().text();
            return Err(Unreadable(format!("found '{found}', expected: !, identifier, or 'end of string'")));
        }
        while lexer.peek() != Token::End {
            let requirement = requirement(&mut lexer)
                .map_err(|Unreadable(why)| Unreadable(format!("unable to parse requirement: {why}")))?;
            requirements.push(requirement);
            match lexer.take() {
                Token::End => break,
                Token::Sign(",") if begins_requirement(lexer.peek()) => {}
                Token::Sign(",") => return Err(found(lexer.peek(), ", expected: identifier after ','")),
                other @ (Token::Word(_) | Token::Sign(_)) => {
                    return Err(found(other, ", expected: ',' or 'end of string'"));
                }
            }
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// Says whether an object is selected, given what its labels are.
    pub fn selects<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(value_of(&requirement.key)))
    }

    /// Says whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.contains(value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Test::Greater(bound) => number().is_some_and(|number| number > *bound),
            Test::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// The canonical text: two selectors that are written differently and mean the same requirements are equal in it.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, test }) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let joined = |values: &BTreeSet<String>| -> String {
                values.iter().map(String::as_str).collect::<Vec<_>>().join(",")
            };
            match test {
                Test::Exists => write!(f, "{key}")?,
                Test::Absent => write!(f, "!{key}")?,
                Test::In(values) => write!(f, "{key} in ({})", joined(values))?,
                Test::NotIn(values) => write!(f, "{key} notin ({})", joined(values))?,
                Test::Greater(bound) => write!(f, "{key}>{bound}")?,
                Test::Less(bound) => write!(f, "{key}<{bound}")?,
            }
        }
        Ok(())
    }
}

fn begins_requirement(token: Token<'_>) -> bool {
    matches!(token, Token::Word(_) | Token::Sign("!"))
}

fn found(token: Token<'_>, expected: &str) -> Unreadable {
    Unreadable(format!("found '{}'{expected}", token.text()))
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, Unreadable> {
    let is_negated = lexer.peek() == Token::Sign("!");
    if is_negated {
        lexer.take();
    }
    let key = match lexer.take() {
        Token::Word(key) => key,
        other @ (Token::Sign(_) | Token::End) => return Err(found(other, ", expected: identifier")),
    };
    // The API server gives no path here, and its messages show the missing path as `<nil>`.
    let complaints = names::qualified(key);
    if !complaints.is_empty() {
        let cause = field_cause::invalid("<nil>", key, &complaints.join("; "));
        return Err(Unreadable(field_cause::sentence(&[cause])));
    }
    let key = key.to_owned();
    if is_negated {
        return Ok(Requirement { key, test: Test::Absent });
    }
    if matches!(lexer.peek(), Token::End | Token::Sign(",")) {
        return Ok(Requirement { key, test: Test::Exists });
    }
    let test = test(lexer, &key)?;
    Ok(Requirement { key, test })
}

fn test(lexer: &mut Lexer<'_>, key: &str) -> Result<Test, Unreadable> {
    let operator = lexer.take();
    let values = match operator.text() {
        "in" | "notin" => values(lexer)?,
        "=" | "==" | "!=" | ">" | "<" => BTreeSet::from([exact_value(lexer)?]),
        _ => return Err(found(operator, ", expected: in, notin, =, ==, !=, gt, lt")),
    };
    let mut causes = vec![];
    let bound = match (operator.text(), values.first()) {
        (">" | "<", Some(value)) => whole_number(value, &mut causes),
        _ => 0,
    };
    for (index, value) in values.iter().enumerate() {
        let complaints = names::label_value(value);
        if !complaints.is_empty() && causes.len() < COMPLAINTS_MAX {
            causes.push(field_cause::invalid(
                format!("values[{index}][{key}]"),
                value,
                &complaints.join("; "),
            ));
        }
    }
    if !causes.is_empty() {
        return Err(Unreadable(field_cause::sentence(&causes)));
    }
    Ok(match operator.text() {
        "notin" | "!=" => Test::NotIn(values),
        ">" => Test::Greater(bound),
        "<" => Test::Less(bound),
        _ => Test::In(values),
    })
}

/// How many bad values are named. Each complaint is a hundred times as long as what it may be about.
const COMPLAINTS_MAX: usize = 16;

fn whole_number(value: &str, causes: &mut Vec<Cause>) -> i64 {
    value.parse().unwrap_or_else(|_| {
        let why = "for 'Gt', 'Lt' operators, the value must be an integer";
        causes.push(field_cause::invalid("values[0]", value, why));
        0
    })
}

fn exact_value(lexer: &mut Lexer<'_>) -> Result<String, Unreadable> {
    if matches!(lexer.peek(), Token::End | Token::Sign(",")) {
        return Ok(String::new());
    }
    match lexer.take() {
        Token::Word(value) => Ok(value.to_owned()),
        other @ (Token::Sign(_) | Token::End) => Err(found(other, ", expected: identifier")),
    }
}

/// Reads `(a,b)`; a place without a word is the empty value.
fn values(lexer: &mut Lexer<'_>) -> Result<BTreeSet<String>, Unreadable> {
    let open = lexer.take();
    if open != Token::Sign("(") {
        return Err(found(open, " expected: '('"));
    }
    match lexer.peek() {
        Token::Sign(")") => {
            lexer.take();
            return Ok(BTreeSet::from([String::new()]));
        }
        Token::Word(_) | Token::Sign(",") => {}
        other @ (Token::Sign(_) | Token::End) => {
            return Err(found(other, ", expected: ',', ')' or identifier"));
        }
    }
    let mut values = BTreeSet::new();
    loop {
        match lexer.take() {
            Token::Word(value) => {
                values.insert(value.to_owned());
                match lexer.peek().text() {
                    "," => {}
                    ")" => break,
                    _ => return Err(found(lexer.peek(), ", expected: ',' or ')'")),
                }
            }
            Token::Sign(",") => {
                if values.is_empty() {
                    values.insert(String::new());
                }
                if lexer.peek() == Token::Sign(")") {
                    values.insert(String::new());
                    break;
                }
                if lexer.peek() == Token::Sign(",") {
                    lexer.take();
                    values.insert(String::new());
                }
            }
            other @ (Token::Sign(_) | Token::End) => {
                return Err(found(other, ", expected: ',', or identifier"));
            }
        }
    }
    lexer.take();
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says whether a selector selects an object with labels such as `a=b c=d`.
    fn selects(selector: &Selector, labels: &str) -> bool {
        let pairs = || labels.split_whitespace().map(|pair| pair.split_once('=').expect("a pair"));
        selector.selects(|key| pairs().find(|(name, _)| *name == key).map(|(_, value)| value))
    }

    fn check(selector: &str, selected: &[&str], left_out: &[&str]) {
        let selector = Selector::parse(selector).unwrap();
        for text in selected {
            assert!(selects(&selector, text), "{selector} selects {text}");
        }
        for text in left_out {
            assert!(!selects(&selector, text), "{selector} leaves {text} out");
        }
    }

    #[test]
    fn equality_and_sets_select() {
        check("", &["", "a=b"], &[]);
        check("a=b", &["a=b c=d"], &["", "a=c"]);
        check("a==b,c=d", &["a=b c=d"], &["a=b"]);
        check("a!=b", &["", "a=c"], &["a=b"]);
        check("a", &["a=", "a=b"], &["b=a"]);
        check("!a", &["", "b=a"], &["a="]);
        check(" a in ( x , y ) ", &["a=x", "a=y"], &["", "a=z"]);
        check("a notin (x,y)", &["", "a=z"], &["a=x"]);
        check("a in ()", &["a="], &["", "a=x"]);
        check("a in (x,)", &["a=", "a=x"], &["a=y"]);
        check("a=", &["a="], &["", "a=x"]);
        check("in in (in,notin)", &["in=in", "in=notin"], &["in=x"]);
        check("n>5", &["n=6"], &["n=5", "n=x", ""]);
        check("n<5", &["n=-3"], &["n=5"]);
    }

    #[test]
    fn complaints_say_what_was_found_and_what_was_expected() {
        for (text, expected) in [
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b,", "found '', expected: identifier after ','"),
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            ("a in x", "unable to parse requirement: found 'x' expected: '('"),
            ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in (x,", "unable to parse requirement: found '', expected: ',', or identifier"),
            ("a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
            ("a=)", "unable to parse requirement: found ')', expected: identifier"),
            (
                "n>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value \
                 must be an integer",
            ),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        let bad_key = Selector::parse("a//b=c").unwrap_err().to_string();
        assert!(bad_key.starts_with(
            "unable to parse requirement: <nil>: Invalid value: \"a//b\": a qualified name must consist of"
        ));
        let bad_value = Selector::parse("a in (x,y/z)").unwrap_err().to_string();
        assert!(bad_value.starts_with(
            "unable to parse requirement: values[1][a]: Invalid value: \"y/z\": a valid label must be"
        ));
    }

    #[test]
    fn the_same_requirements_have_one_text() {
        let text = |selector: &str| Selector::parse(selector).unwrap().to_string();

        assert_eq!(text("b=1, a in (y,x)"), text("a in (x, y),b in (1)"));
    }

    #[test]
    fn a_long_selector_is_read_in_linear_time() {
        let many: Vec<String> = (0..200_000).map(|number| format!("k{number}=v")).collect();

        let selector = Selector::parse(&many.join(",")).unwrap();

        assert!(!selects(&selector, "k1=v"));
        assert!(Selector::parse(&"(".repeat(1_000_000)).is_err());
    }
}
