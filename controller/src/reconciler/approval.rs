//! Devices that wait for an admin: who is told of one, and how it is let in.

use std::sync::Arc;

use horizon_api::{
    http::{ApiError, ApproveDeviceRequest, Done},
    resource::{Kind, ObjectKey, ResourceSpec},
};
use horizon_api_server::Refusal;
use horizon_planner::{
    compile::{API_SOURCE, Committed, is_login},
    manifest::Manifest,
};
use serde_json::json;

use super::{Reconciler, verb};
use crate::{event::LoginRequest, source::cluster, store::Severity};

impl Reconciler {
    /// A security event for a device that signed in and may not connect yet.
    pub(super) async fn tell_if_it_waits(&mut self, draft: &Manifest, request: &LoginRequest) {
        let ResourceSpec::Device(spec) = &draft.spec else { return };
        if spec.approved {
            return;
        }
        let reason = format!("it signed in with {} and waits for an approval", draft.origin.file);
        let detail = json!({ "reason": reason, "node": request.device.to_string() });
        let object = draft.key.to_string();
        self.record("DeviceAwaitsApproval", Severity::Medium, object, Some(request.remote), detail).await;
    }

    /// Lets a device in that waits.
    pub(super) async fn approve_device(&mut self, request: &ApproveDeviceRequest) -> Result<Done, Refusal> {
        self.check_read()?;
        let key = &request.device;
        if key.kind != Kind::Device {
            let message = format!("{key} is no Device");
            return Err(Refusal::Invalid(ApiError::new("Kind", message, "name a Device that waits")));
        }
        let Some(object) = self.state.committed.get(key) else { return Err(self.missing(key)) };
        let ResourceSpec::Device(spec) = &object.spec else { return Err(self.missing(key)) };
        if spec.approved {
            return Ok(self.done(format!("{key} is approved already")));
        }
        if !is_login(&object.owner.source, &object.owner.origin) {
            return Err(change_it_there(key, object));
        }
        let entry = verb::audit("approve", &key.to_string(), json!({}));
        self.set_guard(self.state.guard.clone(), vec![], entry).await?;
        let Some(manifest) = self.state.api_objects.get_mut(key) else { return Err(self.missing(key)) };
        if let ResourceSpec::Device(spec) = &mut Arc::make_mut(manifest).spec {
            Arc::make_mut(spec).approved = true;
        }
        self.recompile_or_log("approve").await;
        self.check_committed()?;
        Ok(self.done(format!("{key} is approved; it connects by itself")))
    }
}

/// What somebody wrote is changed where they wrote it.
fn change_it_there(key: &ObjectKey, object: &Committed) -> Refusal {
    let (name, namespace) = (&key.name, &key.namespace);
    let place = &object.owner.origin;
    let message = format!("{key} is declared in {place}");
    let patch = format!(
        "kubectl -n {namespace} patch hdev {name} --type merge -p '{{\"spec\":{{\"approved\":true}}}}'"
    );
    let source = &object.owner.source;
    let hint = if source == API_SOURCE || cluster::is_of_cluster(source) {
        format!("approve it with `{patch}`")
    } else {
        "remove `approved: false` there".to_owned()
    };
    Refusal::Conflict(ApiError::new("OwnedElsewhere", message, hint))
}
