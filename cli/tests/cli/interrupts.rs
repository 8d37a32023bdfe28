//! Ctrl-C: the first cancels a running backup, and nothing is left of it; the second exits at once.

use std::{
    process::{Child, Command},
    time::{Duration, Instant},
};

use holdfast_catalog::{JobFilter, Source};
use holdfast_domain::JobStatus;
use holdfast_testing::proxy::{FaultProxy, WireFault};

use super::place::{Place, end_of};

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// A backup whose upload hangs.
async fn hanging(place: &mut Place) -> (FaultProxy, Child) {
    let proxy = FaultProxy::start().await;
    place.env.insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
    proxy.fail("PUT", "dump.", 1_000, WireFault::Hang);
    let child = place.command(&["run", "database"]).spawn().unwrap();
    let begun = Instant::now();
    while proxy.count("PUT", "dump.") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the upload never began");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (proxy, child)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_interrupt_cancels_the_backup_and_leaves_nothing() {
    let mut place = Place::initialised().await;
    let (_proxy, child) = hanging(&mut place).await;
    interrupt(&child);
    tokio::task::spawn_blocking(move || end_of(child)).await.unwrap().expect(1).saying(&["cancelled"]);
    let catalog = place.catalog().await;
    let (jobs, _) = catalog.list(JobFilter::default(), 1, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.status).collect::<Vec<_>>(), [JobStatus::Cancelled]);
    assert_eq!(catalog.get_lease(Source::Database).await.unwrap(), None);
    assert_eq!(place.keys().await, ["repository.copy.json", "repository.json"]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_interrupt_exits_at_once() {
    let mut place = Place::initialised().await;
    let (_proxy, child) = hanging(&mut place).await;
    interrupt(&child);
    tokio::time::sleep(Duration::from_millis(700)).await;
    interrupt(&child);
    let second = Instant::now();
    tokio::task::spawn_blocking(move || end_of(child)).await.unwrap().expect(130);
    assert!(second.elapsed() < Duration::from_secs(2), "{:?}", second.elapsed());
    place.remove().await;
}
