//! A namespace's metadata: options, indexes and UUID, as extended JSON in the prelude.

use bson::{Bson, Document};

use crate::{
    JsonError, JsonVersion, NamespaceKind,
    extended_json::{self, from_extended_json},
};

/// The definition of a collection, view or time series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// The options of `create`, in the server's order.
    pub options: Document,
    /// The indexes as `listIndexes` answers them.
    pub indexes: Vec<Document>,
    /// 32 hex digits. Views have no UUID.
    pub uuid: Option<String>,
    /// The collection, without its database.
    pub collection_name: String,
    /// Kind of the namespace.
    pub kind: NamespaceKind,
}

/// A metadata text in another form than mongodump's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(#[from] JsonError),
    /// It is JSON, but not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A field has the wrong type.
    #[error("its `{field}` is not {expected}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// The expected type.
        expected: &'static str,
    },
}

impl Metadata {
    /// Reads the text of a prelude, canonical or relaxed extended JSON. Unknown fields are ignored.
    /// Old tools write no type: the options then determine it.
    ///
    /// # Errors
    /// [`MetadataError`] with the fault of the text.
    pub fn parse(text: &str) -> Result<Self, MetadataError> {
        Self::parse_version(text, JsonVersion::V2)
    }

    /// Like [`parse`](Self::parse), for a text in this version of extended JSON.
    ///
    /// # Errors
    /// [`MetadataError`] with the fault of the text.
    pub fn parse_version(text: &str, version: JsonVersion) -> Result<Self, MetadataError> {
        let Bson::Document(mut fields) = from_extended_json(text, version)? else {
            return Err(MetadataError::NotAnObject);
        };
        let options = match fields.remove("options") {
            None | Some(Bson::Null) => Document::new(),
            Some(Bson::Document(options)) => options,
            Some(_) => {
                return Err(MetadataError::WrongType {
                    field: "options",
                    expected: "an object",
                });
            }
        };
        let kind = match text_field(&mut fields, "type")? {
            Some(name) if !name.is_empty() => NamespaceKind::from_archive(&name),
            _ => kind_by_options(&options),
        };
        Ok(Self {
            indexes: indexes(fields.remove("indexes"))?,
            uuid: text_field(&mut fields, "uuid")?.filter(|uuid| !uuid.is_empty()),
            collection_name: text_field(&mut fields, "collectionName")?.unwrap_or_default(),
            options,
            kind,
        })
    }

    /// The text in mongodump's form: canonical extended JSON in its order of keys, without spaces.
    /// Missing options and a missing UUID are left out.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from("{");
        if !self.options.is_empty() {
            text.push_str("\"options\":");
            extended_json::push_document(&mut text, &self.options);
            text.push(',');
        }
        text.push_str("\"indexes\":[");
        for (number, index) in self.indexes.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            extended_json::push_document(&mut text, index);
        }
        text.push(']');
        let named = [
            ("uuid", self.uuid.as_deref()),
            ("collectionName", Some(self.collection_name.as_str())),
            ("type", Some(self.kind.in_archive())),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                text.push(',');
                extended_json::push_text(&mut text, name);
                text.push(':');
                extended_json::push_text(&mut text, value);
            }
        }
        text.push('}');
        text
    }

    /// The indexes' names, in their order.
    #[must_use]
    pub fn index_names(&self) -> Vec<String> {
        self.indexes
            .iter()
            .filter_map(|index| index.get_str("name").ok().map(str::to_owned))
            .collect()
    }
}

fn text_field(fields: &mut Document, field: &'static str) -> Result<Option<String>, MetadataError> {
    match fields.remove(field) {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::String(text)) => Ok(Some(text)),
        Some(_) => Err(MetadataError::WrongType {
            field,
            expected: "text",
        }),
    }
}

fn indexes(value: Option<Bson>) -> Result<Vec<Document>, MetadataError> {
    let wrong = || MetadataError::WrongType {
        field: "indexes",
        expected: "an array of objects",
    };
    match value {
        None | Some(Bson::Null) => Ok(Vec::new()),
        Some(Bson::Array(values)) => values
            .into_iter()
            .map(|value| match value {
                Bson::Document(index) => Ok(index),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn kind_by_options(options: &Document) -> NamespaceKind {
    if options.contains_key("viewOn") {
        NamespaceKind::View
    } else if options.contains_key("timeseries") {
        NamespaceKind::Timeseries
    } else {
        NamespaceKind::Collection
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn the_text_has_mongodumps_order_and_leaves_out_what_is_not_there() {
        let mut metadata = Metadata {
            options: doc! { "capped": true, "size": 1_048_576_i32 },
            indexes: vec![doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" }],
            uuid: Some("6b03d5e481c24b58917d4b286b03d5e4".to_owned()),
            collection_name: "semi;colon&amp".to_owned(),
            kind: NamespaceKind::Collection,
        };
        assert_eq!(
            metadata.render(),
            r#"{"options":{"capped":true,"size":{"$numberInt":"1048576"}},"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],"uuid":"6b03d5e481c24b58917d4b286b03d5e4","collectionName":"semi;colon&amp","type":"collection"}"#
        );
        assert_eq!(Metadata::parse(&metadata.render()).unwrap(), metadata);
        assert_eq!(metadata.index_names(), ["_id_"]);

        metadata.options.clear();
        metadata.indexes.clear();
        metadata.uuid = None;
        assert_eq!(
            metadata.render(),
            r#"{"indexes":[],"collectionName":"semi;colon&amp","type":"collection"}"#
        );
        assert_eq!(Metadata::parse(&metadata.render()).unwrap(), metadata);
    }

    #[test]
    fn what_old_tools_wrote_is_read() {
        let metadata = Metadata::parse(
            r#"{"options":{"viewOn":"a","pipeline":[]},"indexes":null,"uuid":"","later":1}"#,
        )
        .unwrap();
        assert_eq!(
            (metadata.kind, metadata.uuid, metadata.indexes.len()),
            (NamespaceKind::View, None, 0)
        );
        let unknown = Metadata::parse(r#"{"options":{},"type":"stream"}"#).unwrap();
        assert_eq!(unknown.kind, NamespaceKind::Other);
    }

    #[test]
    fn a_pipeline_that_contains_wrappers_as_data_comes_back() {
        let metadata = Metadata {
            options: doc! { "viewOn": "a", "pipeline": [{ "$set": { "owner": { "$oid": "$owner" }, "at": { "$date": 5 } } }] },
            kind: NamespaceKind::View,
            ..Metadata::default()
        };
        assert_eq!(Metadata::parse(&metadata.render()).unwrap(), metadata);
    }

    #[test]
    fn texts_of_another_form_are_refused_by_field() {
        for (text, reason) in [
            ("", "it is not JSON"),
            ("[]", "it is not a JSON object"),
            (r#"{"options":[]}"#, "its `options` is not an object"),
            (
                r#"{"indexes":{}}"#,
                "its `indexes` is not an array of objects",
            ),
            (
                r#"{"indexes":[1]}"#,
                "its `indexes` is not an array of objects",
            ),
            (r#"{"uuid":1}"#, "its `uuid` is not text"),
            (
                r#"{"collectionName":1}"#,
                "its `collectionName` is not text",
            ),
        ] {
            let error = Metadata::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
