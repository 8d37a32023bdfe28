//! The differences between the archive's documents and those passed to the target, and the order of
//! the latter. A comparison of the target with the archive needs both.

use bson::{RawDocument, oid::ObjectId};
use sha2::{Digest as _, Sha256};

use crate::CollectionContent;

/// The passed documents of one namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct SentDocuments {
    /// The documents without `_id`, unchanged from the archive.
    pub(super) without_id: CollectionContent,
    /// The same documents with their generated `_id`.
    pub(super) with_id: CollectionContent,
    /// For a capped collection.
    pub(super) order: Order,
}

impl SentDocuments {
    pub(super) fn note_generated_id(&mut self, document: &[u8], completed: &[u8]) {
        self.without_id.add_document(document);
        self.with_id.add_document(completed);
    }
}

/// A hash of documents in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Order(Sha256);

impl Order {
    /// The length at the start of each document keeps the sequence unambiguous.
    pub(super) fn add_document(&mut self, document: &[u8]) {
        self.0.update(document);
    }

    pub(super) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The document with a generated `_id` in front, if it has no `_id`. The server's own `_id` would
/// be unknown here.
pub(super) fn with_id(document: &[u8]) -> Option<Vec<u8>> {
    const OBJECT_ID: u8 = 0x07;
    const NAME: &[u8] = b"_id\0";
    let has_id_in_front = document.get(5..9) == Some(NAME);
    if has_id_in_front
        || RawDocument::from_bytes(document)
            .ok()?
            .get("_id")
            .ok()?
            .is_some()
    {
        return None;
    }
    let length = document.len() + 1 + NAME.len() + 12;
    let mut completed = Vec::with_capacity(length);
    completed.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    completed.push(OBJECT_ID);
    completed.extend_from_slice(NAME);
    completed.extend_from_slice(&ObjectId::new().bytes());
    completed.extend_from_slice(&document[4..]);
    Some(completed)
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    #[test]
    fn only_a_document_without_id_is_given_one() {
        let completed = with_id(&doc! { "a": 1, "b": { "_id": 2 } }.to_vec().unwrap()).unwrap();
        let mut document = Document::from_reader(&completed[..]).unwrap();
        assert_eq!(document.keys().next().unwrap(), "_id");
        assert!(document.remove("_id").unwrap().as_object_id().is_some());
        assert_eq!(document, doc! { "a": 1, "b": { "_id": 2 } });
        for complete in [doc! { "_id": 1, "a": 1 }, doc! { "a": 1, "_id": null }] {
            assert_eq!(with_id(&complete.to_vec().unwrap()), None);
        }
        assert!(with_id(&doc! {}.to_vec().unwrap()).is_some());
    }

    #[test]
    fn the_hash_of_an_order_depends_on_the_order() {
        let digest = |documents: &[&[u8]]| {
            let mut order = Order::default();
            for document in documents {
                order.add_document(document);
            }
            order.digest()
        };
        assert_eq!(digest(&[b"a", b"b"]), digest(&[b"a", b"b"]));
        assert_ne!(digest(&[b"a", b"b"]), digest(&[b"b", b"a"]));
    }
}
