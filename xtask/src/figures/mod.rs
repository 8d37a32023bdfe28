//! Sizes of the product code: files, functions, tokens, traits and documentation, for each crate.
//!
//! Token counts compare code of different line widths. Files and functions have limits.

mod source;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use self::source::{Function, Source};
use crate::{files, sources};

/// Folders of product code.
const PRODUCT: [&str; 3] = ["shared", "functions", "cli"];
/// Crates that only tests use.
const FOR_TESTS: [&str; 2] = ["shared/testing", "shared/features"];

/// Prints the figures of each crate and of all product code.
pub(crate) fn print() -> Result<()> {
    let root = files::workspace();
    println!(
        "{:<28} {:>6} {:>5} {:>15} {:>12} {:>14} {:>4} {:>8} {:>6} {:>5}",
        "", "lines", "files", "file", "fn", "tokens/fn", "nest", "tok/line", "traits", "docs"
    );
    let crates = product(&root)?;
    for (name, sources) in &crates {
        print_row(name, &sources.iter().collect::<Vec<_>>());
    }
    print_row("all", &crates.values().flatten().collect::<Vec<_>>());
    println!(
        "\nfile, fn: lines as median/90%/max. tokens/fn: median/90%/99%. docs: % of pub items."
    );
    Ok(())
}

fn print_row(name: &str, sources: &[&Source]) {
    let sum = |count: fn(&Source) -> usize| sources.iter().copied().map(count).sum::<usize>();
    let lines = sorted(sources.iter().map(|source| source.lines));
    let functions = || sources.iter().flat_map(|source| &source.functions);
    let of_functions = |measure: fn(&Function) -> usize| sorted(functions().map(measure));
    let (fn_lines, fn_tokens) = (
        of_functions(|function| function.lines),
        of_functions(|function| function.tokens),
    );
    let nesting = functions().map(|function| function.nesting).max();
    println!(
        "{name:<28} {:>6} {:>5} {:>15} {:>12} {:>14} {:>4} {:>8.2} {:>6} {:>5}",
        sum(|source| source.lines),
        lines.len(),
        format!(
            "{}/{}/{}",
            share(&lines, 50),
            share(&lines, 90),
            share(&lines, 100)
        ),
        format!(
            "{}/{}/{}",
            share(&fn_lines, 50),
            share(&fn_lines, 90),
            share(&fn_lines, 100)
        ),
        format!(
            "{}/{}/{}",
            share(&fn_tokens, 50),
            share(&fn_tokens, 90),
            share(&fn_tokens, 99)
        ),
        nesting.unwrap_or_default(),
        ratio(sum(|source| source.tokens), sum(|source| source.code_lines)),
        sum(|source| source.traits),
        percent(sum(|source| source.documented), sum(|source| source.public)),
    );
}

fn sorted(values: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut values: Vec<usize> = values.collect();
    values.sort_unstable();
    values
}

/// The value that this percentage of the sorted values does not exceed.
fn share(sorted: &[usize], percent: usize) -> usize {
    let place = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(place.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

fn percent(part: usize, whole: usize) -> String {
    (100 * part)
        .checked_div(whole)
        .map_or("-".to_owned(), |percent| percent.to_string())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of lines are far below 2^52"
)]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// The product code of each crate.
fn product(root: &Path) -> Result<BTreeMap<String, Vec<Source>>> {
    let mut crates: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for folder in sources::crates(root, &PRODUCT)? {
        let name = sources::name(root, &folder);
        if FOR_TESTS.contains(&name.as_str()) {
            continue;
        }
        let sources = sources::found(&folder, "rs")?;
        let measured = sources
            .iter()
            .filter(|file| sources::is_product(file))
            .map(PathBuf::as_path)
            .map(measure);
        crates.insert(name, measured.collect::<Result<_>>()?);
    }
    Ok(crates)
}

fn measure(file: &Path) -> Result<Source> {
    Source::read(&sources::read(file)?).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest file, in lines.
    const MAX_FILE_LINES: usize = 500;
    /// The largest mean of tokens in a line of code.
    const MAX_TOKENS_A_LINE: f64 = 8.0;

    #[test]
    fn a_share_is_the_nearest_rank() {
        let values: Vec<usize> = (1..=10).collect();
        let shares = [50, 90, 99, 100].map(|percent| share(&values, percent));
        assert_eq!(shares, [5, 9, 10, 10]);
        assert_eq!(share(&[], 50), 0);
    }

    #[test]
    fn a_line_of_product_code_has_at_most_eight_tokens() {
        let crates = product(&files::workspace()).unwrap();
        let sum = |count: fn(&Source) -> usize| crates.values().flatten().map(count).sum();
        let tokens_a_line = ratio(sum(|source| source.tokens), sum(|source| source.code_lines));
        assert!(
            tokens_a_line <= MAX_TOKENS_A_LINE,
            "{tokens_a_line:.2} tokens in a line"
        );
    }

    #[test]
    fn a_file_has_at_most_500_lines() {
        let root = files::workspace();
        let mut long = Vec::new();
        for folder in
            sources::crates(&root, &["shared", "functions", "cli", "xtask", "tests"]).unwrap()
        {
            for file in sources::found(&folder, "rs").unwrap() {
                let lines = sources::read(&file).unwrap().lines().count();
                if lines > MAX_FILE_LINES {
                    long.push((sources::name(&root, &file), lines));
                }
            }
        }
        assert!(
            long.is_empty(),
            "longer than {MAX_FILE_LINES} lines: {long:#?}"
        );
    }
}
