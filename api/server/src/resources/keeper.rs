//! What the resource API reads, and whom it asks to keep something.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use horizon_api::resource::{AdminRole, ObjectKey};
use horizon_machinery::{
    access::{self, Realm},
    collection::Collection,
    refusal::Refusal,
    resource::Resource,
    stored::Stored,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Reply, SecretHash};

/// Everything that is served, and the queue to the task that keeps it.
#[derive(Clone)]
pub struct Keeper {
    /// The newest state of each kind, by its qualified name such as `users.horizon.dev`.
    pub shelves: Arc<BTreeMap<String, watch::Receiver<Arc<Collection>>>>,
    /// Who may do what, by subject.
    pub admins: watch::Receiver<Arc<Admins>>,
    /// Numbers that change without their object.
    pub counts: watch::Receiver<Arc<Counts>>,
    pub writes: mpsc::Sender<Write>,
    /// Anybody can ask whose a made-up token is: such questions wait for one another, and nothing else waits for them.
    pub lookups: mpsc::Sender<Lookup>,
    /// Rises when tokens were ended: what is remembered of any of them is over.
    pub endings: watch::Receiver<u64>,
    /// The namespace whose Admins govern every one (`--system-namespace`); it is never deleted.
    pub system_namespace: Arc<str>,
}

/// Admins in force, by the subject that tokens and sessions name: `NAMESPACE/NAME`, or the operator of the host.
pub type Admins = BTreeMap<String, Admin>;

/// What an Admin in force may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The object that declares them; nothing does for the operator of the host.
    pub key: Option<ObjectKey>,
    /// The uid of that object; empty for the operator of the host. Whoever is declared later under the same name is
    /// somebody else.
    pub uid: String,
    pub role: AdminRole,
    /// The namespace that they govern; `None` is every one.
    pub namespace: Option<String>,
}

impl Admin {
    /// Returns them as access knows them, under the name that refusals show.
    pub(crate) fn subject<'s>(&'s self, user: &'s str, system_namespace: &'s str) -> access::Subject<'s> {
        let realm = self.namespace.as_deref().map_or(Realm::All, Realm::Namespace);
        access::Subject { user, role: self.role, realm, system_namespace }
    }
}

/// Numbers that tables show beside what objects say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often each RegistrationKey and PersonalKey was used.
    pub uses: BTreeMap<ObjectKey, u64>,
    /// When each of them was used last (RFC 3339), and from where by what.
    pub last_uses: BTreeMap<ObjectKey, (String, String)>,
    /// How many addresses of each Network are in use.
    pub allocated: BTreeMap<ObjectKey, u64>,
}

/// A write that was decided against a state, to be kept if that is still the state.
pub struct Write {
    pub resource: &'static Resource,
    /// Empty for kinds without namespaces.
    pub namespace: String,
    pub name: String,
    /// The resource version of the state; `None`: there was no such object.
    pub expected: Option<u64>,
    pub deed: Deed,
    /// The subject who writes.
    pub by: String,
    /// Everything is looked at and nothing is kept.
    pub is_dry_run: bool,
    pub reply: oneshot::Sender<Result<Arc<Stored>, NotKept>>,
}

/// A question whose a bearer token is.
pub struct Lookup {
    pub token: SecretHash,
    /// Where it came from; nothing where there is no connection.
    pub from: Option<IpAddr>,
    /// `None` for a token that is unknown, revoked or over.
    pub reply: Reply<Option<Holder>>,
}

/// Whom a token was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// As [`Keeper::admins`] calls them.
    pub subject: String,
    /// The uid that their Admin had; empty for the operator of the host.
    pub uid: String,
}

/// What is to be kept.
pub enum Deed {
    /// The object is this; the keeper gives it its next resource version.
    Put(Value),
    /// The object goes as soon as what it did is undone; until then it is shown with a `deletionTimestamp`. The answer
    /// is its last state, which has that mark where it is not gone yet.
    Delete,
}

/// Why something is not kept.
#[derive(Debug)]
pub enum NotKept {
    /// The state is another one: decide again.
    Moved,
    /// It may not be: the object belongs to a source of manifests, its namespace is going, or nothing can be written.
    Refused(Refusal),
}

impl Keeper {
    /// Returns the newest state of a kind, if it is served.
    pub fn shelf(&self, resource: &Resource) -> Option<Arc<Collection>> {
        self.shelves.get(&resource.qualified()).map(|shelf| Arc::clone(&shelf.borrow()))
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, namespace, name, expected, .. } = self;
        write!(f, "Write({} {namespace}/{name} at {expected:?})", resource.plural)
    }
}
