//! What the demonstration says at its end: the report on stderr, beside its progress; how to reach a kept stack on
//! stdout.

use std::collections::BTreeMap;

use super::{Times, api::Backup, compare::Collection};
use crate::stack::{Description, Stack};

/// What was backed up, by what, where it is, how long it took, how to look further.
pub(super) fn tell(stack: &Stack, backup: &Backup, compared: &BTreeMap<String, Collection>, times: &Times) {
    let documents: usize = compared.values().map(|collection| collection.documents).sum();
    let indexes: usize = compared.values().map(|collection| collection.indexes).sum();
    let (source, restored) = (&stack.databases().source, &stack.databases().restored);
    let Backup { id, engine, key, size, original_size, checksum, duration_ms } = backup;
    let bucket = &stack.description().bucket;
    eprintln!();
    let line = |name: &str, text: String| eprintln!("  {name:<12}{text}");
    line("What", format!("{source}: {} collections, {documents} documents, {indexes} indexes", compared.len()));
    line("Backup", format!("{id}, by the engine {} {}", engine.name, engine.version));
    line("Where", format!("s3://{bucket}/{key}"));
    line("Size", format!("{} of {}, SHA-256 {checksum}", bytes(*size), bytes(*original_size)));
    line("Verified", "framing, every document's hash, every count".to_owned());
    line("Restored", format!("{restored}: equal in documents, options and indexes"));
    line("Took", durations(*duration_ms, times));
    for (name, collection) in compared {
        eprintln!("  {:12}{:<22}{:>6} documents {:>3} indexes", "", name, collection.documents, collection.indexes);
    }
    line("Further", "cargo xtask demo --keep stays up, to look around by API and command line".to_owned());
    eprintln!("  {:12}holdfast --help; README.md; docs/architecture.md", "");
}

fn durations(backup_ms: u64, times: &Times) -> String {
    let seconds = |duration: std::time::Duration| duration.as_secs_f64();
    let Times { verification, restore, all } = times;
    let backup = std::time::Duration::from_millis(backup_ms);
    format!(
        "backup {:.1} s, verification {:.1} s, restore {:.1} s; everything {:.0} s",
        seconds(backup),
        seconds(*verification),
        seconds(*restore),
        seconds(*all)
    )
}

/// How to reach a stack that stays up.
pub(super) fn how_to_reach(stack: &Description) {
    println!("\nThe stack stays up until Ctrl-C. The API, as an administrator:\n");
    println!("  API={}", shell_quoted(&stack.api));
    println!("  TOKEN={}", stack.tokens.admin);
    println!("  curl -H \"Authorization: Bearer $TOKEN\" \"$API/api/backups/status\"");
    println!("  curl -H \"Authorization: Bearer $TOKEN\" -X POST \"$API/api/backups/database\"");
    println!("\nThe command line, with these variables:\n");
    for (name, value) in &stack.env {
        println!("  export {name}={}", shell_quoted(value));
    }
    println!("  cargo run --package holdfast -- list");
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn bytes(count: u64) -> String {
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
