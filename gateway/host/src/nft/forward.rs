//! Foreign chains that would drop what we forward: our own accept cannot override them.

use std::collections::BTreeSet;

use horizon_dataplane::apply::{InterfaceName, TABLE};
use serde_json::Value;

/// A foreign chain that drops what comes from our interface, unless it is told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{chain} drops forwarded packets; {hint}")]
pub struct ForwardingBlocked {
    /// Family, table and name.
    pub chain: String,
    /// The command that lets our packets pass.
    pub hint: String,
}

/// A chain's place: family, table, name.
type ChainKey<'a> = (&'a str, &'a str, &'a str);

/// The base chains of hook `forward` with policy `drop` that have no rule to accept what comes from the interface.
pub(super) fn blocking(ruleset: &Value, tun: &InterfaceName) -> Vec<ForwardingBlocked> {
    let entries = ruleset["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let drops = |chain: &Value| chain["hook"] == "forward" && chain["policy"] == "drop";
    (entries.iter().map(|entry| &entry["chain"]).filter(|chain| drops(chain)))
        .filter_map(|chain| key(chain, "name"))
        .filter(|(family, table, _)| ["ip", "ip6", "inet"].contains(family) && *table != TABLE)
        .filter(|chain| !accepts(entries, *chain, tun))
        .map(|chain| blocked(chain, tun))
        .collect()
}

fn blocked((family, table, name): ChainKey<'_>, tun: &InterfaceName) -> ForwardingBlocked {
    let is_docker = table == "filter" && name == "FORWARD";
    let hint = if is_docker {
        let command = if family == "ip6" { "ip6tables" } else { "iptables" };
        format!(
            "let ours pass: {command} -I FORWARD -i {tun} -j ACCEPT && {command} -I FORWARD -o {tun} -j ACCEPT"
        )
    } else {
        format!(
            "let ours pass: nft insert rule {family} {table} {name} iifname {tun} accept && \
             nft insert rule {family} {table} {name} oifname {tun} accept"
        )
    };
    ForwardingBlocked { chain: format!("{family} {table} {name}"), hint }
}

/// Whether a rule of the chain, or of one that it jumps to, accepts what comes from the interface.
fn accepts(entries: &[Value], start: ChainKey<'_>, tun: &InterfaceName) -> bool {
    let (family, table, name) = start;
    let mut open = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let rules = (entries.iter().map(|entry| &entry["rule"]))
            .filter(|rule| key(rule, "chain") == Some((family, table, name)));
        for steps in rules.filter_map(|rule| rule["expr"].as_array()) {
            if steps.iter().all(|step| is_passed_by(step, tun)) && steps.iter().any(is_accept) {
                return true;
            }
            open.extend(steps.iter().filter_map(jump_target));
        }
    }
    false
}

/// Whether every packet from the interface gets past this step of a rule.
fn is_passed_by(step: &Value, tun: &InterfaceName) -> bool {
    let test = &step["match"];
    let is_ours = test["left"]["meta"]["key"] == "iifname" && test["right"] == tun.as_str();
    is_accept(step) || step.get("counter").is_some() || (test["op"] == "==" && is_ours)
}

fn is_accept(step: &Value) -> bool {
    step.get("accept").is_some()
}

fn jump_target(step: &Value) -> Option<&str> {
    step["jump"]["target"].as_str().or_else(|| step["goto"]["target"].as_str())
}

fn key<'a>(value: &'a Value, name: &str) -> Option<ChainKey<'a>> {
    Some((value["family"].as_str()?, value["table"].as_str()?, value[name].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(name: &str, policy: &str) -> String {
        format!(
            r#"{{"chain":{{"family":"ip","table":"filter","name":"{name}","hook":"forward","policy":"{policy}"}}}}"#
        )
    }

    fn rule(chain: &str, steps: &str) -> String {
        format!(r#"{{"rule":{{"family":"ip","table":"filter","chain":"{chain}","expr":[{steps}]}}}}"#)
    }

    #[track_caller]
    fn check(entries: &[String], expected: &[&str]) {
        let ruleset = serde_json::from_str(&format!(r#"{{"nftables":[{}]}}"#, entries.join(","))).unwrap();
        let found = blocking(&ruleset, &"hzn0".parse().unwrap());
        assert_eq!(found.iter().map(|blocked| blocked.chain.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_drop_policy_blocks_until_a_rule_accepts_us() {
        let from = |name: &str| {
            format!(
                r#"{{"match":{{"op":"==","left":{{"meta":{{"key":"iifname"}}}},"right":"{name}"}}}},{{"counter":{{"packets":0,"bytes":0}}}},{{"accept":null}}"#
            )
        };
        let drop = chain("FORWARD", "drop");

        check(&[chain("FORWARD", "accept")], &[]);
        check(std::slice::from_ref(&drop), &["ip filter FORWARD"]);
        check(&[drop.clone(), rule("FORWARD", &from("eth0"))], &["ip filter FORWARD"]);
        check(&[drop.clone(), rule("FORWARD", &from("hzn0"))], &[]);
        check(&[drop.clone(), rule("FORWARD", r#"{"accept":null}"#)], &[]);
    }

    #[test]
    fn chains_that_are_jumped_to_count_even_in_a_circle() {
        let drop = chain("FORWARD", "drop");
        let jump = |from: &str, to: &str| rule(from, &format!(r#"{{"jump":{{"target":"{to}"}}}}"#));
        let circle = [drop, jump("FORWARD", "USER"), jump("USER", "FORWARD")];

        check(&circle, &["ip filter FORWARD"]);
        let accept = rule("USER", r#"{"accept":null}"#);
        check(&[circle.to_vec(), vec![accept]].concat(), &[]);
    }
}
