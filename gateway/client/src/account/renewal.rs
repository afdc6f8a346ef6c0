//! What becomes of a link when there is another grant than the one that it was made with.

use horizon_api::signed::Signed;
use horizon_seal::Terms;

use super::{Account, sealing::SealIdentity};
use crate::state::Target;

/// See the module.
pub(crate) enum Renewal {
    /// The grant gives this device no place in the network any more. The terms of its seal are not known then, so that
    /// the link cannot go on without one either.
    End,
    /// The gateway is not named any more: it would end the link at this grant, and lets it go on by the one before.
    Keep(Option<Box<Terms>>),
    /// The gateway is told.
    Tell { seal: Option<Box<Terms>>, grant: Vec<u8>, delegation: Signed },
}

impl Renewal {
    /// Decides about a link to `target`. `is_up` says whether its gateway can be told.
    pub(crate) fn of(account: &Account, seal: &SealIdentity, target: &Target, is_up: bool) -> Self {
        if !account.grants(&target.network) {
            return Self::End;
        }
        let seal = seal.terms(account, &target.network);
        if !is_up || !account.grant().audience.contains(&target.key) {
            return Self::Keep(seal);
        }
        let granted = account.stored();
        Self::Tell { seal, grant: granted.granted.grant.clone(), delegation: granted.delegation.clone() }
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::{grant::SealScope, section::NetworkId, wire::dev::Granted};
    use zeroize::Zeroizing;

    use super::*;
    use crate::account::tests::{granted_in, key, stored};

    fn network(name: &str) -> NetworkId {
        NetworkId::new("default", name)
    }

    fn sealed() -> Option<SealScope> {
        Some(SealScope { pools: vec!["10.77.0.0/24".parse().expect("a prefix")], gateways: [].into() })
    }

    fn target(gateway: u8) -> Target {
        let remote = ([192, 0, 2, 1], 7444).into();
        Target {
            server: "gw-1".into(),
            key: key(gateway).public(),
            next: None,
            network: network("office"),
            remote,
        }
    }

    fn renewal(granted: Granted, gateway: u8, is_up: bool) -> Renewal {
        let account = Account::new(stored(granted), &key(9).public()).expect("valid");
        let seal = SealIdentity::new(Zeroizing::new([5; 32]), &key(9));
        Renewal::of(&account, &seal, &target(gateway), is_up)
    }

    #[test]
    fn a_link_goes_on_with_a_grant_for_its_network_and_its_gateway() {
        let renewed = renewal(granted_in(&[("office", sealed())]), 4, true);

        assert!(matches!(renewed, Renewal::Tell { seal: Some(_), .. }));
    }

    #[test]
    fn a_grant_without_the_network_ends_the_link_and_drops_no_seal() {
        for gateway in [4, 5] {
            for is_up in [false, true] {
                let renewed = renewal(granted_in(&[("lab", None)]), gateway, is_up);

                assert!(matches!(renewed, Renewal::End), "gateway {gateway}, {is_up}");
            }
        }
    }

    #[test]
    fn only_a_grant_that_says_so_takes_the_seal_away() {
        let renewed = renewal(granted_in(&[("office", None), ("lab", sealed())]), 4, true);

        assert!(matches!(renewed, Renewal::Tell { seal: None, .. }));
    }

    #[test]
    fn a_network_that_demands_a_seal_meanwhile_has_it_before_the_gateway_can_be_told() {
        let not_up = renewal(granted_in(&[("office", sealed())]), 4, false);
        let not_named = renewal(granted_in(&[("office", sealed())]), 5, true);

        for renewed in [not_up, not_named] {
            assert!(matches!(renewed, Renewal::Keep(Some(_))));
        }
    }
}
