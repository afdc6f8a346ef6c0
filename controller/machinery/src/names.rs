//! What names, labels and finalizers may look like, in the API server's words (`apimachinery/pkg/util/validation`).

const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Returns what is wrong with a DNS subdomain (RFC 1123), which object names are.
pub(crate) fn subdomain(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 253);
    if !is_subdomain(text) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// Returns what is wrong with a DNS label (RFC 1123), which namespaces are.
pub(crate) fn label(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 63);
    if !is_label(text) {
        wrong.push(if is_subdomain(text) { "must not contain dots".to_owned() } else { LABEL.to_owned() });
    }
    wrong
}

/// Returns what is wrong with a key in the data of a secret.
pub(crate) fn config_key(text: &str) -> Vec<String> {
    const CHARACTERS: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
        'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let mut wrong = too_long(text, 253);
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_known) {
        wrong.push(CHARACTERS.to_owned());
    }
    match text {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        text if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// Returns what is wrong with the key of a label or annotation, or with a finalizer.
pub(crate) fn qualified(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (prefix, name) = match parts.as_slice() {
        [name] => (None, *name),
        [prefix, name] => (Some(*prefix), *name),
        _ => {
            let rest = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a qualified name {QUALIFIED} {rest}")];
        }
    };
    let mut wrong = vec![];
    match prefix {
        None => {}
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => wrong.extend(subdomain(prefix).iter().map(|why| format!("prefix part {why}"))),
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else {
        wrong.extend(too_long(name, 63).iter().map(|why| format!("name part {why}")));
    }
    if !is_word(name) {
        wrong.push(format!("name part {QUALIFIED}"));
    }
    wrong
}

/// Returns what is wrong with the value of a label.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 63);
    if !text.is_empty() && !is_word(text) {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

fn too_long(text: &str, most: usize) -> Vec<String> {
    if text.len() > most { vec![format!("must be no more than {most} characters")] } else { vec![] }
}

fn is_word(text: &str) -> bool {
    is_made_of(text, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

fn is_label(text: &str) -> bool {
    is_made_of(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-")
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// Says whether a text has letters at both ends, and letters or signs between.
fn is_made_of(text: &str, is_letter: impl Fn(u8) -> bool, signs: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|byte| is_letter(*byte)))
        && bytes.iter().all(|byte| is_letter(*byte) || signs.contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_that_kubernetes_takes_are_taken() {
        for key in ["app", "app.kubernetes.io/name", "A_b.c-9", "a.b/x", &"k".repeat(63)] {
            assert_eq!(qualified(key), Vec::<String>::new(), "{key}");
        }
        for value in ["", "x", "1.2_3-4", &"v".repeat(63)] {
            assert_eq!(label_value(value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn each_fault_has_its_complaint() {
        let starts = |key: &str| -> Vec<String> {
            qualified(key).iter().map(|text| text.chars().take(26).collect()).collect()
        };

        assert_eq!(starts(""), ["name part must be non-empt", "name part must consist of "]);
        assert_eq!(starts("a/b/c"), ["a qualified name must cons"]);
        assert_eq!(starts("/b"), ["prefix part must be non-em"]);
        assert_eq!(starts("A.b/c"), ["prefix part a lowercase RF"]);
        assert_eq!(starts("-a"), ["name part must consist of "]);
        assert_eq!(starts(&"k".repeat(64)), ["name part must be no more "]);
        assert_eq!(label_value("a b").len(), 1);
        assert_eq!(label_value(&"é".repeat(40)).len(), 2);
    }
}
