//! Hides the values of documents in a server's messages. A server quotes documents in braces, for
//! example for a duplicate key. Names of fields help the reader. Values belong to the users of the
//! platform.

/// The message, with `…` for each value of each document in it.
pub(crate) fn without_values(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find('{') {
        shown.push_str(&rest[..at]);
        let end = document(&rest[at..], &mut shown);
        rest = &rest[at + end..];
    }
    shown.push_str(rest);
    shown
}

/// Shows the names in a document with this beginning, and returns its end. A cut document ends with
/// the message.
fn document(text: &str, shown: &mut String) -> usize {
    let mut at = 0;
    let mut depth = 0_usize;
    while let Some(character) = text[at..].chars().next() {
        at += character.len_utf8();
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        shown.push(character);
        if depth == 0 {
            return at;
        }
        if character == ':' {
            let blank = text[at..].len() - text[at..].trim_start().len();
            shown.push_str(&text[at..at + blank]);
            at += blank;
            if !text[at..].starts_with('{') {
                shown.push('…');
                at += value(&text[at..]);
            }
        }
    }
    at
}

/// The length of a value: up to the next comma or brace outside a text, an array and a call.
fn value(text: &str) -> usize {
    let (mut quote, mut is_escaped, mut nested) = (None, false, 0_usize);
    for (at, character) in text.char_indices() {
        if let Some(open) = quote {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                _ if character == open => quote = None,
                _ => {}
            }
            continue;
        }
        match character {
            '"' | '\'' => quote = Some(character),
            '[' | '(' | '{' => nested += 1,
            ',' | '}' if nested == 0 => return text[..at].trim_end().len(),
            ']' | ')' | '}' => nested = nested.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_and_values_go() {
        for (message, shown) in [
            (
                r#"E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "ada@example.com" }"#,
                "E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: … }",
            ),
            (r#"dup key: { : "hunter2", : 7 }"#, "dup key: { : …, : … }"),
            (
                r#"Can't extract geo keys: { _id: ObjectId('0a'), at: { type: "hun, t}er2", c: [ 1, { x: 2 } ] } } why"#,
                "Can't extract geo keys: { _id: …, at: { type: …, c: … } } why",
            ),
            (
                r#"{ a: "he said \"hunter2, x: 1\"", b: Timestamp(1, 2) }"#,
                "{ a: …, b: … }",
            ),
            (r#"cut: { a: "hunter"#, "cut: { a: …"),
            ("no document", "no document"),
            ("{}", "{}"),
        ] {
            assert_eq!(without_values(message), shown);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_shown(message in ".*") {
            without_values(&message);
        }

        #[test]
        fn no_text_of_a_document_is_shown(value in "[a-z ,:{}\\[\\]()']{0,30}") {
            let message = format!("dup key: {{ name: \"hunter2{value}hunter2\", other: 1 }} in index");
            prop_assert_eq!(without_values(&message), "dup key: { name: …, other: … } in index");
        }
    }
}
