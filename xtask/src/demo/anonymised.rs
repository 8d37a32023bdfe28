//! The demonstration's database without personal data: restored by the example rules of the
//! documentation, and read without any code of the restore.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Result, ensure};
use futures_util::TryStreamExt as _;
use mongodb::{
    Client, Database,
    bson::{Bson, Document, RawDocumentBuf, doc},
};

/// Fields with personal data.
const PERSONAL: [(&str, &str); 3] = [
    ("users", "address"),
    ("users", "email"),
    ("users", "displayName"),
];

/// Fields with a reference to a user's address.
const REFERENCES: [(&str, &str); 8] = [
    ("contents", "creator"),
    ("purchases", "buyer"),
    ("subscriptions", "subscriber"),
    ("subscriptions", "creator"),
    ("royaltydistributions", "shares.to"),
    ("moderationqueues", "assignee"),
    ("moderationflags", "by"),
    ("moderationauditlogs", "by"),
];

/// The values of the search, and its result.
pub(crate) struct Anonymised {
    /// Different e-mails, names and addresses of the original. The copy contains 0 of them.
    pub(crate) originals: usize,
    /// Matching references in both databases.
    pub(crate) references: usize,
}

/// Searches the copy, byte by byte, for all personal data of the original, and follows every
/// reference.
pub(crate) async fn compare(client: &Client, original: &str, copy: &str) -> Result<Anonymised> {
    let (original, copy) = (client.database(original), client.database(copy));
    let mut originals = HashSet::new();
    for field in PERSONAL {
        originals.extend(texts(&original, field).await?);
    }
    ensure!(
        !originals.is_empty(),
        "the original has no personal data to search for"
    );
    refuse_any_of(&originals, &copy).await?;
    let mut references = 0;
    for field in REFERENCES {
        let (before, after) = (
            joining(&original, field).await?,
            joining(&copy, field).await?,
        );
        ensure!(
            before == after,
            "{field:?}: {before} references to users before, {after} after"
        );
        ensure!(
            before > 0,
            "no value of {field:?} refers to a user, so the comparison proves nothing"
        );
        references += before;
    }
    Ok(Anonymised {
        originals: originals.len(),
        references,
    })
}

async fn refuse_any_of(originals: &HashSet<String>, copy: &Database) -> Result<()> {
    let lengths: BTreeSet<usize> = originals.iter().map(String::len).collect();
    let originals: HashSet<&[u8]> = originals.iter().map(String::as_bytes).collect();
    for name in copy.list_collection_names().await? {
        let mut documents = copy
            .collection::<RawDocumentBuf>(&name)
            .find(doc! {})
            .await?;
        while let Some(document) = documents.try_next().await? {
            let mut windows = lengths
                .iter()
                .flat_map(|length| document.as_bytes().windows(*length));
            if let Some(found) = windows.find(|window| originals.contains(window)) {
                anyhow::bail!(
                    "the copy has {} of the original, in {name}",
                    String::from_utf8_lossy(found)
                );
            }
        }
    }
    Ok(())
}

/// The number of values of a field equal to a user's address.
async fn joining(database: &Database, field: (&str, &str)) -> Result<usize> {
    let users: HashSet<String> = texts(database, ("users", "address"))
        .await?
        .into_iter()
        .collect();
    Ok(texts(database, field)
        .await?
        .iter()
        .filter(|address| users.contains(*address))
        .count())
}

/// All texts at a path of a collection, those in arrays too.
async fn texts(database: &Database, (collection, path): (&str, &str)) -> Result<Vec<String>> {
    let documents: Vec<Document> = database
        .collection(collection)
        .find(doc! {})
        .await?
        .try_collect()
        .await?;
    let path: Vec<&str> = path.split('.').collect();
    Ok(documents
        .into_iter()
        .flat_map(|document| at_path(&document.into(), &path))
        .collect())
}

fn at_path(value: &Bson, path: &[&str]) -> Vec<String> {
    match (value, path) {
        (Bson::Array(values), _) => values
            .iter()
            .flat_map(|value| at_path(value, path))
            .collect(),
        (Bson::Document(document), [name, rest @ ..]) => document
            .get(name)
            .map(|value| at_path(value, rest))
            .unwrap_or_default(),
        (Bson::String(text), []) => vec![text.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_through_arrays() {
        let document =
            doc! { "shares": [{ "to": "a" }, { "to": "b", "percent": 1 }, { "by": "c" }] };
        assert_eq!(at_path(&document.into(), &["shares", "to"]), ["a", "b"]);
    }
}
