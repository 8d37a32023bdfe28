//! Unauthenticated data are reported, and not used.

use std::sync::Arc;

use holdfast_domain::{Manifest, ManifestFile, ObjectKey, Timestamp};
use holdfast_operations::{Holdfast, RebuildReport, UnreadCause, rebuild_catalog};

use super::lost_catalogue::added;
use crate::support::content::{Fixture, KEY};

async fn rebuilt(h: &Holdfast) -> RebuildReport {
    rebuild_catalog(h, &|_| {}).await.unwrap()
}

fn causes(report: &RebuildReport) -> Vec<UnreadCause> {
    report.unread.iter().map(|unread| unread.cause).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_encrypted_backups_are_reported_and_plain_ones_are_rebuilt() {
    let mut f = Fixture::new(&[("BACKUP_ENCRYPTION_KEY", KEY)]).await;
    f.fill(3).await;
    let plain = f.back_up().await.backup_id;
    f.holdfast
        .repository
        .init(holdfast_repository::EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    f.set(|settings| settings.content.encryption = true);
    let encrypted = f.back_up().await.backup_id;
    let before = f.all_rows().await;
    f.lose_the_catalogue().await;

    let keyless = f.with(|settings| settings.encryption_key = None);
    let report = rebuilt(&keyless).await;
    assert_eq!(
        (added(&report), causes(&report)),
        (vec![&plain], vec![UnreadCause::Key])
    );
    let unread = &report.unread[0];
    assert!(
        unread.backup_id == encrypted && unread.reason.contains("epoch 1"),
        "{unread:?}"
    );
    let other = f.with(|settings| {
        settings.encryption_key = Some(holdfast_domain::Secret::new("ab".repeat(32)));
    });
    assert_eq!(causes(&rebuilt(&other).await), [UnreadCause::Key]);

    let report = f.rebuild().await;
    assert_eq!((added(&report), report.stood), (vec![&encrypted], 1));
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(f.all_rows().await, before, "in whichever order they came");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_altered_or_made_up_gets_no_job() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(2).await;
    let good = f.back_up().await.backup_id;
    let altered = f.back_up().await.backup_id;
    let key = ObjectKey::manifest(&altered);
    let whole = f.object(&key).await;
    let text = String::from_utf8(whole.clone()).unwrap();
    let manifest = f.manifest(&altered).await;
    let unsigned = |manifest: &Manifest| ManifestFile::seal(manifest, |_| None).unwrap();
    let plain = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = Manifest {
            encryption: None,
            ..manifest.clone()
        };
        change(&mut manifest);
        unsigned(&manifest)
    };
    for (what, bytes) in [
        (
            "another author",
            text.replace(r#""by":"ada""#, r#""by":"eve""#).into_bytes(),
        ),
        ("no HMAC", unsigned(&manifest)),
        ("no JSON", b"{}".to_vec()),
        (
            "another backup's",
            f.object(&ObjectKey::manifest(&good)).await,
        ),
        (
            "another repository's",
            plain(&|manifest| manifest.repository = "0".repeat(32).parse().unwrap()),
        ),
        (
            "another type",
            plain(&|manifest| manifest.backup_type = holdfast_domain::BackupType::Database),
        ),
        ("nothing inside", plain(&|manifest| manifest.content = None)),
        ("no list", plain(&|manifest| manifest.artifacts.clear())),
        (
            "artifacts of elsewhere",
            plain(&|manifest| manifest.artifacts[0].key = ObjectKey::repository()),
        ),
        (
            "impossible sizes",
            plain(&|manifest| manifest.original_size = u64::MAX),
        ),
    ] {
        f.replace(&key, bytes).await;
        f.lose_the_catalogue().await;
        let report = f.rebuild().await;
        assert_eq!(
            (added(&report), causes(&report)),
            (vec![&good], vec![UnreadCause::Damaged]),
            "{what}: {report:?}"
        );
        assert!(f.holdfast.catalog.get(&altered).await.is_err(), "{what}");
    }
    f.replace(&key, whole).await;
    assert_eq!(added(&f.rebuild().await), [&altered]);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_backups_come_back_where_the_repository_file_is_lost_and_that_it_is_lost_is_said() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.back_up().await.backup_id;
    f.store
        .store
        .delete(&ObjectKey::repository())
        .await
        .unwrap();
    for lost_too in [None, Some(ObjectKey::repository_copy())] {
        if let Some(copy) = lost_too {
            f.store.store.delete(&copy).await.unwrap();
        }
        f.lose_the_catalogue().await;
        // The knowledge of this process about the repository must not help.
        let report = rebuilt(&f.over(Arc::clone(&f.store.store))).await;
        assert_eq!(added(&report), [&id]);
        let problem = report.repository_problem.as_deref().unwrap_or_default();
        assert!(
            !report.is_whole() && problem.contains("repository.json"),
            "{problem}"
        );
    }
    f.remove().await;
}
