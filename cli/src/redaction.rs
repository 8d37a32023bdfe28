//! The last defence of secrets: user names and passwords of URLs never reach a terminal, regardless
//! of their origin.

/// Replaces the text between `://` and the last `@` of the same word by `***`.
pub(crate) fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(ends_a_url).unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        match url.rfind('@') {
            Some(at) => {
                shown.push_str("***");
                shown.push_str(&url[at..]);
            }
            None => shown.push_str(url),
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

fn ends_a_url(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "mongodb://u:hunter2@h/db",
            "unexpected argument 'mongodb://u:hunter2@h' found",
            "x mongodb+srv://u:hunter2@h/?a=b and mongodb://v:hunter2@i",
            "mongodb://u:hunter2/with@slash:hunter2@h",
        ] {
            let shown = without_credentials(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("://***@h"), "{shown}");
        }
    }

    #[test]
    fn a_text_without_credentials_stays_as_it_is() {
        for text in [
            "",
            "s3://bucket/prefix is not there",
            "a@b",
            "mongodb://h:27017/db",
            "a://",
            "://",
        ] {
            assert_eq!(without_credentials(text), text);
        }
    }
}
