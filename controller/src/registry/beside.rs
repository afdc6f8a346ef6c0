//! What stands beside our kinds: namespaces, which are realms, and the definitions of our kinds.

use std::sync::Arc;

use horizon_api::resource::Kind;
use horizon_machinery::{refusal::Refusal, resource::Resource, shown, stored::Stored};
use horizon_node::clock;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{
    draft::{Draft, hash},
    learn::moment,
    record::{Keeper, Record},
};

/// Who makes namespaces that nobody made.
const MAKER: &str = "horizon-controller";
/// The namespace that is always there.
pub(super) const FIRST_NAMESPACE: &str = "default";

pub(super) fn namespaces() -> &'static Resource {
    Resource::find("", "v1", "namespaces").expect("namespaces are served; a test reads every kind")
}

pub(super) fn definitions() -> &'static Resource {
    Resource::find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        .expect("definitions are served; a test reads every kind")
}

/// Makes the namespace that an object is in, if nobody did: manifests only name it.
pub(super) fn make_namespace(draft: &mut Draft<'_>, name: &str) {
    if draft.get(namespaces(), "", name).is_some() {
        return;
    }
    let uid = Uuid::now_v7().to_string();
    let object = shown::namespace(name, &uid, moment(clock::unix_ms()));
    let record = namespace_record(&object, MAKER);
    draft.put(namespaces(), object, &record);
}

/// Returns how a namespace is stored: with its text, whoever made it.
pub(super) fn namespace_record(object: &Value, author: &str) -> Record {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    Record { uid, keeper: Keeper::Client { author: author.to_owned() }, hash: hash(object) }
}

/// Refuses a new object in a namespace that is not there.
pub(super) fn check_namespace(draft: &Draft<'_>, name: &str) -> Result<(), Refusal> {
    let resource = namespaces();
    let about = horizon_machinery::refusal::About { group: "", kind: &resource.plural, name };
    draft.get(resource, "", name).map(drop).ok_or_else(|| Refusal::not_found(about))
}

/// Refuses to take away a namespace with something in it: one by one, people see what goes.
pub(super) fn check_empty(draft: &Draft<'_>, name: &str) -> Result<(), Refusal> {
    let resource = namespaces();
    let about = horizon_machinery::refusal::About { group: "", kind: &resource.plural, name };
    if name == FIRST_NAMESPACE {
        return Err(Refusal::forbidden(about, "this namespace may not be deleted"));
    }
    if draft.is_used(name) {
        let why =
            "there are objects in it; delete them first, or take them out of the folder that declares them";
        return Err(Refusal::conflict(about, why));
    }
    Ok(())
}

/// Returns the definitions of our kinds, which come with the program.
pub(super) fn all_definitions(version: u64, created: Timestamp) -> Vec<Arc<Stored>> {
    let define = |kind: Kind| {
        // The same on every start and on every controller.
        let uid = Uuid::from_bytes(
            blake3::hash(kind.plural().as_bytes()).as_bytes()[..16].try_into().unwrap_or_default(),
        );
        let mut object = shown::definition(kind, &uid.to_string(), created);
        object["metadata"]["resourceVersion"] = version.to_string().into();
        Stored::new(&object, version, &[])
    };
    Kind::ALL.into_iter().map(define).collect()
}
