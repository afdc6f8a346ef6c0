//! What we want of a host, and the changes that bring it there: a pure diff.
//! [`diff`] compares what is wanted with what was observed, and what is ours with what is wanted;
//! each [`Action`] is one reversible change, and [`Applied`] remembers how to take all of ours back.

mod action;
mod applied;
mod firewall;
mod name;
mod state;

pub use action::{Action, Slot};
pub use applied::Applied;
pub use firewall::{Firewall, Masquerade, MixedFamilies, TABLE};
pub use name::{InterfaceName, NameError, SysctlKey};
pub use state::{HostState, Interface, Link, Observed, Route, Setting};

/// Returns the changes that lead from what was observed to what is wanted, in the order in which they are safe:
/// first what is ours and no longer wanted is taken back, then what is wanted and missing is made.
///
/// What somebody flushed shows as missing, so the same function repairs a host.
#[must_use]
pub fn diff(applied: &Applied, observed: &Observed, wanted: &HostState) -> Vec<Action> {
    let mut actions = unwanted(applied, wanted);
    actions.extend(missing(observed, wanted));
    actions
}

/// Returns the changes that take back what is ours and not in `wanted`, last made first.
#[must_use]
pub fn unwanted(applied: &Applied, wanted: &HostState) -> Vec<Action> {
    let is_wanted = |slot: &Slot| match slot {
        Slot::Tun(name) | Slot::Link(name) => wanted.interfaces.contains_key(name),
        Slot::Firewall => wanted.firewall.is_some(),
        Slot::Sysctl(key) | Slot::Forwarding(key) => wanted.sysctls.contains_key(key),
        Slot::Address(name, address) => {
            wanted.interfaces.get(name).is_some_and(|interface| interface.addresses.contains(address))
        }
        Slot::Route(route) => wanted.routes.contains(route),
    };
    applied.undo().into_iter().filter(|action| !is_wanted(&action.slot())).collect()
}

/// Returns what is wanted, with the guards that this host needs: one for each forwarding switch that is on only
/// because of us. A host that forwarded before us is somebody's router, and stays one.
#[must_use]
pub fn guarded(applied: &Applied, observed: &Observed, wanted: &HostState) -> HostState {
    let is_ours = |key: &&SysctlKey| {
        let before = applied.before(key).or(observed.sysctls.get(*key));
        key.is_forwarding() && before.is_some_and(|before| !forwards(before))
    };
    let guards = wanted.sysctls.keys().filter(is_ours).cloned().collect();
    let firewall = wanted.firewall.clone().map(|firewall| Firewall { guards, ..firewall });
    HostState { firewall, ..wanted.clone() }
}

/// Says whether a host with this forwarding switch routes for anybody; interfaces may differ from the switch.
fn forwards(switch: &Setting) -> bool {
    let mut interfaces = switch.beside.iter().filter(|(key, _)| key.as_str().ends_with(".forwarding"));
    switch.value != "0" || interfaces.any(|(_, value)| value != "0")
}

/// Returns the changes that make what is in `wanted` and was not observed.
///
/// A sysctl that was not observed does not exist on that host: nothing can set it, so it is left out.
fn missing(observed: &Observed, wanted: &HostState) -> Vec<Action> {
    let mut actions = Vec::new();
    for (name, interface) in &wanted.interfaces {
        interface_actions(name, interface, observed.interfaces.get(name), &mut actions);
    }
    if wanted.firewall.is_some() && wanted.firewall != observed.firewall {
        actions.push(Action::SetFirewall { was: observed.firewall.clone(), value: wanted.firewall.clone() });
    }
    for (key, value) in &wanted.sysctls {
        if let Some(was) = observed.sysctls.get(key).filter(|was| was.value != *value) {
            let value = Setting::from(value.as_str());
            actions.push(Action::SetSysctl { key: key.clone(), was: was.clone(), value });
        }
    }
    actions.extend(wanted.routes.difference(&observed.routes).cloned().map(Action::AddRoute));
    actions.sort_by_key(Action::slot);
    actions
}

fn interface_actions(
    name: &InterfaceName,
    wanted: &Interface,
    observed: Option<&Interface>,
    actions: &mut Vec<Action>,
) {
    if observed.is_none() {
        actions.push(Action::AddTun { name: name.clone() });
    }
    let was = observed.map_or(Link::NEW_TUN, |interface| interface.link);
    if was != wanted.link {
        actions.push(Action::SetLink { name: name.clone(), was, value: wanted.link });
    }
    for address in wanted.addresses.iter().copied() {
        if observed.is_none_or(|interface| !interface.addresses.contains(&address)) {
            actions.push(Action::AddAddress { name: name.clone(), address });
        }
    }
}

#[cfg(test)]
mod tests;
