//! Who may wait at the door: connections that are not admitted yet, few of them from one address.
//!
//! An address that was not proven may be anybody's, so a crowd of such callers must not keep its owner out:
//! beyond a part of each limit, a caller first has to prove that it hears what is sent to its address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Each leaves within `ADMISSION`, so at the worst more than a hundred a second are decided about.
const WAITING_MAX: Limits = Limits { all: 4096, of_one: 256 };
/// A quarter: the rest is for callers that are where they say.
const UNPROVEN_MAX: Limits = Limits { all: 1024, of_one: 64 };

/// How many may wait at once: all together, and of one address (an office that comes back after an outage fits).
#[derive(Clone, Copy)]
struct Limits {
    all: usize,
    of_one: usize,
}

/// What a caller hears that may not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It must prove its address (RFC 9000 §8.1.2).
    Prove,
    Refuse,
}

/// The door, shared by all that wait at it.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<Mutex<Crowd>>);

/// A place at the door; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    door: Door,
    block: IpAddr,
}

/// Those that wait, by address. Holds no more than `WAITING_MAX` entries.
#[derive(Debug, Default)]
struct Crowd {
    all: usize,
    by_block: BTreeMap<IpAddr, usize>,
}

impl Door {
    /// Lets a caller in to wait, or says why not.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn knock(&self, address: IpAddr, is_proven: bool) -> Result<Place, Turned> {
        let block = block(address);
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = crowd.by_block.get(&block).copied().unwrap_or(0);
        let max = if is_proven { WAITING_MAX } else { UNPROVEN_MAX };
        if crowd.all >= max.all || of_one >= max.of_one {
            return Err(if is_proven { Turned::Refuse } else { Turned::Prove });
        }
        crowd.all += 1;
        crowd.by_block.insert(block, of_one + 1);
        Ok(Place { door: self.clone(), block })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.door.0.lock().unwrap_or_else(PoisonError::into_inner);
        crowd.all -= 1;
        let of_one = crowd.by_block.remove(&self.block).unwrap_or(0);
        if of_one > 1 {
            crowd.by_block.insert(self.block, of_one - 1);
        }
    }
}

/// Returns what counts as one address: of IPv6 a host has a whole /64.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn fill(door: &Door, from: IpAddr, is_proven: bool) -> (Vec<Place>, Turned) {
        let mut places = Vec::new();
        loop {
            match door.knock(from, is_proven) {
                Ok(place) => places.push(place),
                Err(turned) => return (places, turned),
            }
        }
    }

    #[test]
    fn one_address_does_not_keep_others_out() {
        let door = Door::default();

        let (places, turned) = fill(&door, address("192.0.2.7"), true);

        assert_eq!((places.len(), turned), (WAITING_MAX.of_one, Turned::Refuse));
        assert!(door.knock(address("192.0.2.8"), true).is_ok());
    }

    #[test]
    fn who_borrows_an_address_does_not_keep_its_owner_out() {
        let door = Door::default();

        let (places, turned) = fill(&door, address("192.0.2.7"), false);

        assert_eq!((places.len(), turned), (UNPROVEN_MAX.of_one, Turned::Prove));
        assert!(door.knock(address("192.0.2.7"), true).is_ok());
    }

    #[test]
    fn all_together_are_limited_too() {
        let door = Door::default();
        let fill = |net: u8, is_proven: bool| {
            (0..=255)
                .flat_map(|host| fill(&door, [198, 18, net, host].into(), is_proven).0)
                .collect::<Vec<_>>()
        };

        let unproven = fill(1, false);
        let proven = fill(2, true);

        assert_eq!(unproven.len(), UNPROVEN_MAX.all);
        assert_eq!(unproven.len() + proven.len(), WAITING_MAX.all);
        assert_eq!(door.knock(address("192.0.2.7"), false).expect_err("full"), Turned::Prove);
        assert_eq!(door.knock(address("192.0.2.7"), true).expect_err("full"), Turned::Refuse);
    }

    #[test]
    fn who_leaves_makes_room() {
        let door = Door::default();
        let (mut places, _) = fill(&door, address("2001:db8::1"), true);
        assert!(door.knock(address("2001:db8::ffff"), true).is_err());

        drop(places.pop());
        assert!(door.knock(address("2001:db8::ffff"), true).is_ok());
        drop(places);

        assert!(door.0.lock().expect("whole").by_block.is_empty());
    }
}
