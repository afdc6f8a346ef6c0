//! What may be declared and is kept, although nothing enforces it yet. Whoever builds a feature removes its line.

use horizon_api::resource::{
    AccessPolicySpec, AdminState, NetworkSpec, PersonalKeySpec, RegistrationKeySpec, RegistrationRole,
    ResourceSpec, ServerSpec,
};

/// Fields that have no effect yet.
struct Line<T> {
    /// Where a spec says them.
    paths: fn(&T) -> Vec<String>,
    /// What does not happen.
    sentence: &'static str,
}

const NETWORK: &[Line<NetworkSpec>] = &[
    Line { paths: |spec| one("spec.dns", spec.dns.is_some()), sentence: "gateways serve no names yet" },
    Line { paths: |spec| one("spec.lan", spec.lan.is_some()), sentence: "no LAN is emulated yet" },
];

const SERVER: &[Line<ServerSpec>] = &[
    Line {
        paths: |spec| one("spec.adminState", spec.admin_state == AdminState::Draining),
        sentence: "a draining server is treated as an active one, so far",
    },
    Line {
        paths: |spec| one("spec.exit", spec.exit.is_some_and(|exit| exit.enabled)),
        sentence: "gateways offer no way to the Internet yet",
    },
    Line {
        paths: |spec| one("spec.capacity", spec.capacity.is_some()),
        sentence: "gateways count no sessions yet",
    },
    Line { paths: |spec| one("spec.lan", !spec.lan.is_empty()), sentence: "no LAN is joined yet" },
];

const REGISTRATION_KEY: &[Line<RegistrationKeySpec>] = &[
    Line {
        paths: |spec| one("spec.ephemeral", spec.ephemeral && spec.role == RegistrationRole::Server),
        sentence: "servers that have enrolled are not forgotten",
    },
    Line {
        paths: |spec| one("spec.grants", spec.grants.is_some() && spec.role == RegistrationRole::Server),
        sentence: "a server gets only what its own manifest says",
    },
];

const PERSONAL_KEY: &[Line<PersonalKeySpec>] = &[Line {
    paths: |spec| one("spec.profileRefs", !spec.profile_refs.is_empty()),
    sentence: "profiles are offered to nobody yet",
}];

const ACCESS_POLICY: &[Line<AccessPolicySpec>] = &[
    Line {
        paths: |spec| one("spec.discover", spec.discover.is_some()),
        sentence: "nothing is discovered on a LAN yet",
    },
    Line { paths: services, sentence: "nobody advertises services yet, so this selects nothing" },
];

/// Returns what a spec says in vain, so far: path and sentence.
pub(crate) fn not_yet_effective(spec: &ResourceSpec) -> Vec<(String, &'static str)> {
    match spec {
        ResourceSpec::Network(spec) => find(NETWORK, spec),
        ResourceSpec::Server(spec) => find(SERVER, spec),
        ResourceSpec::RegistrationKey(spec) => find(REGISTRATION_KEY, spec),
        ResourceSpec::PersonalKey(spec) => find(PERSONAL_KEY, spec),
        ResourceSpec::AccessPolicy(spec) => find(ACCESS_POLICY, spec),
        ResourceSpec::ConnectionProfile(_) => whole("profiles are offered to nobody yet"),
        ResourceSpec::Admin(_) => whole(
            "admins use the resource API (`horizon-controller kubeconfig NAME`) and the console (`horizon-controller sign-in NAME`), and do not sign in by password yet",
        ),
        ResourceSpec::AlertRule(_) => whole("alerts wake nobody yet"),
        ResourceSpec::User(_) | ResourceSpec::Device(_) | ResourceSpec::AccessTest(_) => vec![],
    }
}

fn find<T>(lines: &[Line<T>], spec: &T) -> Vec<(String, &'static str)> {
    let found =
        lines.iter().flat_map(|line| (line.paths)(spec).into_iter().map(|path| (path, line.sentence)));
    found.collect()
}

fn one(path: &str, is_said: bool) -> Vec<String> {
    is_said.then(|| path.to_owned()).into_iter().collect()
}

fn whole(sentence: &'static str) -> Vec<(String, &'static str)> {
    vec![("spec".to_owned(), sentence)]
}

/// Returns the first place that selects a service: one is enough to know.
fn services(spec: &AccessPolicySpec) -> Vec<String> {
    let rules = spec.rules.iter().enumerate();
    let first = rules.flat_map(|(rule, to)| {
        let selectors = to.to.iter().enumerate().filter(|(_, selector)| selector.service.is_some());
        selectors.map(move |(index, _)| format!("spec.rules[{rule}].to[{index}].service"))
    });
    first.take(1).collect()
}
