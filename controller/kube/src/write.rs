//! What is written to the cluster: states of objects, devices that joined, secrets of keys, and what happened.

use horizon_api::resource::{API_VERSION, ObjectKey};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Cluster, MANAGER, Trouble};

impl Cluster {
    /// Writes the status of an object, by server-side apply: nobody else's fields are touched.
    ///
    /// # Errors
    /// [`Trouble::Missing`] when the object is gone.
    pub async fn write_status(&self, key: &ObjectKey, uid: &str, status: &Value) -> Result<(), Trouble> {
        let text = json!({
            "apiVersion": API_VERSION,
            "kind": key.kind.to_string(),
            // Another object under the same name is another one.
            "metadata": { "name": key.name, "namespace": key.namespace, "uid": uid },
            "status": status,
        });
        // What a controller observes is its own to say, whoever said something else before.
        let how = PatchParams::apply(MANAGER).force();
        let api = self.within(key.kind, &key.namespace);
        let answer = api.patch_status(&key.name, &how, &Patch::Apply(text)).await;
        answer.map(drop).map_err(|error| Trouble::of(&error))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`Trouble::Conflict`] when there is one of this name.
    pub async fn create(&self, key: &ObjectKey, object: Value) -> Result<(), Trouble> {
        let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let object = typed(object)?;
        let answer = self.within(key.kind, &key.namespace).create(&how, &object).await;
        answer.map(drop).map_err(|error| Trouble::of(&error))
    }

    /// Writes a secret; what somebody else wrote under this name is not overwritten.
    ///
    /// # Errors
    /// [`Trouble::Conflict`] when the name is somebody else's.
    pub async fn write_secret(&self, namespace: &str, name: &str, secret: Value) -> Result<(), Trouble> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let answer = api.patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(secret)).await;
        answer.map(drop).map_err(|error| Trouble::of(&error))
    }

    /// Tells what happened to an object, for `kubectl describe`.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn tell(&self, event: Value) -> Result<(), Trouble> {
        let event: Event = typed(event)?;
        let namespace = event.meta().namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        api.create(&how, &event).await.map(drop).map_err(|error| Trouble::of(&error))
    }
}

fn typed<T: DeserializeOwned>(object: Value) -> Result<T, Trouble> {
    serde_json::from_value(object).map_err(|error| Trouble::Refused(format!("it is no such object: {error}")))
}
