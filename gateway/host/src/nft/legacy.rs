//! The rules of the older iptables, which `nft` does not list and the kernel asks all the same.

use horizon_dataplane::apply::InterfaceName;

use super::forward::{ForwardingBlocked, iptables_hint};

/// Reads what `iptables-legacy-save -t filter` printed. Only rules by interface and connection are understood.
pub(super) fn blocking(saved: &str, command: &str, tun: &InterfaceName) -> Option<ForwardingBlocked> {
    let is_closed = saved.lines().any(|line| line.starts_with(":FORWARD DROP"));
    let accepts = |test: &str| saved.lines().any(|line| line == format!("-A FORWARD{test} -j ACCEPT"));
    let is_accepted = |side: &str| accepts("") || accepts(&format!(" {side} {tun}"));
    let passes_answers = saved.lines().any(|line| {
        line.starts_with("-A FORWARD -m") && line.contains("ESTABLISHED") && line.ends_with("-j ACCEPT")
    });
    let is_open = is_accepted("-i") && (is_accepted("-o") || passes_answers);
    (is_closed && !is_open).then(|| ForwardingBlocked {
        chain: format!("{command} filter FORWARD"),
        hint: iptables_hint(command, tun),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], is_blocked: bool) {
        let found = blocking(&lines.join("\n"), "iptables-legacy", &"hzn0".parse().unwrap());
        assert_eq!(found.is_some(), is_blocked, "{lines:?}");
    }

    #[test]
    fn a_policy_that_drops_blocks_until_both_directions_are_accepted() {
        let (closed, from) = (":FORWARD DROP [0:0]", "-A FORWARD -i hzn0 -j ACCEPT");

        check(&["*filter", ":INPUT DROP [0:0]", ":FORWARD ACCEPT [0:0]", "COMMIT"], false);
        check(&[closed], true);
        check(&[closed, from], true);
        check(&[closed, "-A FORWARD -i eth0 -j ACCEPT", "-A FORWARD -o hzn0 -j ACCEPT"], true);
        check(&[closed, from, "-A FORWARD -o hzn0 -j ACCEPT"], false);
        let answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
        check(&[closed, from, answers], false);
    }
}
