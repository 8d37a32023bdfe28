//! Databases and collections of the last backup that are missing in this one. A revoked privilege
//! looks like a dropped collection, because the server lists only the visible ones. Neither fails a
//! backup. Both are reported.

use std::collections::BTreeSet;

use holdfast_domain::{BackupId, BackupType, Manifest, NamespaceCount};

use crate::{Holdfast, OperationError};

/// Most names in a message.
const MAX_NAMED: usize = 10;

/// A message with the missing names. An unavailable catalogue fails no backup.
pub(super) async fn since_last_backup(h: &Holdfast, manifest: &Manifest) -> Option<String> {
    let (last, namespaces) = match last_backup(h).await {
        Ok(last) => last?,
        Err(error) => {
            tracing::warn!(%error, "the namespaces of the last backup could not be read");
            return None;
        }
    };
    let now: BTreeSet<(&str, &str)> = manifest
        .namespaces
        .iter()
        .map(|dumped| (dumped.db.as_str(), dumped.collection.as_str()))
        .collect();
    let message = message(&last, &namespaces, &now)?;
    tracing::warn!(backupId = %manifest.backup_id, message, "the backup lacks namespaces of the last one");
    Some(message)
}

/// The last backup. A row lists only the largest namespaces, and these matter here.
async fn last_backup(
    h: &Holdfast,
) -> Result<Option<(BackupId, Vec<NamespaceCount>)>, OperationError> {
    let Some(newest) = h.catalog.newest_completed(BackupType::Database).await? else {
        return Ok(None);
    };
    let job = h.catalog.get(&newest.backup_id).await?;
    Ok(job.namespaces.map(|namespaces| (job.backup_id, namespaces)))
}

fn message(
    last: &BackupId,
    before: &[NamespaceCount],
    now: &BTreeSet<(&str, &str)>,
) -> Option<String> {
    let databases: BTreeSet<&str> = now.iter().map(|(database, _)| *database).collect();
    let before = before
        .iter()
        .filter_map(|one| one.namespace.split_once('.'));
    let missing: Vec<(&str, &str)> = before.filter(|one| !now.contains(one)).collect();
    let (collections, gone): (Vec<_>, Vec<_>) = missing
        .iter()
        .partition(|(database, _)| databases.contains(database));
    let gone: BTreeSet<String> = gone
        .into_iter()
        .map(|(database, _)| format!("database {database}"))
        .collect();
    let collections = collections
        .into_iter()
        .map(|(database, collection)| format!("{database}.{collection}"));
    let names: Vec<String> = gone.into_iter().chain(collections).collect();
    let more = names.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let listed = names
        .iter()
        .take(MAX_NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    (!names.is_empty()).then(|| {
        format!(
            "missing since the last backup ({last}): {listed}{more}. Check the user's privileges if they were not dropped"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_names(before: &[&str], now: &[(&str, &str)]) -> Option<String> {
        let count = |name: &&str| NamespaceCount {
            namespace: (*name).to_owned(),
            documents: 1,
        };
        let before: Vec<_> = before.iter().map(count).collect();
        message(
            &"db_1_a".parse().unwrap(),
            &before,
            &now.iter().copied().collect(),
        )
    }

    #[test]
    fn a_database_or_collection_that_the_last_backup_had_is_named() {
        let before = ["a.x", "a.y.z", "b.x", "b.y"];
        assert_eq!(
            missing_names(
                &before,
                &[
                    ("a", "x"),
                    ("a", "y.z"),
                    ("b", "x"),
                    ("b", "y"),
                    ("c", "new")
                ]
            ),
            None
        );
        let missing = missing_names(&before, &[("a", "x")]).unwrap();
        assert!(
            missing.contains("(db_1_a): database b, a.y.z. "),
            "{missing}"
        );
    }

    #[test]
    fn many_are_named_as_far_as_a_message_has_room() {
        let before: Vec<String> = (0..500).map(|number| format!("a.c{number}")).collect();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let missing = missing_names(&before, &[("a", "x")]).unwrap();
        assert!(
            missing.contains(" and 490 more") && missing.len() < 300,
            "{missing}"
        );
    }
}
