//! What a host says of itself, beside what it said before.

use horizon_api::wire::Evidence;

use crate::finding::Finding;

/// Returns what a newer word means for somebody who watches: another host or another program, not another kernel.
/// What was not said before was not known then, and is no change.
pub(crate) fn findings(before: &Evidence, after: &Evidence) -> Vec<Finding> {
    let host = host_differs(before, after);
    let host = (!host.is_empty()).then(|| Finding::HostChanged { what: host.join(" and ") });
    let program = differs(&before.binary_hash, &after.binary_hash)
        .then(|| Finding::ProgramChanged { from: before.version.clone(), to: after.version.clone() });
    host.into_iter().chain(program).collect()
}

/// Returns every difference from what was bound, in words.
pub(crate) fn differences(bound: &Evidence, newest: &Evidence) -> Vec<String> {
    let mut found: Vec<String> =
        host_differs(bound, newest).iter().map(|what| format!("another {what}")).collect();
    if differs(&bound.binary_hash, &newest.binary_hash) {
        found.push(format!("another program ({}, bound with {})", newest.version, bound.version));
    }
    let words = [("kernel", &bound.kernel, &newest.kernel), ("host name", &bound.hostname, &newest.hostname)];
    let changed = words.into_iter().filter(|(_, before, after)| differs(before, after));
    found.extend(changed.map(|(what, before, after)| format!("{what} {after}, bound with {before}")));
    found
}

fn host_differs(before: &Evidence, after: &Evidence) -> Vec<&'static str> {
    let parts = [
        ("machine id", differs(&before.machine, &after.machine)),
        ("hardware", differs(&before.hardware, &after.hardware)),
    ];
    parts.into_iter().filter_map(|(what, is_other)| is_other.then_some(what)).collect()
}

fn differs(before: &str, after: &str) -> bool {
    !before.is_empty() && before != after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence {
            version: "0.1.0".into(),
            hostname: "gw".into(),
            kernel: "6.1".into(),
            binary_hash: "b".into(),
            machine: "m".into(),
            hardware: "h".into(),
            host_boot: "1".into(),
            is_key_sealed: false,
            posture: None,
        }
    }

    #[test]
    fn a_reboot_and_a_new_kernel_are_no_finding() {
        let after = Evidence { host_boot: "2".into(), kernel: "6.12".into(), ..evidence() };

        assert_eq!(findings(&evidence(), &after), []);
        assert_eq!(differences(&evidence(), &after), ["kernel 6.12, bound with 6.1"]);
    }

    #[test]
    fn another_host_and_another_program_are_found() {
        let moved = Evidence { machine: "n".into(), hardware: "i".into(), ..evidence() };
        let upgraded = Evidence { version: "0.2.0".into(), binary_hash: "c".into(), ..evidence() };

        let what = "machine id and hardware".to_owned();
        assert_eq!(findings(&evidence(), &moved), [Finding::HostChanged { what }]);
        assert_eq!(differences(&evidence(), &moved), ["another machine id", "another hardware"]);
        let program = Finding::ProgramChanged { from: "0.1.0".into(), to: "0.2.0".into() };
        assert_eq!(findings(&evidence(), &upgraded), [program]);
    }

    #[test]
    fn what_an_older_program_did_not_say_is_no_change_and_what_is_kept_back_is() {
        let older = Evidence { hardware: String::new(), ..evidence() };

        assert_eq!(findings(&older, &evidence()), []);
        assert_eq!(findings(&evidence(), &older), [Finding::HostChanged { what: "hardware".into() }]);
    }
}
