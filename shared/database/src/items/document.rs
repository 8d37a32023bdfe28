//! Reads a document of the platform as a content item. Users, scripts and earlier versions have
//! written it: a field may be missing, of any type, or of any length.

use std::collections::BTreeMap;

use bson::{Bson, RawBsonRef, RawDocument, doc, spec::BinarySubtype};
use holdfast_domain::{ContentItem, StorageType};
use sha2::{Digest as _, Sha256};

use super::ListedItem;

/// A longer title is cut: it names a file, and is shown in lists.
const MAX_TITLE_CHARACTERS: usize = 4096;

/// A longer URL is not fetched. It is the longest URL accepted by servers.
const MAX_URL_BYTES: usize = 8192;

/// Characters shown of a URL above the limit.
const SHOWN_URL_CHARACTERS: usize = 200;

/// A creator is a name or an id.
const MAX_CREATOR_CHARACTERS: usize = 256;

/// A longer id of a document is replaced by its digest.
const MAX_ID_BYTES: usize = 100;

/// A longer content id is cut, and its digest keeps it unique. The catalogue bounds the name of a
/// row further.
const MAX_CONTENT_ID_BYTES: usize = 1024;

/// Readable characters kept of a content id above the limit.
const SHOWN_ID_CHARACTERS: usize = 100;

/// Requested fields of each document, in addition to `_id`.
pub(super) const FIELDS: [&str; 5] = ["contentId", "title", "url", "storageType", "creator"];

/// The item of a document. `None` for a storage type outside the backup.
pub(super) fn read(document: &[u8], id: &Bson) -> Option<ListedItem> {
    let document = RawDocument::from_bytes(document).ok()?;
    let storage_type: StorageType = text(field(document, "storageType"))?.parse().ok()?;
    let doc_id = doc_id(id);
    let (url, problem) = url(field(document, "url"));
    let item = ContentItem {
        content_id: content_id(field(document, "contentId")).unwrap_or_else(|| doc_id.clone()),
        title: first_characters(
            text(field(document, "title")).unwrap_or_default(),
            MAX_TITLE_CHARACTERS,
        ),
        url,
        storage_type,
        creator: creator(field(document, "creator")),
        cut: cut(document),
    };
    Some(ListedItem {
        item,
        doc_id,
        problem,
    })
}

/// The cut texts of the item, with their original lengths in bytes.
fn cut(document: &RawDocument) -> BTreeMap<String, u64> {
    let is_cut = |name: &str, text: &str| match name {
        "contentId" => text.len() > MAX_CONTENT_ID_BYTES,
        "title" => text.chars().nth(MAX_TITLE_CHARACTERS).is_some(),
        "url" => text.len() > MAX_URL_BYTES,
        "creator" => text.chars().nth(MAX_CREATOR_CHARACTERS).is_some(),
        _ => false,
    };
    let texts = FIELDS
        .into_iter()
        .filter_map(|name| Some((name, text(field(document, name))?)));
    texts
        .filter(|(name, text)| is_cut(name, text))
        .map(|(name, text)| (name.to_owned(), text.len() as u64))
        .collect()
}

/// An unreadable field counts as missing.
fn field<'a>(document: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    document.get(name).ok().flatten()
}

fn text(value: Option<RawBsonRef<'_>>) -> Option<&str> {
    value.and_then(RawBsonRef::as_str)
}

fn first_characters(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

fn url(value: Option<RawBsonRef<'_>>) -> (String, Option<String>) {
    match (text(value), value) {
        (Some(url), _) if url.len() > MAX_URL_BYTES => {
            let problem = format!(
                "its url has {} bytes: the limit is {MAX_URL_BYTES}",
                url.len()
            );
            (first_characters(url, SHOWN_URL_CHARACTERS), Some(problem))
        }
        (Some(url), _) => (url.to_owned(), None),
        (None, None | Some(RawBsonRef::Null)) => (String::new(), Some("it has no url".to_owned())),
        (None, Some(_)) => (String::new(), Some("its url is not text".to_owned())),
    }
}

/// A content id in the form of the platform's own URLs: a number, or another migrated type.
fn content_id(value: Option<RawBsonRef<'_>>) -> Option<String> {
    match value? {
        RawBsonRef::String("") => None,
        RawBsonRef::String(text) => Some(bounded_content_id(text)),
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        // A shell writes whole numbers as doubles. Rust formats them without a fraction.
        RawBsonRef::Double(number) if number.is_finite() => Some(bounded(number.to_string())),
        RawBsonRef::Decimal128(number) => Some(number.to_string()),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => uuid(binary.bytes),
        _ => None,
    }
}

/// An id above the limit becomes its beginning and its digest. It is the same on every run, and
/// different for every other id.
fn bounded_content_id(text: &str) -> String {
    if text.len() <= MAX_CONTENT_ID_BYTES {
        return text.to_owned();
    }
    format!(
        "{}~{}",
        first_characters(text, SHOWN_ID_CHARACTERS),
        hex::encode(Sha256::digest(text))
    )
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let digits = hex::encode(<[u8; 16]>::try_from(bytes).ok()?);
    Some(
        [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ]
        .join("-"),
    )
}

fn creator(value: Option<RawBsonRef<'_>>) -> Option<String> {
    match value? {
        RawBsonRef::String(name) => Some(first_characters(name, MAX_CREATOR_CHARACTERS)),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The id of a document as text, unique per document. Equal numbers are one `_id` for all number
/// types. Text has quotes. Other types become the digest of their BSON, because their texts may be
/// equal.
fn doc_id(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::String(_) | Bson::Boolean(_) => {
            bounded(id.to_string())
        }
        other => hex::encode(Sha256::digest(
            doc! { "": other.clone() }.to_vec().unwrap_or_default(),
        )),
    }
}

fn bounded(text: String) -> String {
    if text.len() <= MAX_ID_BYTES {
        text
    } else {
        hex::encode(Sha256::digest(&text))
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc, oid::ObjectId};

    use super::*;

    fn listed(mut document: Document) -> ListedItem {
        document.insert("storageType", "ipfs");
        let id = document.get("_id").cloned().unwrap_or(Bson::Int32(9));
        read(&document.to_vec().unwrap(), &id).unwrap()
    }

    #[test]
    fn a_content_id_is_text_whatever_number_it_was() {
        let of = |id: Bson| listed(doc! { "contentId": id }).item.content_id;
        assert_eq!(of(7_i32.into()), "7");
        assert_eq!(of(7_i64.into()), "7");
        assert_eq!(of(7.0.into()), "7");
        assert_eq!(of("seven".into()), "seven");
        assert_eq!(of(Bson::Double(f64::MAX)).len(), 64);
        assert_eq!(of(Bson::Decimal128("7.50".parse().unwrap())), "7.50");
        assert_eq!(of(Bson::Double(-0.0)), "-0");
        let bytes = (0..16).collect();
        let uuid = Bson::Binary(bson::Binary {
            subtype: BinarySubtype::Uuid,
            bytes,
        });
        assert_eq!(of(uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn a_long_content_id_is_cut_the_same_way_each_time_and_stays_its_own() {
        let of = |id: String| listed(doc! { "contentId": id }).item;
        let (long, longer) = (of("ü".repeat(50_000)), of("ü".repeat(50_001)));
        assert!(
            long.content_id
                .starts_with(&"ü".repeat(SHOWN_ID_CHARACTERS))
                && long.content_id.len() < 300
        );
        assert_ne!(long.content_id, longer.content_id);
        assert_eq!(long, of("ü".repeat(50_000)));
        assert_eq!(long.cut["contentId"], 100_000);
        assert_eq!(
            of("x".repeat(MAX_CONTENT_ID_BYTES)).content_id.len(),
            MAX_CONTENT_ID_BYTES
        );
    }

    #[test]
    fn what_is_cut_is_recorded_and_what_is_whole_is_not() {
        let whole = listed(
            doc! { "contentId": "1", "title": "x".repeat(4096), "url": "u", "creator": "ü".repeat(256) },
        );
        assert!(whole.item.cut.is_empty(), "{:?}", whole.item.cut);
        let url = "x".repeat(MAX_URL_BYTES + 1);
        let cut =
            listed(doc! { "title": "ü".repeat(4097), "url": url, "creator": "y".repeat(257) })
                .item
                .cut;
        let expected = [("title", 8194), ("url", 8193), ("creator", 257)];
        assert_eq!(
            cut,
            expected
                .map(|(name, bytes)| (name.to_owned(), bytes))
                .into()
        );
    }

    #[test]
    fn an_item_without_a_usable_content_id_goes_by_its_documents() {
        let id = ObjectId::new();
        for odd in [
            Bson::Null,
            "".into(),
            Bson::Boolean(true),
            doc! { "a": 1 }.into(),
            Bson::Double(f64::NAN),
        ] {
            let item = listed(doc! { "_id": id, "contentId": odd });
            assert_eq!(
                (item.item.content_id, item.doc_id),
                (id.to_hex(), id.to_hex())
            );
        }
        assert_eq!(listed(doc! { "_id": id }).item.content_id, id.to_hex());
    }

    #[test]
    fn ids_of_documents_differ_and_stay_short() {
        let doc_id = |id: Bson| listed(doc! { "_id": id }).doc_id;
        let ids = [
            Bson::Int32(1),
            Bson::Double(1.5),
            "1".into(),
            Bson::Boolean(true),
            doc! { "a": "x", "b": "y" }.into(),
            // The same text as the one before.
            doc! { "a": "x\", \"b\": \"y" }.into(),
            Bson::Binary(bson::Binary {
                subtype: BinarySubtype::Generic,
                bytes: vec![0xff, 0xfe],
            }),
            Bson::DateTime(bson::DateTime::from_millis(1)),
            Bson::Timestamp(bson::Timestamp {
                time: 0,
                increment: 1,
            }),
            Bson::MinKey,
            Bson::Null,
        ];
        let count = ids.len();
        let mut texts: Vec<_> = ids.into_iter().map(doc_id).collect();
        texts.push(doc_id("x".repeat(1_000_000).into()));
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count + 1);
        assert!(texts.iter().all(|text| text.len() <= MAX_ID_BYTES));
    }

    #[test]
    fn what_is_too_long_is_cut_and_a_long_url_is_a_problem() {
        let title = listed(doc! { "title": "ü".repeat(10_000), "url": "ipfs://x" })
            .item
            .title;
        assert_eq!(title, "ü".repeat(MAX_TITLE_CHARACTERS));
        let long = listed(doc! { "url": format!("https://h/{}", "ü".repeat(10_000)) });
        assert!(long.problem.unwrap().contains("20010 bytes") && long.item.url.len() < 400);
        assert_eq!(
            listed(doc! { "url": "x".repeat(MAX_URL_BYTES) }).problem,
            None
        );
    }

    #[test]
    fn an_item_without_a_url_is_listed_with_its_problem() {
        assert_eq!(listed(doc! {}).problem.unwrap(), "it has no url");
        assert_eq!(
            listed(doc! { "url": null }).problem.unwrap(),
            "it has no url"
        );
        assert_eq!(
            listed(doc! { "url": ["https://h"] }).problem.unwrap(),
            "its url is not text"
        );
    }

    #[test]
    fn a_creator_is_a_name_or_an_id() {
        let id = ObjectId::new();
        let creator = |value: Bson| listed(doc! { "creator": value }).item.creator;
        assert_eq!(creator("ada".into()).as_deref(), Some("ada"));
        assert_eq!(creator(id.into()), Some(id.to_hex()));
        assert_eq!(creator(doc! { "name": "ada" }.into()), None);
    }

    #[test]
    fn text_that_is_not_unicode_counts_as_missing() {
        let mut bytes = doc! { "_id": 1, "storageType": "gaia", "title": "xx", "url": "yy" }
            .to_vec()
            .unwrap();
        for place in 0..bytes.len() - 1 {
            if matches!(&bytes[place..place + 2], b"xx" | b"yy") {
                bytes[place] = 0xff;
            }
        }
        let item = read(&bytes, &Bson::Int32(1)).unwrap();
        assert_eq!(
            (item.item.title.as_str(), item.problem.as_deref()),
            ("", Some("it has no url"))
        );
    }

    #[test]
    fn what_is_stored_elsewhere_is_no_item() {
        let document = doc! { "_id": 1, "storageType": "arweave", "url": "x" };
        assert_eq!(read(&document.to_vec().unwrap(), &Bson::Int32(1)), None);
    }
}
