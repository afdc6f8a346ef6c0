//! The definitions of our kinds, which come with the program: clients look there whether a kind is served.

use std::sync::Arc;

use horizon_api::resource::Kind;
use horizon_machinery::{resource::Resource, shown, stored::Stored};
use jiff::Timestamp;
use uuid::Uuid;

pub(super) fn resource() -> &'static Resource {
    Resource::find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        .expect("definitions are served; a test lists them")
}

/// Returns them all.
pub(super) fn all(version: u64, created: Timestamp) -> Vec<Arc<Stored>> {
    let define = |kind: Kind| {
        // The same on every start and on every controller.
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(kind.plural().as_bytes()).as_bytes()[..16]);
        let uid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        let mut object = shown::definition(kind, &Uuid::to_string(&uid), created);
        object["metadata"]["resourceVersion"] = version.to_string().into();
        Stored::new(&object, version, &[])
    };
    Kind::ALL.into_iter().map(define).collect()
}
