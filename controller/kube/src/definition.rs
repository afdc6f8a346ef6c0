//! The definition of a kind: when it goes, the API server deletes all objects of the kind, and nobody meant that.

use horizon_api::resource::{GROUP, Kind};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, api::ListParams};

use crate::{Cluster, Trouble};

/// What there is of a kind's CustomResourceDefinition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// It is there. One that was made anew has another uid.
    Stands { uid: String },
    /// It is gone or on its way.
    Goes,
    /// The controller may not look.
    Hidden,
}

impl Cluster {
    /// Looks whether objects of a kind can be listed, and at the kind's definition.
    ///
    /// # Errors
    /// When they cannot be listed, or the API server does not answer.
    pub async fn look(&self, kind: Kind) -> Result<Definition, Trouble> {
        let listed = self.all(kind).list_metadata(&ListParams::default().limit(1)).await;
        if let Err(error) = listed {
            return Err(Trouble::of_list(kind, &error));
        }
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        match api.get(&format!("{}.{GROUP}", kind.plural())).await {
            Ok(found) if found.metadata.deletion_timestamp.is_some() => Ok(Definition::Goes),
            Ok(found) => Ok(Definition::Stands { uid: found.metadata.uid.unwrap_or_default() }),
            Err(error) => match Trouble::of(&error) {
                Trouble::Missing(_) => Ok(Definition::Goes),
                Trouble::Forbidden(_) => Ok(Definition::Hidden),
                other @ (Trouble::Conflict(_) | Trouble::Refused(_) | Trouble::Away(_)) => Err(other),
            },
        }
    }
}
