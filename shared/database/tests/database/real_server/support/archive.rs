//! Archives for tests: with accepted and with refused namespaces.

use bson::Document;
use holdfast_archive::{BlockWriter, Metadata, NamespaceKind, Prelude, PreludeNamespace};

/// One namespace of an archive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) options: Document,
    /// Without the index on `_id`.
    pub(crate) indexes: Vec<Document>,
    pub(crate) documents: Vec<Document>,
}

impl Namespace {
    /// A collection of documents with these `_id`s.
    pub(crate) fn of_ids(name: &str, ids: impl IntoIterator<Item = i32>) -> Self {
        let documents = ids
            .into_iter()
            .map(|id| bson::doc! { "_id": id, "from": "archive" })
            .collect();
        Self {
            name: name.to_owned(),
            documents,
            ..Self::default()
        }
    }

    pub(crate) fn with_options(self, options: Document) -> Self {
        Self { options, ..self }
    }

    pub(crate) fn with_index(mut self, index: Document) -> Self {
        self.indexes.push(index);
        self
    }

    pub(crate) fn with_document(mut self, document: Document) -> Self {
        self.documents.push(document);
        self
    }

    /// A view of a collection.
    pub(crate) fn view(name: &str, source: &str, pipeline: Vec<Document>) -> Self {
        let options = bson::doc! { "viewOn": source, "pipeline": pipeline };
        Self {
            name: name.to_owned(),
            options,
            ..Self::default()
        }
    }

    fn kind(&self) -> NamespaceKind {
        if self.options.contains_key("viewOn") {
            NamespaceKind::View
        } else {
            NamespaceKind::Collection
        }
    }

    fn declared(&self, database: &str) -> PreludeNamespace {
        let id = bson::doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" };
        let has_id = self.kind() == NamespaceKind::Collection
            && !self.options.contains_key("clusteredIndex");
        let indexes = has_id
            .then_some(id)
            .into_iter()
            .chain(self.indexes.clone())
            .collect();
        let metadata = Metadata {
            options: self.options.clone(),
            indexes,
            uuid: None,
            collection_name: self.name.clone(),
            kind: self.kind(),
        };
        PreludeNamespace::new(database, &metadata)
    }
}

/// The archive of a database `archived`.
pub(crate) fn archive_of(namespaces: &[Namespace]) -> Vec<u8> {
    let prelude = Prelude {
        concurrent_collections: 4,
        server_version: "8.2.0".to_owned(),
        tool_version: "test".to_owned(),
        namespaces: namespaces
            .iter()
            .map(|namespace| namespace.declared("archived"))
            .collect(),
    };
    let mut writer = BlockWriter::new(prelude).expect("a prelude");
    let mut archive = Vec::new();
    writer.begin(&mut archive).expect("a beginning");
    for (number, namespace) in namespaces.iter().enumerate() {
        for documents in namespace.documents.chunks(100) {
            let bytes: Vec<u8> = documents
                .iter()
                .flat_map(|document| document.to_vec().expect("BSON"))
                .collect();
            writer
                .documents(&mut archive, number, &bytes)
                .expect("a block");
        }
        writer.close(&mut archive, number).expect("an end");
    }
    writer.finish().expect("a whole archive");
    archive
}
