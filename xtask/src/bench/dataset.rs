//! Databases of a given size: text of random words, about as compressible as the platform's.

use anyhow::Result;
use mongodb::{
    Database,
    bson::{Document, doc},
};

/// Kind of the documents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// About 400 bytes each.
    Small,
    /// Small ones, and a tenth of the bytes in documents of 1 MB.
    Mixed,
    /// Just under 16 MiB each.
    Largest,
}

const MEGABYTE: usize = 1_000_000;
const COLLECTIONS: [&str; 4] = ["contents", "purchases", "users", "subscriptions"];
const WORDS: [&str; 16] = [
    "artist",
    "ledger",
    "token",
    "gallery",
    "royalty",
    "wallet",
    "chain",
    "minted",
    "creator",
    "license",
    "edition",
    "gateway",
    "storage",
    "archive",
    "moderated",
    "purchase",
];

/// Drops the old documents and inserts new ones. Returns their number.
pub(super) async fn refill(database: &Database, kind: Kind, megabytes: u32) -> Result<u64> {
    for name in database.list_collection_names().await? {
        database.collection::<Document>(&name).drop().await?;
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut documents = 0;
    for megabyte in 0..megabytes as usize {
        if kind == Kind::Largest && megabyte % 16 != 0 {
            continue;
        }
        let batch = batch(kind, megabyte, &mut random);
        documents += batch.len() as u64;
        let collection = COLLECTIONS[megabyte % COLLECTIONS.len()];
        database
            .collection::<Document>(collection)
            .insert_many(batch)
            .await?;
    }
    Ok(documents)
}

/// About a megabyte of documents.
fn batch(kind: Kind, megabyte: usize, random: &mut Random) -> Vec<Document> {
    match kind {
        Kind::Largest => vec![doc! { "text": random.text(16 * 1024 * 1024 - 1000) }],
        Kind::Mixed if megabyte % 10 == 9 => vec![doc! { "text": random.text(MEGABYTE) }],
        Kind::Small | Kind::Mixed => (0..MEGABYTE / 400).map(|_| small(random)).collect(),
    }
}

fn small(random: &mut Random) -> Document {
    doc! {
        "title": random.text(40),
        "owner": format!("0x{:016x}{:016x}", random.next(), random.next()),
        "price": i64::try_from(random.next() % 100_000).unwrap_or_default(),
        "at": mongodb::bson::DateTime::from_millis(1_700_000_000_000 + i64::try_from(random.next() % 100_000_000).unwrap_or_default()),
        "description": random.text(230),
    }
}

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn text(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            let number = self.next();
            text.push_str(WORDS[usize::try_from(number % 16).unwrap_or_default()]);
            // Text that no dictionary predicts.
            for digit in [8, 12, 16] {
                text.push(
                    char::from_digit(
                        u32::try_from((number >> digit) % 16).unwrap_or_default(),
                        16,
                    )
                    .unwrap_or('0'),
                );
            }
            text.push(' ');
        }
        text.truncate(length);
        text
    }
}
