//! What the demonstration says at its end: the report on stderr, beside its progress; how to reach a kept stack on
//! stdout.

use std::time::Duration;

use super::{Story, content::Requests};
use crate::stack::{Description, Stack};

/// What was backed up, by what, where it is, how long it took, how to look further.
pub(super) fn tell(stack: &Stack, story: &Story) {
    eprintln!();
    of_the_database(stack, story);
    eprintln!();
    of_the_content(story);
    eprintln!();
    of_the_copy(story);
    eprintln!();
    line("Verified", "framing, every document's hash, every count; every file's SHA-256 and CID");
    line("Took", durations(story));
    line("Further", "cargo xtask demo --keep stays up, to look around by API and command line");
    line("", "holdfast --help; docs/README.md; docs/architecture.md");
}

fn of_the_database(stack: &Stack, story: &Story) {
    let (source, restored) = (&stack.databases().source, &stack.databases().restored);
    let (backup, compared) = (&story.database, &story.compared);
    let documents: usize = compared.values().map(|collection| collection.documents).sum();
    let indexes: usize = compared.values().map(|collection| collection.indexes).sum();
    line("Database", format!("{source}: {} collections, {documents} documents, {indexes} indexes", compared.len()));
    for (name, collection) in compared {
        line("", format!("{name:<22}{:>6} documents {:>3} indexes", collection.documents, collection.indexes));
    }
    line("Backup", format!("{}, by the engine {} {}", backup.id, backup.engine.name, backup.engine.version));
    line("Where", format!("s3://{}/{}", stack.description().bucket, backup.key));
    let (size, original) = (bytes(backup.size), bytes(backup.original_size));
    line("Size", format!("{size} of {original}, SHA-256 {}", backup.checksum));
    line("Restored", format!("{restored}: equal in documents, options and indexes"));
    let nobody = &story.nobody;
    let found = format!("none of {} e-mails, names and addresses is in it", nobody.originals);
    line("Without people", format!("{found}; {} references join", nobody.references));
}

fn of_the_content(story: &Story) {
    let (first, again, back) = (&story.content, &story.again, &story.brought_back);
    let (items, files) = (&first.backup.items, back.on_ipfs + back.on_gaia);
    line("Content", format!("{} items, {files} different files, {}", items.expected, bytes(items.bytes)));
    let Requests { gateway, gaia } = &first.requests;
    let asked = format!("{} CARs and {} blocks from IPFS, {} files from Gaia", gateway.car, gateway.raw, gaia.full);
    line("Backup", format!("{}: {} fetched, by {asked}", first.backup.id, items.done));
    let (unchanged, same) = (again.backup.items.unchanged, again.requests.gaia.not_modified);
    let asked = format!("nothing asked of IPFS, {same} answers of 304 from Gaia");
    line("Again", format!("{}: {unchanged} unchanged, {asked}", again.backup.id));
    line("Restored", "a folder: every file equal, byte by byte");
    let (blocks, ipfs, gaia) = (back.blocks, back.on_ipfs, back.on_gaia);
    line("Brought back", format!("{blocks} blocks by a CAR: {ipfs} files under the same CIDs again, {gaia} on Gaia"));
}

fn of_the_copy(story: &Story) {
    let copy = &story.from_copy;
    line(
        "Copied",
        format!("{} backups to {}, {}, by the deployed function", copy.backups, copy.store, bytes(copy.bytes)),
    );
    let equal = format!("{} collections and {} files are equal", copy.collections, copy.files);
    line("Restored", format!("from the copy alone, without AWS and catalogue: {equal}"));
}

fn line(name: &str, text: impl AsRef<str>) {
    eprintln!("  {name:<16}{}", text.as_ref());
}

fn durations(story: &Story) -> String {
    let ms = |backup: u64| Duration::from_millis(backup).as_secs_f64();
    format!(
        "database {:.1} s, content {:.1} s and again {:.1} s, verification {:.1} s, restore {:.1} s, from the copy {:.1} s; everything {:.0} s",
        ms(story.database.duration_ms),
        ms(story.content.backup.duration_ms),
        ms(story.again.backup.duration_ms),
        story.verification.as_secs_f64(),
        story.restore.as_secs_f64(),
        story.from_copy.restore.as_secs_f64(),
        story.all.as_secs_f64()
    )
}

/// How to reach a stack that stays up.
pub(super) fn how_to_reach(stack: &Description) {
    println!("\nThe stack stays up until Ctrl-C. The API, as an administrator:\n");
    println!("  API={}", shell_quoted(&stack.api));
    println!("  TOKEN={}", stack.tokens.admin);
    println!("  curl -H \"Authorization: Bearer $TOKEN\" \"$API/api/backups/status\"");
    println!("  curl -H \"Authorization: Bearer $TOKEN\" -X POST \"$API/api/backups/full\"");
    println!("\nThe command line, with these variables:\n");
    for (name, value) in &stack.env {
        println!("  export {name}={}", shell_quoted(value));
    }
    println!("  cargo run --package holdfast -- list");
    println!("\nThe second copies, with the same:\n");
    println!("  cargo run --package holdfast -- list --store {}", stack.second.azure_address());
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A size, in the unit that fits.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} KiB", count / 1_024),
        _ => format!("{}.{} MiB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!(["1023", "2047", "1572864"].map(|n| bytes(n.parse().unwrap())), ["1023 bytes", "1 KiB", "1.5 MiB"]);
    }
}
