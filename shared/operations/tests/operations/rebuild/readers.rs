//! While a backup is read for the catalogue, retention does not delete it.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{BackupId, Timestamp};
use holdfast_operations::{plan_rebuild, rebuild_catalog};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;
use mongodb::bson::doc;

use crate::support::content::Fixture;

async fn readers(f: &Fixture, id: &BackupId) -> Vec<String> {
    let rows = f
        .holdfast
        .catalog
        .readers(id, Timestamp::now() - SignedDuration::from_mins(1))
        .await
        .unwrap();
    rows.into_iter().map(|row| row.purpose).collect()
}

/// Readers of the backup while each call of this kind waits, until one has begun.
async fn readers_meanwhile(f: &Fixture, id: &BackupId, is_plan: bool) -> Vec<String> {
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    // The first call of this kind reads the manifest, or looks for its artifacts.
    let operation = if is_plan {
        Operation::Get
    } else {
        Operation::Head
    };
    faults.on_every(operation, Fault::Late(Duration::from_millis(1500)));
    let h = f.over(faults.clone());
    let rebuilding = async {
        if is_plan {
            plan_rebuild(&h, &|_| {}).await
        } else {
            rebuild_catalog(&h, &|_| {}).await
        }
    };
    let looking = async {
        while faults.calls(operation) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        readers(f, id).await
    };
    let (rebuilt, found) = tokio::join!(rebuilding, looking);
    assert!(rebuilt.unwrap().is_whole());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_a_lease_while_its_rows_are_added_and_none_afterwards() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    f.lose_the_catalogue().await;
    assert_eq!(
        readers_meanwhile(&f, &id, true).await,
        [""; 0],
        "a dry run writes nothing"
    );
    assert_eq!(readers_meanwhile(&f, &id, false).await, ["rebuild"]);
    assert_eq!(readers(&f, &id).await, [""; 0]);
    // A backup whose rows are missing, and whose job stands.
    f.rows("backup_items").delete_many(doc! {}).await.unwrap();
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on_every(Operation::Get, Fault::Late(Duration::from_millis(500)));
    let h = f.over(faults);
    let (rebuilt, found) = tokio::join!(rebuild_catalog(&h, &|_| {}), async {
        let mut found = Vec::new();
        for _ in 0..300 {
            found = readers(&f, &id).await;
            if !found.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        found
    });
    assert_eq!(
        (found, rebuilt.unwrap().filled_up.len()),
        (vec!["rebuild".to_owned()], 1)
    );
    assert_eq!(readers(&f, &id).await, [""; 0]);
    f.remove().await;
}
