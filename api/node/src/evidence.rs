//! What a node can say of its host. Self-reported: it finds accidents and clones, no attacker.

use std::fs;

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
    let binary_hash = fs::read("/proc/self/exe").map(|b| blake3::hash(&b).to_hex().to_string());
    Evidence {
        version: version.to_owned(),
        hostname: line("/proc/sys/kernel/hostname"),
        kernel: line("/proc/sys/kernel/osrelease"),
        binary_hash: binary_hash.unwrap_or_default(),
        machine,
    }
}
