//! What is built from the vendor's archive, and what later builds hold to.

use std::fs;

use crate::{
    bench::{Bench, VERSION},
    programs::{MACHINES, program},
    site::{LIBRARIES, Site, archive_for, archive_path, sha256},
};

#[test]
fn the_layer_holds_the_vendors_program_its_licence_and_a_note_for_either_processor() {
    let site = Site::vendors();
    for (architecture, _) in MACHINES {
        let bench = Bench::new();
        bench.build(architecture, &site.feed()).built_saying(&[
            VERSION,
            architecture,
            LIBRARIES[0],
        ]);
        let expected = [
            ("MONGODUMP-LAYER.txt", 0o644),
            ("bin/mongodump", 0o755),
            ("licenses/mongodump/LICENSE.md", 0o644),
            ("licenses/mongodump/THIRD-PARTY-NOTICES", 0o644),
        ];
        assert_eq!(
            bench.layer_files(),
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
        let mongodump = program(architecture, &LIBRARIES);
        assert_eq!(
            fs::read(bench.path("layer/bin/mongodump")).unwrap(),
            mongodump
        );
        let note = bench.layer_text("MONGODUMP-LAYER.txt");
        let (url, archive) = (
            site.url(&archive_path(architecture)),
            sha256(&archive_for(architecture)),
        );
        for part in [
            VERSION,
            architecture,
            &url,
            &archive,
            &sha256(&mongodump),
            LIBRARIES[0],
            LIBRARIES[1],
        ] {
            assert!(note.contains(part), "no {part} in {note}");
        }
    }
}

#[test]
fn the_first_build_of_each_processor_writes_its_line_of_the_lock() {
    let (site, bench) = (Site::vendors(), Bench::new());
    let line = |architecture: &str| {
        let url = site.url(&archive_path(architecture));
        format!(
            "{architecture} {VERSION} {} {url}",
            sha256(&archive_for(architecture))
        )
    };
    bench.build("x86_64", &site.feed()).built_saying(&[]);
    assert_eq!(lines(&bench), [line("x86_64")]);
    for _ in 0..2 {
        bench.build("arm64", &site.feed()).built_saying(&[]);
        assert_eq!(lines(&bench), [line("arm64"), line("x86_64")]);
    }
}

#[test]
fn what_is_not_the_locked_archive_is_refused_and_the_layer_stays() {
    let (site, bench) = (Site::vendors(), Bench::new());
    bench.build("x86_64", &site.feed()).built_saying(&[]);
    let (layer, lock) = (bench.layer_files(), lines(&bench));
    let replaced = Site::offering("x86_64", [archive_for("x86_64"), vec![0]].concat());
    bench.build("x86_64", &replaced.feed()).refused_with(&[
        "not the one that was taken before",
        &lock[0],
        &replaced.url(&archive_path("x86_64")),
        "delete that line",
    ]);
    assert_eq!((bench.layer_files(), lines(&bench)), (layer, lock));
    assert_eq!(replaced.asked_for(&archive_path("x86_64")), 0);
}

#[test]
fn an_archive_is_fetched_once_and_again_only_if_it_was_changed_on_disk() {
    let (site, bench) = (Site::vendors(), Bench::new());
    let archive = archive_path("arm64");
    for _ in 0..2 {
        bench.build("arm64", &site.feed()).built_saying(&[]);
        assert_eq!(site.asked_for(&archive), 1);
    }
    let kept = bench
        .path("downloads")
        .join(format!("{}.tgz", sha256(&archive_for("arm64"))));
    fs::write(kept, b"something else").unwrap();
    bench.build("arm64", &site.feed()).built_saying(&[]);
    assert_eq!(site.asked_for(&archive), 2);
}

#[test]
fn a_layer_is_replaced_as_a_whole() {
    let (site, bench) = (Site::vendors(), Bench::new());
    bench.build_from("arm64", "none".as_ref()).built_saying(&[]);
    bench.build("arm64", &site.feed()).built_saying(&[]);
    assert_eq!(bench.layer_files().len(), 4);
    bench.build_from("arm64", "none".as_ref()).built_saying(&[]);
    assert_eq!(bench.layer_files().len(), 1);
}

fn lines(bench: &Bench) -> Vec<String> {
    let lock = fs::read_to_string(bench.path("mongodump.lock")).unwrap();
    lock.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}
