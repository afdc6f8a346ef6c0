//! For whom a sign-in link may be made: an Admin in force who governs every namespace, because the overview shows all.

use horizon_api::{
    http::ApiError,
    resource::{AdminSpec, Kind, ObjectKey},
};
use horizon_machinery::{resource::Resource, stored::key as stored_key};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{AppState, Holder, Refusal};

/// Finds the Admin whom a link is for.
///
/// # Errors
/// [`Refusal::Missing`] when there is none of that name, [`Refusal::Denied`] with the reason when they may not sign in.
pub(crate) fn holder(state: &AppState, key: &ObjectKey) -> Result<Holder, Refusal> {
    let subject = format!("{}/{}", key.namespace, key.name);
    let admins = state.keeper.admins.borrow().clone();
    let Some(admin) = admins.get(&subject) else { return Err(explain(state, key, Timestamp::now())) };
    match &admin.namespace {
        None => Ok(Holder { subject, uid: admin.uid.clone() }),
        Some(namespace) => {
            let message =
                format!("{key} governs the namespace {namespace}, and the console shows all of them");
            let hint = format!("make a file for kubectl with `horizon-controller kubeconfig {subject}`");
            Err(denied("OneNamespace", message, hint))
        }
    }
}

/// Says why an Admin is not in force.
fn explain(state: &AppState, key: &ObjectKey, now: Timestamp) -> Refusal {
    let shelf = state.keeper.shelf(Resource::of(Kind::Admin));
    let stored = shelf.and_then(|shelf| shelf.get(&stored_key(&key.namespace, &key.name)).cloned());
    let Some(stored) = stored else { return no_admin(state, key) };
    let spec = serde_json::from_slice(&stored.json()).ok().map(|Declared { spec }| spec);
    let view = state.view.borrow();
    if let Some(hold) = view.holds.iter().find(|hold| hold.object == *key) {
        let message = format!("{key} is held by {}: {}", hold.by, hold.reason);
        return denied("Held", message, format!("end that with `horizon-controller release {key}`"));
    }
    match spec {
        Some(AdminSpec { disabled: true, .. }) => {
            denied("Disabled", format!("{key} is disabled"), "remove `disabled` from its manifest")
        }
        Some(AdminSpec { expires_at: Some(end), .. }) if end <= now => {
            denied("Expired", format!("{key} expired at {end}"), "change `expiresAt` in its manifest")
        }
        Some(_) | None => {
            let hint = format!("`horizon-controller status {key}` says why");
            denied("NotInForce", format!("{key} is not in force"), hint)
        }
    }
}

fn no_admin(state: &AppState, key: &ObjectKey) -> Refusal {
    let admins = state.keeper.admins.borrow();
    let declared = admins.iter().filter(|(_, admin)| admin.key.is_some());
    let known: Vec<_> = declared.map(|(subject, _)| subject.as_str()).collect();
    let hint = if known.is_empty() {
        "declare one, or leave the name out: the link is then for the operator of the host".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    Refusal::Missing(ApiError::new("NoAdmin", format!("there is no {key}"), hint))
}

fn denied(code: &str, message: String, hint: impl Into<String>) -> Refusal {
    Refusal::Denied(ApiError::new(code, message, hint))
}

#[derive(Deserialize)]
struct Declared {
    spec: AdminSpec,
}
