//! Warnings for an operator are in the job's row, so that the functions report them too.

use std::{sync::Arc, time::Duration};

use holdfast_domain::Secret;
use holdfast_testing::{Fault, FaultStore, Operation, unique};
use mongodb::bson::{Document, doc};

use crate::support::database::{Fixture, completed, run, uri_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_left_out_as_temporary_is_named() {
    let f = Fixture::new(&[("BACKUP_DUMP_ENGINE", "native")]).await;
    f.fill(10).await;
    assert_eq!(f.back_up().await.warnings, [""; 0]);
    let mine = f
        .client
        .database(&f.database)
        .collection::<Document>("tmp.agg_out.mine");
    mine.insert_one(doc! { "_id": 1 }).await.unwrap();
    let job = f.back_up().await;
    let name = format!("{}.tmp.agg_out.mine", f.database);
    assert!(
        job.warnings.len() == 1 && job.warnings[0].contains(&name),
        "{:?}",
        job.warnings
    );
    assert!(job.message.unwrap().contains(&name));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_collection_that_is_gone_at_the_end_of_the_dump_needs_no_warning() {
    /// The dump's, after the repository's file and its copy.
    const PUT_OF_DUMP: u32 = 3;
    let f = Fixture::new(&[("BACKUP_DUMP_ENGINE", "native")]).await;
    f.fill(10).await;
    let out = f
        .client
        .database(&f.database)
        .collection::<Document>("tmp.agg_out.1");
    out.insert_one(doc! { "_id": 1 }).await.unwrap();
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(
        Operation::Put,
        PUT_OF_DUMP,
        Fault::Late(Duration::from_secs(2)),
    );
    let (h, id) = (f.over(faults.clone()), f.trigger().await);
    let aggregation_ends = async {
        while faults.calls(Operation::Put) < PUT_OF_DUMP {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        out.drop().await.unwrap();
        // The next aggregation has another collection.
        let next = f
            .client
            .database(&f.database)
            .collection::<Document>("tmp.agg_out.2");
        next.insert_one(doc! { "_id": 1 }).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(run(&h, id), aggregation_ends);
    let job = completed(outcome);
    assert_eq!(job.warnings, [""; 0]);
    assert!(
        job.namespaces
            .unwrap()
            .iter()
            .all(|held| !held.namespace.contains("tmp.agg_out"))
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_source_and_one_that_is_suddenly_empty_are_warnings_of_the_job() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    f.back_up().await;
    let wrong = unique("misspelt");
    let h = f.with(|settings| settings.mongodb_uri = Secret::new(uri_of(&wrong)));
    for place in ["first", "second"] {
        let id = f.trigger().await;
        let job = completed(run(&h, id).await);
        let told = job.warnings.join("; ");
        assert!(
            told.contains(&format!("{place} backup of")) && told.contains("holds no documents"),
            "{told}"
        );
        assert!(job.message.unwrap().contains(&job.warnings[0]));
    }
    f.remove().await;
}
