//! Fills a database: every collection with its options, its documents and its indexes.

use anyhow::{Context as _, Result};
use mongodb::{
    Database,
    bson::{Document, doc},
};

use super::{
    content::Published,
    dataset::{Dataset, index},
    every_type,
    platform::Platform,
};

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
