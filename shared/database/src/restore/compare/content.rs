//! Compares documents: their number, their content in any order, and for a capped collection their
//! order.

use std::sync::{Arc, Mutex, PoisonError};

use holdfast_archive::{NamespaceKind, NamespaceSummary};

use crate::restore::{
    Expected,
    measurements::{in_name_order, unpack},
    sent::{Order, SentDocuments},
    target::Target,
};
use crate::{
    CollectionContent, Connection, DatabaseError,
    content::{Accumulate, read_back},
};

/// The expected content of a target.
pub(in crate::restore) struct Wanted<'a> {
    pub(in crate::restore) content: CollectionContent,
    /// Differences because of a generated `_id`.
    pub(in crate::restore) sent: &'a SentDocuments,
    /// The rules already account for each generated `_id`.
    pub(in crate::restore) is_anonymized: bool,
}

/// The actual content of a target.
pub(in crate::restore) struct Found {
    pub(in crate::restore) content: CollectionContent,
    /// Of a capped collection.
    order: Option<[u8; 32]>,
}

/// Reads a collection back. If the server keeps measurements of a time series, they are extracted
/// from the returned buckets.
pub(in crate::restore) async fn found_in(
    connection: &Connection,
    target: &Target,
    collection: &str,
) -> Result<Found, DatabaseError> {
    let order = Arc::new(Mutex::new(Order::default()));
    let accumulate = if target.is_series() && target.takes_measurements() {
        measurements(target)
    } else if target.is_capped() {
        in_order(Arc::clone(&order))
    } else {
        whole()
    };
    let data = target.data_collection(collection);
    let content = read_back(connection, target.database.name(), &data, accumulate).await?;
    let order = order
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
        .digest();
    Ok(Found {
        content,
        order: target.is_capped().then_some(order),
    })
}

fn whole() -> Accumulate {
    Arc::new(|content, document| {
        content.add_document(document);
        Ok(())
    })
}

/// Batches are added one after another.
fn in_order(order: Arc<Mutex<Order>>) -> Accumulate {
    Arc::new(move |content, document| {
        content.add_document(document);
        order
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add_document(document);
        Ok(())
    })
}

fn measurements(target: &Target) -> Accumulate {
    let meta_field = target.meta_field().map(str::to_owned);
    Arc::new(move |content, bucket| {
        let unpacked = unpack(bucket, meta_field.as_deref());
        let measurements = unpacked.map_err(|error| DatabaseError::Refused(error.to_string()))?;
        for measurement in &measurements {
            content.add_document(&in_name_order(measurement));
        }
        Ok(())
    })
}

/// The difference between the documents of the target and the expected ones.
pub(in crate::restore) fn content_difference(
    target: &Target,
    wanted: &Wanted<'_>,
    found: &Found,
) -> Option<String> {
    let documents = if target.takes_measurements() {
        "measurements"
    } else {
        "documents"
    };
    if wanted.content.documents != found.content.documents {
        let (wanted, found) = (wanted.content.documents, found.content.documents);
        let reason = reason_of_count(target, wanted, found);
        return Some(format!(
            "the archive has {wanted} {documents}, the target {found} now{reason}"
        ));
    }
    let mut wanted_hash = wanted.content.content_hash;
    let mut found_hash = found.content.content_hash;
    if !wanted.is_anonymized {
        wanted_hash += wanted.sent.with_id.content_hash;
        found_hash += wanted.sent.without_id.content_hash;
    }
    if wanted_hash != found_hash {
        return Some(other_documents(documents, wanted, found));
    }
    order_difference(wanted.sent, found.order)
}

fn order_difference(wanted: &SentDocuments, found: Option<[u8; 32]>) -> Option<String> {
    let is_same = found.is_none_or(|order| order == wanted.order.clone().digest());
    (!is_same).then(|| "the target has the documents of the archive in another order".to_owned())
}

fn reason_of_count(target: &Target, wanted: u64, found: u64) -> &'static str {
    if found > wanted {
        ": something else writes to it"
    } else if target.is_capped() {
        ": a capped collection of this size or `max` does not keep them all, or documents were refused"
    } else {
        ": documents were refused, or something else deletes them"
    }
}

/// An equal number of documents, but other ones. Their bytes show whether values changed in length.
fn other_documents(documents: &str, wanted: &Wanted<'_>, found: &Found) -> String {
    let generated = &wanted.sent;
    let (mut wanted_bytes, found_bytes) = (wanted.content.bytes, found.content.bytes);
    if !wanted.is_anonymized {
        wanted_bytes =
            (wanted_bytes + generated.with_id.bytes).saturating_sub(generated.without_id.bytes);
    }
    let sizes = match wanted_bytes.cmp(&found_bytes) {
        std::cmp::Ordering::Equal => "of the same length in all".to_owned(),
        _ => format!("{wanted_bytes} bytes in the archive, {found_bytes} in the target"),
    };
    format!(
        "the target has as many {documents} as the archive, but others ({sizes}): the server stores a value in \
         another form, or something else writes to the target"
    )
}

/// The difference between the archive and its manifest.
pub(in crate::restore) fn manifest_difference(
    held: &NamespaceSummary,
    expected: &Expected<'_>,
) -> Option<String> {
    let mut namespaces = expected.namespaces.iter();
    let expected_of =
        namespaces.find(|wanted| wanted.db == held.db && wanted.collection == held.collection)?;
    if held.documents != expected_of.documents {
        let (held, wanted) = (held.documents, expected_of.documents);
        return Some(format!(
            "the archive has {held} documents, its manifest {wanted}"
        ));
    }
    let is_same = (expected.digest)(held.content_hash) == expected_of.content_hash;
    let has_documents = held.kind != NamespaceKind::View;
    (has_documents && !is_same)
        .then(|| "the archive has other documents than its manifest".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_order_of_a_capped_collection_is_a_difference() {
        let order = |documents: [&[u8]; 2]| {
            let mut order = Order::default();
            for document in documents {
                order.add_document(document);
            }
            order
        };
        let wanted = SentDocuments {
            order: order([b"first", b"second"]),
            ..SentDocuments::default()
        };
        assert_eq!(
            order_difference(&wanted, Some(order([b"first", b"second"]).digest())),
            None
        );
        let difference =
            order_difference(&wanted, Some(order([b"second", b"first"]).digest())).unwrap();
        assert!(difference.contains("another order"), "{difference}");
        assert_eq!(
            order_difference(&wanted, None),
            None,
            "the order of other collections does not count"
        );
    }
}
