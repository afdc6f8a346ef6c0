//! Names that the server makes (`metadata.generateName`), and how often it tries (KEP-4420).

use serde_json::Value;

use crate::refusal::{About, Reason, Refusal};

/// How often a name is made anew when the one before was taken, as in an API server.
pub const TRIES_MAX: usize = 8;

/// No vowels and nothing that is taken for one, so that no word comes out (`apimachinery/pkg/util/rand`).
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const LENGTH: usize = 5;

/// Returns the five characters behind the stem, from random bytes: for `write::Request::name_suffix`.
pub fn suffix(random: [u8; 8]) -> String {
    let mut rest = u64::from_le_bytes(random);
    // 27^5 of 2^64: the first ones are no likelier than the last by more than one in a million million.
    let mut letter = || {
        let count = LETTERS.len() as u64;
        let letter = LETTERS[usize::try_from(rest % count).unwrap_or_default()];
        rest /= count;
        char::from(letter)
    };
    (0..LENGTH).map(|_| letter()).collect()
}

/// Says whether a create is to be tried with another name, after so many tries.
pub fn is_worth_another_try(body: &Value, refusal: &Refusal, tries: usize) -> bool {
    let text = |name: &str| body["metadata"][name].as_str().unwrap_or_default();
    let is_generated = text("name").is_empty() && !text("generateName").is_empty();
    is_generated && refusal.reason == Reason::AlreadyExists && tries < TRIES_MAX
}

/// Refuses an object whose made name is taken: 409, to be tried again after a second.
pub fn taken(about: About<'_>) -> Refusal {
    let mut refusal = Refusal::already_exists(about);
    refusal.message.push_str(", the server was not able to generate a unique name for the object");
    if let Some(details) = &mut refusal.details {
        details.retry_after_seconds = Some(1);
    }
    refusal
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::status;

    const USER: About<'_> = About { group: "horizon.dev", kind: "users", name: "a-bcdfg" };

    #[test]
    fn a_suffix_is_five_letters_of_the_alphabet() {
        assert_eq!(suffix([0; 8]), "bbbbb");
        assert_eq!(suffix([26, 0, 0, 0, 0, 0, 0, 0]), "9bbbb");
        assert_eq!(suffix([27, 0, 0, 0, 0, 0, 0, 0]), "bcbbb");
        let many: BTreeSet<String> = (0..1000_u64).map(|n| suffix((n * 7919).to_le_bytes())).collect();
        assert_eq!(many.len(), 1000);
        assert!(suffix([255; 8]).bytes().all(|letter| LETTERS.contains(&letter)));
    }

    #[test]
    fn only_a_made_name_that_is_taken_is_tried_again() {
        let made = json!({"metadata": {"generateName": "a-"}});
        let chosen = json!({"metadata": {"generateName": "a-", "name": "a-bcdfg"}});
        let taken = taken(USER);

        assert!(is_worth_another_try(&made, &taken, 7));
        assert!(!is_worth_another_try(&made, &taken, 8));
        assert!(!is_worth_another_try(&chosen, &taken, 1));
        assert!(!is_worth_another_try(&made, &Refusal::not_found(USER), 1));
    }

    #[test]
    fn a_taken_name_is_refused_in_the_words_of_an_api_server() {
        let body = status::failure(&taken(USER));

        assert_eq!(
            body["message"],
            "users.horizon.dev \"a-bcdfg\" already exists, the server was not able to generate a unique name for the \
             object"
        );
        assert_eq!((&body["code"], &body["reason"]), (&json!(409), &json!("AlreadyExists")));
        assert_eq!(body["details"]["retryAfterSeconds"], 1);
    }
}
