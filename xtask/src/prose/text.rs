//! Prose out of Markdown and Rust: sentences, without code.

/// The sentences of a Markdown document, without code blocks and inline code. A table cell and a
/// list item end a sentence.
pub(super) fn of_markdown(document: &str) -> Vec<String> {
    let mut text = String::new();
    let mut is_code = false;
    for line in document.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            is_code = !is_code;
            text.push_str(". ");
        } else if !is_code {
            let is_new = line.is_empty()
                || line.starts_with(['#', '-', '*', '|', '>'])
                || starts_with_number(line);
            text.push_str(if is_new { ".\n" } else { " " });
            text.push_str(line);
        }
    }
    sentences(&text)
}

/// The sentences of the comments of a Rust file. A run of comment lines is one text.
pub(super) fn of_rust(source: &str) -> Vec<String> {
    let mut text = String::new();
    let mut was_comment = false;
    for line in source.lines() {
        let comment = comment(line);
        if let Some(comment) = comment {
            text.push_str(if was_comment && !comment.is_empty() {
                " "
            } else {
                ".\n"
            });
            text.push_str(comment);
        }
        was_comment = comment.is_some();
    }
    sentences(&text)
}

fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("//")?;
    Some(line.trim_start_matches(['/', '!']).trim())
}

fn starts_with_number(line: &str) -> bool {
    line.split_once(". ")
        .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// Splits at the ends of sentences: a full stop, a colon, a question mark or a cell of a table.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let text = without_inline_code(text);
    let mut sentences = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let ends = match character {
            '|' => true,
            '.' | ':' | '?' | '!' => characters
                .peek()
                .is_none_or(|next| next.is_whitespace() || *next == '.'),
            _ => false,
        };
        if ends {
            sentences.push(String::new());
        } else if let Some(sentence) = sentences.last_mut() {
            sentence.push(character);
        }
    }
    sentences.retain(|sentence| sentence.chars().any(char::is_alphabetic));
    sentences
}

/// Code counts as one word.
fn without_inline_code(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(place, piece)| if place % 2 == 1 { "code" } else { piece })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_not_prose() {
        let document =
            "# Title\n\nRun `cargo x; y` now.\n\n```sh\nwhat that; which\n```\n\n- one\n- two\n";
        let sentences: Vec<_> = of_markdown(document)
            .iter()
            .map(|one| one.trim().to_owned())
            .collect();
        assert_eq!(sentences, ["# Title", "Run code now", "- one", "- two"]);
    }

    #[test]
    fn the_lines_of_a_comment_are_one_text() {
        let source =
            "//! One sentence\n//! in two lines. Another.\nfn f() {} // not this\n/// A third\n";
        let sentences: Vec<_> = of_rust(source)
            .iter()
            .map(|one| one.trim().to_owned())
            .collect();
        assert_eq!(
            sentences,
            ["One sentence in two lines", "Another", "A third"]
        );
    }
}
