//! Facts in a status, shaped as `metav1.Condition`, so that generic tools read them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// One fact about an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the fact is about, such as `Ready`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "crd", schemars(with = "String", length(max = 64)))]
    pub kind: SmolStr,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// The cause in one word.
    #[cfg_attr(feature = "crd", schemars(with = "String", length(min = 1, max = 64)))]
    pub reason: SmolStr,
    /// The cause in one sentence, with its place.
    #[cfg_attr(feature = "crd", schemars(with = "String", length(max = 4096)))]
    pub message: SmolStr,
    /// The generation of the spec that this was said about.
    #[serde(default)]
    pub observed_generation: i64,
    /// When `status` last changed.
    #[cfg_attr(feature = "crd", schemars(with = "crate::resource::schema::Time"))]
    pub last_transition_time: Timestamp,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl Condition {
    /// Returns a condition that holds. It began at `now` (unix seconds), unless [`Self::since`] knows better.
    pub fn holds(kind: &str, reason: &str, message: impl Into<SmolStr>, now: i64) -> Self {
        Self::new(kind, ConditionStatus::True, reason, message.into(), now)
    }

    /// Returns a condition that does not hold.
    pub fn fails(kind: &str, reason: &str, message: impl Into<SmolStr>, now: i64) -> Self {
        Self::new(kind, ConditionStatus::False, reason, message.into(), now)
    }

    /// Returns a condition of which nothing is known yet.
    pub fn unknown(kind: &str, reason: &str, message: impl Into<SmolStr>, now: i64) -> Self {
        Self::new(kind, ConditionStatus::Unknown, reason, message.into(), now)
    }

    /// Says which generation it is about.
    #[must_use]
    pub fn at_generation(self, generation: i64) -> Self {
        Self { observed_generation: generation, ..self }
    }

    /// Keeps the time of an earlier condition of the same type when the status did not change since.
    #[must_use]
    pub fn since(self, earlier: &[Self]) -> Self {
        let same = earlier.iter().find(|c| c.kind == self.kind && c.status == self.status);
        let last_transition_time = same.map_or(self.last_transition_time, |c| c.last_transition_time);
        Self { last_transition_time, ..self }
    }

    /// Says whether it holds.
    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }

    fn new(kind: &str, status: ConditionStatus, reason: &str, message: SmolStr, now: i64) -> Self {
        Self {
            kind: kind.into(),
            status,
            reason: reason.into(),
            message,
            observed_generation: 0,
            last_transition_time: Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_moves_only_with_the_status() {
        let first = Condition::fails("Ready", "Pending", "waits", 10);

        let still = Condition::fails("Ready", "NoGateways", "waits for another reason", 20)
            .since(std::slice::from_ref(&first));
        let changed = Condition::holds("Ready", "Ready", "works", 20).since(std::slice::from_ref(&first));

        assert_eq!(still.last_transition_time, first.last_transition_time);
        assert_eq!(changed.last_transition_time.as_second(), 20);
    }

    #[test]
    fn the_text_form_is_that_of_kubernetes() {
        let text = serde_json::to_string(&Condition::holds("Ready", "Ready", "works", 0).at_generation(3));

        assert_eq!(
            text.expect("JSON"),
            r#"{"type":"Ready","status":"True","reason":"Ready","message":"works","observedGeneration":3,"lastTransitionTime":"1970-01-01T00:00:00Z"}"#
        );
    }
}
