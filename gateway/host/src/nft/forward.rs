//! Foreign chains that would drop what we forward: our own accept cannot override them.
//!
//! Two packets are led through every chain, the first of a flow and the answer to it. Only rules that are certain
//! to match them count; what depends on more than interface and connection is skipped.

use horizon_dataplane::apply::{InterfaceName, TABLE};
use serde_json::Value;

/// A foreign chain that drops what comes from our interface, or the answers to it.
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

/// What is led through the chains.
#[derive(Clone, Copy, Debug)]
struct Probe<'a> {
    tun: &'a str,
    is_answer: bool,
}

impl Probe<'_> {
    fn state(self) -> &'static str {
        if self.is_answer { "established" } else { "new" }
    }
}

/// How a chain ends for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Dropped,
    /// The chain that jumped here goes on, or its policy decides.
    Undecided,
}

/// The base chains of hook `forward` in which one of the two packets is dropped.
pub(super) fn blocking(ruleset: &Value, tun: &InterfaceName) -> Vec<ForwardingBlocked> {
    let entries = ruleset["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let probes = [false, true].map(|is_answer| Probe { tun: tun.as_str(), is_answer });
    let is_blocked = |chain: ChainKey<'_>, policy: &Value| {
        probes.iter().any(|probe| match walk(entries, chain, *probe, DEPTH_MAX) {
            Verdict::Passed => false,
            Verdict::Dropped => true,
            Verdict::Undecided => policy == "drop",
        })
    };
    (entries.iter().map(|entry| &entry["chain"]).filter(|chain| chain["hook"] == "forward"))
        .filter_map(|chain| Some((key(chain, "name")?, &chain["policy"])))
        .filter(|((family, table, _), _)| ["ip", "ip6", "inet"].contains(family) && *table != TABLE)
        .filter(|(chain, policy)| is_blocked(*chain, policy))
        .map(|(chain, _)| blocked(chain, tun))
        .collect()
}

fn blocked((family, table, name): ChainKey<'_>, tun: &InterfaceName) -> ForwardingBlocked {
    let hint = if table == "firewalld" {
        format!(
            "let ours pass: firewall-cmd --permanent --zone=trusted --add-interface={tun} && firewall-cmd --reload"
        )
    } else if table == "filter" && name == "FORWARD" {
        iptables_hint(if family == "ip6" { "ip6tables" } else { "iptables" }, tun)
    } else {
        format!(
            "let ours pass: nft insert rule {family} {table} {name} iifname {tun} accept && \
             nft insert rule {family} {table} {name} oifname {tun} accept"
        )
    };
    ForwardingBlocked { chain: format!("{family} {table} {name}"), hint }
}

pub(super) fn iptables_hint(command: &str, tun: &InterfaceName) -> String {
    format!(
        "let ours pass: {command} -I FORWARD -i {tun} -j ACCEPT && {command} -I FORWARD -o {tun} -j ACCEPT"
    )
}

fn walk(entries: &[Value], start: ChainKey<'_>, probe: Probe<'_>, depth: usize) -> Verdict {
    let (family, table, _) = start;
    let rules = (entries.iter().map(|entry| &entry["rule"])).filter(|rule| key(rule, "chain") == Some(start));
    for steps in rules.filter_map(|rule| rule["expr"].as_array()) {
        if !steps.iter().all(|step| is_passed_by(step, probe)) {
            continue;
        }
        for step in steps.iter().map(|step| chosen(step, probe)) {
            if is_drop(step) {
                return Verdict::Dropped;
            }
            // What waits for another program is not dropped by the rules.
            if ["accept", "queue"].iter().any(|name| step.get(name).is_some()) {
                return Verdict::Passed;
            }
            if step.get("return").is_some() {
                return Verdict::Undecided;
            }
            let follow = |target| walk(entries, (family, table, target), probe, depth - 1);
            let (jump, goto) = (step["jump"]["target"].as_str(), step["goto"]["target"].as_str());
            match (jump.or(goto).filter(|_| depth > 0).map(follow), goto) {
                (None | Some(Verdict::Undecided), None) => {}
                (None, Some(_)) => return Verdict::Undecided,
                (Some(verdict), _) => return verdict,
            }
        }
    }
    Verdict::Undecided
}

/// What a verdict map says of the probe, by the state of its connection; any other step is itself.
fn chosen<'a>(step: &'a Value, probe: Probe<'_>) -> &'a Value {
    let map = &step["vmap"];
    let pairs = map["data"]["set"].as_array().filter(|_| map["key"]["ct"]["key"] == "state");
    pairs.into_iter().flatten().find(|pair| pair[0] == probe.state()).map_or(step, |pair| &pair[1])
}

/// Whether the probe is certain to get past this step of a rule.
fn is_passed_by(step: &Value, probe: Probe<'_>) -> bool {
    if ["limit", "quota", "ct count"].iter().any(|name| step.get(name).is_some()) {
        return false;
    }
    if let Some(foreign) = step.get("xt") {
        // What iptables matches by is not told, and most of it is the state that lets answers pass.
        return foreign["type"] == "target" || probe.is_answer;
    }
    let Some(test) = step.get("match") else { return true };
    let (left, right, is_equal) = (&test["left"], &test["right"], test["op"] != "!=");
    match left["meta"]["key"].as_str() {
        Some("iifname") => is_interface(right, is_equal, probe.tun, !probe.is_answer),
        Some("oifname") => is_interface(right, is_equal, probe.tun, probe.is_answer),
        Some(_) => false,
        None if left["ct"]["key"] == "state" => texts(right).any(|text| text == probe.state()) == is_equal,
        None => false,
    }
}

/// Whether a test of an interface's name holds: of ours, or of one of which only that is known that it is another.
fn is_interface(right: &Value, is_equal: bool, tun: &str, is_ours: bool) -> bool {
    let is_named = |text: &str| {
        text == tun || text.strip_suffix('*').is_some_and(|beginning| tun.starts_with(beginning))
    };
    if is_ours {
        texts(right).any(is_named) == is_equal
    } else {
        !is_equal && texts(right).all(|text| text == tun)
    }
}

/// The texts of one value, of a list or of a set.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().or_else(|| value["set"].as_array());
    value.as_str().into_iter().chain(list.into_iter().flatten().filter_map(Value::as_str))
}

fn is_drop(step: &Value) -> bool {
    let target = &step["xt"];
    let is_foreign = target["type"] == "target" && (target["name"] == "REJECT" || target["name"] == "DROP");
    is_foreign || step.get("drop").is_some() || step.get("reject").is_some()
}

fn key<'a>(value: &'a Value, name: &str) -> Option<ChainKey<'a>> {
    Some((value["family"].as_str()?, value["table"].as_str()?, value[name].as_str()?))
}

/// Netfilter itself allows no more jumps (`NFT_JUMP_STACK_SIZE`).
const DEPTH_MAX: usize = 16;

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

    fn meta(key: &str, right: &str) -> String {
        format!(r#"{{"match":{{"op":"==","left":{{"meta":{{"key":"{key}"}}}},"right":{right}}}}}"#)
    }

    fn accept(key: &str, right: &str) -> String {
        format!(r#"{},{{"counter":{{"packets":0,"bytes":0}}}},{{"accept":null}}"#, meta(key, right))
    }

    const ESTABLISHED: &str = r#"{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}"#;

    #[track_caller]
    fn check(entries: &[String], expected: &[&str]) {
        let ruleset = serde_json::from_str(&format!(r#"{{"nftables":[{}]}}"#, entries.join(","))).unwrap();
        let found = blocking(&ruleset, &"hzn0".parse().unwrap());
        assert_eq!(found.iter().map(|blocked| blocked.chain.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_drop_policy_blocks_until_both_directions_are_accepted() {
        let drop = chain("FORWARD", "drop");
        let (from, to) = (accept("iifname", "\"hzn0\""), accept("oifname", "\"hzn0\""));

        check(&[chain("FORWARD", "accept")], &[]);
        check(std::slice::from_ref(&drop), &["ip filter FORWARD"]);
        let foreign = rule("FORWARD", &accept("iifname", "\"eth0\""));
        check(&[drop.clone(), foreign], &["ip filter FORWARD"]);
        check(&[drop.clone(), rule("FORWARD", &from)], &["ip filter FORWARD"]);
        check(&[drop.clone(), rule("FORWARD", &from), rule("FORWARD", &to)], &[]);
        check(&[drop.clone(), rule("FORWARD", &from), rule("FORWARD", ESTABLISHED)], &[]);
        let by_state = r#"{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["invalid",{"drop":null}],["established",{"accept":null}]]}}}"#;
        check(&[drop.clone(), rule("FORWARD", by_state), rule("FORWARD", &from)], &[]);
        let any_of_ours = rule("FORWARD", &accept("iifname", r#"{"set":["eth0","hzn*"]}"#));
        check(&[drop.clone(), any_of_ours, rule("FORWARD", ESTABLISHED)], &[]);
        check(&[drop, rule("FORWARD", r#"{"accept":null}"#)], &[]);
    }

    #[test]
    fn a_last_rule_that_drops_blocks_under_an_accepting_policy() {
        let open = chain("filter_FORWARD", "accept");
        let zone = format!(r#"{},{{"goto":{{"target":"ZONE"}}}}"#, meta("iifname", "\"eth0\""));
        let fallback = rule("filter_FORWARD", r#"{"goto":{"target":"PUBLIC"}}"#);
        let reject = rule("PUBLIC", r#"{"reject":{"type":"icmpx","expr":"admin-prohibited"}}"#);
        let firewalld = |first: &str| {
            let head = [open.clone(), rule("filter_FORWARD", ESTABLISHED), rule("filter_FORWARD", &zone)];
            [&head[..], &[rule("filter_FORWARD", first), fallback.clone(), reject.clone()]].concat()
        };

        check(&firewalld(r#"{"counter":{"packets":0,"bytes":0}}"#), &["ip filter filter_FORWARD"]);
        check(&firewalld(&accept("iifname", "\"hzn0\"")), &[]);
        let target = rule("filter_FORWARD", r#"{"xt":{"type":"target","name":"REJECT"}}"#);
        check(&[open.clone(), target], &["ip filter filter_FORWARD"]);
        // A drop of something that may or may not be ours says nothing.
        check(
            &[open, rule("filter_FORWARD", &format!("{},{{\"drop\":null}}", meta("oifname", "\"eth0\"")))],
            &[],
        );
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
