//! Events on the local AWS.

use holdfast_domain::{BackupId, BackupType, Job, Timestamp, Trigger, TriggerKind};
use holdfast_lambda::Events;
use holdfast_testing::aws_config;

#[tokio::test]
async fn a_bus_that_does_not_take_the_event_is_a_failure() {
    let now = Timestamp::now();
    let id = BackupId::new(BackupType::Database, now, [0; 4]);
    let job = Job::pending(
        id,
        Trigger {
            kind: TriggerKind::Manual,
            by: Some("ada".to_owned()),
        },
        now,
    );
    let bus = |name: &str| {
        Events::new(
            aws_sdk_eventbridge::Client::new(&aws_config()),
            name.to_owned(),
        )
    };
    bus("default").request_backup(&job).await.unwrap();
    let refused = bus("arn:aws:events:us-east-1:000000000000:rule/there-is-none")
        .request_backup(&job)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("there-is-none") && refused.contains("Backup Requested"),
        "{refused}"
    );
}
