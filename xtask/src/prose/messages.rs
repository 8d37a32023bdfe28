//! Messages out of Rust: the string literals of product code with at least three words.

use std::str::FromStr as _;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Shorter literals are names and formats.
const SHORTEST: usize = 3;

/// The sentences of the messages of a Rust file. Documentation and unit tests are left out.
pub(super) fn of_rust(source: &str) -> Result<Vec<String>> {
    let tokens = TokenStream::from_str(source)
        .map_err(|error| anyhow!("cannot read the tokens: {error}"))?;
    let mut literals = Vec::new();
    collect(tokens, &mut literals);
    Ok(literals
        .iter()
        .filter(|text| is_message(text))
        .flat_map(|text| super::text::sentences(text))
        .collect())
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    let mut is_test = false;
    let mut after_hash = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if after_hash && group.delimiter() == Delimiter::Bracket => {
                is_test |= is_test_attribute(&group);
                if !is_documentation(&group) {
                    collect(group.stream(), found);
                }
            }
            TokenTree::Group(group) => {
                let is_body = group.delimiter() == Delimiter::Brace;
                if !is_test {
                    collect(group.stream(), found);
                }
                is_test &= !is_body;
            }
            TokenTree::Literal(literal) if !is_test => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                    found.push(without_placeholders(&text.value()));
                }
            }
            TokenTree::Punct(ref mark) if mark.as_char() == ';' => is_test = false,
            TokenTree::Punct(ref mark) if matches!(mark.as_char(), '#' | '!') => {
                after_hash = true;
                continue;
            }
            _ => {}
        }
        after_hash = false;
    }
}

fn is_documentation(attribute: &Group) -> bool {
    attribute
        .stream()
        .into_iter()
        .next()
        .is_some_and(|first| first.to_string() == "doc")
}

fn is_test_attribute(attribute: &Group) -> bool {
    matches!(
        attribute.stream().to_string().replace(' ', "").as_str(),
        "test" | "cfg(test)" | "tokio::test"
    )
}

/// A value in a message is one word.
fn without_placeholders(text: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_usize;
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => {
                depth -= 1;
                plain.push_str("value");
            }
            '\n' => plain.push_str(".\n"),
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    plain
}

fn is_message(text: &str) -> bool {
    text.split_whitespace()
        .filter(|word| word.chars().all(is_of_a_word))
        .count()
        >= SHORTEST
}

fn is_of_a_word(character: char) -> bool {
    character.is_alphabetic()
        || matches!(
            character,
            '\'' | '-' | '.' | ',' | ':' | ';' | '?' | '`' | '"' | '(' | ')'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_product_code_are_measured() {
        let source = r#"
            /// Documentation that is not a message.
            #[error("the key {0} is missing: run `holdfast key show`")]
            struct Missing(String);
            fn f() { warn!(id, "no index named {name:?} found"); g("a_name") }
            #[cfg(test)]
            mod tests { fn t() { g("a test that is long") } }
            fn h() { g("one more message here") }
        "#;
        let sentences: Vec<_> = of_rust(source)
            .unwrap()
            .iter()
            .map(|one| one.trim().to_owned())
            .collect();
        let expected = [
            "the key value is missing",
            "run code",
            "no index named value found",
            "one more message here",
        ];
        assert_eq!(sentences, expected);
    }
}
