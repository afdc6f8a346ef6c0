//! Who may import whom, and what Cargo says of who does.

use std::{collections::BTreeSet, env, process::Command};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Each crate of ours with those it may import.
pub(crate) const TABLE: &[(&str, &[&str])] = &[
    ("horizon-api", &[]),
    ("horizon-node", &["horizon-api"]),
    ("horizon-planner", &["horizon-api"]),
    ("horizon-machinery", &["horizon-api", "horizon-planner"]),
    ("horizon-kube", &["horizon-api"]),
    ("horizon-trust", &["horizon-api"]),
    ("horizon-dataplane", &["horizon-api"]),
    ("horizon-host", &["horizon-api", "horizon-dataplane"]),
    ("horizon-seal", &["horizon-api"]),
    ("horizon-link", &["horizon-api", "horizon-dataplane", "horizon-host", "horizon-node", "horizon-seal"]),
    ("horizon-tpm", &["horizon-api"]),
    ("horizon-gateway", GATEWAY),
    ("horizon", CLIENT),
    ("horizon-api-server", &["horizon-api", "horizon-machinery", "horizon-planner", "horizon-web-dist"]),
    (
        "horizon-controller",
        &[
            "horizon-api",
            "horizon-api-server",
            "horizon-kube",
            "horizon-machinery",
            "horizon-node",
            "horizon-planner",
            "horizon-trust",
        ],
    ),
    ("horizon-web", &["horizon-api"]),
    ("horizon-web-bundle", &[]),
    ("horizon-web-dist", &["horizon-web-bundle"]),
    ("horizon-tests", EVERYTHING_BUT_WEB),
];

const GATEWAY: &[&str] =
    &["horizon-api", "horizon-dataplane", "horizon-host", "horizon-link", "horizon-node", "horizon-tpm"];

const CLIENT: &[&str] =
    &["horizon-api", "horizon-dataplane", "horizon-host", "horizon-link", "horizon-node", "horizon-seal"];

const EVERYTHING_BUT_WEB: &[&str] = &[
    "horizon-api",
    "horizon-api-server",
    "horizon-controller",
    "horizon-dataplane",
    "horizon-host",
    "horizon-link",
    "horizon-node",
    "horizon-planner",
    "horizon-seal",
    "horizon-tpm",
];

/// The crates that decide and do nothing else.
pub(crate) const PURE: &[&str] = &[
    "horizon-api",
    "horizon-planner",
    "horizon-machinery",
    "horizon-trust",
    "horizon-dataplane",
    "horizon-seal",
];

/// Libraries that only some crates may import.
pub(crate) const ONLY: &[(&str, &[&str])] = &[
    ("axum", &["horizon-api-server", "horizon", "horizon-web-dist"]),
    ("kube", &["horizon-api", "horizon-kube", "horizon-tests"]),
    ("kube-cel", &["horizon-planner"]),
    ("k8s-openapi", &["horizon-api", "horizon-kube", "horizon-tests"]),
    ("leptos", &["horizon-web"]),
    ("libsql", &["horizon-controller"]),
    ("notify", &["horizon-controller"]),
    ("rtnetlink", &["horizon-host"]),
    ("tun", &["horizon-host"]),
];

/// What `cargo metadata` says.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

pub(crate) struct Package {
    pub(crate) name: String,
    /// All declared dependencies: of tests and builds too, optional ones too.
    pub(crate) dependencies: BTreeSet<String>,
    /// Those of the library itself that no feature turns off.
    pub(crate) always: BTreeSet<String>,
}

impl Workspace {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(super::root()?)
            .output()
            .context("run cargo metadata")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let packages = metadata["packages"].as_array().context("no packages")?;
        Ok(Self { packages: packages.iter().map(Package::read).collect::<anyhow::Result<_>>()? })
    }

    pub(crate) fn is_ours(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }
}

impl Package {
    fn read(package: &Value) -> anyhow::Result<Self> {
        let name = package["name"].as_str().context("a package without a name")?.to_owned();
        let declared = package["dependencies"].as_array().context("no dependencies")?;
        let name_of = |dependency: &Value| dependency["name"].as_str().map(str::to_owned);
        let is_always =
            |dependency: &&Value| dependency["kind"].is_null() && dependency["optional"] != Value::Bool(true);
        Ok(Self {
            name,
            dependencies: declared.iter().filter_map(name_of).collect(),
            always: declared.iter().filter(is_always).filter_map(name_of).collect(),
        })
    }
}
