//! The user's missing privileges, from the server's list. So a dry run finds the denials of a restore. If the server
//! lists no privileges, the check ends.

use bson::{Bson, Document, doc};

use super::{TtlIndexes, definition::indexes_of, target::Target};
use crate::{Connection, DatabaseError, classify};

/// Refuses each target without the privileges to create, fill, read back or index it. Writes nothing.
///
/// # Errors
/// The server went away.
pub(super) async fn refuse_without_privileges(
    connection: &Connection,
    targets: &mut [Target],
    ttl: TtlIndexes,
) -> Result<(), DatabaseError> {
    let status = doc! { "connectionStatus": 1, "showPrivileges": true };
    let status = match connection.client().database("admin").run_command(status).await {
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
        let missing: Vec<_> =
            needed(target, ttl).into_iter().filter(|action| !may(&privileges, target, action)).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            target.refusal = Some(format!("the user lacks privileges on {}: {missing}", target.name()));
        }
    }
    Ok(())
}

fn listed(status: &Document) -> Vec<Document> {
    let info = status.get_document("authInfo").ok();
    let privileges = info.and_then(|info| info.get_array("authenticatedUserPrivileges").ok());
    privileges.into_iter().flatten().filter_map(Bson::as_document).cloned().collect()
}

/// The actions of a restore on this target.
fn needed(target: &Target, ttl: TtlIndexes) -> Vec<&'static str> {
    let mut needed = vec!["find"];
    if target.is_new() {
        needed.push("createCollection");
    }
    if target.existing.is_some() {
        needed.push("dropCollection");
    }
    // The documents of a time series are in a collection of the server.
    if target.is_view() || target.is_series() {
        return needed;
    }
    needed.push("insert");
    let indexes = indexes_of(target, ttl);
    if !indexes.lasting.is_empty() || !indexes.expiring.is_empty() {
        needed.push("createIndex");
    }
    if target.has_validator {
        needed.push("bypassDocumentValidation");
    }
    needed
}

fn may(privileges: &[Document], target: &Target, action: &str) -> bool {
    privileges.iter().any(|privilege| {
        let covers = privilege
            .get_document("resource")
            .is_ok_and(|resource| covers(resource, target.database.name(), &target.collection));
        let grants = |listed: &Bson| listed.as_str().is_some_and(|listed| listed == action || listed == "anyAction");
        covers && privilege.get_array("actions").is_ok_and(|actions| actions.iter().any(grants))
    })
}

/// Whether a privilege's resource contains a collection. Empty names match any collection, except system collections,
/// which need their name.
fn covers(resource: &Document, database: &str, collection: &str) -> bool {
    if resource.get_bool("anyResource").unwrap_or(false) {
        return true;
    }
    let (Ok(of_database), Ok(of_collection)) = (resource.get_str("db"), resource.get_str("collection")) else {
        return false;
    };
    let is_of_database = of_database.is_empty() || of_database == database;
    let is_of_collection =
        of_collection == collection || (of_collection.is_empty() && !collection.starts_with("system."));
    is_of_database && is_of_collection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_covers_what_its_names_say() {
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
        ] {
            assert_eq!(covers(&resource, "shop", "things"), is_covered, "{resource}");
        }
        assert!(!covers(&doc! { "db": "", "collection": "" }, "shop", "system.js"));
        assert!(covers(&doc! { "db": "", "collection": "system.js" }, "shop", "system.js"));
    }

    #[test]
    fn the_privileges_are_those_of_the_servers_answer() {
        let privilege = doc! { "resource": { "db": "", "collection": "" }, "actions": ["find"] };
        let answer = doc! { "authInfo": { "authenticatedUserPrivileges": [privilege.clone()] } };
        assert_eq!(listed(&answer), [privilege]);
        assert!(listed(&doc! { "authInfo": {} }).is_empty() && listed(&doc! {}).is_empty());
    }
}
