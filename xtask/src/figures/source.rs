//! One Rust source in rustfmt's layout: its code without unit tests, and its functions.

use std::str::FromStr as _;

use anyhow::{Result, anyhow};
use proc_macro2::{Spacing, TokenStream, TokenTree};

/// The measures of one source file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Lines of the file without unit tests.
    pub(super) lines: usize,
    /// Lines with code.
    pub(super) code_lines: usize,
    /// Tokens of the code, without comments.
    pub(super) tokens: usize,
    /// The functions with a body.
    pub(super) functions: Vec<Function>,
    /// Traits.
    pub(super) traits: usize,
    /// Items with the visibility `pub`.
    pub(super) public: usize,
    /// Public items with a documentation comment.
    pub(super) documented: usize,
}

/// The measures of one function with its signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Lines from the signature to the closing brace.
    pub(super) lines: usize,
    /// Tokens.
    pub(super) tokens: usize,
    /// Levels of blocks inside the body.
    pub(super) nesting: usize,
}

impl Source {
    /// Measures a file.
    pub(super) fn read(text: &str) -> Result<Self> {
        let lines = without_tests(text);
        let code: Vec<&str> = lines.iter().copied().filter(|line| is_code(line)).collect();
        let mut source = Self {
            lines: lines.len(),
            code_lines: code.len(),
            tokens: tokens(&lines.join("\n"))?,
            ..Self::default()
        };
        let mut is_documented = false;
        let mut in_attribute = false;
        for (place, line) in lines.iter().enumerate() {
            let item = line.trim_start();
            in_attribute |= item.starts_with("#[");
            if in_attribute {
                in_attribute = !item.ends_with(']');
                continue;
            }
            if item.starts_with("///") {
                is_documented = true;
                continue;
            }
            if !is_code(line) {
                continue;
            }
            if item.starts_with("pub ")
                && !item.starts_with("pub use ")
                && !item.starts_with("pub mod ")
            {
                source.public += 1;
                source.documented += usize::from(is_documented);
            }
            is_documented = false;
            source.traits += usize::from(has_keyword(item, "trait"));
            if has_keyword(item, "fn") {
                source.functions.extend(function(&lines[place..])?);
            }
        }
        Ok(source)
    }
}

/// The lines before and after modules of unit tests.
fn without_tests(text: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(opens) {
            lines.by_ref().find(|line| *line == "}");
        } else {
            kept.push(line);
        }
    }
    kept
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}

/// Whether a line declares an item with this keyword, after visibility and qualifiers.
fn has_keyword(item: &str, keyword: &str) -> bool {
    let mut words = item.split_whitespace().skip_while(|word| {
        word.starts_with("pub") || matches!(*word, "async" | "const" | "unsafe" | "in")
    });
    words.next() == Some(keyword)
}

/// The function at the start of the lines. `None` for a declaration without a body.
fn function(lines: &[&str]) -> Result<Option<Function>> {
    let indentation = indentation(lines[0]);
    let is_end = |line: &&str| {
        self::indentation(line) == indentation
            && (line.ends_with('}') || line.ends_with(';'))
            && !line.trim_start().starts_with("where")
    };
    let Some(last) = lines.iter().position(is_end) else {
        return Ok(None);
    };
    if lines[last].ends_with(';') {
        return Ok(None);
    }
    let tokens_of = tokens(&lines[..=last].join("\n"))?;
    let deepest = lines[..=last].iter().filter(|line| line.ends_with('{'));
    let levels = deepest.map(|line| (self::indentation(line) - indentation) / 4);
    Ok(Some(Function {
        lines: last + 1,
        tokens: tokens_of,
        nesting: levels.max().unwrap_or_default(),
    }))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The number of tokens, both delimiters of a group included.
fn tokens(text: &str) -> Result<usize> {
    let code: Vec<&str> = text.lines().filter(|line| is_code(line)).collect();
    let stream = TokenStream::from_str(&code.join("\n"))
        .map_err(|error| anyhow!("cannot read the tokens: {error}"))?;
    Ok(count(stream))
}

fn count(stream: TokenStream) -> usize {
    let of_one = |token| match token {
        TokenTree::Group(group) => 2 + count(group.stream()),
        // The first character of `::` or `->`, or the mark of a lifetime.
        TokenTree::Punct(mark) if mark.spacing() == Spacing::Joint => 0,
        _ => 1,
    };
    stream.into_iter().map(of_one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r"//! A header.

/// Documented.
#[must_use]
pub fn one(a: u8) -> u8 {
    if a > 1 {
        return 2;
    }
    a
}

pub struct Two;

trait Three {
    fn declared(&self);

    async fn given(&self) {}
}

#[cfg(test)]
mod tests {
    fn not_measured() {}
}
";

    #[test]
    fn functions_items_and_lines_are_counted_without_unit_tests() {
        let source = Source::read(SAMPLE).unwrap();
        let one = Function {
            lines: 6,
            tokens: 22,
            nesting: 1,
        };
        let given = Function {
            lines: 1,
            tokens: 9,
            nesting: 0,
        };
        assert_eq!(source.functions, [one, given]);
        assert_eq!((source.traits, source.public, source.documented), (1, 2, 1));
        assert_eq!((source.lines, source.code_lines), (19, 12));
    }
}
