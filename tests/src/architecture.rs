//! Arrows between the crates point one way.

use std::process::Command;

use serde_json::Value;

/// Each layer may use the later ones.
///
/// `recovery` and `repository` are below `catalog`, so restores and verification compile without
/// it.
const LIBRARIES: [&str; 13] = [
    "lambda",
    "api",
    "setup",
    "operations",
    "catalog",
    "recovery",
    "repository",
    "database",
    "content",
    "archive",
    "storage",
    "codec",
    "domain",
];

#[test]
fn libraries_know_only_what_is_below_them_and_programs_only_libraries() {
    let packages = packages();
    let functions: Vec<&str> = packages
        .iter()
        .filter(|package| is_function(package))
        .map(name_of)
        .collect();
    for package in &packages {
        let name = name_of(package);
        let rank = |name: &str| {
            LIBRARIES
                .iter()
                .position(|library| name == format!("holdfast-{library}"))
        };
        for known in own_dependencies(package) {
            let below = match (rank(name), rank(&known)) {
                (Some(own), Some(its)) => own < its,
                // Programs are above all libraries. Fixtures may use anything.
                (None, Some(_)) => {
                    is_function(package) || name == "holdfast" || name == "holdfast-testing"
                }
                // It has no code.
                (_, None) if known == "holdfast-features" => true,
                // The program of the functions knows each of them, and no function knows another.
                (None, None) => name == "holdfast-bootstrap" && functions.contains(&known.as_str()),
                (Some(_), None) => false,
            };
            assert!(below, "{name} may not know {known}");
        }
    }
}

#[test]
fn every_library_has_its_place_in_the_order() {
    let packages = packages();
    let shared = packages.iter().filter(|package| {
        package["manifest_path"]
            .as_str()
            .unwrap()
            .contains("/shared/")
    });
    let mut names: Vec<&str> = shared
        .filter_map(|package| package["name"].as_str()?.strip_prefix("holdfast-"))
        .collect();
    names.sort_unstable();
    let mut expected: Vec<&str> = LIBRARIES
        .iter()
        .copied()
        .chain(["features", "testing"])
        .collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

pub(crate) fn name_of(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn is_function(package: &Value) -> bool {
    package["manifest_path"]
        .as_str()
        .unwrap()
        .contains("/functions/")
}

pub(crate) fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]);
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Crates of the workspace in the build of a package, without those of its tests.
fn own_dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    let built_with = all.filter(|one| one["kind"] != "dev" && one["path"].is_string());
    built_with
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}
