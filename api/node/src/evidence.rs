//! What a node can say of its host. Self-reported: it finds accidents and clones, no attacker.

use std::{fs, sync::OnceLock};

use horizon_api::{key::RootFingerprint, wire::Evidence};

/// Collects the evidence; what cannot be read stays empty. The machine id is hashed under the controller's root.
pub fn collect(version: &str, root: &RootFingerprint) -> Evidence {
    let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let machine_id = line("/etc/machine-id");
    let machine = if machine_id.is_empty() {
        String::new()
    } else {
        blake3::hash(format!("hz-machine-v1 {root} {machine_id}").as_bytes()).to_hex().to_string()
    };
    Evidence {
        version: version.to_owned(),
        hostname: line("/proc/sys/kernel/hostname"),
        kernel: line("/proc/sys/kernel/osrelease"),
        binary_hash: binary_hash(),
        machine,
    }
}

/// A process runs one program for all its life, so it is read once.
fn binary_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let read = || fs::read("/proc/self/exe").map(|program| blake3::hash(&program).to_hex().to_string());
    HASH.get_or_init(|| read().unwrap_or_default()).clone()
}
