//! What is written to the cluster: states of objects, devices that joined, secrets of keys, and what happened.

use std::fmt::Debug;

use horizon_api::resource::{API_VERSION, ObjectKey};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Event, Secret},
};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
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
        Self::answer(api.patch_status(&key.name, &how, &Patch::Apply(text))).await.map(drop)
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`Trouble::Conflict`] when there is one of this name.
    pub async fn create(&self, key: &ObjectKey, object: Value) -> Result<(), Trouble> {
        let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let object = typed(object)?;
        let api = self.within(key.kind, &key.namespace);
        Self::answer(api.create(&how, &object)).await.map(drop)
    }

    /// Makes a secret. It is never changed later: whoever may change secrets may read all of them.
    ///
    /// # Errors
    /// [`Trouble::Conflict`] when there is one of this name.
    pub async fn make_secret(&self, secret: Value) -> Result<(), Trouble> {
        self.make::<Secret>(typed(secret)?).await
    }

    /// Tells what happened to an object, for `kubectl describe`.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn tell(&self, event: Value) -> Result<(), Trouble> {
        match self.make::<Event>(typed(event)?).await {
            // It was told before.
            Err(Trouble::Conflict(_)) => Ok(()),
            told => told,
        }
    }

    async fn make<K>(&self, object: K) -> Result<(), Trouble>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let namespace = object.meta().namespace.clone().unwrap_or_default();
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        Self::answer(api.create(&how, &object)).await.map(drop)
    }
}

fn typed<T: DeserializeOwned>(object: Value) -> Result<T, Trouble> {
    serde_json::from_value(object).map_err(|error| Trouble::Refused(format!("it is no such object: {error}")))
}
