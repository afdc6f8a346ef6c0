//! One object as `GET /v1/object` tells it. Read by hand: the shared type brings a library of time along, which would be a
//! tenth of the page.

use horizon_api::http::OwnerKind;
use serde_json::Value;

/// Whose an object is, how it stands, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub owner: OwnerKind,
    /// The folder or the API.
    pub source: String,
    /// Where it is declared, as `file:line`.
    pub place: String,
    pub conditions: Vec<Fact>,
    /// What each gateway that runs it said last.
    pub gateways: Vec<(String, String)>,
    /// Of a key.
    pub uses: Option<Uses>,
    pub manifest: String,
}

/// How a key was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    pub count: u64,
    /// Without it, it may be used as often as wanted.
    pub max: Option<u64>,
    /// When it was used last (unix milliseconds), from where and by what.
    pub last: Option<(u64, String, String)>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    pub reason: String,
    pub message: String,
    /// Since when, as the controller wrote it.
    pub since: String,
}

impl Shown {
    /// Reads an answer; `None` if it is none.
    pub fn read(answer: &Value) -> Option<Self> {
        let report = &answer["report"];
        let conditions = report["conditions"].as_array()?.iter().map(|condition| Fact {
            kind: text(&condition["type"]),
            status: text(&condition["status"]),
            reason: text(&condition["reason"]),
            message: text(&condition["message"]),
            since: text(&condition["lastTransitionTime"]),
        });
        let gateways = report["gateways"].as_array()?.iter();
        let owner = [OwnerKind::Source, OwnerKind::Login, OwnerKind::Client];
        Some(Self {
            owner: owner.into_iter().find(|owner| report["owner"] == format!("{owner:?}"))?,
            source: text(&report["source"]),
            place: text(&report["place"]),
            conditions: conditions.collect(),
            gateways: gateways.map(|word| (text(&word["server"]), text(&word["word"]))).collect(),
            uses: Uses::read(&report["key"]),
            manifest: text(&answer["manifest"]),
        })
    }
}

impl Uses {
    fn read(key: &Value) -> Option<Self> {
        let last = &key["last_use"];
        Some(Self {
            count: key["uses"].as_u64()?,
            max: key["max_uses"].as_u64(),
            last: last["at"].as_u64().map(|at| (at, text(&last["from"]), text(&last["node"]))),
        })
    }

    /// Returns how often, in words.
    pub fn said(&self) -> String {
        match self.max {
            Some(max) => format!("{} of {max}", self.count),
            None => self.count.to_string(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use horizon_api::{
        condition::Condition,
        http::{GatewayWord, KeyView, LastUse, ObjectReport, ObjectView},
        resource::{Kind, ObjectKey},
    };

    use super::*;

    fn key() -> KeyView {
        let last = LastUse { at: 7, from: "192.0.2.1".into(), node: "Device/laptop".into() };
        KeyView {
            object: ObjectKey::new(Kind::PersonalKey, "default", "alice"),
            uses: 1,
            max_uses: Some(2),
            standing: "Usable".into(),
            last_use: Some(last),
        }
    }

    #[test]
    fn what_the_controller_writes_is_read() {
        let server = ObjectKey::new(Kind::Server, "default", "gw-1");
        for owner in [OwnerKind::Source, OwnerKind::Login, OwnerKind::Client] {
            let report = ObjectReport {
                object: ObjectKey::new(Kind::User, "default", "alice"),
                source: "files:/etc/horizon".into(),
                owner,
                place: "people.yaml:3".into(),
                generation: 1,
                conditions: vec![Condition::fails("Ready", "Waits", "it waits", 60)],
                gateways: vec![GatewayWord { server: server.clone(), word: "applied".into() }],
                server: None,
                key: Some(key()),
            };
            let answer =
                serde_json::to_value(ObjectView { report, manifest: "kind: User\n".into() }).unwrap();

            let shown = Shown::read(&answer).unwrap();

            assert_eq!((shown.owner, shown.place.as_str()), (owner, "people.yaml:3"));
            let Fact { kind, status, reason, message, since } = &shown.conditions[0];
            assert_eq!([kind, status, reason, message], ["Ready", "False", "Waits", "it waits"]);
            assert_eq!(since, "1970-01-01T00:01:00Z");
            assert_eq!(shown.gateways, [("Server/gw-1".to_owned(), "applied".to_owned())]);
            let uses = shown.uses.unwrap();
            let last = Some((7, "192.0.2.1".to_owned(), "Device/laptop".to_owned()));
            assert_eq!((uses.said().as_str(), uses.last), ("1 of 2", last));
            assert_eq!(
                (shown.source.as_str(), shown.manifest.as_str()),
                ("files:/etc/horizon", "kind: User\n")
            );
        }
        assert_eq!(Shown::read(&Value::Null), None);
    }
}
