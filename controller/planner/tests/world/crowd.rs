//! A company of any size as an operator would write it down: people, their devices and keys, and policies, about
//! a kilobyte each with comments and labels, fifty to a file. The same seed makes the same bytes.

#![allow(dead_code, unreachable_pub, reason = "each program that includes it uses another part")]

use horizon_api::key::SecretKey;

/// Objects in a file.
const IN_A_FILE: usize = 50;
const GROUPS: [&str; 8] =
    ["staff", "support", "engineering", "finance", "legal", "contractors", "on-call", "warehouse"];
const SITES: [&str; 6] = ["berlin", "lisbon", "nairobi", "osaka", "quito", "tromso"];
const WORDS: [&str; 16] = [
    "printer", "ticket", "renewed", "laptop", "until", "the", "audit", "moved", "asked", "for", "remote",
    "desk", "from", "with", "replaced", "review",
];

/// Returns the files of a company with so many objects, beside the network and the server that carry it.
pub fn crowd(objects: usize, seed: u64) -> Vec<(String, String)> {
    let mut random = Random::new(seed);
    let mut files = vec![("network.yaml".to_owned(), NETWORK.to_owned())];
    let texts: Vec<String> = (0..objects).map(|index| object(index, &mut random)).collect();
    for (number, texts) in texts.chunks(IN_A_FILE).enumerate() {
        let name = format!("{}/part-{number:05}.yaml", SITES[number % SITES.len()]);
        files.push((name, texts.join("---\n")));
    }
    files
}

/// Eight people have, among them, five keys and thirteen devices, and are subject to six policies.
fn object(index: usize, random: &mut Random) -> String {
    const ROUND: usize = 32;
    let (round, place) = (index / ROUND, index % ROUND);
    let person = |of: usize| format!("person-{:06}", round * 8 + of % 8);
    match place {
        0..8 => user(&person(place), random),
        8..21 => device(&format!("device-{:06}", round * 13 + place - 8), &person(place), random),
        21..26 => personal_key(&format!("key-{:06}", round * 5 + place - 21), &person(place), random),
        _ => policy(&format!("policy-{:06}", round * 6 + place - 26), &person(place), random),
    }
}

fn head(kind: &str, name: &str, random: &mut Random) -> String {
    let (site, floor, ticket) = (random.one_of(&SITES), random.below(9), random.below(90_000) + 10_000);
    let (about, reason) = (random.sentence(9), random.sentence(14));
    format!(
        "# {about}.\n# {reason}.\napiVersion: horizon.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}\n  labels:\n    \
         example.net/site: {site}\n    example.net/floor: \"{floor}\"\n    example.net/cost-centre: cc-{ticket}\n  annotations:\n    \
         example.net/ticket: \"https://tickets.example.net/browse/NET-{ticket}\"\n    example.net/note: >-\n      \
         {about},\n      {reason}\nspec:\n"
    )
}

fn user(name: &str, random: &mut Random) -> String {
    let (first, second) = (random.one_of(&GROUPS[..4]), random.one_of(&GROUPS[4..]));
    let (devices, title) = (random.below(6) + 3, random.sentence(6));
    head("User", name, random)
        + &format!(
            "  # {title}, as the contract says.\n  displayName: \"{name} of {first}\"\n  email: {name}@example.net\n  groups:\n    \
             - {first}\n    - {second}\n    # Everybody who works here.\n    - everybody\n  maxDevices: {devices}\n  \
             expiresAt: 2031-0{}-1{}T08:00:00Z\n",
            random.below(9) + 1,
            random.below(9)
        )
}

fn device(name: &str, person: &str, random: &mut Random) -> String {
    let key = SecretKey::from_seed(&random.bytes()).public();
    let tag = random.one_of(&SITES);
    head("Device", name, random)
        + &format!(
            "  userRef:\n    name: {person}\n  # As `horizon status` prints it.\n  publicKey: \"{key}\"\n  networkRefs:\n    \
             - name: office\n  tags:\n    - laptop\n    - {tag}\n    # {}\n    - managed\n  disabled: false\n",
            random.sentence(8)
        )
}

fn personal_key(name: &str, person: &str, random: &mut Random) -> String {
    let hash: String = random.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    head("PersonalKey", name, random)
        + &format!(
            "  userRef:\n    name: {person}\n  networkRefs:\n    - name: office\n  # {}\n  hash: sha256:{hash}\n  \
             expiresAt: 2031-01-31T00:00:00Z\n  sourceCidrs:\n    - 198.51.100.0/24\n    - 203.0.113.{}/32\n  maxUses: {}\n",
            random.sentence(10),
            random.below(255),
            random.below(4) + 1
        )
}

fn policy(name: &str, person: &str, random: &mut Random) -> String {
    let (group, port) = (random.one_of(&GROUPS), 1_024 + random.below(40_000));
    let (third, fourth) = (random.below(200), random.below(250));
    head("AccessPolicy", name, random)
        + &format!(
            "  networkRef: {{name: office}}\n  action: Allow\n  from:\n    - group: {group}\n    - user: {person}\n  rules:\n    \
             # {}\n    - to:\n        - cidr: 198.18.{third}.{fourth}/32\n      protocol: Tcp\n      ports: [\"443\", \"{port}-{}\"]\n    \
             - to:\n        - cidr: 198.19.{third}.0/24\n      protocol: Udp\n      ports:\n        - \"{port}\"\n",
            random.sentence(11),
            port + 9
        )
}

/// SplitMix64, because the generator's numbers must be the same for ever.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.one_of(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        bytes
    }
}

/// What the crowd meets in. Its pools have room for a million.
const NETWORK: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata:
  name: office
spec:
  addressPools:
    - cidr: 10.64.0.0/12
    - cidr: fd77:1::/64
---
apiVersion: horizon.dev/v1alpha1
kind: Server
metadata:
  name: gw-1
spec:
  networkRefs:
    - name: office
  endpoints:
    - host: 192.0.2.1
  identity:
    registrationKeyRef:
      name: gw-1
  subnetRoutes:
    - cidr: 198.18.0.0/15
---
apiVersion: horizon.dev/v1alpha1
kind: RegistrationKey
metadata:
  name: gw-1
spec:
  generate: {}
";
