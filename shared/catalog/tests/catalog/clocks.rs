//! The clock of the server, as machines with a wrong clock see it.

use holdfast_catalog::Catalog;
use holdfast_domain::{Secret, Timestamp};
use holdfast_testing::WrongClock;
use jiff::SignedDuration;

use crate::harness::{at, on_catalog};

#[tokio::test]
async fn a_machine_with_a_wrong_clock_has_the_time_of_the_server() {
    for ahead_seconds in [3600, -3600] {
        let relay = WrongClock::before_mongodb(ahead_seconds).await;
        let catalog = Catalog::connect(&Secret::new(relay.mongodb_uri("holdfast")), "holdfast")
            .await
            .unwrap();
        let ahead = SignedDuration::from_secs(ahead_seconds);
        for catalog in [&catalog, &catalog.clone()] {
            let off = catalog
                .now()
                .await
                .unwrap()
                .duration_since(Timestamp::now() + ahead);
            assert!(off.abs() < SignedDuration::from_secs(5), "{off}");
        }
        let corrected = catalog.by_server_clock(at(0)).await.unwrap();
        assert!(
            (corrected - ahead).duration_since(at(0)).abs() < SignedDuration::from_secs(5),
            "{corrected}"
        );
    }
}

#[tokio::test]
async fn a_clock_that_agrees_with_the_servers_is_not_corrected() {
    on_catalog(async |fixture| {
        assert_eq!(fixture.catalog.by_server_clock(at(7)).await.unwrap(), at(7));
        assert_eq!(
            fixture
                .catalog
                .by_server_clock(Timestamp::MAX)
                .await
                .unwrap(),
            Timestamp::MAX
        );
    })
    .await;
}
