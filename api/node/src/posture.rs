//! What this host says of itself to policies: its system, and whether that lies on an encrypted disk. Self-reported.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use horizon_api::verdict::{DiskEncryption, Posture};

/// Deeper than any real stack of RAID, LVM and LUKS.
const LAYERS_MAX: usize = 16;
/// No value of an os-release that means something is longer.
const TEXT_MAX: usize = 64;

/// Reads the posture of this host; what cannot be read is not said.
pub fn collect(agent: &str) -> Posture {
    at(Path::new("/"), agent)
}

/// Reads the posture of the system under a root folder.
fn at(root: &Path, agent: &str) -> Posture {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    // The second place is where the first one points to (os-release(5)).
    let release =
        ["etc/os-release", "usr/lib/os-release"].map(read).into_iter().find(|text| !text.is_empty());
    let release = release.unwrap_or_default();
    Posture {
        os: value_of(&release, "ID").into(),
        os_version: value_of(&release, "VERSION_ID").into(),
        kernel: short(read("proc/sys/kernel/osrelease").trim()).into(),
        architecture: std::env::consts::ARCH.into(),
        agent: agent.into(),
        disk: disk(root, &read("proc/self/mountinfo")),
    }
}

/// Returns the value of a line such as `VERSION_ID="12"`.
fn value_of(release: &str, name: &str) -> String {
    let lines = release.lines().filter_map(|line| line.trim().split_once('='));
    let value =
        lines.filter(|(found, _)| *found == name).map(|(_, value)| value).next_back().unwrap_or_default();
    short(value.trim_matches(['"', '\'']))
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// Says whether what is mounted at `/` lies on an encrypted device. Of a file system without one it cannot tell.
fn disk(root: &Path, mountinfo: &str) -> DiskEncryption {
    let Some(device) = root_device(root, mountinfo) else { return DiskEncryption::Unknown };
    match is_encrypted(&device, LAYERS_MAX) {
        Some(true) => DiskEncryption::Encrypted,
        Some(false) => DiskEncryption::Unencrypted,
        None => DiskEncryption::Unknown,
    }
}

/// Returns the folder of the kernel about the device that is mounted at `/`: the last mount there is the one that is seen.
fn root_device(root: &Path, mountinfo: &str) -> Option<PathBuf> {
    // `36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw` (proc_pid_mountinfo(5)).
    let mounts = mountinfo.lines().filter_map(|line| line.split_once(" - "));
    let fields = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut mounts = mounts.map(|(mount, source)| (fields(mount), fields(source)));
    let (mount, source) = mounts.rfind(|(mount, _)| mount.get(4).is_some_and(|at| at == "/"))?;
    let by_number = root.join("sys/dev/block").join(mount.get(2)?);
    if let Ok(device) = by_number.canonicalize() {
        return Some(device);
    }
    // File systems of several devices, such as btrfs, have a number of their own, and name one device.
    let node = root.join(source.get(1)?.strip_prefix('/')?).canonicalize().ok()?;
    let name = node.strip_prefix(root.join("dev")).ok()?.to_str()?.replace('/', "!");
    root.join("sys/class/block").join(name).canonicalize().ok()
}

/// Says whether all that a device is made of is encrypted; nothing where that cannot be told.
fn is_encrypted(device: &Path, layers: usize) -> Option<bool> {
    let uuid = fs::read_to_string(device.join("dm/uuid")).unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return Some(true);
    }
    let below: BTreeSet<_> = fs::read_dir(device.join("slaves"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    if below.is_empty() {
        // A partition or a whole disk. A device of another kind says nothing of what carries it.
        let is_virtual = device.components().any(|part| part.as_os_str() == "virtual");
        return if is_virtual { None } else { Some(false) };
    }
    let layers = layers.checked_sub(1)?;
    let all: Option<Vec<bool>> =
        below.iter().map(|below| is_encrypted(&below.canonicalize().ok()?, layers)).collect();
    all.map(|all| all.into_iter().all(|is_encrypted| is_encrypted))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A root folder with devices as the kernel shows them.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }

        /// Makes a device `number` at `place` that lies on others.
        fn device(&self, number: &str, place: &str, uuid: &str, below: &[&str]) {
            let name = place.rsplit('/').next().expect("a name");
            self.write(&format!("sys/devices/{place}/dm/uuid"), uuid);
            let folder = self.0.path().join("sys/devices").join(place);
            fs::create_dir_all(folder.join("slaves")).expect("made");
            for below in below {
                let target = self.0.path().join("sys/devices").join(below);
                symlink(target, folder.join("slaves").join(below.replace('/', "_"))).expect("linked");
            }
            for by in [format!("sys/dev/block/{number}"), format!("sys/class/block/{name}")] {
                let link = self.0.path().join(by);
                fs::create_dir_all(link.parent().expect("a folder")).expect("made");
                symlink(&folder, link).expect("linked");
            }
        }

        fn mount(&self, number: &str, source: &str) {
            let mounts = format!(
                "22 27 0:21 / /proc rw - proc proc rw\n27 1 {number} / / rw,relatime shared:1 - ext4 {source} rw\n"
            );
            self.write("proc/self/mountinfo", &mounts);
        }

        fn disk(&self) -> DiskEncryption {
            at(self.0.path(), "1").disk
        }
    }

    #[test]
    fn system_is_read_from_its_os_release_and_nothing_is_invented() {
        let tree = Tree::new();
        let nothing = at(tree.0.path(), "1.2");
        tree.write(
            "usr/lib/os-release",
            "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nID=debian\n",
        );
        tree.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");

        let posture = at(tree.0.path(), "1.2");

        assert_eq!((posture.os.as_str(), posture.os_version.as_str()), ("debian", "12"));
        assert_eq!((posture.kernel.as_str(), posture.agent.as_str()), ("6.1.0-18-amd64", "1.2"));
        assert_eq!((nothing.os.as_str(), nothing.disk), ("", DiskEncryption::Unknown));
    }

    #[test]
    fn disk_is_encrypted_when_all_below_it_is() {
        let luks = "CRYPT-LUKS2-0123-root";
        let tree = Tree::new();
        tree.device("8:1", "pci/sda/sda1", "", &[]);
        tree.device("8:17", "pci/sdb/sdb1", "", &[]);
        tree.device("253:0", "virtual/block/dm-0", luks, &["pci/sda/sda1"]);
        tree.device("253:1", "virtual/block/dm-1", "LVM-abc", &["virtual/block/dm-0"]);
        tree.device("253:2", "virtual/block/dm-2", "LVM-def", &["virtual/block/dm-0", "pci/sdb/sdb1"]);
        tree.device("7:0", "virtual/block/loop0", "", &[]);
        let cases = [
            ("8:1", DiskEncryption::Unencrypted),
            ("253:0", DiskEncryption::Encrypted),
            ("253:1", DiskEncryption::Encrypted),
            // Half of it is there for whoever takes the disk.
            ("253:2", DiskEncryption::Unencrypted),
            ("7:0", DiskEncryption::Unknown),
            ("0:31", DiskEncryption::Unknown),
        ];
        for (number, expected) in cases {
            tree.mount(number, "overlay");

            assert_eq!(tree.disk(), expected, "{number}");
        }
    }

    #[test]
    fn file_system_of_several_devices_is_found_by_the_one_that_it_names() {
        let tree = Tree::new();
        tree.device("253:0", "virtual/block/dm-0", "CRYPT-LUKS2-0123-root", &[]);
        tree.write("dev/dm-0", "");
        tree.write("dev/mapper/.keep", "");
        symlink(tree.0.path().join("dev/dm-0"), tree.0.path().join("dev/mapper/root")).expect("linked");

        tree.mount("0:31", "/dev/mapper/root");

        assert_eq!(tree.disk(), DiskEncryption::Encrypted);
    }
}
