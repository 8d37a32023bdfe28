//! Documents of the platform's shape: its nine collections, the same at every run, with valid
//! references. A buyer is a user, a flag refers to a content, and each remaining content has its
//! file.

use anyhow::{Context as _, Result};
use mongodb::{
    bson::{Bson, DateTime, Decimal128, Document, doc, oid::ObjectId},
    options::{Collation, CreateCollectionOptions, ValidationAction},
};
use sha2::{Digest as _, Sha256};

use super::{
    content::Published,
    dataset::{Dataset, index, partial, sparse, unique},
    random::Random,
};

const USERS: i32 = 500;
/// Contents with the file of another content.
const SHOWN_TWICE: usize = 4;
/// Removed contents, without files.
const REMOVED: usize = 6;
const TITLES: [&str; 8] = [
    "Dawn", "Signal", "Harbour", "Meridian", "Lichen", "Aperture", "Monsoon", "Undertow",
];
const KINDS: [&str; 5] = [
    "a film",
    "an essay",
    "a field recording",
    "a photograph series",
    "a short story",
];
const TAGS: [&str; 6] = ["art", "music", "essay", "nature", "city", "archive"];
const REASONS: [&str; 4] = ["spam", "copyright", "violence", "misleading"];

/// The generator of the documents.
pub(crate) struct Platform<'a> {
    random: Random,
    files: &'a [Published],
    contents: i32,
}

impl<'a> Platform<'a> {
    /// A platform with contents for these files.
    pub(crate) fn new(seed: u64, files: &'a [Published]) -> Result<Self> {
        let contents =
            i32::try_from(files.len() + SHOWN_TWICE + REMOVED).context("too many files")?;
        Ok(Self {
            random: Random::new(seed),
            files,
            contents,
        })
    }

    /// The nine collections.
    pub(crate) fn datasets(&mut self) -> Result<Vec<Dataset>> {
        Ok(vec![
            self.users(),
            self.contents()?,
            self.purchases()?,
            self.subscriptions()?,
            self.refunds()?,
            self.royalty_distributions()?,
            self.moderation_queues(),
            self.moderation_flags(),
            self.moderation_audit_logs(),
        ])
    }

    fn users(&mut self) -> Dataset {
        let documents = (0..USERS).map(|number| self.user(number)).collect();
        let mut users = Dataset::new(
            "users",
            documents,
            vec![
                unique(doc! { "address": 1 }),
                sparse(doc! { "email": 1 }),
                index(doc! { "joinedAt": -1 }),
            ],
        );
        let collation = Collation::builder()
            .locale("en")
            .strength(mongodb::options::CollationStrength::Secondary);
        users.options = CreateCollectionOptions::builder()
            .collation(collation.build())
            .build();
        users
    }

    fn user(&mut self, number: i32) -> Document {
        let mut user = doc! {
            "_id": self.object_id(),
            "address": address(number),
            "displayName": format!("{} {number}", self.random.pick(&TITLES)),
            "role": if number == 0 { "admin" } else { self.random.pick(&["reader", "reader", "creator"]) },
            "followers": self.random.below(20_000),
            "preferences": { "language": self.random.pick(&["en", "de", "fr"]), "newsletter": self.random.percent(40) },
            "joinedAt": self.date(),
        };
        if self.random.percent(70) {
            user.insert("email", format!("reader{number}@example.org"));
        }
        user
    }

    fn contents(&mut self) -> Result<Dataset> {
        let files = self.files;
        let shown = files.iter().chain(files.iter().take(SHOWN_TWICE)).map(Some);
        let contents = (1..).zip(shown.chain(std::iter::repeat_n(None, REMOVED)));
        let documents = contents
            .map(|(number, file)| self.content(number, file))
            .collect::<Result<_>>()?;
        let listed = partial(
            doc! { "creator": 1, "createdAt": -1 },
            doc! { "isRemoved": false },
        );
        Ok(Dataset::new(
            "contents",
            documents,
            vec![
                unique(doc! { "contentId": 1 }),
                listed,
                index(doc! { "tags": 1 }),
            ],
        ))
    }

    fn content(&mut self, number: i32, file: Option<&Published>) -> Result<Document> {
        let creator = address(self.random.below(USERS));
        let gone = format!("ipfs://{}", cid(&self.random.bytes::<32>()));
        let (storage, url) = file.map_or(("ipfs", &gone), |file| (file.storage_type, &file.url));
        Ok(doc! {
            "_id": self.object_id(),
            "contentId": number,
            "title": format!("{} №{number}", self.random.pick(&TITLES)),
            "description": format!("{}, {} minutes long.", self.random.pick(&KINDS), 1 + self.random.below(90)),
            "url": url,
            "storageType": storage,
            "creator": creator,
            "price": self.price(5_000)?,
            "tags": [self.random.pick(&TAGS), self.random.pick(&TAGS)],
            "views": i64::from(self.random.below(2_000_000)) * 4_000,
            "isRemoved": file.is_none(),
            "createdAt": self.date(),
        })
    }

    fn purchases(&mut self) -> Result<Dataset> {
        let documents = (0..1_500).map(|_| self.purchase()).collect::<Result<_>>()?;
        let indexes = vec![
            index(doc! { "buyer": 1, "purchasedAt": -1 }),
            unique(doc! { "txId": 1 }),
        ];
        let mut purchases = Dataset::new("purchases", documents, indexes);
        let schema = doc! { "$jsonSchema": { "required": ["contentId", "buyer", "amount"] } };
        let options = CreateCollectionOptions::builder()
            .validator(schema)
            .validation_action(ValidationAction::Error);
        purchases.options = options.build();
        Ok(purchases)
    }

    fn purchase(&mut self) -> Result<Document> {
        Ok(doc! {
            "_id": self.object_id(),
            "contentId": self.content_id(),
            "buyer": address(self.random.below(USERS)),
            "amount": self.price(5_000)?,
            "feePercent": 2.5,
            "txId": self.transaction(),
            "confirmations": self.random.below(400),
            "purchasedAt": self.date(),
        })
    }

    fn subscriptions(&mut self) -> Result<Dataset> {
        let documents = (0..400)
            .map(|_| self.subscription())
            .collect::<Result<_>>()?;
        let indexes = vec![
            index(doc! { "subscriber": 1, "creator": 1 }),
            index(doc! { "renewsAt": 1 }),
        ];
        Ok(Dataset::new("subscriptions", documents, indexes))
    }

    fn subscription(&mut self) -> Result<Document> {
        let ended = self.random.percent(25);
        Ok(doc! {
            "_id": self.object_id(),
            "subscriber": address(self.random.below(USERS)),
            "creator": address(self.random.below(USERS)),
            "tier": self.random.pick(&["basic", "patron", "studio"]),
            "monthly": self.price(900)?,
            "startedAt": self.date(),
            "renewsAt": if ended { Bson::Null } else { self.date().into() },
        })
    }

    fn refunds(&mut self) -> Result<Dataset> {
        let documents = (0..120).map(|_| self.refund()).collect::<Result<_>>()?;
        Ok(Dataset::new(
            "refunds",
            documents,
            vec![index(doc! { "purchaseTx": 1 })],
        ))
    }

    fn refund(&mut self) -> Result<Document> {
        Ok(doc! {
            "_id": self.object_id(),
            "purchaseTx": self.transaction(),
            "amount": self.price(5_000)?,
            "reason": self.random.pick(&["not as described", "bought twice", "does not open"]),
            "status": self.random.pick(&["requested", "granted", "denied"]),
            "history": [{ "status": "requested", "at": self.date() }, { "status": "settled", "at": self.date() }],
        })
    }

    fn royalty_distributions(&mut self) -> Result<Dataset> {
        let documents = (0..600)
            .map(|number| self.royalty_distribution(number))
            .collect::<Result<_>>()?;
        Ok(Dataset::new(
            "royaltydistributions",
            documents,
            vec![index(doc! { "contentId": 1, "period": -1 })],
        ))
    }

    fn royalty_distribution(&mut self, number: i32) -> Result<Document> {
        let first = 10 + self.random.below(80);
        Ok(doc! {
            "_id": { "contentId": self.content_id(), "run": number },
            "contentId": self.content_id(),
            "period": format!("20{:02}-{:02}", 23 + self.random.below(3), 1 + self.random.below(12)),
            "total": self.price(90_000)?,
            "shares": [
                { "to": address(self.random.below(USERS)), "percent": first },
                { "to": address(self.random.below(USERS)), "percent": 100 - first },
            ],
            "distributedAt": self.date(),
        })
    }

    fn moderation_queues(&mut self) -> Dataset {
        let documents = (0..90).map(|_| self.queue_entry()).collect();
        Dataset::new(
            "moderationqueues",
            documents,
            vec![index(doc! { "status": 1, "priority": -1 })],
        )
    }

    fn queue_entry(&mut self) -> Document {
        doc! {
            "_id": self.object_id(),
            "contentId": self.content_id(),
            "status": self.random.pick(&["open", "in review", "settled"]),
            "priority": self.random.below(10),
            "assignee": if self.random.percent(50) { Bson::from(address(0)) } else { Bson::Null },
            "queuedAt": self.date(),
        }
    }

    fn moderation_flags(&mut self) -> Dataset {
        let documents = (0..240).map(|_| self.flag()).collect();
        Dataset::new(
            "moderationflags",
            documents,
            vec![index(doc! { "contentId": 1 })],
        )
    }

    fn flag(&mut self) -> Document {
        doc! {
            "_id": self.object_id(),
            "contentId": self.content_id(),
            "reason": self.random.pick(&REASONS),
            "by": address(self.random.below(USERS)),
            "score": f64::from(self.random.below(1_000)) / 1_000.0,
            "flaggedAt": self.date(),
        }
    }

    /// Capped: the oldest entries make room for new ones.
    fn moderation_audit_logs(&mut self) -> Dataset {
        let documents = (0..300).map(|number| self.audit_entry(number)).collect();
        let mut logs = Dataset::new(
            "moderationauditlogs",
            documents,
            vec![index(doc! { "at": -1 })],
        );
        logs.options = CreateCollectionOptions::builder()
            .capped(true)
            .size(4 * 1024 * 1024)
            .build();
        logs
    }

    fn audit_entry(&mut self, number: i32) -> Document {
        doc! {
            "_id": i64::from(number),
            "contentId": self.content_id(),
            "action": self.random.pick(&["flagged", "reviewed", "removed", "restored"]),
            "by": address(self.random.below(USERS)),
            "before": { "isRemoved": false },
            "after": { "isRemoved": self.random.percent(30) },
            "at": self.date(),
        }
    }

    fn content_id(&mut self) -> i32 {
        1 + self.random.below(self.contents)
    }

    fn object_id(&mut self) -> ObjectId {
        ObjectId::from_bytes(self.random.bytes())
    }

    /// A moment of the years 2023 to 2025.
    fn date(&mut self) -> DateTime {
        let seconds = 1_672_531_200 + i64::from(self.random.below(3 * 365 * 86_400));
        DateTime::from_millis(seconds * 1_000 + i64::from(self.random.below(1_000)))
    }

    fn price(&mut self, below_cents: i32) -> Result<Decimal128> {
        let cents = self.random.below(below_cents);
        format!("{}.{:02}", cents / 100, cents % 100)
            .parse()
            .context("invalid decimal number")
    }

    fn transaction(&mut self) -> String {
        format!("0x{}", hex::encode(self.random.bytes::<32>()))
    }
}

/// The address of a user: made from the number, as a wallet makes it from a key.
fn address(user: i32) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let hash = Sha256::digest(user.to_le_bytes());
    let digits = hash
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    format!("SP{}", digits.chain(['0'; 7]).collect::<String>())
}

/// The CID, version 1, of a raw block with this content: multibase base32, codec 0x55, multihash
/// SHA-256.
fn cid(content: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bytes = [&[0x01, 0x55, 0x12, 0x20][..], &Sha256::digest(content)].concat();
    let mut text = String::from("b");
    for chunk in bytes.chunks(5) {
        let bits = chunk.iter().enumerate().fold(0_u64, |bits, (at, byte)| {
            bits | u64::from(*byte) << (32 - 8 * at)
        });
        let digits = (chunk.len() * 8).div_ceil(5);
        text.extend(
            (0..digits).map(|at| char::from(ALPHABET[(bits >> (35 - 5 * at) & 31) as usize])),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_makes_the_same_documents() {
        let documents = |seed| {
            Platform::new(seed, &[])
                .unwrap()
                .datasets()
                .unwrap()
                .into_iter()
                .map(|set| set.documents)
        };
        assert!(documents(1).eq(documents(1)));
        assert!(!documents(1).eq(documents(2)));
    }

    #[test]
    fn a_cid_is_that_of_its_content() {
        assert_eq!(
            cid(b"hello world"),
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
        );
    }
}
