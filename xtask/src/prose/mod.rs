//! Measures the prose of documents, comments and messages, and refuses a text that becomes harder
//! to read. The accepted figures are in `xtask/prose.json`, one line for each document, and two for
//! each crate.

#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod links;
mod measure;
mod messages;
#[cfg(test)]
mod readme;
mod text;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use self::measure::Figures;
use crate::{files, sources};

const ACCEPTED: &str = "xtask/prose.json";
/// Folders of crates, each with the comments of one text.
const CRATES: [&str; 5] = ["shared", "functions", "cli", "xtask", "tests"];
/// The limits of a new document.
const NEW: Figures = Figures {
    words: 0,
    longest: 25,
    relatives: 25,
    semicolons: 3,
    banned: 0,
};

/// Measures everything. With `accept` the figures become the accepted ones. Otherwise each figure
/// worse than before is named, and the result is `false`.
pub(crate) fn run(purpose: Purpose) -> Result<bool> {
    let measured = measure()?;
    let file = files::workspace().join(ACCEPTED);
    if purpose == Purpose::Accept {
        let figures = serde_json::to_string_pretty(&measured)?;
        fs::write(&file, figures + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
        return Ok(true);
    }
    let accepted = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let accepted: BTreeMap<String, Figures> =
        serde_json::from_slice(&accepted).context("cannot parse the figures")?;
    if purpose == Purpose::Print {
        print(&measured);
    }
    let mut is_good = true;
    for (name, figures) in &measured {
        for worse in figures.worse_than(accepted.get(name).unwrap_or(&NEW)) {
            eprintln!("{name}: {worse}");
            is_good = false;
        }
    }
    Ok(is_good)
}

/// Prints the sentences that raise the figures of a file or folder.
pub(crate) fn print_hard(path: &Path) -> Result<()> {
    let files = if path.is_dir() {
        [sources::found(path, "md")?, sources::found(path, "rs")?].concat()
    } else {
        vec![path.to_owned()]
    };
    for file in files {
        for sentence in sentences(&file)?
            .iter()
            .filter(|sentence| measure::is_hard(sentence))
        {
            println!(
                "{}: {}",
                file.display(),
                sentence.split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
    }
    Ok(())
}

fn sentences(file: &Path) -> Result<Vec<String>> {
    let text = sources::read(file)?;
    if sources::has_extension(file, "md") {
        return Ok(text::of_markdown(&text));
    }
    let messages = if sources::is_product(file) {
        messages::of_rust(&text)?
    } else {
        Vec::new()
    };
    Ok([text::of_rust(&text), messages].concat())
}

/// Use of the figures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compare them with the accepted ones.
    Check,
    /// Print them, then compare.
    Print,
    /// Make them the accepted ones.
    Accept,
}

fn print(measured: &BTreeMap<String, Figures>) {
    println!(
        "{:<52} {:>6} {:>8} {:>9} {:>10} {:>6}",
        "", "words", "p95/sent", "rel/1000", "semi/1000", "banned"
    );
    for (
        name,
        Figures {
            words,
            longest,
            relatives,
            semicolons,
            banned,
        },
    ) in measured
    {
        println!("{name:<52} {words:>6} {longest:>8} {relatives:>9} {semicolons:>10} {banned:>6}");
    }
}

fn measure() -> Result<BTreeMap<String, Figures>> {
    let root = files::workspace();
    let mut measured = BTreeMap::new();
    for document in documents(&root)? {
        let text = sources::read(&document)?;
        measured.insert(
            sources::name(&root, &document),
            Figures::of(&text::of_markdown(&text)),
        );
    }
    for folder in sources::crates(&root, &CRATES)? {
        let (mut comments, mut messages) = (Vec::new(), Vec::new());
        for file in sources::found(&folder, "rs")? {
            let source = sources::read(&file)?;
            comments.extend(text::of_rust(&source));
            if sources::is_product(&file) {
                messages.extend(
                    messages::of_rust(&source).with_context(|| file.display().to_string())?,
                );
            }
        }
        let name = sources::name(&root, &folder);
        measured.insert(format!("comments of {name}"), Figures::of(&comments));
        measured.insert(format!("messages of {name}"), Figures::of(&messages));
    }
    Ok(measured)
}

fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let mut documents: Vec<_> = sources::entries(root)?
        .into_iter()
        .filter(|path| sources::has_extension(path, "md"))
        .collect();
    documents.extend(sources::found(&root.join("docs"), "md")?);
    Ok(documents)
}
