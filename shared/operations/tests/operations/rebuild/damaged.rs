//! A manifest with a missing artifact: the backup returns, and its job names the damage.

use holdfast_domain::{BackupId, ObjectKey, Timestamp, VerificationLevel, VerificationStatus};
use holdfast_operations::{RebuildReport, Trust, plan_retention};

use super::lost_catalogue::added;
use crate::support::{
    content::Fixture,
    long_lists::{self, List},
};

async fn assert_told(
    f: &Fixture,
    report: &RebuildReport,
    id: &BackupId,
    level: VerificationLevel,
    word: &str,
) {
    let [damaged] = report.damaged.as_slice() else {
        panic!("{report:?}")
    };
    assert!(
        damaged.backup_id == *id && damaged.problem.contains(word),
        "{word}: {damaged:?}"
    );
    assert!(
        added(report).contains(&id) && !report.is_whole(),
        "{report:?}"
    );
    let verification = f.job(id).await.verification.unwrap();
    assert_eq!(
        (verification.level, verification.status),
        (level, VerificationStatus::Failed)
    );
    let plan = plan_retention(&f.holdfast, Trust::AsListed, Timestamp::now())
        .await
        .unwrap();
    let mut planned = plan.database.backups.iter().chain(&plan.content.backups);
    let decision = &planned
        .find(|backup| backup.decision.backup_id == *id)
        .unwrap()
        .decision;
    assert!(
        !decision.is_good,
        "retention does not count on it: {decision:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_its_artifact_comes_back_as_one_that_is_not_good() {
    let f = Fixture::new(&[("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.fill(2).await;
    let [_, database, content] = f.back_up_both().await;
    for id in [&database, &content] {
        let artifact = f.manifest(id).await.artifacts.remove(0).key;
        let whole = f.object(&artifact).await;
        f.store.store.delete(&artifact).await.unwrap();
        f.lose_the_catalogue().await;
        assert_told(
            &f,
            &f.rebuild().await,
            id,
            VerificationLevel::Exists,
            artifact.as_str(),
        )
        .await;
        assert_eq!(f.rebuild().await.added, [], "and once");
        f.replace(&artifact, whole[1..].to_vec()).await;
        f.lose_the_catalogue().await;
        assert_told(
            &f,
            &f.rebuild().await,
            id,
            VerificationLevel::Exists,
            "bytes",
        )
        .await;
        f.replace(&artifact, whole).await;
    }
    f.lose_the_catalogue().await;
    assert!(f.rebuild().await.is_whole());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_list_or_one_with_another_number_is_reported() {
    let f = Fixture::new(&[]).await;
    f.holdfast
        .repository
        .init(holdfast_repository::EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    let whole = List::of(0..700);
    let unsettled = List::of(0..3)
        .with(r#"{"contentId":"x","title":"","url":"","storageType":"gaia","status":"pending"}"#);
    for (list, claimed, word) in [
        (&whole, 701, "701"),
        (&unsettled, 4, "unsettled item"),
        (&List::of(0..3).with("{}"), 4, "line 4"),
    ] {
        let id = long_lists::commit(&f.holdfast, list, claimed).await;
        f.lose_the_catalogue().await;
        assert_told(
            &f,
            &f.rebuild().await,
            &id,
            VerificationLevel::Checksum,
            word,
        )
        .await;
        f.store
            .store
            .delete(&ObjectKey::manifest(&id))
            .await
            .unwrap();
    }
    let id = long_lists::commit(&f.holdfast, &whole, 700).await;
    let list = f.manifest(&id).await.content.unwrap().item_list;
    f.damage(&list, 40).await;
    f.lose_the_catalogue().await;
    let report = f.rebuild().await;
    assert_told(&f, &report, &id, VerificationLevel::Checksum, list.as_str()).await;
    assert_eq!(
        (report.items, report.sources),
        (0, 0),
        "no item of an unauthenticated segment"
    );
    f.remove().await;
}
