//! Security events: what someone may have to look at. The newest are kept.

use serde_json::Value as Json;

use super::error::Result;
use super::statement::{Row, Statements};

/// Oldest events go beyond this; some tens of MiB.
const KEPT: i64 = 100_000;

/// An event as it was reported. `id` is the reporter's: the same id again is stored once.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub at: i64,
    /// PascalCase, such as `KeyRefused`.
    pub kind: String,
    pub severity: Severity,
    /// `Kind/name`, or empty.
    pub object: String,
    /// The address it came from, or empty.
    pub remote: String,
    pub detail: Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info = 1,
    Low = 2,
    Medium = 3,
    High = 4,
    Critical = 5,
}

/// An event with its place in the order of arrival.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub seq: i64,
    pub event: Event,
}

pub(super) fn put(statements: &mut Statements, event: &Event) -> Result<()> {
    let inserted = statements.execute(
        "INSERT INTO security_events (id, at, kind, severity, object, remote, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        vec![
            printable(&event.id).into(),
            event.at.into(),
            printable(&event.kind).into(),
            (event.severity as i64).into(),
            printable(&event.object).into(),
            printable(&event.remote).into(),
            event.detail.to_string().into(),
        ],
    )?;
    if inserted == 1 {
        statements.execute(
            "DELETE FROM security_events WHERE seq <= (SELECT max(seq) FROM security_events) - ?1",
            vec![KEPT.into()],
        )?;
    }
    Ok(())
}

/// Returns the newest events, newest first.
pub(super) fn recent(statements: &mut Statements, limit: i64) -> Result<Vec<StoredEvent>> {
    statements.query(
        "SELECT seq, id, at, kind, severity, object, remote, detail FROM security_events
         ORDER BY seq DESC LIMIT ?1",
        vec![limit.max(0).into()],
        from_row,
    )
}

/// Text from the network may hold anything; the database takes no NUL.
fn printable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn from_row(row: &Row<'_>) -> Result<StoredEvent> {
    let severity = match row.integer(4)? {
        1 => Severity::Info,
        2 => Severity::Low,
        3 => Severity::Medium,
        4 => Severity::High,
        // The table admits no sixth.
        _ => Severity::Critical,
    };
    let event = Event {
        id: row.text(1)?,
        at: row.integer(2)?,
        kind: row.text(3)?,
        severity,
        object: row.text(5)?,
        remote: row.text(6)?,
        detail: serde_json::from_str(&row.text(7)?).unwrap_or_default(),
    };
    Ok(StoredEvent { seq: row.integer(0)?, event })
}
