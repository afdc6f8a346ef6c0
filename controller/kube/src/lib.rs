//! A Kubernetes cluster as the store of resources: what it has, and what is written to it.
//!
//! Nothing is decided here. Objects are JSON, kinds and keys are ours; who reads them knows what they mean.

mod definition;
mod fence;
mod lease;
mod sight;
mod trouble;
mod write;

use std::{future::Future, time::Duration};

use anyhow::Context;
use horizon_api::resource::{API_VERSION, GROUP, Kind};
use kube::{
    Api, Client, Config,
    core::{ApiResource, DynamicObject},
};

pub use definition::Definition;
pub use fence::{Fence, Fenced};
pub use sight::{Seen, Sight};
pub use trouble::Trouble;

/// Who writes, as `metadata.managedFields` names it.
const MANAGER: &str = "horizon-controller";

/// How long one request may take. Less than a Lease is good for, so that one that hangs costs no turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to an API server, with the rights of whoever its configuration names.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// The only namespace that is looked at; every one when there is none.
    scope: Option<String>,
    /// The namespace of the configuration: in a cluster the one that this process runs in.
    home: String,
    address: String,
}

impl Cluster {
    /// Finds the cluster: by `$KUBECONFIG` or `~/.kube/config`, else that in which this process runs. Nothing is asked
    /// of it yet.
    ///
    /// # Errors
    /// When there is no configuration, or one that cannot be used.
    pub async fn find(scope: Option<String>) -> anyhow::Result<Self> {
        let mut config = Config::infer().await.context(
            "find the cluster: set KUBECONFIG to a file that names it, or run this in a pod with a service account",
        )?;
        // Whoever asks decides when to ask again: some can wait, and some must not.
        config.default_retry = false;
        let (home, address) = (config.default_namespace.clone(), config.cluster_url.to_string());
        let client = Client::try_from(config).with_context(|| format!("use the cluster at {address}"))?;
        Ok(Self { client, scope, home, address: address.trim_end_matches('/').to_owned() })
    }

    /// Returns where its API server is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the namespace that it looks at; `None` is every one.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Waits for an answer, but not for ever: an API server may accept and say nothing.
    async fn answer<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(answer) => answer.map_err(|error| Trouble::of(&error)),
            Err(_) => Err(Trouble::Away(format!("the API server does not answer within {PATIENCE:?}"))),
        }
    }

    /// Objects of a kind of ours, in one namespace.
    fn within(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind))
    }

    /// All objects of a kind of ours that are looked at.
    fn all(&self, kind: Kind) -> Api<DynamicObject> {
        match &self.scope {
            Some(namespace) => self.within(kind, namespace),
            None => Api::all_with(self.client.clone(), &resource(kind)),
        }
    }
}

fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: API_VERSION.trim_start_matches(GROUP).trim_start_matches('/').to_owned(),
        api_version: API_VERSION.to_owned(),
        kind: kind.to_string(),
        plural: kind.plural().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_addressed_as_its_definition_says() {
        let network = resource(Kind::Network);

        assert_eq!((network.group.as_str(), network.version.as_str()), ("horizon.dev", "v1alpha1"));
        assert_eq!((network.kind.as_str(), network.plural.as_str()), ("Network", "networks"));
    }
}
