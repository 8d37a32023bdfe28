//! Every command in a message or document is valid: a test parses each one as the command line
//! does.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::{Parser as _, error::ErrorKind};

use crate::arguments::Arguments;

/// A command, and the place of its mention.
struct Named {
    place: String,
    command: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn files(below: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// Backquoted text that begins with the name of the program.
fn quoted(place: &Path, text: &str) -> Vec<Named> {
    let commands = text
        .split("`holdfast ")
        .skip(1)
        .filter_map(|rest| rest.split_once('`'));
    let place = place
        .strip_prefix(root())
        .unwrap_or(place)
        .display()
        .to_string();
    commands
        .map(|(command, _)| Named {
            place: place.clone(),
            command: format!("holdfast {command}"),
        })
        .collect()
}

/// The messages of a source file: no comments, no tests, and continued lines joined.
fn messages(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.fold(String::new(), |joined, line| {
        match joined.strip_suffix('\\') {
            Some(begun) => format!("{begun}{}", line.trim_start()),
            None => format!("{joined}\n{line}"),
        }
    })
}

/// The command with a value in each place.
fn filled_in(command: &str) -> String {
    let mut filled = command.to_owned();
    for (place, value) in [
        ("{id}", "db_1_aa"),
        ("{backup}", "db_1_aa"),
        ("{backup_id}", "db_1_aa"),
        ("{found}", "database"),
        ("{kind}", "database"),
        ("{level}", "drill"),
        ("{second}", "s3://bucket"),
    ] {
        filled = filled.replace(place, value);
    }
    filled
}

fn parsed(command: &str) -> Result<(), clap::Error> {
    let words = command
        .split_whitespace()
        .map(|word| OsString::from(word.trim_matches(['"', '\''])));
    match Arguments::try_parse_from(words) {
        Err(error) if error.use_stderr() => Err(error),
        _ => Ok(()),
    }
}

#[test]
fn every_command_in_a_message_is_valid() {
    let sources =
        ["cli/src", "shared", "functions"].map(|folder| files(&root().join(folder), "rs"));
    let sources = sources.concat().into_iter().filter(|path| {
        !path.ends_with("hints.rs") && !path.components().any(|part| part.as_os_str() == "tests")
    });
    let named =
        sources.flat_map(|path| quoted(&path, &messages(&fs::read_to_string(&path).unwrap())));
    let named: Vec<Named> = named.collect();
    assert!(named.len() > 30, "only {} commands are found", named.len());
    let wrong = named.iter().filter_map(|Named { place, command }| {
        let error = parsed(&filled_in(command)).err()?;
        Some(format!(
            "{place}: `{command}`: {}",
            error.to_string().lines().next().unwrap_or_default()
        ))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Documents mention commands without the arguments that they need.
#[test]
fn every_command_in_a_document_exists() {
    let documents = [
        files(&root().join("docs"), "md"),
        vec![root().join("README.md"), root().join("template.yaml")],
    ];
    let mut named = Vec::new();
    for path in documents.concat() {
        let text = fs::read_to_string(&path).unwrap();
        named.extend(quoted(&path, &text.replace('\n', " ")));
        let lines = text.lines().filter(|line| line.starts_with("holdfast "));
        named.extend(lines.filter(|line| !line.contains("$(")).map(|line| Named {
            place: path.display().to_string(),
            command: line.split(" #").next().unwrap_or_default().to_owned(),
        }));
    }
    assert!(named.len() > 60, "only {} commands are found", named.len());
    let wrong = named.iter().filter_map(|Named { place, command }| {
        let whole = command.split(['…', '>']).next().unwrap_or_default();
        let words = whole
            .split_whitespace()
            .map(|word| match word.trim_matches(['"', '\'']) {
                "$BACKUP_ID" | "$DATABASE_BACKUP" | "$CONTENT_BACKUP" | "$CONTENT_ID" | "<id>" => {
                    "db_1_aa"
                }
                word if word.starts_with('$') => "s3://bucket",
                word => word,
            });
        let error = parsed(&words.collect::<Vec<_>>().join(" ")).err()?;
        let is_cut = whole.len() < command.len();
        let lacks = matches!(
            error.kind(),
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::InvalidValue
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        let begins_an_id = is_cut && error.kind() == ErrorKind::ValueValidation;
        (!lacks && !begins_an_id).then(|| format!("{place}: `{command}`: {error}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
