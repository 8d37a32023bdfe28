//! Compares two databases by reading both, without any code of the backup or the restore: documents
//! byte by byte, the options of every collection, and its indexes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use futures_util::TryStreamExt as _;
use mongodb::{
    Client, Database,
    bson::{Document, RawDocumentBuf, doc},
};
use sha2::{Digest as _, Sha256};

/// The compared properties of a collection.
#[derive(PartialEq)]
pub(crate) struct Collection {
    pub(crate) documents: usize,
    pub(crate) indexes: usize,
    content: [u8; 32],
    options: Document,
    index_documents: BTreeSet<String>,
}

/// Reads both databases. Returns the collections if both are equal, else an error with the
/// difference.
pub(crate) async fn databases(
    client: &Client,
    left: &str,
    right: &str,
) -> Result<BTreeMap<String, Collection>> {
    let expected = read(&client.database(left)).await?;
    let found = read(&client.database(right)).await?;
    let names = |collections: &BTreeMap<String, Collection>| {
        collections.keys().cloned().collect::<Vec<_>>()
    };
    ensure!(
        names(&expected) == names(&found),
        "{left} has {:?}, {right} has {:?}",
        names(&expected),
        names(&found)
    );
    for (name, original) in &expected {
        let differs = original.difference(&found[name]);
        ensure!(
            differs.is_none(),
            "{left}.{name} and {right}.{name} differ in their {}",
            differs.unwrap_or_default()
        );
    }
    Ok(expected)
}

impl Collection {
    fn difference(&self, other: &Self) -> Option<String> {
        let indexes = || {
            let differing = self
                .index_documents
                .symmetric_difference(&other.index_documents)
                .cloned();
            format!("indexes: {}", differing.collect::<Vec<_>>().join(" "))
        };
        [
            (
                self.documents == other.documents,
                "number of documents".to_owned(),
            ),
            (self.content == other.content, "documents".to_owned()),
            (self.options == other.options, "options".to_owned()),
            (self.index_documents == other.index_documents, indexes()),
        ]
        .into_iter()
        .find_map(|(equal, what)| (!equal).then_some(what))
    }
}

async fn read(database: &Database) -> Result<BTreeMap<String, Collection>> {
    let listed = database
        .run_cursor_command(doc! { "listCollections": 1 })
        .await?;
    let listed: Vec<Document> = listed.try_collect().await?;
    let mut collections = BTreeMap::new();
    for entry in listed {
        let name = entry.get_str("name")?.to_owned();
        let options = entry.get_document("options").cloned().unwrap_or_default();
        collections.insert(name.clone(), collection(database, &name, options).await?);
    }
    Ok(collections)
}

async fn collection(database: &Database, name: &str, options: Document) -> Result<Collection> {
    let mut documents = database
        .collection::<RawDocumentBuf>(name)
        .find(doc! {})
        .await?;
    let mut hashes = Vec::new();
    while documents.advance().await? {
        hashes.push(<[u8; 32]>::from(Sha256::digest(
            documents.current().as_bytes(),
        )));
    }
    hashes.sort_unstable();
    let indexes = database
        .run_cursor_command(doc! { "listIndexes": name })
        .await?;
    let indexes: BTreeSet<String> = indexes.map_ok(normalized).try_collect().await?;
    Ok(Collection {
        documents: hashes.len(),
        indexes: indexes.len(),
        content: Sha256::digest(hashes.concat()).into(),
        options,
        index_documents: indexes,
    })
}

/// An index without the namespace of older servers, and without the simple collation. Only some
/// servers list this collation. The order of its fields has no meaning. The order of its key has.
fn normalized(mut index: Document) -> String {
    index.remove("ns");
    if index
        .get_document("collation")
        .is_ok_and(|collation| *collation == doc! { "locale": "simple" })
    {
        index.remove("collation");
    }
    let mut fields: Vec<_> = index.into_iter().collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Document::from_iter(fields).to_string()
}
