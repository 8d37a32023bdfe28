//! A database of very many collections. Its backup is committed, its row fits into the catalogue,
//! and the next backup runs.

use holdfast_catalog::JobFilter;
use holdfast_domain::{
    JobStatus, Manifest, ManifestFile, NamespaceCount, NamespaceManifest, ObjectKey, Sha256Digest,
    Timestamp, VerificationLevel,
};
use holdfast_operations::{compare_with_job, sweep};
use holdfast_recovery::verify;
use holdfast_storage::PutMode;
use mongodb::bson::{Document, doc};

use crate::support::database::Fixture;

const NAMESPACES: usize = 100_000;

/// Empty collections except for one, with names of 150 bytes.
fn many() -> Vec<NamespaceManifest> {
    let namespace = |number: usize| NamespaceManifest {
        db: "platform".to_owned(),
        collection: format!("{number:0150}"),
        kind: "collection".to_owned(),
        documents: u64::from(number == NAMESPACES - 1) * 7,
        bytes: 0,
        content_hash: Sha256Digest::new([7; 32]),
        indexes: vec!["_id_".to_owned()],
        rolled_over: false,
    };
    (0..NAMESPACES).map(namespace).collect()
}

/// Puts another manifest into the place of a backup's own.
async fn replace_manifest(f: &Fixture, manifest: &Manifest) {
    let file = ManifestFile::seal(manifest, |_| None).unwrap();
    let key = ObjectKey::manifest(&manifest.backup_id);
    f.store
        .store
        .put(&key, file.into(), PutMode::Replace)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_hundred_thousand_namespaces_is_settled_and_the_next_one_runs() {
    let f = Fixture::new(&[]).await;
    f.fill(5).await;
    let id = f.back_up().await.backup_id;
    let mut manifest = f.holdfast.repository.manifest(&id).await.unwrap();
    manifest.namespaces = many();
    replace_manifest(&f, &manifest).await;
    // The state after a kill between manifest and row.
    f.rewind(&id, "committing").await;
    f.lease_of_a_dead_run(&id).await;
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_eq!(report.completed, std::slice::from_ref(&id), "{report:?}");

    let job = f.job(&id).await;
    assert_eq!(
        (job.namespace_count, job.document_count),
        (Some(NAMESPACES as u64), Some(7))
    );
    let listed = job.namespaces.unwrap();
    assert_eq!(listed.len(), NamespaceCount::MAX_LISTED);
    assert_eq!(
        listed.last().unwrap().documents,
        7,
        "the fullest one is listed"
    );
    assert_eq!(
        f.holdfast.repository.namespaces(&id).await.unwrap().len(),
        NAMESPACES
    );
    let standing = f
        .holdfast
        .catalog
        .standings(std::slice::from_ref(&id))
        .await
        .unwrap()
        .remove(&id)
        .unwrap()
        .unwrap();
    assert!(!standing.is_empty);

    let level = VerificationLevel::Exists;
    let mut found = verify(
        &f.holdfast.repository,
        &id,
        level,
        Timestamp::now(),
        |_, _| {},
    )
    .await
    .unwrap();
    compare_with_job(&f.holdfast.catalog, &f.holdfast.repository, &mut found)
        .await
        .unwrap();
    assert_eq!(found.problems, Vec::<String>::new());

    assert_eq!(f.back_up().await.status, JobStatus::Completed);
    let (jobs, total) = f
        .holdfast
        .catalog
        .list(JobFilter::default(), 1, 10)
        .await
        .unwrap();
    assert_eq!(
        (
            total,
            jobs.iter().filter(|job| job.namespaces.is_none()).count()
        ),
        (2, 2)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_names_what_the_last_one_had_and_states_how_old_its_data_are() {
    let f = Fixture::new(&[]).await;
    f.fill(5).await;
    assert_eq!(f.back_up().await.message, None);
    f.client
        .database(&f.database)
        .collection::<Document>("contents")
        .drop()
        .await
        .unwrap();
    let job = f.back_up().await;
    let message = job.message.unwrap();
    assert!(
        message.contains(&format!("{}.contents", f.database)) && message.contains("missing since"),
        "{message}"
    );
    let source = f
        .holdfast
        .repository
        .manifest(&job.backup_id)
        .await
        .unwrap()
        .source;
    let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    assert_eq!(
        (ms(job.last_write_at), job.lag_seconds),
        (ms(source.last_write_at), source.lag_seconds)
    );
    let own = crate::support::database::connect()
        .await
        .freshness()
        .await
        .unwrap();
    assert_eq!(own.last_write_at.is_some(), source.last_write_at.is_some());
    assert!(
        source.lag_seconds.is_none_or(|lag| lag == 0),
        "the one member is a primary"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_an_earlier_version_that_lists_all_namespaces_agrees_with_its_manifest() {
    let f = Fixture::new(&[]).await;
    f.fill(5).await;
    let id = f.back_up().await.backup_id;
    let mut manifest = f.holdfast.repository.manifest(&id).await.unwrap();
    manifest.namespaces = many().into_iter().take(3000).collect();
    replace_manifest(&f, &manifest).await;
    let all: Vec<Document> = manifest
        .namespaces
        .iter()
        .map(|one| doc! { "namespace": format!("{}.{}", one.db, one.collection), "documents": 0_i64 })
        .collect();
    let jobs = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_jobs");
    let set = doc! { "$set": { "namespaces": all }, "$unset": { "namespaceCount": "", "documentCount": "" } };
    jobs.update_one(doc! { "_id": id.as_str() }, set)
        .await
        .unwrap();
    let level = VerificationLevel::Exists;
    let mut found = verify(
        &f.holdfast.repository,
        &id,
        level,
        Timestamp::now(),
        |_, _| {},
    )
    .await
    .unwrap();
    compare_with_job(&f.holdfast.catalog, &f.holdfast.repository, &mut found)
        .await
        .unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    let job = holdfast_operations::job_in_detail(&f.holdfast.catalog, &id, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(
        (job.namespace_count, job.namespaces.unwrap().len()),
        (Some(3000), NamespaceCount::MAX_LISTED)
    );
    f.remove().await;
}
