use holdfast_domain::{JobStatus, VerificationLevel, VerificationStatus};
use holdfast_recovery::verify;

use crate::support::database::{Fixture, KEY};

async fn comes_back_as_it_was(settings: &[(&str, &str)], suffix: &str) {
    let f = Fixture::new(settings).await;
    f.fill(3000).await;
    let job = f.back_up().await;
    assert_eq!(job.status, JobStatus::Completed);
    assert!(
        job.key.as_ref().unwrap().as_str().ends_with(suffix),
        "{:?}",
        job.key
    );
    assert_eq!(
        f.heard.states(),
        [
            JobStatus::Pending,
            JobStatus::Running,
            JobStatus::Committing,
            JobStatus::Completed
        ]
    );
    for level in [
        VerificationLevel::Exists,
        VerificationLevel::Checksum,
        VerificationLevel::Structure,
    ] {
        let verification = verify(
            &f.holdfast.repository,
            &job.backup_id,
            level,
            job.created_at,
            |_, _| {},
        )
        .await
        .unwrap();
        assert_eq!(
            (verification.status, verification.problems),
            (VerificationStatus::Passed, vec![]),
            "{level:?}"
        );
    }
    let restored = f.restored(&job.backup_id).await;
    assert_eq!(f.contents(&restored).await, f.contents(&f.database).await);
    assert_eq!(f.leases().await, 0);
    f.client.database(&restored).drop().await.unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_backup_comes_back_as_it_was() {
    comes_back_as_it_was(&[], "dump.1.archive.gz").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncompressed_backup_comes_back_as_it_was() {
    comes_back_as_it_was(
        &[("BACKUP_DATABASE_COMPRESSION", "false")],
        "dump.1.archive",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_backup_comes_back_as_it_was() {
    comes_back_as_it_was(
        &[
            ("BACKUP_DATABASE_ENCRYPTION", "true"),
            ("BACKUP_ENCRYPTION_KEY", KEY),
        ],
        "dump.1.archive.gz.enc",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_many_parts_comes_back_as_it_was() {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill_with_noise(21).await;
    let job = f.back_up().await;
    assert!(job.size.unwrap() > 20 << 20);
    let restored = f.restored(&job.backup_id).await;
    assert_eq!(f.contents(&restored).await, f.contents(&f.database).await);
    f.client.database(&restored).drop().await.unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_a_backup_that_says_so() {
    let f = Fixture::new(&[]).await;
    let job = f.back_up().await;
    assert_eq!(job.namespaces.as_deref(), Some(&[][..]));
    assert!(job.message.unwrap().contains("empty"));
    f.restored(&job.backup_id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manifest_says_is_what_the_database_held() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let job = f.back_up().await;
    let manifest = f
        .holdfast
        .repository
        .manifest(&job.backup_id)
        .await
        .unwrap();
    let users = manifest
        .namespaces
        .iter()
        .find(|namespace| namespace.collection == "users")
        .unwrap();
    assert_eq!(
        (users.documents, users.indexes.as_slice()),
        (10, &["_id_".to_owned(), "name_1".to_owned()][..])
    );
    assert_eq!(manifest.artifacts[0].size, job.size.unwrap());
    assert_eq!(manifest.engine.as_ref().unwrap().name, "native");
    assert!(!manifest.source.uri.contains('@'));
    let listed = f.holdfast.repository.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    let listed = listed[0].manifest.as_ref().unwrap();
    assert_eq!(
        (&listed.namespaces, listed.artifacts[0].sha256),
        (&manifest.namespaces, manifest.artifacts[0].sha256)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_collections_and_the_catalogue_are_left_out() {
    let f = Fixture::new(&[("BACKUP_DATABASE_EXCLUDE_COLLECTIONS", "contents,empty")]).await;
    f.fill(10).await;
    // The catalogue in the platform's own database.
    let h = f.with(|settings| {
        settings.catalog_uri = Some(holdfast_domain::Secret::new(
            crate::support::database::uri_of(&f.database),
        ));
    });
    let h = holdfast_operations::Holdfast {
        catalog: holdfast_catalog::Catalog::from_settings(&h.settings)
            .await
            .unwrap(),
        ..h
    };
    let job = holdfast_operations::trigger(
        &h,
        holdfast_domain::BackupType::Database,
        None,
        holdfast_domain::Timestamp::now(),
    )
    .await
    .unwrap();
    let job =
        crate::support::database::completed(crate::support::database::run(&h, job.backup_id).await);
    let names: Vec<_> = job
        .namespaces
        .unwrap()
        .into_iter()
        .map(|count| count.namespace)
        .collect();
    assert_eq!(names, [format!("{}.users", f.database)]);
    f.remove().await;
}
