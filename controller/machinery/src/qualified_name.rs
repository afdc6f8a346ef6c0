//! What labels may be called and hold, with the complaints of an API server (`apimachinery/pkg/util/validation`).

/// The longest name and label value, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// The longest DNS subdomain, in bytes (RFC 1123).
const SUBDOMAIN_BYTES_MAX: usize = 253;

const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                         validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
                              or '.', and must start and end with an alphanumeric character (e.g. 'example.com', \
                              regex used for validation is \
                              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                          '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
                          'my_value',  or '12345', regex used for validation is \
                          '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Returns what is wrong with the key of a label: `[PREFIX/]NAME`.
pub fn complaints_about_key(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        None => (None, key),
        Some((prefix, name)) if !name.contains('/') => (Some(prefix), name),
        Some(_) => {
            let whole = format!(
                "a qualified name {NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            );
            return vec![whole];
        }
    };
    let mut complaints = match prefix {
        None => vec![],
        Some("") => vec!["prefix part must be non-empty".to_owned()],
        Some(prefix) => complaints_about_subdomain(prefix)
            .into_iter()
            .map(|complaint| format!("prefix part {complaint}"))
            .collect(),
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    } else if name.len() > NAME_BYTES_MAX {
        complaints.push(format!("name part {}", too_long(NAME_BYTES_MAX)));
    }
    if !is_name(name) {
        complaints.push(format!("name part {NAME_RULE}"));
    }
    complaints
}

/// Returns what is wrong with the value of a label.
pub fn complaints_about_value(value: &str) -> Vec<String> {
    let mut complaints = vec![];
    if value.len() > NAME_BYTES_MAX {
        complaints.push(too_long(NAME_BYTES_MAX));
    }
    if !value.is_empty() && !is_name(value) {
        complaints.push(VALUE_RULE.to_owned());
    }
    complaints
}

fn complaints_about_subdomain(text: &str) -> Vec<String> {
    let mut complaints = vec![];
    if text.len() > SUBDOMAIN_BYTES_MAX {
        complaints.push(too_long(SUBDOMAIN_BYTES_MAX));
    }
    if !text.split('.').all(is_dns_label) {
        complaints.push(SUBDOMAIN_RULE.to_owned());
    }
    complaints
}

fn too_long(bytes_max: usize) -> String {
    format!("must be no more than {bytes_max} characters")
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let small = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    small(first) && small(last) && bytes.iter().all(|byte| small(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_that_kubernetes_takes_are_taken() {
        for key in ["app", "app.kubernetes.io/name", "A_b.c-9", "a.b/x", &"k".repeat(63)] {
            assert_eq!(complaints_about_key(key), Vec::<String>::new(), "{key}");
        }
        for value in ["", "x", "1.2_3-4", &"v".repeat(63)] {
            assert_eq!(complaints_about_value(value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn each_fault_has_its_complaint() {
        let starts = |key: &str| -> Vec<String> {
            complaints_about_key(key).iter().map(|text| text.chars().take(26).collect()).collect()
        };

        assert_eq!(starts(""), ["name part must be non-empt", "name part must consist of "]);
        assert_eq!(starts("a/b/c"), ["a qualified name must cons"]);
        assert_eq!(starts("/b"), ["prefix part must be non-em"]);
        assert_eq!(starts("A.b/c"), ["prefix part a lowercase RF"]);
        assert_eq!(starts("-a"), ["name part must consist of "]);
        assert_eq!(starts(&"k".repeat(64)), ["name part must be no more "]);
        assert_eq!(complaints_about_value("a b").len(), 1);
        assert_eq!(complaints_about_value(&"é".repeat(40)).len(), 2);
    }
}
