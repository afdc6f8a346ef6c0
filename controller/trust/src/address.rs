//! The addresses that a gateway connects from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The addresses of one gateway, the last seen first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses(Vec<Address>);

/// One of them; times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub address: IpAddr,
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

/// More than a host at home has in a week.
const ADDRESSES_MAX: usize = 16;

impl Addresses {
    /// Notes where a gateway is.
    pub fn handle_seen(&mut self, address: IpAddr, now_ms: i64) {
        let address = address.to_canonical();
        let known =
            self.0.iter().position(|known| known.address == address).map(|place| self.0.remove(place));
        let first_seen_ms = known.map_or(now_ms, |known| known.first_seen_ms);
        self.0.insert(0, Address { address, first_seen_ms, last_seen_ms: now_ms });
        self.0.truncate(ADDRESSES_MAX);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Address> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    #[test]
    fn the_last_seen_is_first_and_keeps_when_it_was_seen_first() {
        let mut addresses = Addresses::default();
        for (number, at) in [(1, 10), (2, 20), (1, 30)] {
            addresses.handle_seen(host(number), at);
        }

        let seen: Vec<_> = addresses.iter().map(|a| (a.address, a.first_seen_ms, a.last_seen_ms)).collect();
        assert_eq!(seen, [(host(1), 10, 30), (host(2), 20, 20)]);
    }

    #[test]
    fn addresses_are_bounded_and_of_one_form() {
        let mut addresses = Addresses::default();
        for number in 0..100 {
            addresses.handle_seen(host(number), 1);
        }
        addresses.handle_seen("::ffff:192.0.2.99".parse().expect("an address"), 2);

        assert_eq!(addresses.iter().count(), ADDRESSES_MAX);
        assert_eq!(addresses.iter().next().map(|a| (a.address, a.first_seen_ms)), Some((host(99), 1)));
    }
}
