//! Checks whether targets can be replaced by a rename, without a write. Otherwise the restore is
//! refused before it begins.

use std::collections::BTreeSet;

use bson::{Document, doc};
use holdfast_archive::NamespaceKind;
use mongodb::{Database, error::ErrorKind};

use super::{RestoreFault, scratch, target::Target};
use crate::{Connection, DatabaseError, classify};

/// Refuses targets that cannot be replaced by a scratch collection.
///
/// # Errors
/// `Invalid` with the reason: the server or its user cannot rename, or a target is sharded.
pub(super) async fn refuse_what_cannot_be_replaced(
    connection: &Connection,
    targets: &[Target],
) -> Result<(), RestoreFault> {
    let replaced: Vec<&Target> = targets
        .iter()
        .filter(|target| target.is_replaced() && target.refusal.is_none())
        .collect();
    if is_router(connection).await? {
        refuse_sharded(&replaced).await?;
    }
    let renamed = replaced
        .iter()
        .filter(|target| target.metadata.kind == NamespaceKind::Collection);
    let databases: BTreeSet<&str> = renamed.map(|target| target.database.name()).collect();
    for database in databases {
        refuse_without_rename(connection, database).await?;
    }
    Ok(())
}

fn refused(what: &str) -> RestoreFault {
    RestoreFault::Invalid(format!(
        "--drop cannot replace the targets: {what}. Restore under other names (--ns-from, --ns-to), or drop each target \
         first, without a way back (--drop-first)"
    ))
}

async fn refuse_sharded(targets: &[&Target]) -> Result<(), RestoreFault> {
    let mut sharded = Vec::new();
    for target in targets {
        let stats = target
            .database
            .run_command(doc! { "collStats": &target.collection })
            .await;
        // Without an answer the rename decides: the server refuses it.
        if stats.is_ok_and(|stats| is_sharded(&stats)) {
            sharded.push(target.name());
        }
    }
    if sharded.is_empty() {
        return Ok(());
    }
    let names = sharded.join(", ");
    Err(refused(&format!(
        "sharded collections cannot be replaced by an unsharded copy ({names})"
    )))
}

fn is_sharded(stats: &Document) -> bool {
    stats.get_bool("sharded").unwrap_or(false)
}

/// Whether this is a router of a sharded cluster.
async fn is_router(connection: &Connection) -> Result<bool, DatabaseError> {
    let hello = connection
        .client()
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await;
    let hello = hello.map_err(|error| classify(&error).during("reading the kind of the server"))?;
    Ok(hello.get_str("msg").ok() == Some("isdbgrid"))
}

/// Renames a missing collection to another missing name. The server checks the privileges first.
async fn refuse_without_rename(
    connection: &Connection,
    database: &str,
) -> Result<(), RestoreFault> {
    const NAMESPACE_NOT_FOUND: i32 = 26;
    let [from, to] = scratch::absent_names().map(|name| format!("{database}.{name}"));
    let Err(error) = rename(connection.client().database("admin"), &from, &to).await else {
        return Ok(());
    };
    match error.kind.as_ref() {
        ErrorKind::Command(command) if command.code == NAMESPACE_NOT_FOUND => Ok(()),
        _ => match classify(&error) {
            error if error.is_transient() => Err(error.during("trying renameCollection").into()),
            error @ DatabaseError::Denied(_) => Err(refused(&format!(
                "the user may not rename collections of the database {database} ({error})"
            ))),
            error => Err(refused(&format!(
                "the server does not rename collections of the database {database}: {error}"
            ))),
        },
    }
}

/// Renames a collection, and drops the collection with the new name.
pub(super) async fn rename(admin: Database, from: &str, to: &str) -> mongodb::error::Result<()> {
    admin
        .run_command(doc! { "renameCollection": from, "to": to, "dropTarget": true })
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharded_collection_is_known_by_its_statistics() {
        assert!(is_sharded(&doc! { "ns": "shop.things", "sharded": true }));
        assert!(!is_sharded(&doc! { "ns": "shop.things", "sharded": false }));
        assert!(!is_sharded(&doc! { "ns": "shop.things" }));
    }

    #[test]
    fn a_refusal_names_the_destructive_way() {
        assert!(refused("x").to_string().contains("--drop-first"));
    }
}
