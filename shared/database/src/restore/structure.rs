//! From the metadata of an archive to what a server takes: options of `create`, specifications of indexes.

use bson::{Bson, Document, doc};

use super::target::Target;

/// The options as `create` takes them.
pub(super) fn creation_options(listed: &Document) -> Document {
    let mut options = listed.clone();
    // The server deletes temporary collections when it starts.
    options.remove("temp");
    // It would take the place of the name.
    options.remove("create");
    if let Ok(timeseries) = options.get_document_mut("timeseries")
        && timeseries.contains_key("granularity")
    {
        // They follow from the granularity, and are only told; not every server takes them beside it.
        timeseries.remove("bucketMaxSpanSeconds");
        timeseries.remove("bucketRoundingSeconds");
    }
    options
}

/// A collection's indexes to be made: those that only speed reads up, or constrain writes; and those that delete.
pub(super) fn lasting_and_expiring(target: &Target) -> (Vec<Document>, Vec<Document>) {
    let has_collation = target.metadata.options.contains_key("collation");
    let wanted = target.metadata.indexes.iter().filter(|index| !comes_with_the_collection(index));
    let specified = wanted.map(|index| specification(index, has_collation));
    specified.partition(|index: &Document| !index.contains_key("expireAfterSeconds"))
}

/// The index on `_id`, and that of a clustered collection.
pub(super) fn comes_with_the_collection(index: &Document) -> bool {
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
