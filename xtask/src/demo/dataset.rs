//! Fills a database: every collection with its options, its documents and its indexes.

use anyhow::{Context as _, Result};
use mongodb::{
    Database, IndexModel,
    bson::{Document, doc},
    options::{CreateCollectionOptions, IndexOptions},
};

use super::{content::Published, every_type, platform::Platform};

/// A collection before its creation.
pub(crate) struct Dataset {
    pub(crate) name: &'static str,
    pub(crate) documents: Vec<Document>,
    pub(crate) indexes: Vec<IndexModel>,
    pub(crate) options: CreateCollectionOptions,
}

impl Dataset {
    pub(crate) fn new(
        name: &'static str,
        documents: Vec<Document>,
        indexes: Vec<IndexModel>,
    ) -> Self {
        Self {
            name,
            documents,
            indexes,
            options: CreateCollectionOptions::default(),
        }
    }
}

/// An index without further properties.
pub(crate) fn index(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

/// A unique index.
pub(crate) fn unique(keys: Document) -> IndexModel {
    IndexModel::builder()
        .keys(keys)
        .options(IndexOptions::builder().unique(true).build())
        .build()
}

/// A partial index: only the matching documents.
pub(crate) fn partial(keys: Document, filter: Document) -> IndexModel {
    IndexModel::builder()
        .keys(keys)
        .options(
            IndexOptions::builder()
                .partial_filter_expression(filter)
                .build(),
        )
        .build()
}

/// A sparse index: only the documents with the field.
pub(crate) fn sparse(keys: Document) -> IndexModel {
    IndexModel::builder()
        .keys(keys)
        .options(IndexOptions::builder().sparse(true).build())
        .build()
}

/// Fills the database with contents for these files, and returns the number of documents.
pub(crate) async fn fill(database: &Database, files: &[Published]) -> Result<usize> {
    let mut datasets = Platform::new(20_260_101, files)?.datasets()?;
    let oddities = Dataset::new(
        "oddities",
        vec![every_type::document()?],
        vec![index(doc! { "int64": -1 })],
    );
    datasets.push(oddities);
    let mut count = 0;
    for dataset in datasets {
        count += dataset.documents.len();
        let name = dataset.name;
        insert(database, dataset)
            .await
            .with_context(|| format!("cannot fill the collection {name}"))?;
    }
    Ok(count)
}

async fn insert(database: &Database, dataset: Dataset) -> Result<()> {
    database
        .create_collection(dataset.name)
        .with_options(dataset.options)
        .await?;
    let collection = database.collection::<Document>(dataset.name);
    collection.insert_many(dataset.documents).await?;
    if !dataset.indexes.is_empty() {
        collection.create_indexes(dataset.indexes).await?;
    }
    Ok(())
}
