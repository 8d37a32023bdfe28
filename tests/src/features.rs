//! Every selection of packages builds a third-party crate with the same features: `cargo test -p`
//! reuses what another command built.

use std::{collections::BTreeSet, process::Command};

use crate::architecture::{name_of, packages};

const REMEDY: &str =
    "correct shared/features/Cargo.toml, or let the package's tests depend on holdfast-features";

#[test]
fn every_package_alone_has_the_features_of_the_whole_workspace() {
    let whole = crates("normal,build,dev", &["--workspace"]);
    for package in packages()
        .iter()
        .filter(|package| name_of(package) != "holdfast-features")
    {
        let alone = crates("normal,build,dev", &["--package", name_of(package)]);
        let others: Vec<&String> = alone.difference(&whole).collect();
        assert!(
            others.is_empty(),
            "{} builds {others:#?} a second time: {REMEDY}",
            name_of(package)
        );
    }
}

#[test]
fn the_programs_without_their_tests_have_the_features_of_the_whole_workspace() {
    let whole = crates("normal,build,dev", &["--workspace"]);
    for programs in [&["holdfast", "holdfast-bootstrap"][..], &["xtask"]] {
        let selection: Vec<&str> = programs
            .iter()
            .flat_map(|program| ["--package", program])
            .collect();
        let built = crates("normal,build", &selection);
        let others: Vec<&String> = built.difference(&whole).collect();
        assert!(
            others.is_empty(),
            "{programs:?} and the tests build {others:#?} twice: {REMEDY}"
        );
    }
}

/// Each third-party crate with its version and features.
fn crates(edges: &str, selection: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    // A developer's own setting would make all selections alike.
    cargo.env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    cargo.args([
        "tree",
        "--offline",
        "--prefix",
        "none",
        "--format",
        "{p} {f}",
        "--edges",
        edges,
    ]);
    let output = cargo
        .args(selection)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    // A crate of the workspace has its path in brackets. `(*)` ends the line of a crate that was
    // printed before.
    let third_party = lines
        .lines()
        .filter(|line| !line.is_empty() && !line.contains('/'));
    third_party
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}
