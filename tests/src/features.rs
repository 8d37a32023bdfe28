//! Every selection of packages builds a third-party crate with the same features: `cargo test -p` reuses what another
//! command built.

use std::{collections::BTreeSet, process::Command};

use crate::architecture::{name_of, packages};

#[test]
fn every_package_alone_has_the_features_of_the_whole_workspace() {
    let whole = crates(&["--workspace"]);
    for package in packages() {
        let name = name_of(&package);
        let alone = crates(&["--package", name]);
        let others: Vec<&String> = alone.difference(&whole).collect();
        let remedy = "let its tests depend on holdfast-features, or add the missing features there";
        assert!(name == "holdfast-features" || others.is_empty(), "{name} builds {others:#?} a second time: {remedy}");
    }
}

/// Each third-party crate with its version and features.
fn crates(selection: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p} {f}"]);
    let output = cargo.args(selection).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    // A crate of the workspace has its path in brackets. `(*)` ends the line of a crate that was printed before.
    let third_party = lines.lines().filter(|line| !line.is_empty() && !line.contains('/'));
    third_party.map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}
