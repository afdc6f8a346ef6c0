//! Folders of objects of every kind, with specs as their schemas allow them and names that meet: rules, compiling, plans
//! and gates get what is structurally sound, first as it is and then changed.
//! Whoever includes it has `oracle`, `spec` and `Schema` in scope.

#![allow(dead_code, unreachable_pub, reason = "each program that includes it uses another part")]

use horizon_api::resource::Kind;
use horizon_planner::{
    compile::{Input, SourceSnapshot, compile},
    manifest::parse_folder,
};

use super::{Schema, oracle, spec};

const NAMES: [&str; 4] = ["office", "alice", "gw-1", "a"];

/// Asks for an answer to one folder, and compiles it and then another one. Each byte is a choice.
///
/// # Panics
/// The answer is late or must not be shown, or the same input gives another revision.
#[track_caller]
pub fn ask(choices: &[u8], slowness: u64) {
    let mut choices = choices.iter();
    let before = folder(&mut choices);
    let after = folder(&mut choices);
    oracle::ask(before.as_bytes(), slowness);

    let first = compile(&input(&before), 0);
    let previous = first.objects.values().cloned().collect();
    let next = Input { previous, allocations: first.allocations, ..input(&after) };
    let second = compile(&next, 1_000_000_000);
    assert_eq!(compile(&next, 1_000_000_000), second, "the same input, another answer");
}

/// Up to eight objects; without more choices the first ones are taken.
fn folder(choices: &mut std::slice::Iter<'_, u8>) -> String {
    let mut below = |end: usize| usize::from(choices.next().copied().unwrap_or(3)) % end;
    let objects = 1 + below(8);
    let mut text = String::new();
    for _ in 0..objects {
        let kind = Kind::ALL[below(Kind::ALL.len())];
        let name = NAMES[below(NAMES.len())];
        let spec = spec::value(Schema::of(kind), &mut below);
        text += &format!(
            "---\napiVersion: horizon.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        );
    }
    text
}

fn input(text: &str) -> Input {
    let parsed = parse_folder(&[("a.yaml", text.as_bytes())]).into();
    let source = SourceSnapshot { source: "files".into(), parsed, is_complete: true };
    Input { sources: vec![source], ..Input::default() }
}
