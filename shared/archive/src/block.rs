//! The header of a block. It names the namespace of the next documents, or ends a namespace with
//! its CRC.

use crate::flat::{self, Builder, Value};

/// `{db, collection, EOF, CRC}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockHeader<'a> {
    pub(crate) db: &'a str,
    pub(crate) collection: &'a str,
    /// The CRC, if the block ends its namespace.
    pub(crate) end: Option<u64>,
}

impl<'a> BlockHeader<'a> {
    pub(crate) fn parse(document: &'a [u8]) -> Result<Self, String> {
        let (mut db, mut collection, mut eof, mut crc) = (None, None, None, None);
        for (name, value) in flat::fields(document)? {
            match (name, value) {
                ("db", Value::Text(text)) if db.is_none() => db = Some(text),
                ("collection", Value::Text(text)) if collection.is_none() => {
                    collection = Some(text);
                }
                ("EOF", Value::Boolean(boolean)) if eof.is_none() => eof = Some(boolean),
                ("CRC", Value::Int64(number)) if crc.is_none() => {
                    crc = Some(number.cast_unsigned());
                }
                _ => {
                    return Err(format!(
                        "its field `{name}` is unknown, repeated, or of the wrong type"
                    ));
                }
            }
        }
        let end = match (eof.ok_or("it has no EOF")?, crc.ok_or("it has no CRC")?) {
            (true, crc) => Some(crc),
            (false, 0) => None,
            (false, _) => return Err("it has a CRC but does not end its namespace".to_owned()),
        };
        Ok(Self {
            db: db.ok_or("it has no db")?,
            collection: collection.ok_or("it has no collection")?,
            end,
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        Builder::new()
            .field("db", Value::Text(self.db))
            .field("collection", Value::Text(self.collection))
            .field("EOF", Value::Boolean(self.end.is_some()))
            .field("CRC", Value::Int64(self.end.unwrap_or(0).cast_signed()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_is_written() {
        for end in [None, Some(0), Some(u64::MAX)] {
            let header = BlockHeader {
                db: "shop",
                collection: "system.buckets.m",
                end,
            };
            assert_eq!(BlockHeader::parse(&header.to_bytes()), Ok(header));
        }
    }

    #[test]
    fn a_header_with_a_field_missing_unknown_twice_or_of_another_type_is_refused() {
        let whole = bson::doc! { "db": "a", "collection": "b", "EOF": false, "CRC": 0_i64 };
        for name in ["db", "collection", "EOF", "CRC"] {
            let mut missing = whole.clone();
            missing.remove(name);
            assert!(
                BlockHeader::parse(&missing.to_vec().unwrap()).is_err(),
                "without {name}"
            );
            let mut other = whole.clone();
            other.insert(name, 7_i32);
            assert!(
                BlockHeader::parse(&other.to_vec().unwrap()).is_err(),
                "{name} a number"
            );
        }
        let mut unknown = whole.clone();
        unknown.insert("more", 7_i32);
        assert!(BlockHeader::parse(&unknown.to_vec().unwrap()).is_err());
        let mut with_crc = whole;
        with_crc.insert("CRC", 7_i64);
        assert!(BlockHeader::parse(&with_crc.to_vec().unwrap()).is_err());
    }
}
