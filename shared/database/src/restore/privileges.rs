//! Finds the user's missing privileges by the server's list, so a dry run predicts the denials of a
//! restore. If the server lists no privileges, the check is skipped.

use bson::{Bson, Document, doc};

use super::{
    TtlIndexes,
    definition::{expire_after, indexes_of},
    target::Target,
};
use crate::{Connection, DatabaseError, classify, listing::BUCKETS_PREFIX};

/// Refuses each target without the privileges to create, fill, read back or index it. Writes
/// nothing.
///
/// # Errors
/// The server went away.
pub(super) async fn refuse_without_privileges(
    connection: &Connection,
    targets: &mut [Target],
    ttl: TtlIndexes,
) -> Result<(), DatabaseError> {
    let status = doc! { "connectionStatus": 1, "showPrivileges": true };
    let status = match connection
        .client()
        .database("admin")
        .run_command(status)
        .await
    {
        Ok(status) => status,
        Err(error) if classify(&error).is_transient() => {
            return Err(classify(&error).during("listing the privileges of the user"));
        }
        Err(_) => return Ok(()),
    };
    let privileges = listed(&status);
    if privileges.is_empty() {
        return Ok(());
    }
    for target in targets.iter_mut().filter(|target| target.refusal.is_none()) {
        let missing: Vec<String> = needed(target, ttl)
            .into_iter()
            .filter(|(collection, action)| {
                !may(&privileges, target.database.name(), collection, action)
            })
            .map(|(collection, action)| {
                format!("`{action}` on {}.{collection}", target.database.name())
            })
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            target.refusal = Some(format!(
                "the user lacks privileges: {missing}. docs/privileges.md has the smallest role"
            ));
        }
    }
    Ok(())
}

fn listed(status: &Document) -> Vec<Document> {
    let info = status.get_document("authInfo").ok();
    let privileges = info.and_then(|info| info.get_array("authenticatedUserPrivileges").ok());
    privileges
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document)
        .cloned()
        .collect()
}

/// The actions that a restore of this target takes, each with its collection.
fn needed(target: &Target, ttl: TtlIndexes) -> Vec<(String, &'static str)> {
    let mut needed = vec!["find", "createCollection", "dropCollection", "collMod"];
    let redefines_view = target.is_view() && target.is_replaced();
    let sets_expiry = target.is_new() && expire_after(target, ttl).is_some();
    needed.retain(|action| match *action {
        "createCollection" => target.is_new(),
        "dropCollection" => target.existing.is_some(),
        "collMod" => redefines_view || sets_expiry,
        _ => true,
    });
    if !target.is_view() {
        needed.push("listIndexes");
        let indexes = indexes_of(target, ttl);
        if !indexes.lasting.is_empty() || !indexes.expiring.is_empty() {
            needed.push("createIndex");
        }
    }
    if target.is_new() && target.is_capped() {
        needed.push("convertToCapped");
    }
    let mut needed: Vec<_> = needed
        .into_iter()
        .map(|action| (target.collection.clone(), action))
        .collect();
    if !target.is_view() {
        // The documents of a time series are in a collection of the server's own.
        let data = target.data_collection(&target.collection);
        let mut writing = vec!["insert"];
        writing.extend(target.has_validator.then_some("bypassDocumentValidation"));
        writing.extend(target.is_series().then_some("find"));
        needed.extend(writing.into_iter().map(|action| (data.clone(), action)));
    }
    needed
}

fn may(privileges: &[Document], database: &str, collection: &str, action: &str) -> bool {
    privileges.iter().any(|privilege| {
        let covers = privilege
            .get_document("resource")
            .is_ok_and(|resource| covers(resource, database, collection));
        let grants = |listed: &Bson| {
            listed
                .as_str()
                .is_some_and(|listed| listed == action || listed == "anyAction")
        };
        covers
            && privilege
                .get_array("actions")
                .is_ok_and(|actions| actions.iter().any(grants))
    })
}

/// Whether a privilege's resource contains a collection. Empty names match any collection, except
/// system collections, which need their name.
fn covers(resource: &Document, database: &str, collection: &str) -> bool {
    if resource.get_bool("anyResource").unwrap_or(false) {
        return true;
    }
    let is_of_database = resource
        .get_str("db")
        .is_ok_and(|of| of.is_empty() || of == database);
    if let (Ok(of_series), Some(series)) = (
        resource.get_str("system_buckets"),
        collection.strip_prefix(BUCKETS_PREFIX),
    ) {
        return is_of_database && (of_series.is_empty() || of_series == series);
    }
    let Ok(of_collection) = resource.get_str("collection") else {
        return false;
    };
    let is_of_collection = of_collection == collection
        || (of_collection.is_empty() && !collection.starts_with("system."));
    is_of_database && is_of_collection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_covers_its_names() {
        for (resource, is_covered) in [
            (doc! { "db": "shop", "collection": "things" }, true),
            (doc! { "db": "shop", "collection": "" }, true),
            (doc! { "db": "", "collection": "" }, true),
            (doc! { "db": "", "collection": "things" }, true),
            (doc! { "anyResource": true }, true),
            (doc! { "db": "shop", "collection": "other" }, false),
            (doc! { "db": "other", "collection": "" }, false),
            (doc! { "cluster": true }, false),
            (doc! { "db": "shop", "system_buckets": "things" }, false),
            (doc! { "db": "shop" }, false),
        ] {
            assert_eq!(
                covers(&resource, "shop", "things"),
                is_covered,
                "{resource}"
            );
        }
        assert!(!covers(
            &doc! { "db": "", "collection": "" },
            "shop",
            "system.js"
        ));
        assert!(covers(
            &doc! { "db": "", "collection": "system.js" },
            "shop",
            "system.js"
        ));
        for (resource, is_covered) in [
            (doc! { "db": "", "system_buckets": "" }, true),
            (doc! { "db": "shop", "system_buckets": "log" }, true),
            (doc! { "db": "shop", "system_buckets": "other" }, false),
            (doc! { "db": "other", "system_buckets": "" }, false),
            (doc! { "db": "shop", "collection": "" }, false),
            (
                doc! { "db": "shop", "collection": "system.buckets.log" },
                true,
            ),
        ] {
            assert_eq!(
                covers(&resource, "shop", "system.buckets.log"),
                is_covered,
                "{resource}"
            );
        }
    }

    #[test]
    fn the_privileges_are_those_of_the_servers_answer() {
        let privilege = doc! { "resource": { "db": "", "collection": "" }, "actions": ["find"] };
        let answer = doc! { "authInfo": { "authenticatedUserPrivileges": [privilege.clone()] } };
        assert_eq!(listed(&answer), [privilege]);
        assert!(listed(&doc! { "authInfo": {} }).is_empty() && listed(&doc! {}).is_empty());
    }
}
