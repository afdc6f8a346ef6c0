//! The boots of a gateway's daemon: each counts its heartbeats, and each follows the one before.
//!
//! A boot that was heard and is heard again after another one runs beside it: two hosts have one key. Where they
//! connect from does not matter, because two copies may stand behind one address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What was heard of the boots of one gateway, the last heard at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boots(Vec<Boot>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Boot {
    id: [u8; 16],
    /// The highest.
    counter: u64,
    remote: IpAddr,
}

/// What a heartbeat is, beside those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It follows.
    InOrder,
    /// It, or a later one, was heard before.
    Again { highest: u64 },
    /// It follows, but another boot was heard since, which runs at the same time.
    Beside { other: IpAddr },
}

/// More restarts than an attacker could cause unnoticed; the oldest is forgotten.
const BOOTS_MAX: usize = 64;

impl Boots {
    /// Takes a heartbeat that is signed by the gateway's key.
    pub fn handle_heartbeat(&mut self, id: [u8; 16], counter: u64, remote: IpAddr) -> Heard {
        let Some(place) = self.0.iter().position(|boot| boot.id == id) else {
            if self.0.len() >= BOOTS_MAX {
                self.0.remove(0);
            }
            self.0.push(Boot { id, counter, remote });
            return Heard::InOrder;
        };
        let highest = self.0[place].counter;
        if counter <= highest {
            return Heard::Again { highest };
        }
        let other = self.0.last().filter(|last| last.id != id).map(|last| last.remote);
        self.0.remove(place);
        self.0.push(Boot { id, counter, remote });
        other.map_or(Heard::InOrder, |other| Heard::Beside { other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn heard(boots: &mut Boots, beats: &[(u8, u64, IpAddr)]) -> Vec<Heard> {
        beats
            .iter()
            .map(|(id, counter, remote)| boots.handle_heartbeat([*id; 16], *counter, *remote))
            .collect()
    }

    #[test]
    fn a_counter_is_believed_once_a_boot() {
        let beats = [(1, 4, HERE), (1, 4, HERE), (1, 3, HERE), (1, 9, HERE)];

        let heard = heard(&mut Boots::default(), &beats);

        let again = Heard::Again { highest: 4 };
        assert_eq!(heard, [Heard::InOrder, again, again, Heard::InOrder]);
    }

    #[test]
    fn a_restart_and_another_address_are_no_copy() {
        let beats = [(1, 4, HERE), (1, 5, THERE), (2, 1, HERE), (2, 2, HERE)];

        assert_eq!(heard(&mut Boots::default(), &beats), [Heard::InOrder; 4]);
    }

    #[test]
    fn a_boot_that_speaks_beside_another_is_a_copy_each_time_they_alternate() {
        let mut boots = Boots::default();
        let beats = [(1, 1, HERE), (2, 1, THERE), (1, 2, HERE), (1, 3, HERE), (2, 2, THERE)];

        let heard = heard(&mut boots, &beats);

        let (there, here) = (Heard::Beside { other: THERE }, Heard::Beside { other: HERE });
        assert_eq!(heard, [Heard::InOrder, Heard::InOrder, there, Heard::InOrder, here]);
    }

    #[test]
    fn a_heartbeat_of_an_earlier_boot_is_old_news() {
        let mut boots = Boots::default();
        heard(&mut boots, &[(1, 7, HERE), (2, 1, HERE)]);

        assert_eq!(boots.handle_heartbeat([1; 16], 7, THERE), Heard::Again { highest: 7 });
    }

    #[test]
    fn boots_are_bounded() {
        let mut boots = Boots::default();
        for number in 0..200 {
            boots.handle_heartbeat([number; 16], 1, HERE);
        }

        assert_eq!(boots.0.len(), BOOTS_MAX);
        assert_eq!(boots.handle_heartbeat([199; 16], 1, HERE), Heard::Again { highest: 1 });
    }
}
