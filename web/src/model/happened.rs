//! What happened to an object, as the resource API's events tell it.

use std::collections::BTreeMap;

use serde_json::Value;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub is_warning: bool,
    pub reason: String,
    pub message: String,
    /// When, as the controller wrote it.
    pub at: String,
}

/// Reads a list of events, newest first.
pub fn read(list: &Value) -> Vec<Happened> {
    let items = list["items"].as_array();
    let events = items.into_iter().flatten().map(event).enumerate();
    let by_time: BTreeMap<_, _> = events.map(|(place, event)| ((event.at.clone(), place), event)).collect();
    by_time.into_values().rev().collect()
}

fn event(event: &Value) -> Happened {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let at = [text("lastTimestamp"), text("eventTime")].into_iter().find(|at| !at.is_empty());
    Happened {
        is_warning: event["type"] == "Warning",
        reason: text("reason"),
        message: text("message"),
        at: at.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_comes_first() {
        let event = |at: &str, kind: &str| json!({ "type": kind, "reason": "Ready", "message": "m", "lastTimestamp": at });
        let list = json!({ "items": [event("2026-01-01T00:00:00Z", "Normal"), event("2026-01-02T00:00:00Z", "Warning")] });

        let events = read(&list);

        assert_eq!(events.iter().map(|event| event.is_warning).collect::<Vec<_>>(), [true, false]);
        assert_eq!(read(&json!({})), []);
    }
}
