//! Who may wait at the door: connections that are not admitted yet, few of them from one address.
//!
//! An address that was not proven may be anybody's, so a crowd of such callers must not keep its owner out:
//! beyond a part of each limit, a caller first has to prove that it hears what is sent to its address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Who may wait at once.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    pub waiting: Crowd,
    /// Those whose address is not proven: the rest is for callers that are where they say.
    pub unproven: Crowd,
}

/// How many: all together, and of one host.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    pub all: usize,
    pub of_one: usize,
}

/// What a caller hears that may not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It must prove its address (RFC 9000 §8.1.2).
    Prove,
    Refuse,
}

/// The door, shared by all that wait at it.
#[derive(Clone, Debug)]
pub struct Door {
    limits: DoorLimits,
    waiting: Arc<Mutex<Waiting>>,
}

/// A place at the door; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    door: Door,
    host: IpAddr,
}

/// Those that wait, by host: no more entries than may wait at all.
#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    by_host: BTreeMap<IpAddr, usize>,
}

impl Door {
    /// Makes a door that nobody waits at.
    pub fn new(limits: DoorLimits) -> Self {
        Self { limits, waiting: Arc::default() }
    }

    /// Lets a caller in to wait, or says why not.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn knock(&self, address: IpAddr, is_proven: bool) -> Result<Place, Turned> {
        let host = host_of(address);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = waiting.by_host.get(&host).copied().unwrap_or(0);
        let max = if is_proven { self.limits.waiting } else { self.limits.unproven };
        if waiting.all >= max.all || of_one >= max.of_one {
            return Err(if is_proven { Turned::Refuse } else { Turned::Prove });
        }
        waiting.all += 1;
        waiting.by_host.insert(host, of_one + 1);
        Ok(Place { door: self.clone(), host })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.door.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.all -= 1;
        let of_one = waiting.by_host.remove(&self.host).unwrap_or(0);
        if of_one > 1 {
            waiting.by_host.insert(self.host, of_one - 1);
        }
    }
}

/// Returns what counts as one host: whoever has one IPv6 address has the other 2^64 of its network too.
pub fn host_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DoorLimits =
        DoorLimits { waiting: Crowd { all: 4096, of_one: 256 }, unproven: Crowd { all: 1024, of_one: 64 } };

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
        let door = Door::new(LIMITS);

        let (places, turned) = fill(&door, address("192.0.2.7"), true);

        assert_eq!((places.len(), turned), (LIMITS.waiting.of_one, Turned::Refuse));
        assert!(door.knock(address("192.0.2.8"), true).is_ok());
    }

    #[test]
    fn who_borrows_an_address_does_not_keep_its_owner_out() {
        let door = Door::new(LIMITS);

        let (places, turned) = fill(&door, address("192.0.2.7"), false);

        assert_eq!((places.len(), turned), (LIMITS.unproven.of_one, Turned::Prove));
        assert!(door.knock(address("192.0.2.7"), true).is_ok());
    }

    #[test]
    fn all_together_are_limited_too() {
        let door = Door::new(LIMITS);
        let fill = |net: u8, is_proven: bool| {
            (0..=255)
                .flat_map(|host| fill(&door, [198, 18, net, host].into(), is_proven).0)
                .collect::<Vec<_>>()
        };

        let unproven = fill(1, false);
        let proven = fill(2, true);

        assert_eq!(unproven.len(), LIMITS.unproven.all);
        assert_eq!(unproven.len() + proven.len(), LIMITS.waiting.all);
        assert_eq!(door.knock(address("192.0.2.7"), false).expect_err("full"), Turned::Prove);
        assert_eq!(door.knock(address("192.0.2.7"), true).expect_err("full"), Turned::Refuse);
    }

    #[test]
    fn who_leaves_makes_room() {
        let door = Door::new(LIMITS);
        let (mut places, _) = fill(&door, address("2001:db8::1"), true);
        assert!(door.knock(address("2001:db8::ffff"), true).is_err());

        drop(places.pop());
        assert!(door.knock(address("2001:db8::ffff"), true).is_ok());
        drop(places);

        assert!(door.waiting.lock().expect("whole").by_host.is_empty());
    }
}
