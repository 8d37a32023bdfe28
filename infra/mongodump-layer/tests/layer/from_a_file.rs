//! `MONGODUMP_BINARY`: a file at hand, or none. The vendor is not asked, and the lock says nothing
//! of it.

use crate::{
    bench::Bench,
    programs::{MACHINES, compiled, elsewhere, here, program},
    site::sha256,
};

#[test]
fn none_makes_a_layer_of_the_note_alone_and_reports_it() {
    let bench = Bench::new();
    bench
        .build_from("arm64", "none".as_ref())
        .built_saying(&["no mongodump", "native engine"]);
    assert_eq!(
        bench.layer_files(),
        [("MONGODUMP-LAYER.txt".to_owned(), 0o644)]
    );
    assert!(
        bench
            .layer_text("MONGODUMP-LAYER.txt")
            .contains("MONGODUMP_BINARY=none")
    );
    assert_eq!(bench.left_behind(), ["layer"]);
}

#[test]
fn a_program_for_this_machine_is_run_for_its_version() {
    let bench = Bench::new();
    let file = compiled(
        &bench.path(""),
        "mongodump version: 100.17.3\ngit version: abc",
        "",
        0,
    );
    bench
        .build_from(here(), &file)
        .built_saying(&["100.17.3", here(), "libc.so"]);
    let note = bench.layer_text("MONGODUMP-LAYER.txt");
    for part in [
        "version: 100.17.3\n",
        "a local file, mongodump-at-hand",
        "libc.so",
        &sha256(&std::fs::read(&file).unwrap()),
    ] {
        assert!(note.contains(part), "no {part} in {note}");
    }
    assert_eq!(
        std::fs::read(bench.path("layer/bin/mongodump")).unwrap(),
        std::fs::read(file).unwrap()
    );
    assert!(!bench.path("mongodump.lock").exists());
}

#[test]
fn a_program_for_another_machine_than_this_is_taken_by_its_header() {
    let bench = Bench::new();
    let file = bench.file("mongodump", &program(elsewhere(), &["libresolv.so.2"]));
    bench
        .build_from(elsewhere(), &file)
        .built_saying(&["unknown", "libresolv.so.2"]);
    assert_eq!(
        bench.layer_files().last().unwrap(),
        &("bin/mongodump".to_owned(), 0o755)
    );
}

#[test]
fn a_library_that_only_this_machine_lacks_is_no_fault_of_the_file() {
    let bench = Bench::new();
    let complaint =
        "mongodump: error while loading shared libraries: libgssapi_krb5.so.2: cannot open";
    let file = compiled(&bench.path(""), "", complaint, 127);
    bench
        .build_from(here(), &file)
        .built_saying(&["unknown (not run here", "libgssapi_krb5.so.2"]);
}

#[test]
fn a_program_for_another_processor_than_the_functions_is_refused() {
    for ((asked, _), (held, _)) in [(MACHINES[0], MACHINES[1]), (MACHINES[1], MACHINES[0])] {
        let bench = Bench::new();
        let file = bench.file("mongodump", &program(held, &[]));
        let refusal = [
            file.to_str().unwrap(),
            &format!("for {held}"),
            &format!("runs on {asked}"),
            "Architecture",
        ];
        bench.build_from(asked, &file).refused_with(&refusal);
        assert_eq!(bench.left_behind(), ["mongodump"]);
    }
}

#[test]
fn a_file_that_is_no_program_is_refused() {
    let bench = Bench::new();
    let mut for_32_bits = program("x86_64", &[]);
    for_32_bits[4] = 1;
    for content in [
        &b"#!/bin/sh\nexec mongodump \"$@\"\n"[..],
        b"",
        &for_32_bits,
        &program("x86_64", &["libc.so.6"])[..200],
    ] {
        let file = bench.file("mongodump", content);
        bench
            .build_from("x86_64", &file)
            .refused_with(&["not a 64-bit Linux program"]);
        assert_eq!(bench.left_behind(), ["mongodump"]);
    }
}

#[test]
fn a_program_that_is_something_else_is_refused() {
    for (said, complained, code) in [
        ("mongorestore version: 100.18.0", "", 0),
        ("mongodump version: 100.18.0", "panic: out of luck", 2),
        ("", "unknown option --version", 1),
    ] {
        let bench = Bench::new();
        let file = compiled(&bench.path(""), said, complained, code);
        bench
            .build_from(here(), &file)
            .refused_with(&["names no version of mongodump", complained]);
        assert_eq!(bench.left_behind(), ["mongodump-at-hand"]);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let bench = Bench::new();
    bench
        .build_from("arm64", &bench.path("nowhere"))
        .refused_with(&["MONGODUMP_BINARY", "nowhere", "No such file"]);
}
