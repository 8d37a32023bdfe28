//! Options of `create` and specifications of indexes, from an adjusted definition.

use bson::{Document, doc};

use super::{adjust::comes_with_the_collection, target::Target};

/// The options as `create` takes them. The metadata keep the others, to be compared with those of
/// an existing target.
pub(super) fn creation_options(listed: &Document) -> Document {
    let mut options = listed.clone();
    if let Ok(timeseries) = options.get_document_mut("timeseries")
        && timeseries.contains_key("granularity")
    {
        // They follow from the granularity. Some servers refuse them together with it.
        timeseries.remove("bucketMaxSpanSeconds");
        timeseries.remove("bucketRoundingSeconds");
    }
    options
}

/// A collection's indexes to create: first those for faster reads or constraints, then those that
/// delete.
pub(super) fn lasting_and_expiring(target: &Target) -> (Vec<Document>, Vec<Document>) {
    let has_collation = target.metadata.options.contains_key("collation");
    let wanted = target
        .metadata
        .indexes
        .iter()
        .filter(|index| !comes_with_the_collection(index))
        .cloned();
    let specified = wanted.map(|index| {
        if has_collation {
            with_collation_of_its_own(index)
        } else {
            index
        }
    });
    specified.partition(|index: &Document| !index.contains_key("expireAfterSeconds"))
}

/// Without a collation, an index would inherit that of the collection.
fn with_collation_of_its_own(mut index: Document) -> Document {
    if !index.contains_key("collation") {
        index.insert("collation", doc! { "locale": "simple" });
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_does_not_take_the_collation_of_its_collection() {
        let index = doc! { "v": 2, "key": { "a": 1 }, "name": "a_1" };
        let simple =
            doc! { "v": 2, "key": { "a": 1 }, "name": "a_1", "collation": { "locale": "simple" } };
        assert_eq!(with_collation_of_its_own(index), simple);
        let own = doc! { "key": { "a": 1 }, "name": "a_1", "collation": { "locale": "de" } };
        assert_eq!(with_collation_of_its_own(own.clone()), own);
    }
}
