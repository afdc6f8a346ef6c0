//! From what the tables say to an answer in words: the verdict, the rule, what is near to it, and until when.

use horizon_api::{
    http::{ApiError, ChangeView, PathView, PolicyAnswer, RuleView},
    resource::{Kind, ObjectKey},
    section::NetworkId,
    verdict::{Action, Demand, Protocol, Query, Rule, Selector, Table, Window},
};
use jiff::Timestamp;

use super::{
    Question, Scene, Subject,
    end::End,
    judge::{Judged, Path, check_work, judge},
};

/// So many edges are looked at in search of a change: half a year, where a window opens and closes daily.
const EDGES_MAX: usize = 400;
/// And so many pairs in all, if there are many.
const JUDGED_MAX: usize = 200_000;
/// So many notes are worth reading.
const NOTES_MAX: usize = 5;

/// What is said about all pairs together.
struct Verdict {
    allowed: bool,
    code: &'static str,
    reason: String,
}

pub(super) fn answer(scene: &Scene<'_>, question: &Question, at: i64) -> Result<PolicyAnswer, ApiError> {
    let [sources, destinations] = ends(scene, question, at)?;
    let judged = judge(scene, [&sources, &destinations], question.flow, at);
    let verdict = verdict(scene, &judged);
    // Of the pairs that differ, the one that is denied is what a person wants to know about.
    let shown = judged.iter().find(|one| one.is_allowed() == verdict.allowed && one.outcome.is_ok());
    let path = shown.and_then(|judged| Some((judged, judged.outcome.as_ref().ok()?)));
    Ok(PolicyAnswer {
        allowed: verdict.allowed,
        code: verdict.code.to_owned(),
        reason: verdict.reason,
        rule: path.and_then(|(_, path)| rule_view(scene, path.id, path.rule()?)),
        path: path.map(|(judged, path)| path_view(judged, path)),
        at,
        change: change(scene, question, &judged)?,
        notes: path.map(|(judged, path)| notes(scene, judged, path, at)).unwrap_or_default(),
        pairs: judged.len(),
        pairs_allowed: judged.iter().filter(|one| one.is_allowed()).count(),
    })
}

fn ends<'a>(scene: &Scene<'a>, question: &Question, at: i64) -> Result<[Vec<End<'a>>; 2], ApiError> {
    let mut sources = scene.ends(&question.source, at)?;
    let mut destinations = scene.ends(&question.destination, at)?;
    keep_reachable(&question.source, &mut sources, &destinations);
    keep_reachable(&question.destination, &mut destinations, &sources);
    check_work(scene, sources.len().saturating_mul(destinations.len()), 1)?;
    Ok([sources, destinations])
}

/// An address means whoever has it in a network of the other end: another network may have the same one.
fn keep_reachable(subject: &Subject, ends: &mut Vec<End<'_>>, others: &[End<'_>]) {
    let is_reachable =
        |end: &End<'_>| others.iter().any(|other| end.places.keys().any(|id| other.places.contains_key(id)));
    if matches!(subject, Subject::Prefix(_)) && ends.iter().any(is_reachable) {
        ends.retain(is_reachable);
    }
}

fn verdict(scene: &Scene<'_>, judged: &[Judged<'_>]) -> Verdict {
    // A device that meets itself says nothing about others.
    let is_same = |one: &&Judged<'_>| one.outcome.as_ref().is_err_and(|no_path| no_path.code == "Same");
    let others: Vec<_> = judged.iter().filter(|one| !is_same(one)).collect();
    let counted = if others.is_empty() { judged.iter().collect() } else { others };
    let allowed = counted.iter().filter(|one| one.is_allowed()).count();
    let Some(shown) = counted.iter().find(|one| !one.is_allowed()).or(counted.first()) else {
        return Verdict { allowed: false, code: "NoMember", reason: "denied: there is nobody".to_owned() };
    };
    let (code, reason) = reason(scene, shown);
    if allowed == 0 || allowed == counted.len() {
        return Verdict { allowed: allowed > 0, code, reason };
    }
    let of = counted.len();
    let example = format!("such as {} to {}", shown.source.label, shown.destination.label);
    let reason =
        format!("it depends: allowed for {allowed} of {of}, but not for others, {example}: {reason}");
    Verdict { allowed: false, code: "Differs", reason }
}

/// Returns the reason for a pair, as a word and as a sentence.
pub(super) fn reason(scene: &Scene<'_>, judged: &Judged<'_>) -> (&'static str, String) {
    match &judged.outcome {
        Err(no_path) => (no_path.code, format!("denied: {}", no_path.message)),
        Ok(path) => match path.rule() {
            Some(rule) => {
                let verb = if path.is_allowed() { "allowed" } else { "denied" };
                ("Rule", format!("{verb} by {}", rule_text(scene, path.id, rule)))
            }
            None => ("NoRule", format!("denied: no rule of network {} allows it", path.id)),
        },
    }
}

impl<'a> Path<'a> {
    pub(super) fn rule(&self) -> Option<&'a Rule> {
        self.network.table.rules.get(self.decision.rule?)
    }
}

fn path_view(judged: &Judged<'_>, path: &Path<'_>) -> PathView {
    PathView {
        network: path.id.to_string(),
        source: judged.source.label.clone(),
        source_address: path.source.to_string(),
        destination: judged.destination.label.clone(),
        destination_address: path.destination.to_string(),
        flow: path.flow.to_string(),
    }
}

pub(super) fn rule_view(scene: &Scene<'_>, network: &NetworkId, rule: &Rule) -> Option<RuleView> {
    let (policy, index) = rule.id.rsplit_once('#')?;
    let (namespace, _) = network.as_str().split_once('/')?;
    let (_, origin) = scene.objects.get(&ObjectKey::new(Kind::AccessPolicy, namespace, policy))?;
    Some(RuleView {
        namespace: namespace.to_owned(),
        policy: policy.to_owned(),
        index: index.parse().ok()?,
        file: origin.file.to_string(),
        line: origin.place.line,
    })
}

fn rule_text(scene: &Scene<'_>, network: &NetworkId, rule: &Rule) -> String {
    rule_view(scene, network, rule).map_or_else(|| rule.id.clone(), |view| view.to_string())
}

/// Returns what nearly gave another verdict: rules whose time has not come or is over, rules of other ports.
fn notes(scene: &Scene<'_>, judged: &Judged<'_>, path: &Path<'_>, at: i64) -> Vec<String> {
    let query = path.query([judged.source, judged.destination]);
    let rules = &path.network.table.rules;
    let text = |rule: &Rule| rule_text(scene, path.id, rule);
    let mut notes = Vec::new();
    for (_, rule) in path.network.table.matching(&query).filter(|(_, rule)| !rule.is_valid(at)) {
        let verb = if rule.action == Action::Allow { "would allow it" } else { "would deny it" };
        notes.push(match rule.valid_until.filter(|end| *end <= at) {
            Some(end) => format!("{} {verb}, but ended at {}", text(rule), moment(end)),
            None => format!("{} {verb}, but none of its windows is open", text(rule)),
        });
    }
    let stated = || query.source.posture().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    notes.extend(path.rule().and_then(|rule| denied_by_posture(rule, &query)).map(|demand| {
        format!(
            "it is about devices with {demand}, and all that do not say; this one states {} (self-reported)",
            stated()
        )
    }));
    if path.decision.rule.is_none() {
        let selects =
            |rule: &&Rule| rule.action == Action::Allow && rule.selects([&query.source, &query.destination]);
        let of_other_flows = rules.iter().filter(selects).filter(|rule| rule.is_valid(at));
        notes.extend(of_other_flows.map(|rule| format!("{} allows {}", text(rule), flows_of(rule))));
        notes.extend(unmet(rules, &query).map(|(rule, demand)| {
            let (rule, stated) = (text(rule), stated());
            format!(
                "{rule} would allow it for a device with {demand}, and it states {stated} (self-reported)"
            )
        }));
    }
    let left_out = notes.len().saturating_sub(NOTES_MAX);
    if left_out > 0 {
        notes.truncate(NOTES_MAX);
        notes.push(format!("{left_out} more rules are near"));
    }
    notes
}

/// Returns the rules that would allow a flow if its source said something else of itself, with what they demand.
fn unmet<'r>(rules: &'r [Rule], query: &'r Query<'r>) -> impl Iterator<Item = (&'r Rule, &'r Demand)> {
    let allowing = rules.iter().filter(|rule| rule.action == Action::Allow);
    allowing.filter_map(|rule| {
        let Selector::Stated(stated) = rule.from.iter().find(|selector| {
            matches!(selector, Selector::Stated(stated) if stated.who.selects(&query.source, Action::Allow))
        })?
        else {
            return None;
        };
        let anybodys = Rule { from: vec![stated.who.clone()], ..rule.clone() };
        let would = Table { rules: vec![anybodys] }.matching(query).next().is_some();
        (would && !rule.selects([&query.source, &query.destination])).then_some((rule, &stated.demand))
    })
}

/// Returns what a rule that denies a flow demands that its source says of itself, if it does.
fn denied_by_posture<'r>(rule: &'r Rule, query: &Query<'_>) -> Option<&'r Demand> {
    let selectors = rule.from.iter().filter(|selector| selector.selects(&query.source, rule.action));
    let mut demands = selectors.filter_map(|selector| match selector {
        Selector::Stated(stated) if rule.action == Action::Deny => Some(&stated.demand),
        Selector::Stated(_)
        | Selector::Any
        | Selector::User(_)
        | Selector::Group(_)
        | Selector::Tag(_)
        | Selector::Device(_)
        | Selector::Cidr(_)
        | Selector::Server(_)
        | Selector::Members => None,
    });
    demands.next()
}

fn flows_of(rule: &Rule) -> String {
    let protocol = match rule.protocol {
        Protocol::Any => "any protocol",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
    };
    let ports = rule.ports.iter().map(|range| match (range.start(), range.end()) {
        (start, end) if start == end => start.to_string(),
        (start, end) => format!("{start}-{end}"),
    });
    let ports: Vec<_> = ports.collect();
    if ports.is_empty() {
        format!("{protocol} only")
    } else {
        format!("{protocol} {} only", ports.join(", "))
    }
}

/// Looks from edge to edge for the first one at which the verdict is another.
fn change(
    scene: &Scene<'_>,
    question: &Question,
    judged: &[Judged<'_>],
) -> Result<Option<ChangeView>, ApiError> {
    let first = verdict(scene, judged);
    let mut until = judged.iter().filter_map(|one| one.until).min();
    let mut budget = EDGES_MAX.min(JUDGED_MAX / judged.len().max(1));
    while let Some(edge) = until {
        let [sources, destinations] = ends(scene, question, edge)?;
        let later = judge(scene, [&sources, &destinations], question.flow, edge);
        let verdict = verdict(scene, &later);
        if verdict.allowed != first.allowed || verdict.code != first.code {
            let when = when(edge, judged);
            return Ok(Some(ChangeView { at: edge, when, allowed: verdict.allowed, reason: verdict.reason }));
        }
        budget = budget.saturating_sub(1);
        until = later.iter().filter_map(|one| one.until).min().filter(|next| budget > 0 && *next > edge);
    }
    Ok(None)
}

/// Returns a moment, and what clocks of the zones show that windows go by.
fn when(at: i64, judged: &[Judged<'_>]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for one in judged {
        let Ok(path) = &one.outcome else { continue };
        let query = path.query([one.source, one.destination]);
        let windows = path.network.table.matching(&query).flat_map(|(_, rule)| &rule.windows);
        let zones = windows.filter(|window| window.at(at - 1).1 == at).map(Window::zone);
        for zone in zones {
            let text = format!("{} {zone}", zone.shown(at));
            if !shown.contains(&text) && shown.len() < 2 {
                shown.push(text);
            }
        }
        if shown.len() == 2 {
            break;
        }
    }
    if shown.is_empty() { moment(at) } else { format!("{} ({})", moment(at), shown.join(", ")) }
}

fn moment(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |at| at.to_string())
}
