//! A collection of the demo before its creation: options, documents and indexes.

use mongodb::{
    IndexModel,
    bson::Document,
    options::{CreateCollectionOptions, IndexOptions},
};

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
