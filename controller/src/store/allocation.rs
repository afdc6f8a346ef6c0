//! Addresses that were given out, and to whom.

use super::error::{Result, StoreError};
use super::statement::Statements;

/// An address of a network that belongs to an object, by its uid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allocation {
    pub network: String,
    pub owner: String,
    pub address: String,
}

/// Gives an address; giving it again to the same owner changes nothing.
pub(super) fn put(statements: &mut Statements, allocation: Allocation) -> Result<()> {
    let Allocation { network, owner, address } = allocation;
    let inserted = statements.execute(
        "INSERT INTO allocations (network, address, owner) VALUES (?1, ?2, ?3)
         ON CONFLICT (network, address) DO NOTHING",
        vec![network.as_str().into(), address.as_str().into(), owner.as_str().into()],
    )?;
    if inserted == 1 {
        return Ok(());
    }
    match owner_of(statements, &network, &address)? {
        Some(holder) if holder != owner => Err(StoreError::AddressTaken { network, address, owner: holder }),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn delete(statements: &mut Statements, allocation: Allocation) -> Result<()> {
    statements.execute(
        "DELETE FROM allocations WHERE network = ?1 AND address = ?2 AND owner = ?3",
        vec![allocation.network.into(), allocation.address.into(), allocation.owner.into()],
    )?;
    Ok(())
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Allocation>> {
    statements.query(
        "SELECT network, owner, address FROM allocations ORDER BY network, owner, address",
        vec![],
        |row| Ok(Allocation { network: row.text(0)?, owner: row.text(1)?, address: row.text(2)? }),
    )
}

fn owner_of(statements: &mut Statements, network: &str, address: &str) -> Result<Option<String>> {
    statements.query_one(
        "SELECT owner FROM allocations WHERE network = ?1 AND address = ?2",
        vec![network.into(), address.into()],
        |row| row.text(0),
    )
}
