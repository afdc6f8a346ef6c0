//! What both ends of a link counted, compared. Each end's word is signed by its own key, so a difference says that one of
//! them counts what was not there, or that something between them eats packets.

use std::collections::BTreeMap;

use horizon_api::{
    key::PublicKey,
    traffic::{Counts, PassedReport, TrafficReport},
};

/// What was heard last of the link of each device.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<PublicKey, Link>);

#[derive(Debug)]
struct Link {
    /// Drawn by the device.
    number: u64,
    device: Counts,
    gateway: Counts,
    /// It is told once a link.
    is_told: bool,
}

/// How the words of two ends differ. Bytes of inner packets, since the start of the link or since the report before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The device received more than the gateway says that it sent.
    Unsent { received: u64, sent: u64 },
    /// The gateway said that it had received more than the device has sent by now.
    Unreceived { received: u64, sent: u64 },
    /// More than half did not arrive.
    Lost { sent: u64, received: u64, by_device: bool },
    /// The report is for another gateway: the one that passes it on has it from there.
    Foreign,
}

/// Links of all gateways that are compared; more are not worth the memory that a gateway could make up.
const LINKS_MAX: usize = 100_000;
/// Below it, what is on its way in the moment of a report counts for too much.
const LOST_BYTES_MIN: u64 = 1 << 20;

impl Links {
    /// Compares a report that a gateway passed on with what it says itself, and with what both said before.
    /// `gateway` has every key that it answers, or answered, links with.
    pub fn handle_report(
        &mut self,
        gateway: &[PublicKey],
        device: PublicKey,
        passed: &PassedReport,
    ) -> Option<Difference> {
        // The gateway has checked it; one that does not is of no use to itself.
        let report: TrafficReport = passed.report.verify(&device).ok()?;
        let heard =
            Link { number: report.link, device: report.counts, gateway: passed.counts, is_told: false };
        if self.0.len() >= LINKS_MAX && !self.0.contains_key(&device) {
            return None;
        }
        let before = self.0.remove(&device).filter(|before| before.number == heard.number);
        let difference = if gateway.contains(&report.gateway) {
            heard.difference(before.as_ref())
        } else {
            Some(Difference::Foreign)
        };
        let was_told = before.is_some_and(|before| before.is_told);
        self.0.insert(device, Link { is_told: was_told || difference.is_some(), ..heard });
        difference.filter(|_| !was_told)
    }

    /// Forgets the links that are no more.
    pub fn retain(&mut self, is_there: impl Fn(&PublicKey) -> bool) {
        self.0.retain(|device, _| is_there(device));
    }
}

impl Link {
    fn difference(&self, before: Option<&Self>) -> Option<Difference> {
        let (device, gateway) = (self.device, self.gateway);
        // The gateway counted when the report came, so it had sent all that the device had received.
        if device.inbound_bytes > gateway.outbound_bytes {
            let (received, sent) = (device.inbound_bytes, gateway.outbound_bytes);
            return Some(Difference::Unsent { received, sent });
        }
        let before = before?;
        if before.gateway.inbound_bytes > device.outbound_bytes {
            let (received, sent) = (before.gateway.inbound_bytes, device.outbound_bytes);
            return Some(Difference::Unreceived { received, sent });
        }
        let up = lost(
            device.outbound_bytes.saturating_sub(before.device.outbound_bytes),
            gateway.inbound_bytes.saturating_sub(before.gateway.inbound_bytes),
        );
        let down = lost(
            gateway.outbound_bytes.saturating_sub(before.gateway.outbound_bytes),
            device.inbound_bytes.saturating_sub(before.device.inbound_bytes),
        );
        let told = |by_device| move |(sent, received)| Difference::Lost { sent, received, by_device };
        up.map(told(true)).or(down.map(told(false)))
    }
}

fn lost(sent: u64, received: u64) -> Option<(u64, u64)> {
    (sent >= LOST_BYTES_MIN && received < sent / 2).then_some((sent, received))
}

impl Difference {
    /// Returns one sentence for an operator.
    pub fn sentence(&self) -> String {
        match self {
            Self::Unsent { received, sent } => format!(
                "the device received {received} bytes where the gateway says that it sent {sent}: one of them counts what was not there"
            ),
            Self::Unreceived { received, sent } => format!(
                "the gateway says that it received {received} bytes where the device sent {sent}: one of them counts what was not there"
            ),
            Self::Lost { sent, received, by_device } => {
                let (from, to) = if *by_device { ("device", "gateway") } else { ("gateway", "device") };
                format!(
                    "of {sent} bytes from the {from}, {received} arrived at the {to}: the network between them loses packets, or somebody drops them"
                )
            }
            Self::Foreign => {
                "the gateway passed on a report that the device made for another gateway".to_owned()
            }
        }
    }

    /// Says whether no network explains it.
    pub fn is_false(&self) -> bool {
        match self {
            Self::Unsent { .. } | Self::Unreceived { .. } | Self::Foreign => true,
            Self::Lost { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::{key::SecretKey, signed::Signed};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn counts(inbound_mib: u64, outbound_mib: u64) -> Counts {
        Counts { inbound_bytes: inbound_mib * MIB, outbound_bytes: outbound_mib * MIB }
    }

    /// Device 1 at gateway 2.
    fn hear(links: &mut Links, link: u64, device: Counts, gateway: Counts) -> Option<Difference> {
        let report = TrafficReport { gateway: key(2).public(), link, counts: device };
        let passed = PassedReport { report: Signed::new(&report, &key(1)), counts: gateway };
        links.handle_report(&[key(2).public()], key(1).public(), &passed)
    }

    #[test]
    fn ends_that_agree_are_no_news() {
        let mut links = Links::default();

        assert_eq!(hear(&mut links, 7, counts(5, 3), counts(3, 5)), None);
        assert_eq!(hear(&mut links, 7, counts(8, 9), counts(8, 9)), None, "a few are on their way");
        assert_eq!(hear(&mut links, 8, counts(0, 0), counts(0, 0)), None, "another link begins anew");
    }

    #[test]
    fn what_one_end_made_up_is_told_once_a_link() {
        let mut links = Links::default();
        let unsent = Difference::Unsent { received: 6 * MIB, sent: 5 * MIB };

        assert_eq!(hear(&mut links, 7, counts(6, 0), counts(0, 5)), Some(unsent));
        assert_eq!(hear(&mut links, 7, counts(7, 0), counts(0, 5)), None, "it was told");
        assert_eq!(hear(&mut links, 8, counts(6, 0), counts(0, 5)), Some(unsent));
    }

    #[test]
    fn a_gateway_that_counts_more_than_was_sent_is_found_by_the_next_report() {
        let mut links = Links::default();

        assert_eq!(hear(&mut links, 7, counts(0, 1), counts(9, 0)), None, "it may be on its way");
        let difference = hear(&mut links, 7, counts(0, 2), counts(9, 0)).expect("told");

        assert_eq!(difference, Difference::Unreceived { received: 9 * MIB, sent: 2 * MIB });
        assert!(difference.is_false());
    }

    #[test]
    fn what_does_not_arrive_is_told_for_either_way() {
        let check = |device: Counts, gateway: Counts, by_device| {
            let mut links = Links::default();
            hear(&mut links, 7, counts(0, 0), counts(0, 0));
            let lost = Difference::Lost { sent: 4 * MIB, received: MIB, by_device };
            assert_eq!(hear(&mut links, 7, device, gateway), Some(lost));
        };

        check(counts(0, 4), counts(1, 0), true);
        check(counts(1, 0), counts(0, 4), false);
    }

    #[test]
    fn another_gateways_report_and_one_of_nobody_count_for_nothing() {
        let mut links = Links::default();
        let report = |signer: u8, gateway: u8| {
            let report = TrafficReport { gateway: key(gateway).public(), link: 7, counts: counts(0, 0) };
            PassedReport { report: Signed::new(&report, &key(signer)), counts: counts(0, 0) }
        };
        let mut hear = |passed| links.handle_report(&[key(2).public()], key(1).public(), &passed);

        assert_eq!(hear(report(9, 2)), None, "somebody else signed it");
        assert_eq!(hear(report(1, 3)), Some(Difference::Foreign));
    }
}
