//! Odd items, as written by users, scripts and old versions. Each of them is an item of its own,
//! and fails by itself only.

use std::collections::BTreeSet;

use async_trait::async_trait;
use holdfast_domain::{
    DownloadMessage, ItemFailureCode, ItemStatus, JobStatus, Timestamp, VerificationLevel,
    VerificationStatus,
};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, DownloadQueue, QueueError, RefusedMessage, RunLimits,
    discover_content, finalize_if_settled,
};
use holdfast_recovery::{content_items, verify};
use holdfast_testing::FileShape;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
    Timestamp as BsonTimestamp, doc, oid::ObjectId, spec::BinarySubtype,
};

use crate::support::content::{Fixture, file_of, item};

/// Long texts, and texts with characters refused by XML, terminals and file systems.
fn odd_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "x\u{fffe}",
        "x\u{ffff}",
        "\u{fdd0}",
        "\u{10ffff}",
        "\u{1}\u{1f}",
        "a\0b",
        "\u{7f}\u{85}",
        "\u{2028}",
        "a/b",
        "../../etc/passwd",
        "~",
        "a~~b",
        "\"'<&>",
        "\u{202e}gpj",
        "e\u{301}",
        "é",
        " ",
        "\r\n\t",
        "%00",
        "{}",
        "null",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([
        "é".repeat(50_000),
        format!("{}z", "é".repeat(50_000)),
        "\u{ffff}".repeat(400),
    ]);
    texts
}

/// Every other type of BSON, at its edges.
fn odd_values() -> Vec<Bson> {
    let binary = |subtype, bytes| Bson::Binary(Binary { subtype, bytes });
    let regex = Regex {
        pattern: "a".try_into().unwrap(),
        options: "i".try_into().unwrap(),
    };
    vec![
        Bson::Double(f64::NAN),
        Bson::Double(-0.0),
        Bson::Double(1e308),
        Bson::Double(f64::INFINITY),
        Bson::Double(7.5),
        Bson::Int64(i64::MIN),
        Bson::Decimal128("1.5E+6000".parse().unwrap()),
        Bson::Decimal128("NaN".parse().unwrap()),
        Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        binary(BinarySubtype::Generic, vec![0xff; 3]),
        binary(BinarySubtype::Uuid, vec![9; 16]),
        binary(BinarySubtype::Uuid, vec![9; 3]),
        Bson::DateTime(DateTime::from_millis(-1)),
        Bson::Timestamp(BsonTimestamp {
            time: 5,
            increment: 6,
        }),
        Bson::Null,
        Bson::Undefined,
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Boolean(false),
        Bson::RegularExpression(regex),
        Bson::JavaScriptCode("x".to_owned()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: "x".to_owned(),
            scope: doc! {},
        }),
        Bson::Symbol("s".to_owned()),
        Bson::Document(doc! { "a": { "b": [1, null] } }),
        Bson::Array(vec![1.into(), "x".into()]),
        "dup".into(),
        "dup".into(),
        "".into(),
    ]
}

fn odd_ids() -> Vec<Bson> {
    odd_texts()
        .into_iter()
        .map(Bson::String)
        .chain(odd_values())
        .collect()
}

/// A document with two fields `title` and two fields `url`.
fn with_keys_twice(url: &str) -> RawDocumentBuf {
    let first = item(777, "ipfs", url).to_vec().unwrap();
    let second = doc! { "title": "second", "url": "ipfs://second" }
        .to_vec()
        .unwrap();
    let body = [
        &first[4..first.len() - 1],
        &second[4..second.len() - 1],
        &[0],
    ]
    .concat();
    let length = i32::try_from(body.len() + 4).unwrap();
    RawDocumentBuf::from_bytes([length.to_le_bytes().as_slice(), &body].concat()).unwrap()
}

/// One item for each odd content id, `_id` and title, all with a good file. Returns their number.
async fn add_odd_items(f: &Fixture, url: &str) -> usize {
    let with = |field: &str, value: Bson, number: usize| {
        let mut document = item(i64::try_from(number).unwrap(), "ipfs", url);
        document.insert(field, value);
        document
    };
    let by_content_id = odd_ids().into_iter().map(|id| with("contentId", id, 0));
    let by_title = odd_ids()
        .into_iter()
        .zip(1000..)
        .map(|(title, number)| with("title", title, number));
    // Arrays, regular expressions and undefined cannot be an `_id`, and equal values cannot be a
    // second one.
    let is_id = |id: &Bson| {
        !matches!(
            id,
            Bson::Array(_) | Bson::RegularExpression(_) | Bson::Undefined
        )
    };
    let mut ids: Vec<Bson> = Vec::new();
    for id in odd_ids().into_iter().filter(is_id) {
        let is_new = ids.iter().all(|other| other.to_string() != id.to_string());
        if is_new {
            ids.push(id);
        }
    }
    let mut documents: Vec<Document> = by_content_id.chain(by_title).collect();
    let mut without = item(0, "ipfs", url);
    without.remove("contentId");
    without.remove("title");
    documents.push(without);
    let mut count = documents.len();
    f.insert(documents).await;
    // Some servers refuse some `_id`s.
    let contents = f
        .client
        .database(&f.database)
        .collection::<Document>("contents");
    for (id, number) in ids.into_iter().zip(2000..) {
        count += usize::from(contents.insert_one(with("_id", id, number)).await.is_ok());
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn every_id_and_title_that_bson_can_hold_is_an_item_of_its_own_every_night() {
    let f = Fixture::new(&[]).await;
    let cid = f.node.add(file_of(1), &FileShape::v1()).await;
    let count = add_odd_items(&f, &format!("ipfs://{cid}")).await;
    let mut nights = Vec::new();
    for _ in 0..2 {
        let id = f.up_to_finalize().await;
        let items = f.items(&id).await;
        let names: BTreeSet<String> = items
            .iter()
            .map(|record| record.item.content_id.clone())
            .collect();
        assert_eq!((items.len(), names.len()), (count, count));
        assert!(names.iter().all(|name| name.len() <= 300), "bounded");
        for record in &items {
            let is_held = matches!(record.status, ItemStatus::Done | ItemStatus::Unchanged);
            assert!(is_held, "{:?}: {:?}", record.item.content_id, record.error);
        }
        let job = f.finish(&id).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error);
        let mut listed = Vec::new();
        content_items(&f.holdfast.repository, &id, |item| listed.push(item))
            .await
            .unwrap();
        let cut = |name: &str| {
            listed
                .iter()
                .filter(|record| record.item.cut.contains_key(name))
                .count()
        };
        assert_eq!(
            (cut("contentId"), cut("title")),
            (3, 2),
            "what is cut is in the list"
        );
        let report = verify(
            &f.holdfast.repository,
            &id,
            VerificationLevel::Structure,
            Timestamp::now(),
            |_, _| {},
        );
        let report = report.await.unwrap();
        assert_eq!(
            report.status,
            VerificationStatus::Passed,
            "{:?}",
            report.problems
        );
        nights.push(names);
    }
    assert_eq!(nights[0], nights[1], "the names are the same every night");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_url_fails_its_item_and_no_other() {
    let f = Fixture::new(&[("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "95")]).await;
    f.fill(6).await;
    let mut documents = Vec::new();
    for (url, number) in odd_ids().into_iter().zip(100..) {
        for (storage_type, base) in [("ipfs", 0), ("gaia", 1000)] {
            let mut document = item(number + base, storage_type, "");
            document.insert("url", url.clone());
            documents.push(document);
        }
    }
    let odd = documents.len();
    f.insert(documents).await;
    let id = f.up_to_finalize().await;
    assert_eq!(
        f.by_status(&id, ItemStatus::Done).await,
        ["1", "2", "3", "4", "5", "6"]
    );
    for record in f
        .items(&id)
        .await
        .into_iter()
        .filter(|record| record.status == ItemStatus::Failed)
    {
        let error = record.error.unwrap();
        assert!(
            matches!(
                error.code,
                ItemFailureCode::Unsupported | ItemFailureCode::BadCid
            ),
            "{error:?}"
        );
        assert!(
            !error.message.is_empty() && error.message.len() < 700,
            "{}",
            error.message.len()
        );
    }
    let job = f.finish(&id).await;
    assert_eq!(
        (job.status, job.items.unwrap().failed),
        (JobStatus::Completed, odd as u64),
        "{:?}",
        job.error
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_a_key_twice_is_one_item_by_the_first() {
    let f = Fixture::new(&[]).await;
    let cid = f.node.add(file_of(1), &FileShape::v1()).await;
    let contents = f
        .client
        .database(&f.database)
        .collection::<RawDocumentBuf>("contents");
    contents
        .insert_one(with_keys_twice(&format!("ipfs://{cid}")))
        .await
        .unwrap();
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    assert_eq!(f.items(&id).await.len(), 3);
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    f.remove().await;
}

/// Accepts the characters of SQS messages only, one entry at a time.
#[derive(Default)]
struct Picky(crate::support::content::Kept);

#[async_trait]
impl DownloadQueue for Picky {
    async fn send(&self, messages: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError> {
        let is_odd = |message: &&DownloadMessage| message.content_id.contains('\u{ffff}');
        let (odd, taken): (Vec<_>, Vec<_>) = messages.iter().partition(is_odd);
        self.0
            .send(&taken.into_iter().cloned().collect::<Vec<_>>())
            .await?;
        let refused = |message: &DownloadMessage| RefusedMessage {
            content_id: message.content_id.clone(),
            reason: "InvalidMessageContents".to_owned(),
        };
        Ok(odd.into_iter().map(refused).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_message_the_queue_refuses_fails_alone() {
    let f = Fixture::new(&[]).await;
    f.fill(30).await;
    let mut odd = item(0, "gaia", &format!("{}/gaia/1.txt", f.node.address()));
    odd.insert("contentId", "x\u{ffff}");
    f.insert([odd]).await;
    let (id, queue) = (f.trigger().await, Picky::default());
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    let outcome = discover_content(&f.holdfast, &queue, request, RunLimits::none())
        .await
        .unwrap();
    assert!(
        matches!(outcome, DiscoveryOutcome::Queued { .. }),
        "{outcome:?}"
    );
    for message in queue.0.take() {
        f.download(&message).await;
    }
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let record = f.item(&id, "x\u{ffff}").await;
    let error = record.error.unwrap();
    assert_eq!(
        (record.status, error.code),
        (ItemStatus::Failed, ItemFailureCode::NotDelivered)
    );
    assert!(
        error.message.contains("InvalidMessageContents"),
        "{}",
        error.message
    );
    let job = f.finish(&id).await;
    assert_eq!(
        (job.status, job.items.unwrap().done),
        (JobStatus::Completed, 30),
        "{:?}",
        job.error
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_may_mean_two_names_is_held_for_the_next_night() {
    let f = Fixture::new(&[("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "50")]).await;
    let (name, longer) = (
        f.node.add("Name", &FileShape::v1()).await,
        f.node.add("Name#5", &FileShape::v1()).await,
    );
    let entries = [("Name", name), ("Name#5.png", longer)];
    let dir = f
        .node
        .add_directory(entries, &holdfast_testing::DirectoryShape::plain())
        .await;
    let url = |rest: &str| format!("ipfs://{dir}//{rest}");
    let urls = [
        "Name",
        "Name#5.png",
        "Name#6.png",
        "Name?filename=x.png",
        "Name%235.png",
        "Name%236.png",
    ];
    f.insert(
        urls.iter()
            .zip(1..)
            .map(|(rest, number)| item(number, "ipfs", &url(rest))),
    )
    .await;
    for status in [ItemStatus::Done, ItemStatus::Unchanged] {
        f.node.reset_requests().await;
        let id = f.up_to_finalize().await;
        for (number, expected) in [
            (1, "Name"),
            (2, "Name#5"),
            (3, "Name"),
            (4, "Name"),
            (5, "Name#5"),
        ] {
            let record = f.item(&id, &number.to_string()).await;
            assert_eq!(record.status, status, "{number}: {:?}", record.error);
            assert_eq!(
                f.content_of(&record.file.unwrap()).await,
                expected.as_bytes(),
                "{number}"
            );
        }
        let missing = f.item(&id, "6").await;
        assert_eq!(
            missing.error.unwrap().code,
            ItemFailureCode::NotFound,
            "no file of another spelling replaces it"
        );
        assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
        let report = verify(
            &f.holdfast.repository,
            &id,
            VerificationLevel::Structure,
            Timestamp::now(),
            |_, _| {},
        );
        let report = report.await.unwrap();
        assert_eq!(
            report.status,
            VerificationStatus::Passed,
            "{:?}",
            report.problems
        );
    }
    f.remove().await;
}
