//! Whom a subject means: the ends that it stands for, or that there is nobody of that name.

use std::{collections::BTreeSet, net::IpAddr};

use horizon_api::{
    http::ApiError,
    resource::{Kind, ObjectKey, ResourceSpec},
    verdict::{Identity, Selector},
};
use ipnet::IpNet;

use super::{Scene, Subject, end::End};
use crate::{
    compile::EffectiveDevice,
    effect::{rules::prefix_of, stage::following},
    validate::nearest,
};

impl<'a> Scene<'a> {
    /// Returns the ends that a subject stands for, at least one.
    pub(super) fn ends(&self, subject: &Subject, at: i64) -> Result<Vec<End<'a>>, ApiError> {
        let ends = match subject {
            Subject::Named { namespace, name } => return self.named(namespace, name, at),
            Subject::User(key) => self.user(key, at)?,
            Subject::Device(key) => {
                let device = self.known(key)?;
                self.device(device, at).into_iter().collect()
            }
            Subject::Server(key) => {
                let server = self.known(key)?;
                self.server(server).into_iter().collect()
            }
            Subject::Group { namespace, name } => {
                let label = format!("a device of somebody in group {name}");
                let identity = Identity { groups: [name.as_str().into()].into(), ..Identity::default() };
                self.check_word("group", namespace, name, GROUPS)?;
                let is_in = |device: &EffectiveDevice| device.identity.groups.contains(name.as_str());
                self.devices_or(namespace, is_in, at, || self.imagined(namespace, identity, label))
            }
            Subject::Tag { namespace, name } => {
                let label = format!("a device with tag {name}");
                let identity = Identity { tags: [name.as_str().into()].into(), ..Identity::default() };
                self.check_word("tag", namespace, name, TAGS)?;
                let is_in = |device: &EffectiveDevice| device.identity.tags.contains(name.as_str());
                self.devices_or(namespace, is_in, at, || self.imagined(namespace, identity, label))
            }
            Subject::Prefix(prefix) => self.within(prefix, at),
        };
        Ok(ends)
    }

    /// Returns the device that a subject would have if it had one, to be judged beside those that it has.
    pub(super) fn imagined_of(&self, subject: &Subject) -> Option<End<'a>> {
        let (namespace, identity, label) = match subject {
            Subject::Group { namespace, name } => (
                namespace,
                Identity { groups: [name.as_str().into()].into(), ..Identity::default() },
                format!("a device of somebody in group {name}"),
            ),
            Subject::Tag { namespace, name } => (
                namespace,
                Identity { tags: [name.as_str().into()].into(), ..Identity::default() },
                format!("a device with tag {name}"),
            ),
            Subject::User(key) => return Some(self.imagined_of_user(key, self.identity_of(key)?, 0)),
            Subject::Named { .. } | Subject::Device(_) | Subject::Server(_) | Subject::Prefix(_) => {
                return None;
            }
        };
        Some(self.imagined(namespace, identity, label))
    }

    fn named(&self, namespace: &str, name: &str, at: i64) -> Result<Vec<End<'a>>, ApiError> {
        let key = |kind| ObjectKey::new(kind, namespace, name);
        let (user, device) = (key(Kind::User), key(Kind::Device));
        match (self.objects.contains_key(&user), self.objects.contains_key(&device)) {
            (true, true) => {
                let message = format!("`{name}` is a user and a device");
                Err(ApiError::new("Ambiguous", message, format!("write user:{name} or device:{name}")))
            }
            (true, false) => self.ends(&Subject::User(user), at),
            (false, true) => self.ends(&Subject::Device(device), at),
            (false, false) => {
                let message = format!("no user and no device of namespace {namespace} is called `{name}`");
                let hint = if self.objects.contains_key(&key(Kind::Server)) {
                    format!("did you mean `server:{name}`?")
                } else {
                    self.suggestion(namespace, name, &[Kind::User, Kind::Device, Kind::Server])
                };
                Err(ApiError::new("UnknownName", message, hint))
            }
        }
    }

    fn user(&self, key: &ObjectKey, at: i64) -> Result<Vec<End<'a>>, ApiError> {
        self.known(key)?;
        let identity = self.identity_of(key).unwrap_or_default();
        let is_theirs = |device: &EffectiveDevice| device.user.as_ref() == Some(key);
        let imagined = || self.imagined_of_user(key, identity, at);
        Ok(self.devices_or(&key.namespace, is_theirs, at, imagined))
    }

    /// Returns the key of an object that is there.
    fn known(&self, key: &ObjectKey) -> Result<&'a ObjectKey, ApiError> {
        self.objects.get_key_value(key).map(|(key, _)| *key).ok_or_else(|| {
            let ObjectKey { kind, namespace, name } = key;
            let word = kind.to_string().to_lowercase();
            let message = format!("no {word} of namespace {namespace} is called `{name}`");
            ApiError::new("UnknownName", message, self.suggestion(namespace, name, &[*kind]))
        })
    }

    /// Returns who a device of this user is, when it has no tag; nobody for what is no user.
    fn identity_of(&self, key: &ObjectKey) -> Option<Identity> {
        let user = self.effective.users.get(key)?;
        let (user, groups) = (key.name.clone(), user.groups());
        Some(Identity { user, groups, ..Identity::default() })
    }

    /// Returns the devices of a namespace for which something holds, or one that nobody has if there is none.
    fn devices_or(
        &self,
        namespace: &str,
        is_meant: impl Fn(&EffectiveDevice) -> bool,
        at: i64,
        imagined: impl FnOnce() -> End<'a>,
    ) -> Vec<End<'a>> {
        let devices = self.effective.devices.iter();
        let meant = devices.filter(|(key, device)| key.namespace == namespace && is_meant(device));
        let ends: Vec<_> = meant.filter_map(|(key, _)| self.device(key, at)).collect();
        if ends.is_empty() { vec![imagined()] } else { ends }
    }

    /// Returns who is in a prefix, and hosts behind gateways; somebody who is nowhere if there is nobody.
    fn within(&self, prefix: &IpNet, at: i64) -> Vec<End<'a>> {
        let mut ends: Vec<_> =
            self.addresses(prefix).into_iter().flat_map(|a| self.at_address(a, at)).collect();
        if ends.iter().any(End::is_somewhere) {
            ends.retain(End::is_somewhere);
        } else {
            ends.truncate(1);
        }
        ends
    }

    /// Returns addresses of a prefix, so many that no verdict about another one could differ from all of theirs.
    fn addresses(&self, prefix: &IpNet) -> BTreeSet<IpAddr> {
        let mut addresses: BTreeSet<IpAddr> = [prefix.network()].into();
        if prefix.prefix_len() == prefix.max_prefix_len() {
            return addresses;
        }
        let mut edges: Vec<IpNet> = Vec::new();
        for network in self.access.networks.values() {
            edges.extend(network.prefixes.keys());
            let selectors = network.table.rules.iter().flat_map(|rule| rule.from.iter().chain(&rule.to));
            edges.extend(selectors.filter_map(prefix_of));
        }
        edges.extend(self.networks().flat_map(|(_, spec)| spec.address_pools.iter().map(|pool| pool.cidr)));
        edges.extend(ASIDE.iter().filter_map(|prefix| prefix.parse::<IpNet>().ok()));
        let starts = edges.iter().map(IpNet::network);
        let ends = edges.iter().filter_map(|prefix| following(prefix.broadcast()));
        let owned = self.owners().keys().copied();
        let beside_owned = self.owners().keys().filter_map(|address| following(*address));
        let all = starts.chain(ends).chain(owned).chain(beside_owned);
        addresses.extend(all.filter(|address| prefix.contains(address)));
        addresses
    }

    /// Checks that some user or device has a word, or some policy names it: everything else is a slip of the pen.
    fn check_word(
        &self,
        what: &str,
        namespace: &str,
        name: &str,
        (has, names): (HasWords, NamesWord),
    ) -> Result<(), ApiError> {
        let networks = self.access.networks.iter();
        let tables = networks.filter(|(id, _)| id.as_str().split('/').next() == Some(namespace));
        let rules = tables.flat_map(|(_, network)| &network.table.rules);
        let named = rules.flat_map(|rule| rule.from.iter().chain(&rule.to)).filter_map(names);
        let mine = self.objects.iter().filter(|(key, _)| key.namespace == namespace);
        let had = mine.flat_map(|(_, (spec, _))| has(spec));
        let mut words = named.chain(had);
        if words.clone().any(|word| word == name) {
            return Ok(());
        }
        let words: BTreeSet<&str> = words.by_ref().collect();
        let message =
            format!("nobody in namespace {namespace} has the {what} `{name}`, and no policy names it");
        let near = nearest(name, words.iter().copied());
        let hint = near.map(|near| format!("did you mean `{what}:{near}`?"));
        Err(ApiError::new("UnknownName", message, hint.unwrap_or_default()))
    }

    fn suggestion(&self, namespace: &str, name: &str, kinds: &[Kind]) -> String {
        let known = self.objects.keys().filter(|key| key.namespace == namespace && kinds.contains(&key.kind));
        let near = nearest(name, known.map(|key| key.name.as_str()));
        if let Some(near) = near {
            return format!("did you mean `{near}`?");
        }
        let elsewhere = self.objects.keys().find(|key| key.name == name && kinds.contains(&key.kind));
        elsewhere.map(|key| format!("did you mean `{}/{name}`?", key.namespace)).unwrap_or_default()
    }
}

type HasWords = for<'a> fn(&'a ResourceSpec) -> Vec<&'a str>;
type NamesWord = for<'a> fn(&'a Selector) -> Option<&'a str>;

const GROUPS: (HasWords, NamesWord) = (
    |spec| {
        let ResourceSpec::User(user) = spec else { return vec![] };
        user.groups.iter().map(AsRef::as_ref).collect()
    },
    |selector| if let Selector::Group(name) = bare(selector) { Some(name) } else { None },
);

const TAGS: (HasWords, NamesWord) = (
    |spec| {
        let ResourceSpec::Device(device) = spec else { return vec![] };
        device.tags.iter().map(AsRef::as_ref).collect()
    },
    |selector| if let Selector::Tag(name) = bare(selector) { Some(name) } else { None },
);

/// Returns a selector without what it demands of a device.
fn bare(selector: &Selector) -> &Selector {
    if let Selector::Stated(stated) = selector { &stated.who } else { selector }
}

/// What gateways never forward, so that a prefix is looked at beside it.
const ASIDE: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "fe80::/10",
    "ff00::/8",
];
