//! The content of a database from the server's lists: collections with their options, indexes,
//! sizes. Options and indexes are kept as the server's own documents, with unknown fields. They are
//! read as raw BSON: the driver's deserializer would read `{"$oid": …}` in a view's pipeline as an
//! object id, or fail.

use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc, spec::BinarySubtype};
use futures_util::TryStreamExt;
use holdfast_archive::NamespaceKind;
use mongodb::{Database, options::SelectionCriteria};

use crate::{DatabaseError, classify};

/// Prefix of the collection with a time series' buckets.
pub(crate) const BUCKETS_PREFIX: &str = "system.buckets.";

/// One entry of `listCollections`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) kind: NamespaceKind,
    pub(crate) options: Document,
    /// 32 hex digits. Views have no UUID.
    pub(crate) uuid: Option<String>,
    /// Reason why it cannot be dumped. The others can.
    pub(crate) fault: Option<String>,
}

/// Prefix of the collections filled by `$out`, before they replace its target.
const OUT_PREFIX: &str = "tmp.agg_out.";

impl Listed {
    /// Whether the server deletes the collection itself: after an aggregation with output to it, or
    /// at its start.
    pub(crate) fn is_temporary(&self) -> bool {
        self.name.starts_with(OUT_PREFIX) || self.options.get_bool("temp").unwrap_or(false)
    }
}

/// The server's values of a collection's size. Missing values are zero.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
}

impl Size {
    pub(crate) fn average_bytes(self) -> Option<u64> {
        self.bytes
            .checked_div(self.documents)
            .filter(|average| *average > 0)
    }
}

/// A database, and the selection of members for requests about it.
#[derive(Debug, Clone)]
pub(crate) struct Lister {
    pub(crate) database: Database,
    pub(crate) selection: SelectionCriteria,
}

impl Lister {
    /// Everything in it, with the server's own collections.
    pub(crate) async fn collections(&self) -> Result<Vec<Listed>, DatabaseError> {
        self.listed(doc! { "listCollections": 1, "cursor": {} })
            .await
    }

    /// The names of everything in it.
    pub(crate) async fn names(&self) -> Result<Vec<String>, DatabaseError> {
        let listed = self
            .cursor(doc! { "listCollections": 1, "nameOnly": true, "cursor": {} })
            .await;
        let listed = listed.map_err(|error| {
            classify(&error).during(format!(
                "listing the collections of {}",
                self.database.name()
            ))
        })?;
        Ok(listed
            .iter()
            .filter_map(|entry| entry.get_str("name").ok().map(str::to_owned))
            .collect())
    }

    /// The collection of this name.
    pub(crate) async fn collection(&self, name: &str) -> Result<Option<Listed>, DatabaseError> {
        let command = doc! { "listCollections": 1, "filter": { "name": name }, "cursor": {} };
        Ok(self
            .listed(command)
            .await?
            .into_iter()
            .find(|listed| listed.name == name))
    }

    /// The indexes of a collection or time series. `None` if it does not exist.
    pub(crate) async fn indexes(
        &self,
        collection: &str,
    ) -> Result<Option<Vec<Document>>, DatabaseError> {
        const NAMESPACE_NOT_FOUND: i32 = 26;
        let failed = |error: DatabaseError| {
            error.during(format!(
                "listing the indexes of {}.{collection}",
                self.database.name()
            ))
        };
        match self
            .cursor(doc! { "listIndexes": collection, "cursor": {} })
            .await
        {
            Ok(indexes) => {
                let indexes: Result<_, _> = indexes
                    .iter()
                    .map(|index| Document::try_from(&**index))
                    .collect();
                let invalid = |error| {
                    failed(DatabaseError::Refused(format!(
                        "an index is not valid BSON: {error}"
                    )))
                };
                indexes.map(Some).map_err(invalid)
            }
            Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Ok(None),
            Err(error) => Err(failed(classify(&error))),
        }
    }

    /// Size of a collection or time series. For a time series, of its buckets.
    pub(crate) async fn size(&self, collection: &str) -> Result<Size, DatabaseError> {
        let asked = self.command(doc! { "collStats": collection }).await;
        let stats = asked.map_err(|error| {
            classify(&error).during(format!(
                "reading the size of {}.{collection}",
                self.database.name()
            ))
        })?;
        let buckets = stats.get_document("timeseries").ok();
        let documents = buckets.map_or_else(
            || number(&stats, "count"),
            |buckets| number(buckets, "bucketCount"),
        );
        Ok(Size {
            documents,
            bytes: number(&stats, "size"),
        })
    }

    /// Bytes of all documents of the database.
    pub(crate) async fn data_size(&self) -> Result<u64, DatabaseError> {
        let asked = self.command(doc! { "dbStats": 1 }).await;
        let stats = asked.map_err(|error| {
            classify(&error).during(format!("reading the size of {}", self.database.name()))
        })?;
        Ok(number(&stats, "dataSize"))
    }

    async fn listed(&self, command: Document) -> Result<Vec<Listed>, DatabaseError> {
        let entries = self.cursor(command).await.map_err(|error| {
            classify(&error).during(format!(
                "listing the collections of {}",
                self.database.name()
            ))
        })?;
        entries.iter().map(|entry| self.entry(entry)).collect()
    }

    fn entry(&self, entry: &RawDocument) -> Result<Listed, DatabaseError> {
        let Some(name) = entry.get_str("name").ok() else {
            return Err(DatabaseError::Refused(format!(
                "{}: a collection has no name",
                self.database.name()
            )));
        };
        let mut listed = Listed {
            name: name.to_owned(),
            kind: NamespaceKind::Collection,
            options: Document::new(),
            uuid: entry
                .get_document("info")
                .ok()
                .and_then(|info| uuid_digits(info.get("uuid").ok()??)),
            fault: None,
        };
        match entry.get_str("type") {
            Ok("view") => listed.kind = NamespaceKind::View,
            Ok("timeseries") => listed.kind = NamespaceKind::Timeseries,
            Ok("collection") | Err(_) => {}
            Ok(other) => {
                listed.kind = NamespaceKind::Other;
                listed.fault = Some(format!("it is a {other}: this kind cannot be dumped"));
            }
        }
        match entry.get_document("options").map(Document::try_from) {
            Ok(Ok(options)) => listed.options = options,
            Ok(Err(error)) => {
                listed.fault = Some(format!("its options are not valid BSON: {error}"));
            }
            Err(_) => {}
        }
        Ok(listed)
    }

    async fn cursor(&self, command: Document) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
        let cursor = self
            .database
            .run_cursor_command(command)
            .selection_criteria(self.selection.clone())
            .await?;
        cursor.with_type().try_collect().await
    }

    async fn command(&self, command: Document) -> mongodb::error::Result<Document> {
        self.database
            .run_command(command)
            .selection_criteria(self.selection.clone())
            .await
    }
}

fn uuid_digits(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            Some(hex::encode(binary.bytes))
        }
        _ => None,
    }
}

/// The code of a refused command.
pub(crate) fn code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// A size has the number type that fits it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is never negative"
)]
fn number(document: &Document, name: &str) -> u64 {
    match document.get(name) {
        Some(Bson::Int32(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Int64(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Double(number)) => *number as u64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_from_any_type_of_number() {
        let stats = doc! { "a": 7_i32, "b": 8_i64, "c": 9.0, "d": -1, "e": "x" };
        let sizes = ["a", "b", "c", "d", "e", "f"].map(|name| number(&stats, name));
        assert_eq!(sizes, [7, 8, 9, 0, 0, 0]);
    }
}
