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
        let list = self.all(kind);
        let one = ListParams::default().limit(1);
        let listed = Self::answer(list.list_metadata(&one)).await;
        listed.map_err(|trouble| trouble.of_list(kind))?;
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        match Self::answer(api.get(&format!("{}.{GROUP}", kind.plural()))).await {
            Ok(found) if found.metadata.deletion_timestamp.is_some() => Ok(Definition::Goes),
            Ok(found) => Ok(Definition::Stands { uid: found.metadata.uid.unwrap_or_default() }),
            Err(Trouble::Missing(_)) => Ok(Definition::Goes),
            Err(Trouble::Forbidden(_)) => Ok(Definition::Hidden),
            Err(other @ (Trouble::Conflict(_) | Trouble::Refused(_) | Trouble::Away(_))) => Err(other),
        }
    }
}
