//! Links of the documents to each other: every file and every heading must exist.

use std::{collections::BTreeMap, path::Path};

use super::documents;
use crate::{
    files,
    sources::{name, read},
};

/// The targets of a document's links and images. Code has none.
fn targets(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if !is_code {
            found.extend(
                line.split("](")
                    .skip(1)
                    .filter_map(|rest| Some(rest.split_once(')')?.0)),
            );
        }
    }
    found
}

/// The anchors of the headings, by the rules of GitHub.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let is_kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| {
            heading
                .chars()
                .filter(is_kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

/// Why a link leads nowhere.
fn fault(
    document: &Path,
    text: &str,
    target: &str,
    texts: &BTreeMap<String, String>,
) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = document.parent().unwrap();
    let path = if file.is_empty() {
        document.to_path_buf()
    } else {
        folder.join(file)
    };
    let Ok(path) = path.canonicalize() else {
        return Some(format!("{target}: no such file"));
    };
    let linked = texts
        .get(&path.display().to_string())
        .map_or(text, String::as_str);
    let is_found = anchor.is_empty() || anchors(linked).iter().any(|known| known == anchor);
    (!is_found).then(|| format!("{target}: no such heading"))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let root = files::workspace();
    let paths = documents(&root).unwrap();
    let texts: BTreeMap<String, String> = paths
        .iter()
        .map(|path| {
            (
                path.canonicalize().unwrap().display().to_string(),
                read(path).unwrap(),
            )
        })
        .collect();
    let mut faults = Vec::new();
    for path in &paths {
        let text = read(path).unwrap();
        let broken = targets(&text)
            .into_iter()
            .filter_map(|target| fault(path, &text, target, &texts));
        faults.extend(broken.map(|fault| format!("{}: {fault}", name(&root, path))));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_missing_file_or_heading_is_a_fault() {
    let path = files::workspace().join("README.md");
    let fault = |target| fault(&path, "# A heading, `x`\n", target, &BTreeMap::new());
    assert_eq!(
        targets("see [a](b.md#c) and\n```\n[no](code)\n```\n![d](e.svg)"),
        ["b.md#c", "e.svg"]
    );
    assert_eq!(fault("#a-heading-x"), None);
    assert_eq!(
        fault("#another"),
        Some("#another: no such heading".to_owned())
    );
    assert_eq!(
        fault("docs/none.md"),
        Some("docs/none.md: no such file".to_owned())
    );
    assert_eq!(fault("https://example.net/x"), None);
}
