//! The sections that an assignment lacks, until they are there or a newer assignment makes them pointless.

use std::collections::BTreeSet;

use horizon_api::{
    section::ContentHash,
    signed::Signed,
    wire::cfg::{Challenge, ToGateway},
};

use crate::running::Sections;

/// Sections at hand, and those that were asked for.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) sections: Sections,
    pub(super) lacking: BTreeSet<ContentHash>,
}

/// What a message means for a fetch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on, unless it is done.
    Went,
    /// A newer assignment makes it pointless.
    Overtaken(Signed),
    /// It goes on, and the controller asks for something else meanwhile.
    Challenged([u8; 32]),
    /// It goes on, and the controller says meanwhile what is heeded after it.
    Heard(ToGateway),
}

impl Fetch {
    pub(super) fn new(sections: Sections, lacking: Vec<ContentHash>) -> Self {
        Self { sections, lacking: lacking.into_iter().collect() }
    }

    /// Takes what the controller sent.
    pub(super) fn handle_message(&mut self, message: ToGateway) -> anyhow::Result<Step> {
        match message {
            ToGateway::Section(section) => {
                let hash = ContentHash::of(&section.bytes);
                // Else it was asked for before this assignment came.
                if self.lacking.remove(&hash) {
                    self.sections.insert(hash, section.bytes);
                }
                Ok(Step::Went)
            }
            ToGateway::Assignment(newer) => Ok(Step::Overtaken(newer)),
            ToGateway::Challenge(Challenge { nonce }) => Ok(Step::Challenged(nonce)),
            heard @ (ToGateway::Delegations(_)
            | ToGateway::NextKeyKnown { .. }
            | ToGateway::NextKeyRefused(_)) => Ok(Step::Heard(heard)),
            ToGateway::Refused(refusal) => anyhow::bail!("the controller refuses this gateway: {refusal}"),
            ToGateway::Welcome(_) | ToGateway::Joined { .. } | ToGateway::Recall => {
                anyhow::bail!("the controller begins again in the middle of a session")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::{assignment::Assignment, key::SecretKey, section::Section, wire::cfg::SectionBytes};

    fn section() -> SectionBytes {
        SectionBytes { bytes: Section::Routes(vec![]).encode().bytes }
    }

    fn fetch() -> Fetch {
        Fetch::new(Sections::new(), vec![ContentHash::of(&section().bytes)])
    }

    #[test]
    fn sections_are_kept_and_strays_ignored() {
        let mut fetch = fetch();

        let stray = fetch.handle_message(ToGateway::Section(SectionBytes { bytes: vec![1] }));
        assert_eq!((stray.expect("ignored"), fetch.lacking.len()), (Step::Went, 1));
        let wanted = fetch.handle_message(ToGateway::Section(section()));

        assert_eq!((wanted.expect("taken"), fetch.lacking.len()), (Step::Went, 0));
        assert_eq!(fetch.sections.len(), 1);
    }

    #[test]
    fn a_newer_assignment_ends_the_fetch_of_an_older_one() {
        let key = SecretKey::from_seed(&[1; 32]);
        let (gateway, sections) = (key.public(), vec![]);
        let newer = Assignment { epoch: 1, revision: 2, gateway, sections, provisional: None }.sign(&key);

        let overtaken = fetch().handle_message(ToGateway::Assignment(newer.clone()));

        assert_eq!(overtaken.expect("understood"), Step::Overtaken(newer));
    }

    #[test]
    fn a_challenge_leaves_the_fetch_as_it_is() {
        let mut fetch = fetch();

        let step = fetch.handle_message(ToGateway::Challenge(Challenge { nonce: [7; 32] }));

        assert_eq!((step.expect("understood"), fetch.lacking.len()), (Step::Challenged([7; 32]), 1));
    }
}
