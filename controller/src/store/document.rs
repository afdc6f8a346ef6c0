//! What the resource API shows: the documents of its clients, and the versions of everything.

use super::error::Result;
use super::statement::{Row, Statements};

/// Where a document stands: the qualified plural of its kind, its namespace, its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentKey {
    pub resource: String,
    /// Empty for kinds without namespaces.
    pub namespace: String,
    pub name: String,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub key: DocumentKey,
    pub uid: String,
    pub version: i64,
    /// Of what is shown, apart from the version.
    pub hash: Vec<u8>,
    /// The subject who wrote the text; empty where there is none.
    pub author: String,
    /// JSON; empty where everything that is shown follows from the rest of the store.
    pub text: String,
}

/// Some documents that change together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentChanges {
    pub put: Vec<Document>,
    pub deleted: Vec<DocumentKey>,
    /// Each kind that changes, and the version of its last change.
    pub shelves: Vec<(String, i64)>,
}

/// Everything that is kept of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocuments {
    pub documents: Vec<Document>,
    pub shelves: Vec<(String, i64)>,
}

pub(super) fn change(statements: &mut Statements, changes: DocumentChanges) -> Result<()> {
    for document in changes.put {
        put(statements, document)?;
    }
    for key in changes.deleted {
        statements.execute(
            "DELETE FROM documents WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
            vec![key.resource.into(), key.namespace.into(), key.name.into()],
        )?;
    }
    for (resource, version) in changes.shelves {
        statements.execute(
            "INSERT INTO shelves (resource, version) VALUES (?1, ?2)
             ON CONFLICT (resource) DO UPDATE SET version = excluded.version",
            vec![resource.into(), version.into()],
        )?;
    }
    Ok(())
}

pub(super) fn all(statements: &mut Statements) -> Result<StoredDocuments> {
    let documents = statements.query(
        "SELECT resource, namespace, name, uid, version, hash, author, text FROM documents",
        vec![],
        from_row,
    )?;
    let shelves = statements
        .query("SELECT resource, version FROM shelves", vec![], |row| Ok((row.text(0)?, row.integer(1)?)))?;
    Ok(StoredDocuments { documents, shelves })
}

fn put(statements: &mut Statements, document: Document) -> Result<()> {
    let Document { key, uid, version, hash, author, text } = document;
    statements.execute(
        "INSERT INTO documents (resource, namespace, name, uid, version, hash, author, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (resource, namespace, name) DO UPDATE SET uid = excluded.uid, version = excluded.version,
             hash = excluded.hash, author = excluded.author, text = excluded.text",
        vec![
            key.resource.into(),
            key.namespace.into(),
            key.name.into(),
            uid.into(),
            version.into(),
            hash.as_slice().into(),
            author.into(),
            text.into(),
        ],
    )?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<Document> {
    let key = DocumentKey { resource: row.text(0)?, namespace: row.text(1)?, name: row.text(2)? };
    Ok(Document {
        key,
        uid: row.text(3)?,
        version: row.integer(4)?,
        hash: row.blob(5)?,
        author: row.text(6)?,
        text: row.text(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{migration::migrate, statement::Access};

    fn user(name: &str, version: i64, text: &str) -> Document {
        let key = DocumentKey {
            resource: "users.horizon.dev".into(),
            namespace: "default".into(),
            name: name.into(),
        };
        Document {
            key,
            uid: format!("uid-{name}"),
            version,
            hash: vec![1],
            author: String::new(),
            text: text.into(),
        }
    }

    #[test]
    fn the_last_word_about_a_document_stays() {
        let mut statements = Statements::open(":memory:".as_ref(), Access::ReadWrite).unwrap();
        migrate(&mut statements).unwrap();
        let shelf = |version| vec![("users.horizon.dev".to_owned(), version)];

        let put = vec![user("alice", 1, ""), user("bob", 2, "{}")];
        change(&mut statements, DocumentChanges { put, deleted: vec![], shelves: shelf(2) }).unwrap();
        let put = vec![user("alice", 3, "{}")];
        let deleted = vec![user("bob", 0, "").key, user("nobody", 0, "").key];
        change(&mut statements, DocumentChanges { put, deleted, shelves: shelf(4) }).unwrap();

        let stored = all(&mut statements).unwrap();
        assert_eq!(stored, StoredDocuments { documents: vec![user("alice", 3, "{}")], shelves: shelf(4) });
    }
}
