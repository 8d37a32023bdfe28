use bytes::Bytes;
use holdfast_domain::{
    BackupType::{Content, Database},
    Encoding, ObjectKey,
};
use holdfast_operations::sweep;
use holdfast_storage::{PutMode, Store as _};

use super::fixture::{Fixture, MIB, on_catalog};

async fn put(fixture: &Fixture, key: &ObjectKey, length: usize) {
    fixture
        .memory
        .put(key, Bytes::from(vec![0; length]), PutMode::IfAbsent)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_sweep_measures_what_is_stored_and_what_belonged_to_nothing() {
    on_catalog(&[], async |fixture| {
        for hours in 1..=8 {
            let id = fixture
                .backed_up(
                    Database,
                    24 * hours,
                    if hours == 1 { 300 * MIB } else { 200 * MIB },
                )
                .await;
            put(fixture, &ObjectKey::manifest(&id), 1).await;
        }
        let failed = fixture.failed(Database, 30).await;
        fixture.memory.set_clock(fixture.hours_ago(48));
        put(
            fixture,
            &ObjectKey::database_dump(&failed, 1, Encoding::PLAIN),
            1000,
        )
        .await;
        put(fixture, &ObjectKey::restore_guide(&failed), 10).await;
        put(fixture, &ObjectKey::content_incoming([1; 16]), 200).await;
        let report = sweep(&fixture.h, None, fixture.now).await.unwrap();
        assert_eq!(
            (report.database_orphan_bytes, report.content_orphan_bytes),
            (1010, 200),
            "{report:?}"
        );
        assert_eq!(report.objects_removed, 3);
        let (database, content) = (
            report.database_measured.unwrap(),
            report.content_measured.unwrap(),
        );
        assert_eq!(
            (database.stored.backups, database.stored.bytes()),
            (8, Some(1700 * MIB))
        );
        assert_eq!(
            (database.growth_percent, content.growth_percent),
            (Some(50.0), None)
        );
        assert_eq!(
            (content.stored.backups, content.stored.bytes()),
            (0, Some(0))
        );
        let again = sweep(&fixture.h, None, fixture.now).await.unwrap();
        assert_eq!(
            (again.database_orphan_bytes, again.content_orphan_bytes),
            (0, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn content_grows_by_the_files_that_it_holds_and_not_by_what_its_list_takes() {
    on_catalog(&[], async |fixture| {
        for hours in 1..=8 {
            fixture
                .backed_up(Content, hours, if hours == 1 { 64 * MIB } else { 32 * MIB })
                .await;
        }
        let report = sweep(&fixture.h, None, fixture.now).await.unwrap();
        assert_eq!(
            report.content_measured.unwrap().growth_percent,
            Some(100.0),
            "twice as much is held as stored"
        );
    })
    .await;
}
