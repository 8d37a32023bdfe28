//! One document of the platform's as a content item. Users, scripts and years have written to it: a field may be missing,
//! of any type, or of any length.

use bson::{Bson, RawBsonRef, RawDocument};
use holdfast_domain::{ContentItem, StorageType};
use sha2::{Digest as _, Sha256};

use super::ListedItem;

/// A longer title is cut: it names a file, and stands in a list.
pub const MAX_TITLE_CHARACTERS: usize = 4096;

/// A longer URL is not fetched. (The longest that servers take.)
pub const MAX_URL_BYTES: usize = 8192;

/// What is kept of a URL that is too long, to be shown.
const SHOWN_URL_CHARACTERS: usize = 200;

/// A creator is a name or an id.
const MAX_CREATOR_CHARACTERS: usize = 256;

/// An id as text that is longer is told by its digest.
const MAX_ID_BYTES: usize = 100;

/// What is asked of each document, beside `_id`.
pub(super) const FIELDS: [&str; 5] = ["contentId", "title", "url", "storageType", "creator"];

/// The item of a document; `None` where it is not, or no longer, of a storage type that is backed up.
pub(super) fn read(document: &[u8], id: &Bson) -> Option<ListedItem> {
    let document = RawDocument::from_bytes(document).ok()?;
    let storage_type: StorageType = text(field(document, "storageType"))?.parse().ok()?;
    let doc_id = bounded(id_text(id));
    let (url, problem) = url(field(document, "url"));
    let item = ContentItem {
        content_id: content_id(field(document, "contentId")).unwrap_or_else(|| doc_id.clone()),
        title: first_characters(text(field(document, "title")).unwrap_or_default(), MAX_TITLE_CHARACTERS),
        url,
        storage_type,
        creator: creator(field(document, "creator")),
    };
    Some(ListedItem { item, doc_id, problem })
}

/// A field that cannot be read counts as missing.
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
            let problem = format!("its url has {} bytes; at most {MAX_URL_BYTES} are taken", url.len());
            (first_characters(url, SHOWN_URL_CHARACTERS), Some(problem))
        }
        (Some(url), _) => (url.to_owned(), None),
        (None, None | Some(RawBsonRef::Null)) => (String::new(), Some("it has no url".to_owned())),
        (None, Some(_)) => (String::new(), Some("its url is not text".to_owned())),
    }
}

/// A content id as the platform writes it in its own URLs: a number, or whatever was migrated from elsewhere.
fn content_id(value: Option<RawBsonRef<'_>>) -> Option<String> {
    match value? {
        RawBsonRef::String("") | RawBsonRef::Null | RawBsonRef::Undefined => None,
        RawBsonRef::String(text) => Some(text.to_owned()),
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        // A shell writes whole numbers as doubles; Rust writes those without a fraction.
        RawBsonRef::Double(number) if number.is_finite() => Some(bounded(number.to_string())),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        _ => None,
    }
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

/// Numbers that are equal are one `_id`, whatever their types; text stands in quotes.
fn id_text(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        other => other.to_string(),
    }
}

fn bounded(text: String) -> String {
    if text.len() <= MAX_ID_BYTES { text } else { hex::encode(Sha256::digest(&text)) }
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
    }

    #[test]
    fn an_item_without_a_usable_content_id_goes_by_its_documents() {
        let id = ObjectId::new();
        for odd in [Bson::Null, "".into(), Bson::Boolean(true), doc! { "a": 1 }.into(), Bson::Double(f64::NAN)] {
            let item = listed(doc! { "_id": id, "contentId": odd });
            assert_eq!((item.item.content_id, item.doc_id), (id.to_hex(), id.to_hex()));
        }
        assert_eq!(listed(doc! { "_id": id }).item.content_id, id.to_hex());
    }

    #[test]
    fn ids_of_documents_differ_and_stay_short() {
        let doc_id = |id: Bson| listed(doc! { "_id": id }).doc_id;
        let ids = [Bson::Int32(1), Bson::Double(1.5), "1".into(), Bson::Boolean(true), doc! { "a": 1 }.into()];
        let mut texts: Vec<_> = ids.into_iter().map(doc_id).collect();
        texts.push(doc_id("x".repeat(1_000_000).into()));
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 6);
        assert!(texts.iter().all(|text| text.len() <= MAX_ID_BYTES));
    }

    #[test]
    fn what_is_too_long_is_cut_and_a_long_url_is_a_problem() {
        let title = listed(doc! { "title": "ü".repeat(10_000), "url": "ipfs://x" }).item.title;
        assert_eq!(title, "ü".repeat(MAX_TITLE_CHARACTERS));
        let long = listed(doc! { "url": format!("https://h/{}", "ü".repeat(10_000)) });
        assert!(long.problem.unwrap().contains("20010 bytes") && long.item.url.len() < 400);
        assert_eq!(listed(doc! { "url": "x".repeat(MAX_URL_BYTES) }).problem, None);
    }

    #[test]
    fn an_item_without_a_url_is_listed_with_its_problem() {
        assert_eq!(listed(doc! {}).problem.unwrap(), "it has no url");
        assert_eq!(listed(doc! { "url": null }).problem.unwrap(), "it has no url");
        assert_eq!(listed(doc! { "url": ["https://h"] }).problem.unwrap(), "its url is not text");
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
        let mut bytes = doc! { "_id": 1, "storageType": "gaia", "title": "xx", "url": "yy" }.to_vec().unwrap();
        for place in 0..bytes.len() - 1 {
            if matches!(&bytes[place..place + 2], b"xx" | b"yy") {
                bytes[place] = 0xff;
            }
        }
        let item = read(&bytes, &Bson::Int32(1)).unwrap();
        assert_eq!((item.item.title.as_str(), item.problem.as_deref()), ("", Some("it has no url")));
    }

    #[test]
    fn what_is_stored_elsewhere_is_no_item() {
        let document = doc! { "_id": 1, "storageType": "arweave", "url": "x" };
        assert_eq!(read(&document.to_vec().unwrap(), &Bson::Int32(1)), None);
    }
}
