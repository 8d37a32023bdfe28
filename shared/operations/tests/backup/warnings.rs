//! Warnings for an operator are in the job's row, so that the functions report them too.

use holdfast_domain::Secret;
use holdfast_testing::unique;
use mongodb::bson::{Document, doc};

use crate::fixture::{Fixture, completed, run, uri_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_left_out_as_temporary_is_named() {
    let f = Fixture::new(&[("BACKUP_DUMP_ENGINE", "native")]).await;
    f.fill(10).await;
    assert_eq!(f.back_up().await.warnings, [""; 0]);
    let mine = f.client.database(&f.database).collection::<Document>("tmp.agg_out.mine");
    mine.insert_one(doc! { "_id": 1 }).await.unwrap();
    let job = f.back_up().await;
    let name = format!("{}.tmp.agg_out.mine", f.database);
    assert!(job.warnings.len() == 1 && job.warnings[0].contains(&name), "{:?}", job.warnings);
    assert!(job.message.unwrap().contains(&name));
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
        assert!(told.contains(&format!("{place} backup of")) && told.contains("holds no documents"), "{told}");
        assert!(job.message.unwrap().contains(&job.warnings[0]));
    }
    f.remove().await;
}
