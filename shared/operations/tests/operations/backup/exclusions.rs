//! Exclusions without a match, and settings without effect: backups run, and a warning names them.

use holdfast_domain::{
    Secret,
    settings::{CollectionFilter, SettingWarning},
};
use holdfast_operations::{BackupRequest, Health, RunLimits, back_up_database, examine, trigger};

use crate::support::database::{Fixture, completed, run};

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusion_that_matches_nothing_is_named_in_the_job_and_by_the_doctor() {
    let f = Fixture::new(&[(
        "BACKUP_DATABASE_EXCLUDE_COLLECTIONS",
        "contents, contnets,Users",
    )])
    .await;
    f.fill(3).await;
    let job = trigger(
        &f.holdfast,
        holdfast_domain::BackupType::Database,
        None,
        holdfast_domain::Timestamp::now(),
    );
    let job = completed(run(&f.holdfast, job.await.unwrap().backup_id).await);
    let message = job.message.unwrap();
    assert!(
        message.contains("\"contnets\", \"Users\"") && !message.contains("\"contents\""),
        "{message}"
    );
    let h = f.with(|settings| {
        let (name, message) = (
            "MONGODB_URI".to_owned(),
            "the option x is unknown and is ignored".to_owned(),
        );
        settings.warnings = vec![SettingWarning { name, message }];
    });
    let now = holdfast_domain::Timestamp::now();
    let findings = Box::pin(examine(&h.settings, Ok(h.repository.clone()), None, now)).await;
    let warnings: Vec<_> = findings
        .iter()
        .filter(|finding| finding.health == Health::Warning)
        .collect();
    let says = |words: &str| {
        warnings
            .iter()
            .any(|finding| finding.found.contains(words) && finding.advice.is_some())
    };
    assert!(
        says("contnets") && says("the option x is unknown"),
        "{findings:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusions_that_match_and_options_of_other_drivers_leave_no_message() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let h = f.with(|settings| {
        let uri = settings.mongodb_uri.expose();
        let separator = if uri.contains('?') { '&' } else { '?' };
        let uri = format!("{uri}{separator}useNewUrlParser=true&compressors=zstd,zlib&uuidRepresentation=standard&");
        settings.mongodb_uri = Secret::new(uri);
        settings.database.collections = CollectionFilter::Except(vec!["contents".to_owned()]);
    });
    let job = trigger(
        &h,
        holdfast_domain::BackupType::Database,
        None,
        holdfast_domain::Timestamp::now(),
    )
    .await
    .unwrap();
    let request = BackupRequest::Triggered {
        backup_id: job.backup_id,
    };
    let job = completed(
        back_up_database(&h, request, RunLimits::none())
            .await
            .unwrap(),
    );
    assert_eq!(job.message, None);
    assert!(
        job.namespaces
            .unwrap()
            .iter()
            .all(|count| !count.namespace.ends_with(".contents"))
    );
    f.remove().await;
}
