//! Labels and annotations: texts by their names.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// Texts by their names, in the order of the names. Clones share them, and where there are none, no memory is taken.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts(Option<Arc<[(SmolStr, SmolStr)]>>);

impl Texts {
    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns every name with its text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|texts| texts.iter()).map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl<N: Into<SmolStr>, T: Into<SmolStr>> FromIterator<(N, T)> for Texts {
    /// Of several texts with one name the last counts.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        let texts: BTreeMap<SmolStr, SmolStr> =
            pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        Self((!texts.is_empty()).then(|| texts.into_iter().collect()))
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<SmolStr, SmolStr>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_a_map_in_the_order_of_the_names() {
        let texts: Texts = [("team", "b"), ("site", "lab"), ("team", "a")].into_iter().collect();
        let json = serde_json::to_string(&texts).expect("JSON");

        assert_eq!(json, r#"{"site":"lab","team":"a"}"#);
        assert_eq!(serde_json::from_str::<Texts>(&json).expect("texts"), texts);
        assert!(!texts.is_empty() && Texts::default().is_empty());
        assert_eq!(serde_json::from_str::<Texts>("{}").expect("texts"), Texts::default());
    }
}
