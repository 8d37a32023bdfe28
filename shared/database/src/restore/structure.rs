//! What is not documents: collections are created before these come, indexes after them, views at the very end.

use bson::{Bson, Document, doc};

use super::{TargetState, TtlIndexes, target::Target};
use crate::{DatabaseError, classify};

/// Drops what stands in a target's place, and creates it where it is not there.
pub(super) async fn prepare(target: &Target) -> Result<(), DatabaseError> {
    if matches!(target.state, TargetState::Dropped(_)) {
        let dropped = target.database.collection::<Document>(&target.collection).drop().await;
        dropped.map_err(|error| classify(&error).during(format!("dropping {}", target.name())))?;
    }
    if target.is_new() && !target.is_view() { create(target).await } else { Ok(()) }
}

async fn create(target: &Target) -> Result<(), DatabaseError> {
    let mut command = doc! { "create": &target.collection };
    for (name, value) in creation_options(&target.metadata.options) {
        command.insert(name, value);
    }
    let created = target.database.run_command(command).await;
    created.map_err(|error| classify(&error).during(format!("creating {}", target.name())))?;
    Ok(())
}

/// The options as `create` takes them.
fn creation_options(listed: &Document) -> Document {
    let mut options = listed.clone();
    // The server deletes temporary collections when it starts.
    options.remove("temp");
    if let Ok(timeseries) = options.get_document_mut("timeseries")
        && timeseries.contains_key("granularity")
    {
        // They follow from the granularity, and are only told; not every server takes them beside it.
        timeseries.remove("bucketMaxSpanSeconds");
        timeseries.remove("bucketRoundingSeconds");
    }
    options
}

/// Creates views, each after the one it looks at. Says what did not work, by the target's place in the list.
pub(super) async fn create_views(targets: &[Target]) -> Vec<(usize, String)> {
    let mut waiting: Vec<usize> =
        (0..targets.len()).filter(|at| targets[*at].is_view() && targets[*at].is_new()).collect();
    let mut failures = Vec::new();
    while !waiting.is_empty() {
        let is_waited_for = |at: &usize| {
            let source = targets[*at].metadata.options.get_str("viewOn").unwrap_or_default();
            waiting.iter().any(|other| {
                targets[*other].collection == source && targets[*other].database.name() == targets[*at].database.name()
            })
        };
        let (later, mut now): (Vec<_>, Vec<_>) = waiting.iter().copied().partition(is_waited_for);
        waiting = later;
        if now.is_empty() {
            // A circle; the server says what it thinks of it.
            now = std::mem::take(&mut waiting);
        }
        for at in now {
            if let Err(error) = create(&targets[at]).await {
                failures.push((at, error.to_string()));
            }
        }
    }
    failures
}

/// A collection's indexes to be made: those that only speed reads up, or constrain writes; and those that delete.
pub(super) struct Indexes {
    pub(super) lasting: Vec<Document>,
    pub(super) expiring: Vec<Document>,
}

pub(super) fn indexes_of(target: &Target, ttl: TtlIndexes) -> Indexes {
    let has_collation = target.metadata.options.contains_key("collation");
    let wanted = target.metadata.indexes.iter().filter(|index| !comes_with_the_collection(index));
    let specified = wanted.map(|index| specification(index, has_collation));
    let (expiring, lasting) = specified.partition(|index: &Document| index.contains_key("expireAfterSeconds"));
    Indexes { lasting, expiring: if ttl == TtlIndexes::Keep { expiring } else { Vec::new() } }
}

/// The index on `_id`, and that of a clustered collection.
fn comes_with_the_collection(index: &Document) -> bool {
    let is_id =
        index.get_document("key").is_ok_and(|key| key.len() == 1 && key.get("_id").and_then(as_number) == Some(1));
    is_id || index.get_bool("clustered").unwrap_or(false)
}

fn as_number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "an index's direction")]
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

/// What makes the index again. One without a collation must say so where the collection has one, or it would take that.
fn specification(index: &Document, has_collation: bool) -> Document {
    let mut index = index.clone();
    index.remove("ns");
    if has_collation && !index.contains_key("collation") {
        index.insert("collation", doc! { "locale": "simple" });
    }
    index
}

/// Makes indexes: all by one scan of the collection, or where that fails one by one, to find those that cannot be made.
/// Says what did not work.
pub(super) async fn create_indexes(target: &Target, indexes: &[Document]) -> Vec<String> {
    if indexes.is_empty() || run_create(target, indexes).await.is_ok() {
        return Vec::new();
    }
    let mut failures = Vec::new();
    for index in indexes {
        if let Err(error) = run_create(target, std::slice::from_ref(index)).await {
            let name = index.get_str("name").unwrap_or("without a name");
            failures.push(format!("the index {name} was not made: {}", classify(&error)));
        }
    }
    failures
}

async fn run_create(target: &Target, indexes: &[Document]) -> mongodb::error::Result<()> {
    let command = doc! { "createIndexes": &target.collection, "indexes": indexes.to_vec() };
    target.database.run_command(command).await.map(drop)
}

/// Names of the indexes that are there now, `_id`'s left aside.
pub(super) async fn index_names(target: &Target) -> Result<Vec<String>, DatabaseError> {
    let present = target.lister().indexes(&target.collection).await?.unwrap_or_default();
    let names = present.iter().filter_map(|index| index.get_str("name").ok());
    Ok(names.filter(|name| *name != "_id_").map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_without_a_collation_stays_without_one() {
        let index = doc! { "v": 2, "key": { "a": 1 }, "name": "a_1", "ns": "shop.things" };
        assert_eq!(specification(&index, false), doc! { "v": 2, "key": { "a": 1 }, "name": "a_1" });
        assert_eq!(specification(&index, true).get_document("collation").unwrap(), &doc! { "locale": "simple" });
        let own = doc! { "key": { "a": 1 }, "name": "a_1", "collation": { "locale": "de" } };
        assert_eq!(specification(&own, true), own);
    }

    #[test]
    fn the_index_on_id_comes_with_the_collection() {
        assert!(comes_with_the_collection(&doc! { "key": { "_id": 1_i64 }, "name": "_id_" }));
        assert!(comes_with_the_collection(&doc! { "key": { "_id": 1 }, "name": "cl", "clustered": true }));
        assert!(!comes_with_the_collection(&doc! { "key": { "_id": "hashed" }, "name": "_id_hashed" }));
        assert!(!comes_with_the_collection(&doc! { "key": { "_id": 1, "a": 1 }, "name": "both" }));
    }
}
