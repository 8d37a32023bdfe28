//! Redacts the tool's output: removes the connection string, its credentials and the values of its
//! options.

use holdfast_domain::Secret;

const MASK: &str = "***";

/// The secrets to mask.
pub(super) struct Redaction {
    /// The longest first, so that a longer secret is masked completely.
    secrets: Vec<Secret>,
}

impl Redaction {
    /// For this connection string: the string, and user and password in both escaped and decoded
    /// form. Secret options are masked too.
    pub(super) fn of(uri: &Secret) -> Self {
        let uri = uri.expose();
        let mut secrets = vec![uri.to_owned()];
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if let Some((user, password)) = authority
            .rsplit_once('@')
            .map(|(userinfo, _)| userinfo.split_once(':').unwrap_or((userinfo, "")))
        {
            secrets.extend([
                format!("{user}:{password}"),
                password.to_owned(),
                decoded(password),
            ]);
        }
        let options = rest
            .split_once('?')
            .map_or("", |(_, options)| options)
            .split('&');
        for (name, value) in options.filter_map(|option| option.split_once('=')) {
            if HOLDS_SECRETS
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
            {
                secrets.extend([value.to_owned(), decoded(value)]);
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets: secrets.into_iter().map(Secret::new).collect(),
        }
    }

    /// The text without them, and without the credentials of any other connection string.
    pub(super) fn clean(&self, text: &str) -> String {
        let text = without_credentials(text);
        self.secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret.expose(), MASK))
    }
}

const HOLDS_SECRETS: [&str; 2] = ["authMechanismProperties", "tlsCertificateKeyFilePassword"];

/// `scheme://user:password@host` becomes `scheme://***@host`. It cuts at the last `@` before a
/// space or a quote, because an unescaped password may contain `@`.
fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || "\"'`<>".contains(c))
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(at) => {
                clean.push_str(MASK);
                &after[at..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

/// Percent-decoded. Text without an escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "mongodb://ada:hun%2Fter%402@h:1,i:2/shop?authSource=admin&authMechanismProperties=AWS_SESSION_TOKEN:tok%3Den";

    #[test]
    fn neither_the_string_nor_what_is_secret_in_it_is_shown_in_any_form() {
        let redaction = Redaction::of(&Secret::new(URI));
        for said in [
            URI,
            "hun%2Fter%402",
            "hun/ter@2",
            "ada:hun%2Fter%402",
            "AWS_SESSION_TOKEN:tok=en",
            "tok%3Den, or AWS_SESSION_TOKEN:tok%3Den",
        ] {
            let shown = redaction.clean(&format!("error parsing uri {said}: no"));
            assert!(
                !shown.contains("hun")
                    && !shown.contains("ter")
                    && !shown.contains("AWS_SESSION_TOKEN"),
                "{shown}"
            );
        }
    }

    #[test]
    fn credentials_of_other_strings_are_masked_too() {
        let redaction = Redaction::of(&Secret::new("mongodb://h/x"));
        assert_eq!(
            redaction.clean("a `mongodb://u:p@ss@h/x` b https://u:p@h \"x://h/y@z\" ://"),
            "a `mongodb://***@h/x` b https://***@h \"x://***@z\" ://"
        );
        assert_eq!(
            redaction.clean("nothing: 100 % of it"),
            "nothing: 100 % of it"
        );
    }

    #[test]
    fn escapes_are_decoded_and_the_rest_stays() {
        assert_eq!(decoded("a%2Fb%zz%4"), "a/b%zz%4");
        assert_eq!(decoded("%C3%BC"), "ü");
    }
}
