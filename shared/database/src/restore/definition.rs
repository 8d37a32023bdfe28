//! The definition of a new target: its options, its indexes, and the expiry of its documents.

use bson::{Bson, Document, doc};

use super::{
    TtlIndexes,
    existing::same_value,
    structure::{creation_options, lasting_and_expiring},
    target::Target,
};
use crate::{DatabaseError, classify};

/// The option for expiry in a clustered collection or a time series.
const EXPIRY: &str = "expireAfterSeconds";

/// Creates a collection, time series or view of this name with the target's definition. Its
/// documents do not expire yet.
pub(super) async fn create(target: &Target, name: &str) -> Result<(), DatabaseError> {
    let mut command = doc! { "create": name };
    command.extend(wanted_options(target));
    let created = target.database.run_command(command).await;
    created.map_err(|error| classify(&error).during(format!("creating {}", target.name())))?;
    Ok(())
}

/// The options of `create`, without the expiry.
pub(super) fn wanted_options(target: &Target) -> Document {
    let mut options = creation_options(&target.metadata.options);
    options.remove(EXPIRY);
    options
}

/// Seconds until documents expire, if an option of the collection sets it.
pub(super) fn expire_after(target: &Target, ttl: TtlIndexes) -> Option<Bson> {
    let seconds = creation_options(&target.metadata.options).remove(EXPIRY)?;
    (ttl == TtlIndexes::Keep).then_some(seconds)
}

/// Whether the archive's collection makes its documents expire.
pub(super) fn has_expiry(target: &Target) -> bool {
    target.metadata.options.contains_key(EXPIRY)
}

/// A collection's indexes to create: first those for faster reads or constraints, then those that
/// delete.
pub(super) struct Indexes {
    pub(super) lasting: Vec<Document>,
    pub(super) expiring: Vec<Document>,
}

pub(super) fn indexes_of(target: &Target, ttl: TtlIndexes) -> Indexes {
    let (lasting, expiring) = lasting_and_expiring(target);
    Indexes {
        lasting,
        expiring: if ttl == TtlIndexes::Keep {
            expiring
        } else {
            Vec::new()
        },
    }
}

/// Sets the expiry of a collection's documents, and reads it back. Returns a note for the operator.
pub(super) async fn set_expiry(
    target: &Target,
    name: &str,
    seconds: Bson,
) -> Result<Option<String>, DatabaseError> {
    let set = target
        .database
        .run_command(doc! { "collMod": name, EXPIRY: seconds.clone() })
        .await;
    set.map_err(|error| classify(&error).during(format!("setting {EXPIRY} of {}", target.name())))?;
    let listed = target.lister().collection(name).await?;
    let listed = listed
        .as_ref()
        .and_then(|listed| listed.options.get(EXPIRY));
    Ok(match listed {
        Some(listed) if same_value(&seconds, listed) => None,
        Some(other) => Some(format!(
            "`{EXPIRY}` is {seconds} in the archive, but the server changed it to {other}"
        )),
        None => Some(format!(
            "the server confirmed `{EXPIRY}` {seconds} but does not list it: check the expiry of documents"
        )),
    })
}

/// Creates indexes, all by one scan of the collection. If that fails, one by one, to find the
/// faulty ones. Returns the failures.
///
/// # Errors
/// The server went away, or has no free space.
pub(super) async fn create_indexes(
    target: &Target,
    collection: &str,
    indexes: &[Document],
) -> Result<Vec<String>, DatabaseError> {
    if indexes.is_empty() || run_create(target, collection, indexes).await.is_ok() {
        return Ok(Vec::new());
    }
    let mut failures = Vec::new();
    for index in indexes {
        let Err(error) = run_create(target, collection, std::slice::from_ref(index)).await else {
            continue;
        };
        let error = classify(&error);
        if error.is_of_the_server() {
            return Err(error.during(format!("creating the indexes of {}", target.name())));
        }
        let name = index.get_str("name").unwrap_or("without a name");
        failures.push(format!("cannot create the index {name}: {error}"));
    }
    Ok(failures)
}

async fn run_create(
    target: &Target,
    collection: &str,
    indexes: &[Document],
) -> mongodb::error::Result<()> {
    let command = doc! { "createIndexes": collection, "indexes": indexes.to_vec() };
    target.database.run_command(command).await.map(drop)
}

/// Names of the existing indexes, except that of `_id`.
pub(super) async fn index_names(target: &Target) -> Result<Vec<String>, DatabaseError> {
    let present = target
        .lister()
        .indexes(&target.collection)
        .await?
        .unwrap_or_default();
    let names = present
        .iter()
        .filter_map(|index| index.get_str("name").ok());
    Ok(names
        .filter(|name| *name != "_id_")
        .map(str::to_owned)
        .collect())
}
