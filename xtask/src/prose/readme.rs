//! The README as the front door: short, and with true badges.

use crate::{files, sources::read};

const LONGEST: usize = 150;

fn text(file: &str) -> String {
    read(&files::workspace().join(file)).unwrap()
}

#[test]
fn the_readme_is_short() {
    let lines = text("README.md").lines().count();
    assert!(
        lines <= LONGEST,
        "the README has {lines} lines, more than {LONGEST}"
    );
}

#[test]
fn the_badges_state_the_pinned_rust_and_the_licence() {
    let (readme, toolchain, workspace) = (
        text("README.md"),
        text("rust-toolchain.toml"),
        text("Cargo.toml"),
    );
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| {
            line.trim()
                .strip_prefix(&format!("{key} = \""))
                .map(str::to_owned)
        });
        line.unwrap().trim_end_matches('"').to_owned()
    };
    let rust = value(&toolchain, "channel");
    let rust = rust.trim_end_matches(".0");
    assert!(
        readme.contains(&format!("badge/rust-{rust}-")),
        "{rust} is pinned"
    );
    let licence = value(&workspace, "license");
    assert!(
        readme.contains(&format!("badge/licence-{}-", licence.replace('-', "--"))),
        "the licence is {licence}"
    );
}
