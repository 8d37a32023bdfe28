use bson::doc;
use holdfast_catalog::{CatalogError, StoredPolicy};
use holdfast_domain::{BackupType, RetentionPolicy};

use crate::harness::{at, on_catalog};

fn stored(policy: RetentionPolicy) -> StoredPolicy {
    StoredPolicy {
        policy,
        updated_by: Some("ada".to_owned()),
        updated_at: at(5),
    }
}

fn every_rule() -> RetentionPolicy {
    RetentionPolicy {
        keep_daily: Some(7),
        keep_weekly: Some(5),
        keep_monthly: Some(12),
        keep_yearly: Some(10),
        ..RetentionPolicy::from_days(90)
    }
}

#[tokio::test]
async fn a_policy_is_read_as_it_was_stored_until_it_is_removed() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        assert_eq!(catalog.policy(BackupType::Database).await.unwrap(), None);
        let keep_all = RetentionPolicy {
            max_age_days: None,
            max_count: None,
            ..RetentionPolicy::from_days(1)
        };
        for policy in [every_rule(), keep_all] {
            catalog
                .set_policy(BackupType::Database, &stored(policy))
                .await
                .unwrap();
            assert_eq!(
                catalog.policy(BackupType::Database).await.unwrap(),
                Some(stored(policy))
            );
        }
        assert_eq!(
            catalog.policy(BackupType::Content).await.unwrap(),
            None,
            "each type has its own"
        );
        assert!(catalog.remove_policy(BackupType::Database).await.unwrap());
        assert!(!catalog.remove_policy(BackupType::Database).await.unwrap());
        assert_eq!(catalog.policy(BackupType::Database).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_meant_is_never_stored() {
    on_catalog(async |fixture| {
        let wrong = stored(RetentionPolicy {
            min_count: 0,
            ..every_rule()
        });
        let outcome = fixture
            .catalog
            .set_policy(BackupType::Content, &wrong)
            .await;
        assert!(
            matches!(outcome, Err(CatalogError::Invalid { .. })),
            "{outcome:?}"
        );
        assert_eq!(
            fixture.catalog.policy(BackupType::Content).await.unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn a_policy_broken_by_hand_is_an_error() {
    on_catalog(async |fixture| {
        let rows = fixture.collection("backup_retention_policies");
        for policy in [
            doc! { "minCount": 0 },
            doc! { "minCount": 3, "maxAge": 1 },
            doc! { "maxAgeDays": 1 },
            doc! { "minCount": 3, "maxAgeDays": "1" },
        ] {
            rows.delete_many(doc! {}).await.unwrap();
            let row = doc! { "_id": "database", "policy": policy.clone(), "updatedAt": bson::DateTime::now() };
            rows.insert_one(row).await.unwrap();
            let outcome = fixture.catalog.policy(BackupType::Database).await;
            assert!(matches!(outcome, Err(CatalogError::Corrupt { .. })), "{policy}: {outcome:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_unconfirmed_policy_waits_for_a_stored_policy_or_a_confirmation() {
    on_catalog(async |fixture| {
        let (catalog, kind) = (&fixture.catalog, BackupType::Content);
        assert_eq!(catalog.policy_unconfirmed_since(kind).await.unwrap(), None);
        for is_set in [true, false] {
            catalog
                .await_confirmation_of_policy(kind, at(7))
                .await
                .unwrap();
            catalog
                .await_confirmation_of_policy(kind, at(8))
                .await
                .unwrap();
            assert_eq!(
                catalog.policy_unconfirmed_since(kind).await.unwrap(),
                Some(at(7))
            );
            let read = catalog.policy(kind).await;
            assert!(
                matches!(read, Err(CatalogError::Corrupt { .. })),
                "an older version deletes nothing: {read:?}"
            );
            assert_eq!(
                catalog
                    .policy_unconfirmed_since(BackupType::Database)
                    .await
                    .unwrap(),
                None
            );
            if is_set {
                catalog
                    .set_policy(kind, &stored(every_rule()))
                    .await
                    .unwrap();
                catalog
                    .await_confirmation_of_policy(kind, at(9))
                    .await
                    .unwrap();
                assert_eq!(
                    catalog.policy(kind).await.unwrap(),
                    Some(stored(every_rule())),
                    "it is not replaced"
                );
            }
            assert!(catalog.remove_policy(kind).await.unwrap());
            assert_eq!(catalog.policy_unconfirmed_since(kind).await.unwrap(), None);
            assert_eq!(catalog.policy(kind).await.unwrap(), None);
        }
        catalog
            .await_confirmation_of_policy(kind, at(7))
            .await
            .unwrap();
        let rows = fixture.collection("backup_retention_policies");
        rows.update_one(
            doc! {},
            doc! { "$set": { "unconfirmedSince": "yesterday" } },
        )
        .await
        .unwrap();
        let read = catalog.policy_unconfirmed_since(kind).await;
        assert!(
            matches!(read, Err(CatalogError::Corrupt { .. })),
            "{read:?}"
        );
    })
    .await;
}
