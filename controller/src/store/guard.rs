//! Plans that wait, texts that were taken back, and a change that must be confirmed: small, and written whole.

use super::error::Result;
use super::statement::{Row, Statements};

/// All of it at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    pub plans: Vec<Plan>,
    pub reverted: Vec<Reverted>,
    pub armed: Option<Armed>,
}

/// A change beyond a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub hash: Vec<u8>,
    pub breach: String,
    pub message: String,
    pub held_at: i64,
    /// Empty until a person lets it pass.
    pub approved_by: String,
    /// What the texts said that were approved: JSON that the reconciler wrote, empty as long as `approved_by` is.
    pub texts: String,
}

/// A text that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    pub object: String,
    pub text: Vec<u8>,
}

/// What must be confirmed. `before` is JSON that the reconciler wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    pub by: String,
    pub at: i64,
    pub within: i64,
    /// 0 while nothing has changed.
    pub revision: i64,
    pub revert_at: i64,
    pub before: String,
}

/// Puts this in the place of whatever is there.
pub(super) fn replace(statements: &mut Statements, guard: Guard) -> Result<()> {
    statements.execute("DELETE FROM plans", vec![])?;
    for plan in guard.plans {
        statements.execute(
            "INSERT INTO plans (hash, breach, message, held_at, approved_by, texts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            vec![
                plan.hash.into(),
                plan.breach.into(),
                plan.message.into(),
                plan.held_at.into(),
                plan.approved_by.into(),
                plan.texts.into(),
            ],
        )?;
    }
    statements.execute("DELETE FROM reverted", vec![])?;
    for reverted in guard.reverted {
        statements.execute(
            "INSERT INTO reverted (object, text) VALUES (?1, ?2)",
            vec![reverted.object.into(), reverted.text.into()],
        )?;
    }
    statements.execute("DELETE FROM armed", vec![])?;
    if let Some(armed) = guard.armed {
        statements.execute(
            "INSERT INTO armed (id, armed_by, armed_at, within, revision, revert_at, before)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            vec![
                armed.by.into(),
                armed.at.into(),
                armed.within.into(),
                armed.revision.into(),
                armed.revert_at.into(),
                armed.before.into(),
            ],
        )?;
    }
    Ok(())
}

pub(super) fn load(statements: &mut Statements) -> Result<Guard> {
    let plans = "SELECT hash, breach, message, held_at, approved_by, texts FROM plans ORDER BY hash";
    let reverted = "SELECT object, text FROM reverted ORDER BY object";
    let armed = "SELECT armed_by, armed_at, within, revision, revert_at, before FROM armed";
    Ok(Guard {
        plans: statements.query(plans, vec![], plan)?,
        reverted: statements
            .query(reverted, vec![], |row| Ok(Reverted { object: row.text(0)?, text: row.blob(1)? }))?,
        armed: statements.query_one(armed, vec![], self::armed)?,
    })
}

fn plan(row: &Row<'_>) -> Result<Plan> {
    Ok(Plan {
        hash: row.blob(0)?,
        breach: row.text(1)?,
        message: row.text(2)?,
        held_at: row.integer(3)?,
        approved_by: row.text(4)?,
        texts: row.text(5)?,
    })
}

fn armed(row: &Row<'_>) -> Result<Armed> {
    Ok(Armed {
        by: row.text(0)?,
        at: row.integer(1)?,
        within: row.integer(2)?,
        revision: row.integer(3)?,
        revert_at: row.integer(4)?,
        before: row.text(5)?,
    })
}
