//! When each key was used last, from where and by what. It changes by itself, so it is in no status.

use std::{collections::BTreeMap, net::IpAddr};

use horizon_api::{
    http::{self, KeyView},
    resource::ObjectKey,
};
use horizon_node::clock;
use horizon_planner::compile::Standing;
use jiff::Timestamp;

use super::{enrol::Found, state::State};
use crate::store::LastUse;

/// More than a person looks through; `status KIND/NAME` tells of any other.
const KEYS_SHOWN: usize = 200;

impl State {
    /// Takes in that a key was used.
    pub(super) fn note_use(&mut self, found: &Found, remote: IpAddr, node: &ObjectKey) {
        let Some(uid) = self.ledger.get(&found.key) else { return };
        let (key, at) = (uid.uid.to_string(), clock::unix_ms());
        let last = LastUse { key, at, remote: remote.to_canonical().to_string(), node: node.to_string() };
        self.last_uses.insert(last.key.clone(), last);
    }

    /// Forgets the uses of a key that is gone.
    pub(super) fn forget_uses(&mut self, key: &ObjectKey) {
        if let Some(uid) = self.ledger.get(key) {
            self.last_uses.remove(uid.uid.as_str());
        }
    }

    /// Returns the keys that were used last, newest first.
    pub(super) fn used_keys(&self) -> Vec<KeyView> {
        let keys = self.compiled.effective.token_digests().map(|(key, _)| key);
        let mut used: Vec<_> = keys.filter_map(|key| Some((self.last_use(key)?.at, key))).collect();
        used.sort_unstable_by(|one, other| other.cmp(one));
        used.truncate(KEYS_SHOWN);
        used.into_iter().filter_map(|(_, key)| self.key_view(key)).collect()
    }

    /// Returns how often a key was used and when last; nothing for other kinds.
    pub(super) fn key_view(&self, key: &ObjectKey) -> Option<KeyView> {
        let effective = &self.compiled.effective;
        let registration_key = effective.registration_keys.get(key).map(|k| (Some(k.max_uses), k.standing));
        let personal_key = || effective.personal_keys.get(key).map(|k| (k.max_uses, k.standing));
        let (max_uses, standing): (_, Standing) = registration_key.or_else(personal_key)?;
        Some(KeyView {
            object: key.clone(),
            uses: self.facts.uses.get(key).copied().unwrap_or_default(),
            max_uses,
            standing: standing.as_str().to_owned(),
            last_use: self.last_use(key).map(|last| http::LastUse {
                at: u64::try_from(last.at).unwrap_or(0),
                from: last.remote.clone(),
                node: last.node.clone(),
            }),
        })
    }

    /// Returns what tables show: the moment, and from where by what.
    pub(super) fn last_uses_of_keys(&self) -> BTreeMap<ObjectKey, (String, String)> {
        if self.last_uses.is_empty() {
            return BTreeMap::new();
        }
        let keys = self.compiled.effective.token_digests().map(|(key, _)| key);
        let used = keys.filter_map(|key| {
            let last = self.last_use(key)?;
            let at = Timestamp::from_millisecond(last.at).ok()?.to_string();
            let from = [last.remote.as_str(), last.node.as_str()].into_iter().filter(|text| !text.is_empty());
            Some((key.clone(), (at, from.collect::<Vec<_>>().join(" "))))
        });
        used.collect()
    }

    fn last_use(&self, key: &ObjectKey) -> Option<&LastUse> {
        self.last_uses.get(self.ledger.get(key)?.uid.as_str())
    }
}
