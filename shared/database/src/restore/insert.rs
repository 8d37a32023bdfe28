//! Inserts documents into collections, in bulk and undecoded.

use bson::{Bson, Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc, raw::cstr, rawdoc};
use mongodb::error::ErrorKind;

use super::{
    TargetState,
    feed::Batch,
    measurements::{in_name_order, unpack},
    target::Target,
};
use crate::{
    CollectionContent, DatabaseError, classify,
    error::{has_no_room, no_room, shortened},
};

/// Number of described refusals in a batch. The others are counted.
const MAX_FAILURES_LISTED: usize = 5;

/// Handling of a `Timestamp(0, 0)` at a document's top level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ZeroTimestamps {
    Keep,
    /// The server replaces it with its own time.
    Replace,
}

/// Handling of a document whose `_id` exists in the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExistingId {
    Skip,
    Refuse,
}

/// Result of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) inserted: u64,
    /// Documents with an existing `_id`.
    pub(super) skipped: u64,
    pub(super) failures: Vec<String>,
    /// For a time series on a server without bucket inserts: the extracted measurements.
    pub(super) measurements: CollectionContent,
}

/// Inserts a batch into a collection of the target's kind: its scratch collection, or the target
/// itself. Refused documents are part of the outcome, not an error.
pub(super) async fn insert(
    target: &Target,
    collection: &str,
    batch: &Batch,
) -> Result<Outcome, DatabaseError> {
    if target.is_series() && target.takes_measurements() {
        return insert_measurements(target, collection, batch).await;
    }
    let data = target.data_collection(collection);
    let zeros = if batch.has_zero_timestamp {
        ZeroTimestamps::Keep
    } else {
        ZeroTimestamps::Replace
    };
    let answer = command(target, &data, &batch.documents, zeros).await?;
    if target.is_series() && refuses_buckets(&answer) {
        target.set_takes_measurements();
        return insert_measurements(target, collection, batch).await;
    }
    expect_room(&answer).map_err(|error| error.during(format!("writing to {}", target.name())))?;
    let existing_id = if target.is_merged() {
        ExistingId::Skip
    } else {
        ExistingId::Refuse
    };
    Ok(outcome(&answer, existing_id))
}

/// A full server's refusal is an error, not a refused document.
fn expect_room(answer: &Document) -> Result<(), DatabaseError> {
    let errors = answer
        .get_array("writeErrors")
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document);
    for error in errors.chain(answer.get_document("writeConcernError").ok()) {
        let message = error.get_str("errmsg").unwrap_or_default();
        if has_no_room(error.get_i32("code").unwrap_or_default(), message) {
            return Err(no_room(message));
        }
    }
    Ok(())
}

/// Extracts the measurements from buckets refused by the server.
async fn insert_measurements(
    target: &Target,
    collection: &str,
    batch: &Batch,
) -> Result<Outcome, DatabaseError> {
    if matches!(target.state, TargetState::Merged(documents) if documents > 0) {
        let failure =
            "this server accepts only measurements, and its existing ones would be duplicated";
        return Ok(Outcome {
            failures: vec![failure.to_owned()],
            ..Outcome::default()
        });
    }
    let mut done = Outcome::default();
    for bucket in &batch.documents {
        let measurements = match unpack(bucket, target.meta_field()) {
            Ok(measurements) => measurements,
            Err(error) => {
                done.failures.push(error.to_string());
                continue;
            }
        };
        for measurement in &measurements {
            done.measurements.add_document(&in_name_order(measurement));
        }
        let answer = command(target, collection, &measurements, ZeroTimestamps::Replace).await?;
        expect_room(&answer)
            .map_err(|error| error.during(format!("writing to {}", target.name())))?;
        let inserted = outcome(&answer, ExistingId::Refuse);
        done.inserted += u64::from(inserted.failures.is_empty());
        done.failures.extend(inserted.failures);
    }
    Ok(done)
}

/// Whether each refusal has the code `CommandNotSupported`.
fn refuses_buckets(answer: &Document) -> bool {
    const NOT_SUPPORTED: i32 = 115;
    let errors = answer
        .get_array("writeErrors")
        .map(Vec::as_slice)
        .unwrap_or_default();
    !errors.is_empty()
        && errors.iter().all(|error| {
            error
                .as_document()
                .is_some_and(|error| error.get_i32("code").ok() == Some(NOT_SUPPORTED))
        })
}

async fn command(
    target: &Target,
    collection: &str,
    documents: &[Vec<u8>],
    zeros: ZeroTimestamps,
) -> Result<Document, DatabaseError> {
    let failed = |error: &mongodb::error::Error| {
        classify(error).during(format!("writing to {}", target.name()))
    };
    match run(target, collection, documents, zeros).await {
        // Without the option the document changes, and the comparison will report it.
        Err(error) if zeros == ZeroTimestamps::Keep && is_unknown_field(&error) => {
            run(target, collection, documents, ZeroTimestamps::Replace)
                .await
                .map_err(|error| failed(&error))
        }
        // The answer quotes values with possibly invalid UTF-8. That is a fault of this answer, not
        // of the connection.
        Err(error)
            if matches!(
                error.kind.as_ref(),
                ErrorKind::InvalidResponse { .. } | ErrorKind::Bson(_)
            ) =>
        {
            let what = format!(
                "writing to {}: the server's answer is unreadable",
                target.name()
            );
            Err(DatabaseError::Refused(what))
        }
        answer => answer.map_err(|error| failed(&error)),
    }
}

async fn run(
    target: &Target,
    collection: &str,
    documents: &[Vec<u8>],
    zeros: ZeroTimestamps,
) -> mongodb::error::Result<Document> {
    let mut array = RawArrayBuf::new();
    for document in documents {
        array.push(RawDocument::from_bytes(document)?);
    }
    let mut command: RawDocumentBuf = rawdoc! { "insert": collection, "ordered": false };
    if target.has_validator {
        command.append(cstr!("bypassDocumentValidation"), true);
    }
    if zeros == ZeroTimestamps::Keep {
        command.append(cstr!("bypassEmptyTsReplacement"), true);
    }
    command.append(cstr!("documents"), array);
    target.database.run_raw_command(command).await
}

fn is_unknown_field(error: &mongodb::error::Error) -> bool {
    const UNKNOWN_FIELD: i32 = 40415;
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == UNKNOWN_FIELD)
}

fn outcome(answer: &Document, existing_id: ExistingId) -> Outcome {
    let mut outcome = Outcome {
        inserted: count(answer.get("n")),
        ..Outcome::default()
    };
    let mut unlisted = 0;
    for error in answer
        .get_array("writeErrors")
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document)
    {
        if existing_id == ExistingId::Skip && is_same_id(error) {
            outcome.skipped += 1;
        } else if outcome.failures.len() < MAX_FAILURES_LISTED {
            outcome
                .failures
                .push(format!("a document was refused: {}", text_of(error)));
        } else {
            unlisted += 1;
        }
    }
    if unlisted > 0 {
        outcome
            .failures
            .push(format!("{unlisted} more documents were refused"));
    }
    if let Ok(error) = answer.get_document("writeConcernError") {
        outcome.failures.push(format!(
            "the replica set did not confirm a write: {}",
            text_of(error)
        ));
    }
    outcome
}

/// The `_id` exists, and no other unique index is violated.
fn is_same_id(error: &Document) -> bool {
    const DUPLICATE_KEY: i64 = 11000;
    let is_duplicate = error
        .get_i32("code")
        .map_or_else(|_| error.get_i64("code").unwrap_or(0), i64::from)
        == DUPLICATE_KEY;
    is_duplicate
        && match error.get_document("keyPattern") {
            Ok(pattern) => pattern == &doc! { "_id": 1 },
            Err(_) => error
                .get_str("errmsg")
                .is_ok_and(|message| message.contains("index: _id_ ")),
        }
}

fn text_of(error: &Document) -> String {
    shortened(
        error
            .get_str("errmsg")
            .unwrap_or("the server reports no reason"),
    )
}

fn count(value: Option<&Bson>) -> u64 {
    match value {
        Some(Bson::Int32(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Int64(number)) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_skips_what_is_there_by_its_id_alone() {
        let same_id = doc! { "code": 11000, "errmsg": "E11000", "keyPattern": { "_id": 1 } };
        let same_email =
            doc! { "code": 11000, "errmsg": "E11000 email", "keyPattern": { "email": 1 } };
        let answer = doc! { "n": 3, "writeErrors": [same_id, same_email] };
        let merged = outcome(&answer, ExistingId::Skip);
        assert_eq!(
            (merged.inserted, merged.skipped, merged.failures.len()),
            (3, 1, 1)
        );
        let fresh = outcome(&answer, ExistingId::Refuse);
        assert_eq!(
            (fresh.inserted, fresh.skipped, fresh.failures.len()),
            (3, 0, 2)
        );
    }

    #[test]
    fn a_full_server_is_no_refusal_of_the_document() {
        let full = doc! { "code": 14031, "errmsg": "available disk space of 1 bytes is less than required" };
        let refused = doc! { "code": 121, "errmsg": "no" };
        assert_eq!(
            expect_room(&doc! { "n": 0, "writeErrors": [refused.clone()] }),
            Ok(())
        );
        for answer in [
            doc! { "n": 0, "writeErrors": [refused, full.clone()] },
            doc! { "n": 1, "writeConcernError": full },
        ] {
            assert!(
                matches!(expect_room(&answer), Err(DatabaseError::NoRoom(_))),
                "{answer}"
            );
        }
    }

    #[test]
    fn many_refused_documents_are_counted_and_few_described() {
        let errors: Vec<Bson> = (0..9)
            .map(|_| doc! { "code": 121, "errmsg": "no" }.into())
            .collect();
        let outcome = outcome(&doc! { "n": 0, "writeErrors": errors }, ExistingId::Refuse);
        assert_eq!(outcome.failures.len(), MAX_FAILURES_LISTED + 1);
        assert!(outcome.failures[MAX_FAILURES_LISTED].starts_with("4 more"));
    }
}
