//! The output at the end: the report on stderr, below the steps. The addresses of a running stack
//! go to stdout.

use std::time::Duration;

use super::{DemoResult, content::Requests};
use crate::{
    stack::{Description, Stack},
    terminal::{self, LABEL, styled},
};

/// Prints the results, the places, the durations and the next commands.
pub(super) fn print(stack: &Stack, result: &DemoResult) {
    terminal::print("");
    print_database(stack, result);
    terminal::print("");
    print_content(result);
    terminal::print("");
    print_copies(result);
    terminal::print("");
    print_run(result);
}

fn print_database(stack: &Stack, result: &DemoResult) {
    let (source, restored) = (&stack.databases().source, &stack.databases().restored);
    let (backup, compared) = (&result.database, &result.compared);
    let documents: usize = compared
        .values()
        .map(|collection| collection.documents)
        .sum();
    let indexes: usize = compared.values().map(|collection| collection.indexes).sum();
    line(
        "Database",
        format!(
            "{source}: {} collections, {documents} documents, {indexes} indexes",
            compared.len()
        ),
    );
    line(
        "Backup",
        format!(
            "{}, by the engine {} {}",
            backup.id, backup.engine.name, backup.engine.version
        ),
    );
    line(
        "Stored as",
        format!("s3://{}/{}", stack.description().bucket, backup.key),
    );
    line(
        "Size",
        format!(
            "{}, compressed from {}",
            bytes(backup.size),
            bytes(backup.original_size)
        ),
    );
    line("SHA-256", &backup.checksum);
    line(
        "Restored",
        format!("to the database {restored}: all documents, options and indexes are equal"),
    );
    let anonymised = &result.anonymised;
    line(
        "Anonymised",
        format!(
            "0 of {} names, e-mails and addresses are left",
            anonymised.originals
        ),
    );
    line(
        "",
        format!(
            "all {} references between documents still match",
            anonymised.references
        ),
    );
}

fn print_content(result: &DemoResult) {
    let (first, again, back) = (&result.content, &result.again, &result.brought_back);
    let (items, files) = (&first.backup.items, back.on_ipfs + back.on_gaia);
    line(
        "Files",
        format!(
            "{files} files, {}, for {} content items",
            bytes(result.published),
            items.expected
        ),
    );
    line(
        "Backup",
        format!("{}: {} items", first.backup.id, items.done),
    );
    let Requests { gateway, gaia } = &first.requests;
    line(
        "",
        format!(
            "requests: {} CARs and {} blocks from IPFS, {} files from Gaia",
            gateway.car, gateway.raw, gaia.full
        ),
    );
    let (unchanged, same) = (
        again.backup.items.unchanged,
        again.requests.gaia.not_modified,
    );
    line(
        "Next backup",
        format!(
            "{}: {unchanged} items unchanged, 0 downloads",
            again.backup.id
        ),
    );
    line(
        "",
        format!("0 requests to IPFS, {same} to Gaia: all answered 304, not modified"),
    );
    line("Restored", "to a folder: every file is equal, byte by byte");
    let (blocks, ipfs, gaia) = (back.blocks, back.on_ipfs, back.on_gaia);
    line(
        "After a loss",
        format!(
            "{ipfs} files are on IPFS again, under the same CIDs, from a CAR file of {blocks} blocks"
        ),
    );
    line(
        "",
        format!("{gaia} files are on Gaia again, under the same URLs"),
    );
}

fn print_copies(result: &DemoResult) {
    let copy = &result.from_copy;
    line(
        "Second copy",
        format!(
            "{} backups in {}, {}",
            copy.backups,
            copy.store,
            bytes(copy.bytes)
        ),
    );
    line(
        "Restored",
        format!(
            "{} collections and {} files are equal",
            copy.collections, copy.files
        ),
    );
    line(
        "",
        "from the second copy alone: without AWS, first bucket and catalogue",
    );
}

fn print_run(result: &DemoResult) {
    line(
        "Verified",
        "counts, and the hash of every document, file and IPFS block",
    );
    let preparation = result.start.preparation;
    let steps = result.all.saturating_sub(preparation);
    let (all, preparation, steps) = (duration(result.all), duration(preparation), duration(steps));
    line(
        "Took",
        format!("{all}: {preparation} to install and compile, {steps} for the steps above"),
    );
    line("", backups(result));
    line("", restores(result));
    line("Installed", &result.start.parts);
    line(
        "",
        format!(
            "in {}: only the first run installs them, and compiles Holdfast",
            result.start.folder
        ),
    );
    line(
        "Next",
        "cargo xtask demo --keep    leaves the stack running, for the API and holdfast",
    );
    line("", "docs/README.md             all documents");
}

fn line(name: &str, text: impl AsRef<str>) {
    terminal::print(format!(
        "  {}{}",
        styled(LABEL, &format!("{name:<16}")),
        text.as_ref()
    ));
}

fn backups(result: &DemoResult) -> String {
    let seconds = |milliseconds| Duration::from_millis(milliseconds).as_secs_f64();
    format!(
        "backup of the database {:.1} s, of the files {:.1} s, again {:.1} s",
        seconds(result.database.duration_ms),
        seconds(result.content.backup.duration_ms),
        seconds(result.again.backup.duration_ms),
    )
}

fn restores(result: &DemoResult) -> String {
    format!(
        "verification {:.1} s, restore {:.1} s, restore from the second copy {:.1} s",
        result.verification.as_secs_f64(),
        result.restore.as_secs_f64(),
        result.from_copy.restore.as_secs_f64(),
    )
}

/// A duration, in whole seconds.
fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Prints the addresses, a token and the environment of a stack left running.
pub(super) fn print_access(stack: &Description) {
    println!("\nThe stack stays up until Ctrl-C. The API, with the rights of an administrator:\n");
    println!("  API={}", shell_quoted(&stack.api));
    println!("  TOKEN={}", stack.tokens.admin);
    println!("  curl -H \"Authorization: Bearer $TOKEN\" \"$API/api/backups/status\"");
    println!("  curl -H \"Authorization: Bearer $TOKEN\" -X POST \"$API/api/backups/full\"");
    println!("\nThe command line, with the environment of the stack:\n");
    for (name, value) in &stack.env {
        println!("  export {name}={}", shell_quoted(value));
    }
    println!("  cargo run --package holdfast -- list");
    println!("\nThe second copies, in the same environment:\n");
    println!(
        "  cargo run --package holdfast -- list --store {}",
        stack.second.azure_address()
    );
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A size in a suitable unit.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} KiB", count / 1_024),
        _ => format!(
            "{}.{} MiB",
            count / 1_048_576,
            count % 1_048_576 * 10 / 1_048_576
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_unit_that_fits() {
        assert_eq!(
            ["1023", "2047", "1572864"].map(|n| bytes(n.parse().unwrap())),
            ["1023 bytes", "1 KiB", "1.5 MiB"]
        );
    }

    #[test]
    fn a_long_duration_has_minutes() {
        assert_eq!(
            [59, 60, 605].map(|n| duration(Duration::from_secs(n))),
            ["59 s", "1 min 0 s", "10 min 5 s"]
        );
    }
}
