//! The prelude: the part before the blocks. It names every namespace with its metadata.

use std::{borrow::Cow, fmt, io};

use serde::{Deserialize, Serialize};

use crate::{
    JsonVersion, MAGIC, Metadata, MetadataError, TERMINATOR,
    flat::{self, Builder, Value},
};

/// The only version of the format.
const FORMAT_VERSION: &str = "0.1";

/// Prefix of the collection with a time series' buckets.
const BUCKETS_PREFIX: &str = "system.buckets.";

/// First server version with a time series' buckets under its own name.
const FIRST_WITHOUT_BUCKETS_COLLECTION: (u32, u32) = (8, 3);

/// The archive's description before its documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prelude {
    /// Number of collections dumped at a time.
    pub concurrent_collections: i32,
    /// Version of the dumped server.
    pub server_version: String,
    /// Version of the tool that wrote the archive.
    pub tool_version: String,
    /// Every collection, view and time series, in the order of the archive.
    pub namespaces: Vec<PreludeNamespace>,
}

/// One declared collection, view or time series of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreludeNamespace {
    /// The database. Empty for the oplog.
    pub db: String,
    /// The collection. For a time series its own name, not the name of its buckets.
    pub collection: String,
    /// Options, indexes, UUID and type as extended JSON. Empty for the oplog, users and roles. See
    /// [`Metadata`]. A walk translates version 1 of old tools to version 2.
    pub metadata: String,
    /// Always 0 from mongodump.
    pub size: i32,
    /// Kind of the namespace.
    pub kind: NamespaceKind,
}

/// Kind of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Documents and indexes.
    #[default]
    Collection,
    /// A definition. Its block has no documents.
    View,
    /// Its documents are its buckets, as the server stores them.
    Timeseries,
    /// The oplog entries of a dump with `--oplog`: the namespace `oplog` of no database.
    Oplog,
    /// An unknown type.
    Other,
}

impl NamespaceKind {
    /// `collection`, `view`, `timeseries`, `oplog` or `other`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::View => "view",
            Self::Timeseries => "timeseries",
            Self::Oplog => "oplog",
            Self::Other => "other",
        }
    }

    /// The kind with this name in an archive or a metadata text. The oplog has no name there.
    pub(crate) fn from_archive(text: &str) -> Self {
        let known = [Self::Collection, Self::View, Self::Timeseries];
        known
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .unwrap_or(Self::Other)
    }

    /// The kind's name in an archive or a metadata text.
    pub(crate) const fn in_archive(self) -> &'static str {
        match self {
            Self::Oplog => "",
            kind => kind.as_str(),
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Prelude {
    /// Writes the magic number, the header, the namespaces and the terminator.
    ///
    /// # Errors
    /// Those of the writer. [`io::ErrorKind::InvalidInput`] for a namespace too large for one
    /// document.
    pub fn write_to(&self, mut out: impl io::Write) -> io::Result<()> {
        out.write_all(&MAGIC)?;
        out.write_all(&self.header_bytes())?;
        for namespace in &self.namespaces {
            let document = namespace.to_bytes();
            if document.len() > crate::MAX_DOCUMENT_BYTES {
                let reason = format!("the metadata of {namespace} is too long for an archive");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
            out.write_all(&document)?;
        }
        out.write_all(&TERMINATOR)
    }

    /// Begins the prelude with this header document. Its namespaces follow.
    pub(crate) fn parse_header(document: &[u8]) -> Result<Self, String> {
        let (mut concurrent, mut version, mut server, mut tool) = (None, None, None, None);
        for (name, value) in flat::fields(document)? {
            match (name, value) {
                ("concurrent_collections", Value::Int32(number)) if concurrent.is_none() => {
                    concurrent = Some(number);
                }
                ("version", Value::Text(text)) if version.is_none() => version = Some(text),
                ("server_version", Value::Text(text)) if server.is_none() => server = Some(text),
                ("tool_version", Value::Text(text)) if tool.is_none() => tool = Some(text),
                _ => {
                    return Err(format!(
                        "its field `{name}` is unknown, repeated, or of the wrong type"
                    ));
                }
            }
        }
        match version.ok_or("it has no version")? {
            FORMAT_VERSION => {}
            other => {
                return Err(format!(
                    "its format version is `{other}`: expected `{FORMAT_VERSION}`"
                ));
            }
        }
        Ok(Self {
            concurrent_collections: concurrent.ok_or("it has no concurrent_collections")?,
            server_version: server.ok_or("it has no server_version")?.to_owned(),
            tool_version: tool.ok_or("it has no tool_version")?.to_owned(),
            namespaces: Vec::new(),
        })
    }

    /// Version of the extended JSON of its metadata. Tools up to 4.0 wrote version 1. Their
    /// versions equal the server's.
    pub(crate) fn json_version(&self) -> JsonVersion {
        let mut numbers = self
            .tool_version
            .trim_start_matches(['r', 'v'])
            .split('.')
            .map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (4, 2) => JsonVersion::V1,
            _ => JsonVersion::V2,
        }
    }

    fn header_bytes(&self) -> Vec<u8> {
        Builder::new()
            .field(
                "concurrent_collections",
                Value::Int32(self.concurrent_collections),
            )
            .field("version", Value::Text(FORMAT_VERSION))
            .field("server_version", Value::Text(&self.server_version))
            .field("tool_version", Value::Text(&self.tool_version))
            .finish()
    }
}

impl PreludeNamespace {
    /// The namespace of a database with this metadata.
    #[must_use]
    pub fn new(db: impl Into<String>, metadata: &Metadata) -> Self {
        Self {
            db: db.into(),
            collection: metadata.collection_name.clone(),
            metadata: metadata.render(),
            size: 0,
            kind: metadata.kind,
        }
    }

    /// The collection name in the blocks of a dump of this server version. For a time series it is
    /// `system.buckets.<name>`, and from server 8.3 its own name.
    #[must_use]
    pub fn data_collection(&self, server_version: &str) -> Cow<'_, str> {
        if self.kind == NamespaceKind::Timeseries && has_buckets_collections(server_version) {
            Cow::Owned(self.buckets_collection())
        } else {
            Cow::Borrowed(&self.collection)
        }
    }

    pub(crate) fn buckets_collection(&self) -> String {
        format!("{BUCKETS_PREFIX}{}", self.collection)
    }

    /// The typed view of [`metadata`](Self::metadata). Without a text, as for the oplog, it has
    /// only the name and the kind.
    ///
    /// # Errors
    /// A text in another form than mongodump's.
    pub fn parsed_metadata(&self) -> Result<Metadata, MetadataError> {
        if self.metadata.is_empty() {
            return Ok(Metadata {
                collection_name: self.collection.clone(),
                kind: self.kind,
                ..Metadata::default()
            });
        }
        Metadata::parse(&self.metadata)
    }

    /// Whether these are the oplog entries of a dump with `--oplog`.
    #[must_use]
    pub fn is_oplog(&self) -> bool {
        self.kind == NamespaceKind::Oplog
    }

    /// Reads the prelude's document of a namespace. A fault in its metadata concerns this namespace
    /// alone, so only its restore reports it.
    pub(crate) fn parse(document: &[u8], version: JsonVersion) -> Result<Self, String> {
        let (mut db, mut collection, mut metadata, mut size, mut kind) =
            (None, None, None, None, None);
        for (name, value) in flat::fields(document)? {
            match (name, value) {
                ("db", Value::Text(text)) if db.is_none() => db = Some(text),
                ("collection", Value::Text(text)) if collection.is_none() => {
                    collection = Some(text);
                }
                ("metadata", Value::Text(text)) if metadata.is_none() => metadata = Some(text),
                ("size", Value::Int32(number)) if size.is_none() => size = Some(number),
                ("type", Value::Text(text)) if kind.is_none() => kind = Some(text),
                _ => {
                    return Err(format!(
                        "its field `{name}` is unknown, repeated, or of the wrong type"
                    ));
                }
            }
        }
        let mut namespace = Self {
            db: db.ok_or("it has no db")?.to_owned(),
            collection: collection.ok_or("it has no collection")?.to_owned(),
            metadata: metadata.ok_or("it has no metadata")?.to_owned(),
            size: size.ok_or("it has no size")?,
            kind: NamespaceKind::Collection,
        };
        if version == JsonVersion::V1
            && let Ok(metadata) = Metadata::parse_version(&namespace.metadata, version)
        {
            namespace.metadata = metadata.render();
        }
        namespace.kind = namespace.kind_named(kind.unwrap_or_default());
        Ok(namespace)
    }

    /// The oplog's type is empty. Tools before 100.4 wrote no type, so the options decide.
    fn kind_named(&self, text: &str) -> NamespaceKind {
        if !text.is_empty() {
            return NamespaceKind::from_archive(text);
        }
        if self.db.is_empty() && self.collection == "oplog" {
            return NamespaceKind::Oplog;
        }
        self.parsed_metadata()
            .map_or(NamespaceKind::Collection, |metadata| metadata.kind)
    }

    fn to_bytes(&self) -> Vec<u8> {
        Builder::new()
            .field("db", Value::Text(&self.db))
            .field("collection", Value::Text(&self.collection))
            .field("metadata", Value::Text(&self.metadata))
            .field("size", Value::Int32(self.size))
            .field("type", Value::Text(self.kind.in_archive()))
            .finish()
    }
}

impl fmt::Display for PreludeNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_name(&self.db, &self.collection))
    }
}

/// A namespace's name in messages. The oplog has no database.
pub(crate) fn display_name(db: &str, collection: &str) -> String {
    if db.is_empty() {
        collection.to_owned()
    } else {
        format!("{db}.{collection}")
    }
}

fn has_buckets_collections(server_version: &str) -> bool {
    let mut numbers = server_version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < FIRST_WITHOUT_BUCKETS_COLLECTION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(db: &str, collection: &str, metadata: &str) -> PreludeNamespace {
        PreludeNamespace {
            db: db.to_owned(),
            collection: collection.to_owned(),
            metadata: metadata.to_owned(),
            size: 0,
            kind: NamespaceKind::Collection,
        }
    }

    #[test]
    fn buckets_have_their_own_collection_before_server_8_3() {
        let mut series = namespace("shop", "m", "");
        series.kind = NamespaceKind::Timeseries;
        assert_eq!(series.data_collection("8.2.11"), "system.buckets.m");
        assert_eq!(series.data_collection("5.0.0-rc1"), "system.buckets.m");
        assert_eq!(series.data_collection("8.3.0"), "m");
        assert_eq!(series.data_collection("10.0"), "m");
        assert_eq!(namespace("shop", "m", "").data_collection("8.2.11"), "m");
    }

    fn parsed(document: &bson::Document, version: JsonVersion) -> Result<PreludeNamespace, String> {
        PreludeNamespace::parse(&document.to_vec().unwrap(), version)
    }

    #[test]
    fn an_old_tools_namespace_without_a_type_is_known_by_its_options() {
        for (metadata, kind) in [
            (
                r#"{"options":{"viewOn":"a","pipeline":[]},"indexes":[]}"#,
                NamespaceKind::View,
            ),
            (
                r#"{"options":{"timeseries":{"timeField":"at"}},"indexes":[]}"#,
                NamespaceKind::Timeseries,
            ),
            (r#"{"options":{},"indexes":[]}"#, NamespaceKind::Collection),
            // Users and roles have no metadata.
            ("", NamespaceKind::Collection),
            ("not JSON", NamespaceKind::Collection),
        ] {
            let document =
                bson::doc! { "db": "d", "collection": "c", "metadata": metadata, "size": 0 };
            assert_eq!(
                parsed(&document, JsonVersion::V2).unwrap().kind,
                kind,
                "{metadata}"
            );
        }
    }

    #[test]
    fn a_namespace_with_an_unknown_field_is_refused_and_one_of_an_unknown_type_is_not() {
        let known = bson::doc! { "db": "d", "collection": "c", "metadata": "", "size": 0, "type": "collection" };
        assert_eq!(
            parsed(&known, JsonVersion::V2).unwrap().kind,
            NamespaceKind::Collection
        );
        let mut more = known.clone();
        more.insert("more", "x");
        assert!(parsed(&more, JsonVersion::V2).is_err());
        let mut other = known;
        other.insert("type", "stream");
        assert_eq!(
            parsed(&other, JsonVersion::V2).unwrap().kind,
            NamespaceKind::Other
        );
    }

    #[test]
    fn the_tools_version_decides_how_its_metadata_are_read() {
        for (tool, version) in [
            ("r3.6.5", JsonVersion::V1),
            ("3.2.22-2-g1a", JsonVersion::V1),
            ("r4.0.28", JsonVersion::V1),
            ("r4.2.0", JsonVersion::V2),
            ("100.18.0", JsonVersion::V2),
            ("holdfast 0.1.0", JsonVersion::V2),
            ("", JsonVersion::V2),
        ] {
            let prelude = Prelude {
                tool_version: tool.to_owned(),
                ..Prelude::default()
            };
            assert_eq!(prelude.json_version(), version, "{tool}");
        }
        let metadata = r#"{"options":{"viewOn":"a","pipeline":[{"$match":{"n":{"$in":[{"$regex":"^a","$options":""}]}}}]},"indexes":[]}"#;
        let document = bson::doc! { "db": "d", "collection": "c", "metadata": metadata, "size": 0 };
        let of = |version| parsed(&document, version).unwrap().metadata;
        assert_eq!(of(JsonVersion::V2), metadata);
        assert!(
            of(JsonVersion::V1).contains(r#"{"$regularExpression":{"pattern":"^a","options":""}}"#)
        );
    }
}
