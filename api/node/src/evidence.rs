//! What a node can say of its host. Self-reported: it finds accidents and clones, no attacker.

use std::{fs, path::Path, sync::OnceLock};

use horizon_api::{key::RootFingerprint, wire::Evidence};

/// Collects the evidence; what cannot be read stays empty. The machine id is hashed under the controller's root.
pub fn collect(version: &str, root: &RootFingerprint) -> Evidence {
    let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    Evidence {
        version: version.to_owned(),
        hostname: line("/proc/sys/kernel/hostname"),
        kernel: line("/proc/sys/kernel/osrelease"),
        binary_hash: binary_hash(),
        machine: hashed("hz-machine-v1", root, &line("/etc/machine-id")),
        hardware: hashed("hz-hardware-v1", root, &hardware(Path::new("/"))),
        host_boot: line("/proc/sys/kernel/random/boot_id"),
        is_key_sealed: false,
        posture: None,
    }
}

/// The name that something has under one controller and no other; what was not said has none.
fn hashed(domain: &str, root: &RootFingerprint, text: &str) -> String {
    match text {
        "" => String::new(),
        text => blake3::hash(format!("{domain} {root} {text}").as_bytes()).to_hex().to_string(),
    }
}

/// What firmware, processor and network cards say. Empty where nothing says anything, as in many containers.
fn hardware(root: &Path) -> String {
    let line = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default().trim().to_owned();
    let named = ["product_uuid", "board_serial"].map(|name| line(&format!("sys/class/dmi/id/{name}")));
    let tree = line("sys/firmware/devicetree/base/serial-number");
    let processors = line("proc/cpuinfo");
    let model = processors.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map_or("", |(_, model)| model.trim());
    let said = named.into_iter().chain([tree, model.to_owned()]).chain(cards(root));
    said.filter(|said| !said.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The addresses of network cards that are theirs for good: no bridge, tunnel or container comes and goes in it.
fn cards(root: &Path) -> Vec<String> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let interfaces = fs::read_dir(root.join("sys/class/net")).into_iter().flatten().flatten();
    let physical = interfaces
        .map(|entry| entry.path())
        .filter(|card| card.join("device").exists() && read(&card.join("addr_assign_type")) == "0");
    let mut addresses: Vec<_> = physical.map(|card| read(&card.join("address"))).collect();
    addresses.sort_unstable();
    addresses
}

/// A process runs one program for all its life, so it is read once.
fn binary_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let read = || fs::read("/proc/self/exe").map(|program| blake3::hash(&program).to_hex().to_string());
    HASH.get_or_init(|| read().unwrap_or_default()).clone()
}

#[cfg(test)]
mod tests {
    use horizon_api::key::SecretKey;

    use super::*;

    #[test]
    fn hardware_is_what_stays_with_the_host() {
        let host = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = host.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/class/dmi/id/product_uuid", "4c4c\n");
        write("proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU\n");
        for (name, assigned, address) in
            [("eth1", "0", "02:02"), ("eth0", "0", "02:01"), ("wlan0", "3", "02:03")]
        {
            write(&format!("sys/class/net/{name}/device/vendor"), "");
            write(&format!("sys/class/net/{name}/addr_assign_type"), assigned);
            write(&format!("sys/class/net/{name}/address"), address);
        }
        write("sys/class/net/br0/address", "02:04");
        write("sys/class/net/br0/addr_assign_type", "0");

        assert_eq!(hardware(host.path()), "4c4c\nA CPU\n02:01\n02:02");
    }

    #[test]
    fn one_host_has_another_name_under_each_controller() {
        let root = |seed: u8| RootFingerprint::of(&SecretKey::from_seed(&[seed; 32]).public());
        let of = |seed, said| hashed("hz-machine-v1", &root(seed), said);

        assert_ne!(of(1, "a host"), of(2, "a host"));
        assert_eq!(of(1, "a host"), of(1, "a host"));
        assert_eq!(of(1, ""), "");
        let said = collect("1", &root(1));
        assert!(!said.host_boot.is_empty() && said.binary_hash.len() == 64, "{said:?}");
    }
}
