//! How much a gateway may say of itself: what is longer is cut, because it is kept, stored and shown.

use std::collections::BTreeMap;

use horizon_api::wire::{
    Evidence,
    cfg::{Heartbeat, Nack},
};

/// More links than a gateway carries.
const LINKS_MAX: usize = 10_000;
/// More reasons than there are to drop a packet.
const DROPS_MAX: usize = 64;
const WARNINGS_MAX: usize = 16;
const OBJECTS_MAX: usize = 64;
/// Names, versions, addresses: none of ours is as long.
const WORD_BYTES_MAX: usize = 256;
/// A reason becomes part of a condition, whose message has 4096 bytes at the most.
const SENTENCE_BYTES_MAX: usize = 1024;

/// Returns one word as it may be shown.
pub(super) fn word(text: &str) -> String {
    cut(text, WORD_BYTES_MAX)
}

pub(super) fn evidence(evidence: &Evidence) -> Evidence {
    // Only devices have a posture.
    let Evidence {
        version,
        hostname,
        kernel,
        binary_hash,
        machine,
        hardware,
        host_boot,
        is_key_sealed,
        posture: _,
    } = evidence;
    Evidence {
        version: word(version),
        hostname: word(hostname),
        kernel: word(kernel),
        binary_hash: word(binary_hash),
        machine: word(machine),
        hardware: word(hardware),
        host_boot: word(host_boot),
        is_key_sealed: *is_key_sealed,
        posture: None,
    }
}

pub(super) fn nack(nack: Nack) -> Nack {
    Nack {
        section: nack.section.as_deref().map(word),
        objects: nack.objects.iter().take(OBJECTS_MAX).map(|object| word(object)).collect(),
        reason: sentence(&nack.reason),
        ..nack
    }
}

pub(super) fn heartbeat(mut heartbeat: Heartbeat) -> Heartbeat {
    heartbeat.links.truncate(LINKS_MAX);
    for link in &mut heartbeat.links {
        for text in
            [&mut link.name, &mut link.user, &mut link.remote, &mut link.key_exchange, &mut link.cipher]
        {
            *text = word(text);
        }
    }
    let drops: BTreeMap<_, _> =
        heartbeat.drops.iter().take(DROPS_MAX).map(|(reason, count)| (word(reason), *count)).collect();
    let warnings = heartbeat.warnings.iter().take(WARNINGS_MAX).map(|warning| sentence(warning)).collect();
    Heartbeat { drops, warnings, ..heartbeat }
}

fn sentence(text: &str) -> String {
    cut(text, SENTENCE_BYTES_MAX)
}

/// Leaves out what would move a terminal's cursor, and cuts between two characters.
fn cut(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if kept.len() + character.len_utf8() > bytes_max {
            break;
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_two_characters() {
        assert_eq!(cut("größe", 4), "grö");
        assert_eq!(cut("größe", 3), "gr");
        assert_eq!(cut("a\u{1b}[2Jb\n", 99), "a[2Jb");
    }

    #[test]
    fn a_refusal_fits_a_condition() {
        let long = Nack {
            version: Default::default(),
            section: Some("s".repeat(1 << 20)),
            objects: vec!["o".repeat(1 << 10); 1 << 10],
            reason: "r".repeat(1 << 20),
            running: None,
        };

        let short = nack(long);

        assert_eq!(short.reason.len(), SENTENCE_BYTES_MAX);
        assert_eq!((short.objects.len(), short.objects[0].len()), (OBJECTS_MAX, WORD_BYTES_MAX));
        assert_eq!(short.section.map(|section| section.len()), Some(WORD_BYTES_MAX));
    }

    #[test]
    fn a_heartbeat_is_bounded_and_an_honest_one_is_unchanged() {
        let honest = Heartbeat {
            drops: [("NoPolicy".to_owned(), 3)].into(),
            warnings: vec!["a chain of somebody else drops us".to_owned()],
            ..Heartbeat::default()
        };
        let endless = Heartbeat {
            drops: (0..1000).map(|n| (n.to_string(), n)).collect(),
            warnings: vec!["w".repeat(1 << 16); 1000],
            ..Heartbeat::default()
        };

        assert_eq!(heartbeat(honest.clone()), honest);
        let bounded = heartbeat(endless);
        assert_eq!((bounded.drops.len(), bounded.warnings.len()), (DROPS_MAX, WARNINGS_MAX));
        assert_eq!(bounded.warnings[0].len(), SENTENCE_BYTES_MAX);
    }
}
