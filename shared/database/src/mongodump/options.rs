//! The options file of `--config`: YAML with the connection string, passed through a pipe.

use std::fmt::Write as _;

use holdfast_domain::Secret;

/// The child's own stdin as a file. Lambda has no `/dev/fd` beyond 2, and not all systems have
/// `/proc`.
pub(super) const ON_STDIN: &str = if cfg!(target_os = "linux") {
    "/proc/self/fd/0"
} else {
    "/dev/fd/0"
};

/// The file's text.
pub(super) fn text(uri: &Secret) -> Secret {
    Secret::new(format!("uri: {}\n", quoted(uri.expose())))
}

/// A double-quoted scalar (YAML 1.2 §7.3.1). Characters outside plain ASCII are escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(2 * text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            // Writing to a string cannot fail.
            _ => drop(write!(quoted, "\\U{:08X}", u32::from(character))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_connection_string_stays_inside_the_quotes() {
        let uri = Secret::new("mongodb://ü:p'\"\\%: #{}&*!|>@h/d\n- x: \u{2028}\u{1f980}\t?a=b");
        assert_eq!(
            text(&uri).expose(),
            "uri: \"mongodb://\\U000000FC:p'\\\"\\\\%: #{}&*!|>@h/d\\U0000000A- x: \\U00002028\\U0001F980\\U00000009?a=b\"\n"
        );
    }
}
