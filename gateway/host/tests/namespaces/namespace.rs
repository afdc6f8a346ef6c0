//! A network namespace for one test, and everything that can be seen of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Runs a test on a thread that has a network namespace of its own, with nothing but a loopback.
pub(crate) fn in_namespace(test: impl AsyncFnOnce() + Send + 'static) {
    if !is_root() {
        println!("SKIPPED: network namespaces need root");
        return;
    }
    let body = move || {
        #[allow(unsafe_code, reason = "unshare has no safe form")]
        // SAFETY: it moves this thread alone into a namespace, and touches no memory.
        let answer = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(answer, 0, "unshare: {}", io::Error::last_os_error());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    if let Err(panic) = thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn ip(arguments: &str) -> String {
    run("ip", &arguments.split(' ').collect::<Vec<_>>())
}

pub(crate) fn nft(commands: &str) -> String {
    run("nft", &[commands])
}

pub(crate) fn write_sysctl(key: &str, value: &str) {
    fs::write(Path::new("/proc/sys").join(key), value).unwrap();
}

/// All that we could change.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) addresses: String,
    pub(crate) routes: String,
    pub(crate) ruleset: String,
    pub(crate) sysctls: BTreeMap<String, String>,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        let mut sysctls = BTreeMap::new();
        for folder in ["net/ipv4/conf", "net/ipv6/conf"] {
            read_sysctls(folder, &mut sysctls);
        }
        for key in ["net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter"] {
            read_sysctls(key, &mut sysctls);
        }
        Self {
            addresses: ip("-j addr"),
            routes: format!("{}\n{}", ip("-j route show table all"), ip("-j -6 route show table all")),
            ruleset: without_handles(&nft("-j list ruleset")),
            sysctls,
        }
    }

    pub(crate) fn route_count(&self) -> usize {
        self.routes.matches("\"dst\"").count()
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, after: &Self) {
        assert_eq!(self.addresses, after.addresses);
        assert_eq!(self.routes, after.routes);
        assert_eq!(self.ruleset, after.ruleset);
        assert_eq!(self.sysctls, after.sysctls);
    }
}

/// An ICMP echo request.
pub(crate) fn ping(from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0];
    packet.extend(from);
    packet.extend(to);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    let mut echo = [8, 0, 0, 0, 0, 1, 0, 1];
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum);
    packet.extend(echo);
    packet
}

/// RFC 1071 section 1.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [.., high, low] = (!(folded + (folded >> 16))).to_be_bytes();
    [high, low]
}

fn read_sysctls(key: &str, sysctls: &mut BTreeMap<String, String>) {
    let path = Path::new("/proc/sys").join(key);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap().file_name().into_string().unwrap();
            read_sysctls(&format!("{key}/{entry}"), sysctls);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        // Some keys, such as the secret of stable addresses, cannot be read at all.
        sysctls.insert(key.to_owned(), text.trim().to_owned());
    }
}

fn without_handles(text: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
    for entry in value["nftables"].as_array_mut().unwrap() {
        for fields in entry.as_object_mut().unwrap().values_mut() {
            fields.as_object_mut().unwrap().remove("handle");
        }
    }
    // A table that was made again comes last.
    let mut entries: Vec<String> =
        value["nftables"].as_array().unwrap().iter().map(ToString::to_string).collect();
    entries.sort();
    entries.join("\n")
}

fn run(program: &str, arguments: &[&str]) -> String {
    let split: Vec<&str> = if program == "nft" && arguments[0].starts_with('-') {
        arguments[0].split(' ').collect()
    } else {
        arguments.to_vec()
    };
    let output = Command::new(program).args(split).output().unwrap();
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {reason}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_root() -> bool {
    #[allow(unsafe_code, reason = "geteuid has no safe form")]
    // SAFETY: it takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    user == 0
}
