//! Runs the commands of `docs/disaster-recovery.md` unchanged on a server without data, and
//! compares every document and every file.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use bson::{Document, doc};
use holdfast_catalog::JobFilter;
use holdfast_domain::{BackupId, BackupType, ItemRecord, Job, JobStatus};
use holdfast_testing::{IpfsNode, MongoServer};

use super::{
    files::Files,
    place::{Ended, Place, end_of},
};

const PAGE: &str = include_str!("../../../docs/disaster-recovery.md");

/// The commands of the page: the first block, without MongoDB, and the later blocks.
fn commands() -> (&'static str, Vec<&'static str>) {
    let mut blocks = PAGE
        .split("\n```sh\n")
        .skip(1)
        .map(|block| block.split_once("\n```").unwrap().0);
    (blocks.next().unwrap(), blocks.collect())
}

/// The operator's means: the settings, the ids from the page, a folder, the binary.
struct Operator<'a> {
    place: &'a Place,
    backups: [(&'static str, String); 2],
    folder: &'a Path,
}

impl Operator<'_> {
    /// Runs these lines in a shell that stops at the first failed command.
    fn runs(&self, block: &str) -> Ended {
        let binaries = Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().unwrap();
        let shell = Command::new("sh")
            .args(["-e", "-u", "-c", block])
            .current_dir(self.folder)
            .env_clear()
            .envs(&self.place.env)
            .envs(self.backups.clone())
            .env("PATH", format!("{}:/usr/bin:/bin", binaries.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let ended = end_of(shell.unwrap());
        println!("{block}\n{}{}", ended.text(), ended.stderr);
        ended.expect(0)
    }
}

/// The rows of every backup in the catalogue, without verifications.
async fn known(place: &Place) -> BTreeMap<BackupId, (Job, Vec<ItemRecord>)> {
    let catalog = place.catalog().await;
    let mut known = BTreeMap::new();
    for job in catalog.list(JobFilter::default(), 1, 100).await.unwrap().0 {
        let items = catalog
            .items_after(&job.backup_id, None, 1000)
            .await
            .unwrap();
        known.insert(
            job.backup_id.clone(),
            (
                Job {
                    verification: None,
                    ..job
                },
                items,
            ),
        );
    }
    known
}

async fn everything_comes_back(settings: &[(&'static str, &str)]) {
    let mut server = MongoServer::start(&[]).await;
    let mut place = Place::on(&server.uri("", "")).await;
    place.env.extend(
        settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let files = Files::in_place(place).await;
    let place = &files.place;
    place.holdfast(&["run", "full"]).expect(0);
    let (jobs, documents) = (known(place).await, place.content(&place.database).await);
    assert_eq!((jobs.len(), documents.len()), (3, 3));
    let id_of = |kind| {
        jobs.keys()
            .find(|id| id.backup_type() == kind)
            .unwrap()
            .to_string()
    };
    let backups = [
        ("DATABASE_BACKUP", BackupType::Database),
        ("CONTENT_BACKUP", BackupType::Content),
    ];
    let backups = backups.map(|(variable, kind)| (variable, id_of(kind)));
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator {
        place,
        backups: backups.clone(),
        folder: folder.path(),
    };
    let (without_mongodb, with_an_empty_one) = commands();
    files.node.reset_requests().await;

    server.lose_everything();
    let looked = operator.runs(without_mongodb).text();
    for (_, id) in &backups {
        assert!(
            looked.contains(&format!("{id} passed at level structure")),
            "{looked}"
        );
    }
    server.start_again().await;
    assert!(
        known(place).await.is_empty() && place.content(&place.database).await.is_empty(),
        "nothing is left"
    );
    assert!(with_an_empty_one.len() >= 4);
    for block in with_an_empty_one {
        operator.runs(block);
    }

    assert_eq!(place.content(&place.database).await, documents);
    assert_rebuilt(place, &jobs).await;
    files.assert_restored_in(&folder.path().join("restored"));
    let fresh = IpfsNode::start();
    fresh
        .import(fs::read(folder.path().join("files.car")).unwrap())
        .await
        .unwrap();
    for (content_id, path) in &files.paths {
        assert!(fresh.file(path).await == files.held[content_id], "{path}");
    }
    let asked = files.node.requests().await;
    assert_eq!(
        (
            asked.gateway.car,
            asked.gateway.raw,
            asked.gateway.plain,
            asked.gaia.full
        ),
        (0, 0, 0, 0)
    );
    files.remove().await;
}

/// Asserts that the catalogue has its former rows and the later backups, and that the database is
/// complete.
async fn assert_rebuilt(place: &Place, jobs: &BTreeMap<BackupId, (Job, Vec<ItemRecord>)>) {
    let after = known(place).await;
    for (id, before) in jobs {
        assert_eq!(after.get(id), Some(before), "{id}");
    }
    let new: Vec<&Job> = after
        .iter()
        .filter(|(id, _)| !jobs.contains_key(id))
        .map(|(_, (job, _))| job)
        .collect();
    assert_eq!(new.len(), 3, "one of each: {new:?}");
    assert!(
        new.iter().all(|job| job.status == JobStatus::Completed),
        "{new:?}"
    );
    let items = new.iter().find_map(|job| job.items).unwrap();
    assert_eq!(
        (items.expected, items.unchanged),
        (10, 10),
        "all that is held is known to be"
    );
    let database = place.client.database(&place.database);
    let indexes = database
        .collection::<Document>("users")
        .list_index_names()
        .await
        .unwrap();
    assert!(indexes.contains(&"name_1".to_owned()), "{indexes:?}");
    assert_eq!(
        database
            .collection::<Document>("names")
            .count_documents(doc! {})
            .await
            .unwrap(),
        500
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recovery_page_brings_everything_back() {
    everything_comes_back(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recovery_page_brings_encrypted_backups_back() {
    let key = "07".repeat(32);
    everything_comes_back(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", &key),
    ])
    .await;
}
