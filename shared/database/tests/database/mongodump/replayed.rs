//! Recorded runs of the real tool, good and bad, with their stderr and exit status.

use holdfast_testing::{StandIn, expected, golden, golden_stderr};

use super::{dumped, refused};

#[tokio::test]
async fn what_the_real_tool_wrote_comes_through_unchanged() {
    for name in [
        "nothing",
        "platform",
        "platform-one",
        "platform-parallel",
        "platform-excluded",
        "shapes",
    ] {
        let (archive, summary) = dumped(&StandIn::replaying(&golden(name), "", 0))
            .await
            .unwrap();
        assert_eq!(archive, golden(name), "{name}");
        for (database, collections) in expected().get(name).into_iter().flatten() {
            // Archives do not contain the server's own collections, present after a restore.
            for (collection, expected) in collections
                .iter()
                .filter(|(name, _)| !name.starts_with("system."))
            {
                let mut found = summary.namespaces.iter();
                let found = found
                    .find(|found| found.db == *database && found.collection == *collection)
                    .unwrap();
                // A view has no documents, and a time series has buckets in the archive.
                let documents = expected.documents.unwrap_or(found.documents);
                assert_eq!(found.documents, documents, "{name} {collection}");
            }
        }
    }
}

#[tokio::test]
async fn a_failed_run_of_the_real_tool_is_refused_with_its_message() {
    for (name, exit_code, word) in [
        ("cut-700k", 1, "exited with code 1: Failed: archive writer"),
        (
            "cut-1500k",
            2,
            "exited with code 2: panic: send on closed channel",
        ),
        (
            "cut-but-whole",
            1,
            "exited with code 1: Failed: error writing data for collection `web3platform.contents`",
        ),
        (
            "oplog-overflow",
            1,
            "exited with code 1: Failed: oplog overflow",
        ),
    ] {
        let error = refused(&StandIn::replaying(
            &golden(name),
            &golden_stderr(name),
            exit_code,
        ))
        .await;
        assert!(
            error.starts_with("mongodump 100.18.0 ") && error.contains(word),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn an_exit_code_of_0_does_not_outweigh_a_reported_failure() {
    for name in ["cut-700k", "cut-1500k", "cut-but-whole", "oplog-overflow"] {
        let error = refused(&StandIn::replaying(&golden(name), &golden_stderr(name), 0)).await;
        assert!(
            error.contains("exited with code 0 but reported a failure"),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn a_whole_archive_does_not_outweigh_an_exit_code() {
    for exit_code in [1, 2, 3] {
        let error = refused(&StandIn::replaying(&golden("platform"), "", exit_code)).await;
        assert!(
            error.contains(&format!("code {exit_code} without a message")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_cut_archive_is_refused_even_if_the_tool_reports_success() {
    for name in ["cut-700k", "cut-1500k"] {
        refused(&StandIn::replaying(&golden(name), "", 0)).await;
    }
    let platform = golden("platform");
    refused(&StandIn::replaying(&platform[..platform.len() - 1], "", 0)).await;
    refused(&StandIn::replaying(
        b"",
        "namespace with DB a and collection b does not exist",
        0,
    ))
    .await;
}

#[tokio::test]
async fn fewer_documents_than_the_tool_counted_are_refused() {
    let said =
        "2026-11-23T06:06:38.070+0000\tdone dumping `web3platform.contents` (1200 documents)\n";
    let error = refused(&StandIn::replaying(&golden("cut-but-whole"), said, 0)).await;
    assert!(
        error.contains("1200 documents of web3platform.contents, but its archive contains 101"),
        "{error}"
    );
}
