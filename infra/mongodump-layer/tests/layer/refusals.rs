//! What can go wrong on the way from the vendor: a sentence that says what to do, and nothing left
//! behind.

use std::net::TcpListener;

use crate::{
    bench::{Bench, VERSION},
    programs::{elsewhere, here, program},
    site::{Page, Site, archive_for, archive_of, archive_path, sha256},
};

const NOTHING: [&str; 0] = [];
const WAY_OUT: &str = "MONGODUMP_BINARY";

fn refused(site: &Site, parts: &[&str]) {
    let bench = Bench::new();
    bench.build("x86_64", &site.feed()).refused_with(parts);
    assert_eq!(bench.left_behind(), NOTHING);
}

#[test]
fn an_archive_that_the_feed_does_not_vouch_for_is_refused() {
    let site = Site::vendors();
    let other = archive_of(&[("bin/mongodump", b"evil")]);
    site.serve(&archive_path("x86_64"), Page::Whole(other.clone()));
    let (expected, found) = (sha256(&archive_for("x86_64")), sha256(&other));
    refused(
        &site,
        &[
            &site.url(&archive_path("x86_64")),
            &expected,
            &found,
            "thrown away",
        ],
    );
}

#[test]
fn a_page_that_is_not_there_is_named_with_its_status() {
    let site = Site::vendors();
    site.remove(&archive_path("x86_64"));
    refused(&site, &[&site.url(&archive_path("x86_64")), "404", WAY_OUT]);
    site.remove("/full.json");
    refused(&site, &[&site.feed(), "404", "MONGODUMP_FEED_URL", WAY_OUT]);
}

#[test]
fn a_site_that_cannot_be_reached_is_named_with_the_cause() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let feed = format!("http://{free}/full.json");
    let bench = Bench::new();
    bench.build("x86_64", &feed).refused_with(&[
        &feed,
        "cannot be reached",
        "refused",
        "HTTPS_PROXY",
        WAY_OUT,
    ]);
    assert_eq!(bench.left_behind(), NOTHING);
}

#[test]
fn an_archive_that_breaks_off_is_not_kept() {
    let site = Site::vendors();
    site.serve(&archive_path("x86_64"), Page::Cut(archive_for("x86_64")));
    refused(
        &site,
        &[
            &site.url(&archive_path("x86_64")),
            "cannot be reached",
            WAY_OUT,
        ],
    );
}

#[test]
fn a_feed_without_the_release_or_the_processor_names_the_missing_one() {
    let site = Site::offering("arm64", archive_for("arm64"));
    refused(
        &site,
        &[&site.feed(), VERSION, "x86_64", "TOOLS_VERSION", WAY_OUT],
    );
    site.serve(
        "/full.json",
        Page::Whole(br#"{"versions": [{"version": "1.0.0"}]}"#.to_vec()),
    );
    refused(
        &site,
        &[
            &site.feed(),
            &format!("no release {VERSION}"),
            "TOOLS_VERSION",
            WAY_OUT,
        ],
    );
}

#[test]
fn a_page_that_is_no_feed_is_refused() {
    let site = Site::empty();
    for page in ["<html>Sign in to the hotel's network</html>", "{}", "[]"] {
        site.serve("/full.json", Page::Whole(page.into()));
        refused(
            &site,
            &[
                &site.feed(),
                "not the vendor's list of releases",
                "MONGODUMP_FEED_URL",
            ],
        );
    }
}

#[test]
fn an_archive_of_something_else_is_refused() {
    let program = program("x86_64", &[]);
    let whole = archive_for("x86_64");
    for (archive, fault) in [
        (
            archive_of(&[("LICENSE.md", b"Apache")]),
            "holds no bin/mongodump",
        ),
        (
            archive_of(&[("LICENSE.md", b"Apache"), ("lib/bin/mongodump", &program)]),
            "holds no bin/mongodump",
        ),
        (
            archive_of(&[("bin/mongodump", &program)]),
            "holds no licence",
        ),
        (b"not gzip at all".to_vec(), "cannot be unpacked"),
        (whole[..whole.len() / 2].to_vec(), "cannot be unpacked"),
    ] {
        let site = Site::offering("x86_64", archive);
        let bench = Bench::new();
        bench.build("x86_64", &site.feed()).refused_with(&[
            &site.url(&archive_path("x86_64")),
            fault,
            WAY_OUT,
        ]);
        // The archive is what the vendor vouched for; only a layer and a lock would be wrong.
        assert_eq!(bench.left_behind(), ["downloads"]);
    }
}

#[test]
fn a_program_for_another_processor_is_refused() {
    for (asked, held) in [("x86_64", "arm64"), ("arm64", "x86_64")] {
        let site = Site::offering(asked, archive_for(held));
        let bench = Bench::new();
        let url = site.url(&archive_path(asked));
        bench.build(asked, &site.feed()).refused_with(&[
            &url,
            &format!("for {held}"),
            &format!("runs on {asked}"),
        ]);
        assert_eq!(bench.left_behind(), ["downloads"]);
    }
}

#[test]
fn a_lock_that_cannot_be_read_is_named_with_its_line() {
    let (site, bench) = (Site::vendors(), Bench::new());
    bench.file("mongodump.lock", b"# a comment\n\nx86_64 100.18.0\n");
    bench
        .build("x86_64", &site.feed())
        .refused_with(&["line 3 of", "mongodump.lock", "Delete it"]);
    assert_eq!(bench.left_behind(), ["mongodump.lock"]);
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("layer")).unwrap();
    bench.file("layer/holiday.jpg", b"dear");
    bench
        .build_from(elsewhere(), "none".as_ref())
        .refused_with(&["holds something other than a layer"]);
    bench
        .build(here(), &Site::vendors().feed())
        .refused_with(&["holds something other than a layer"]);
    assert_eq!(bench.layer_text("holiday.jpg"), "dear");
    assert!(!bench.path("mongodump.lock").exists());
}
