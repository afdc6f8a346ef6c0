//! A controller without a store: it compiles folders one after the other and remembers what was in force.
//! Shared by the tests beside it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses another part")]

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{
    assignment::GatewayConfig,
    condition::Condition,
    resource::{Kind, ObjectKey},
    section::Section,
};
use horizon_planner::{
    compile::{Compiled, Input, SourceSnapshot, compile},
    manifest::{Manifest, Parsed, parse_folder},
};

/// Four objects that make a small office, one file each.
pub const OFFICE: [(&str, &str); 4] = [
    (
        "network.yaml",
        "apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: office}
spec:
  addressPools: [{cidr: 10.77.0.0/24}, {cidr: \"fd77:1::/64\"}]
",
    ),
    (
        "policy.yaml",
        "apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: staff-to-web}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{group: staff}]
  rules: [{to: [{cidr: 198.51.100.0/24}], protocol: Tcp, ports: [\"80\"]}]
",
    ),
    (
        "server.yaml",
        "apiVersion: horizon.dev/v1alpha1
kind: Server
metadata: {name: gw-1}
spec:
  networkRefs: [{name: office}]
  endpoints: [{host: 192.0.2.1}]
  identity: {registrationKeyRef: {name: gw-1}}
  subnetRoutes: [{cidr: 198.51.100.0/24}]
---
apiVersion: horizon.dev/v1alpha1
kind: RegistrationKey
metadata: {name: gw-1}
spec: {generate: {}}
",
    ),
    (
        "users.yaml",
        "apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: alice}
spec: {groups: [staff]}
---
apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: laptop}
spec:
  userRef: {name: alice}
  networkRefs: [{name: office}]
  publicKey: \"ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=\"
",
    ),
];

pub const SOURCE: &str = "files:/etc/horizon";

/// Files by name, as a person edits them.
#[derive(Clone)]
pub struct Folder(pub BTreeMap<String, String>);

impl Folder {
    pub fn office() -> Self {
        Self(OFFICE.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.to_owned());
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name).expect("the file is there");
        self
    }

    #[must_use]
    pub fn edit(mut self, name: &str, from: &str, to: &str) -> Self {
        let text = self.0.get_mut(name).expect("the file is there");
        assert!(text.contains(from), "{name} has {from}");
        *text = text.replace(from, to);
        self
    }

    pub fn snapshot(&self) -> SourceSnapshot {
        let files: Vec<_> = self.0.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
        SourceSnapshot { source: SOURCE.into(), parsed: parse_folder(&files).into(), is_complete: true }
    }
}

/// What a controller remembers between two compilations.
#[derive(Default)]
pub struct Memory {
    pub input: Input,
    /// Objects that the API owns.
    pub api: Vec<Manifest>,
    pub now: i64,
    /// Whether a person approves whatever waits.
    pub approves: bool,
}

impl Memory {
    pub fn apply(&mut self, folder: &Folder) -> Compiled {
        self.apply_snapshot(folder.snapshot())
    }

    pub fn apply_snapshot(&mut self, snapshot: SourceSnapshot) -> Compiled {
        let manifests = self.api.iter().cloned().map(Arc::new).collect();
        let parsed = Parsed { manifests, ..parse_folder(&[]) };
        let api = SourceSnapshot { source: "api".into(), parsed: parsed.into(), is_complete: true };
        self.input.sources = vec![snapshot, api];
        let mut compiled = compile(&self.input, self.now);
        while self.approves && !compiled.plans.is_empty() {
            self.approve(&compiled);
            compiled = compile(&self.input, self.now);
        }
        self.input.previous = compiled.objects.values().cloned().collect();
        self.input.allocations = compiled.allocations.clone();
        self.input.facts.revoked = compiled.revoked.clone();
        self.input.reverted = compiled.reverted.clone();
        if compiled.plans.is_empty() {
            self.input.approved.clear();
        }
        compiled
    }
}

impl Memory {
    /// A person approves everything that waits.
    pub fn approve(&mut self, compiled: &Compiled) {
        self.input.approved.extend(compiled.plans.iter().map(|plan| plan.hash));
    }
}

pub fn key(text: &str) -> ObjectKey {
    text.parse().expect("a key")
}

pub fn condition<'a>(compiled: &'a Compiled, object: &str, kind: &str) -> Option<&'a Condition> {
    compiled.objects.get(&key(object))?.conditions.iter().find(|condition| condition.kind == kind)
}

/// Returns what the first gateway would run.
pub fn config(compiled: &Compiled) -> GatewayConfig {
    let mut config = GatewayConfig::default();
    let sections = compiled.sections.values().next().expect("a server");
    for section in sections {
        match Section::decode(&section.bytes).expect("our own bytes") {
            Section::Identity(identity) => config.identity = Some(identity),
            Section::Networks(networks) => {
                config.networks = networks.into_iter().map(|network| (network.id.clone(), network)).collect();
            }
            Section::Policy(policy) => drop(config.policies.insert(policy.network, policy.table)),
            Section::Routes(routes) => config.routes = routes,
            Section::Revocations(keys) => config.revoked = keys.into_iter().collect(),
        }
    }
    config
}

pub fn addresses(compiled: &Compiled, object: &str) -> String {
    let network = horizon_api::section::NetworkId::new("default", "office");
    let addresses = compiled.allocations.of(&network, &key(object));
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub fn codes(compiled: &Compiled) -> Vec<&str> {
    compiled.problems.iter().map(|problem| problem.code.as_str()).collect()
}

pub fn user_and_device(user: &str) -> String {
    format!(
        "apiVersion: horizon.dev/v1alpha1\nkind: {}\nmetadata: {{name: {user}}}\nspec: {{groups: [staff]}}\n---\n\
         apiVersion: horizon.dev/v1alpha1\nkind: Device\nmetadata: {{name: {user}-pc}}\n\
         spec: {{userRef: {{name: {user}}}, networkRefs: [{{name: office}}]}}\n",
        Kind::User
    )
}
