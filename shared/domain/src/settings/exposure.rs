//! Secrets in public settings. A public setting appears in `GET /config`, logs, job rows, events
//! and exports. A value that appears to contain a secret is therefore rejected, and no part of it
//! is shown.
//!
//! The rules are deliberately coarse. A rejected value costs an operator a minute. An exposed value
//! costs a key.

use percent_encoding::percent_decode_str;

/// Kind of secret that a value appears to contain.
pub(super) fn secret_in(value: &str) -> Option<&'static str> {
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    [value, &decoded].into_iter().find_map(|text| {
        marked(text)
            .or_else(|| has_user_info(text).then_some("a user name or password"))
            .or_else(|| has_credential_parameter(text).then_some("a parameter with credentials"))
            .or_else(|| has_access_key_id(text).then_some("an access key"))
            .or_else(|| has_key_material(text).then_some("a key"))
    })
}

/// Forms of secret settings only.
fn marked(text: &str) -> Option<&'static str> {
    const MARKS: [(&str, &str); 8] = [
        ("mongodb://", "a MongoDB connection string"),
        ("mongodb+srv://", "a MongoDB connection string"),
        ("age-secret-key-", "an age identity"),
        ("-----begin ", "a private key"),
        ("passphrase:", "a passphrase"),
        ("bearer ", "a token"),
        ("basic ", "a user name or password"),
        ("eyj", "a token"),
    ];
    let lowercase = text.to_ascii_lowercase();
    let found = MARKS
        .iter()
        .find(|(mark, _)| lowercase.contains(mark) && (*mark != "eyj" || is_jwt(text)));
    found.map(|(_, kind)| *kind)
}

/// RFC 7519: three parts joined by dots, the first of them a JSON object in Base64.
fn is_jwt(text: &str) -> bool {
    text.find("eyJ")
        .is_some_and(|at| text.len() - at > 30 && text[at..].contains('.'))
}

/// `scheme://user:password@host`, `scheme://token@host` or `user:password@host`, even if the
/// password contains characters that end a URL's authority.
fn has_user_info(text: &str) -> bool {
    text.match_indices("://")
        .any(|(at, separator)| authority_has_user_info(&text[at + separator.len()..]))
        || (!text.contains("://") && has_bare_user_info(text))
}

fn authority_has_user_info(rest: &str) -> bool {
    let authority = rest
        .split(['/', '?', '#', ',', ' '])
        .next()
        .unwrap_or_default();
    authority.contains('@') || has_port_that_is_no_number(authority)
}

/// A password in the place of a port.
fn has_port_that_is_no_number(authority: &str) -> bool {
    let behind_address = authority.rsplit(']').next().unwrap_or_default();
    behind_address
        .split_once(':')
        .is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn has_bare_user_info(text: &str) -> bool {
    let text = text.trim_start_matches('/');
    text.rsplit_once('@')
        .is_some_and(|(before, _)| before.split('/').next().unwrap_or_default().contains(':'))
}

/// `name=value` with a typical name of credentials, as in queries, Azure connection strings and
/// options.
fn has_credential_parameter(text: &str) -> bool {
    text.split(['?', '&', ';', ',', '#', ' ']).any(|part| {
        part.split_once('=')
            .is_some_and(|(name, value)| !value.is_empty() && is_credential_name(name))
    })
}

fn is_credential_name(name: &str) -> bool {
    const PARTS: [&str; 13] = [
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "accountkey",
        "privatekey",
        "credential",
        "signature",
        "authorization",
    ];
    let letters: String = name
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(letters.as_str(), "sig" | "key" | "auth")
        || PARTS.iter().any(|part| letters.contains(part))
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>, and Google's HMAC
/// keys.
fn has_access_key_id(text: &str) -> bool {
    const PREFIXES: [&str; 7] = ["AKIA", "ASIA", "ABIA", "ACCA", "AIDA", "AROA", "GOOG"];
    /// Number of characters after the prefix.
    const LEAST: usize = 12;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter_map(|word| PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix)))
        .any(|rest| {
            rest.len() >= LEAST
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        })
}

/// 32 bytes or more in hexadecimal, or 30 or more in Base64: keys of encryption and secret access
/// keys.
fn has_key_material(text: &str) -> bool {
    let path = text.strip_prefix("file://").unwrap_or(text);
    // Container runtimes name the directories of volumes so.
    let is_path = path.starts_with('/');
    (!is_path
        && text
            .split(|c: char| !c.is_ascii_hexdigit())
            .any(|run| run.len() >= 64))
        || text.split(|c: char| !is_base64(c)).any(is_random_base64)
}

const fn is_base64(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/')
}

/// Whether the kinds of characters change as often as in random data: three in five neighbours
/// differ in kind. In words and paths one in four does.
fn is_random_base64(run: &str) -> bool {
    const LEAST: usize = 40;
    let kinds: Vec<Option<u8>> = run.bytes().map(kind).collect();
    kinds.windows(LEAST).any(|kinds| {
        let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let has_all = (0..3).all(|kind| kinds.contains(&Some(kind)));
        has_all && changes * 5 >= LEAST * 2
    })
}

const fn kind(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_holds_a_secret_is_recognised_in_whatever_form() {
        for value in [
            "https://ada:hunter2@gateway.example",
            "HTTPS://ada:hunter2@gateway.example",
            "https://hunter2@gateway.example",
            "https://ada:hun/ter2@gateway.example",
            "https://ada:hun ter2@gateway.example",
            "https://ada:hunter2",
            "https%3A%2F%2Fada%3Ahunter2%40gateway.example",
            "https://ada%3Ahunter2%40gateway.example",
            "https://good.example,https://ada:hunter2@gateway.example",
            "plain+https://ada:hunter2@gateway.example",
            "//ada:hunter2@gateway.example",
            "ada:hunter2@gateway.example",
            "ada:hunter2@gateway.example/path",
            "s3://AKIAIOSFODNN7EXAMPLE:hunter2@bucket",
            "s3://bucket/prefix?X-Amz-Security-Token=hunter2",
            "https://account.blob.core.windows.net/c?sv=2024&sig=hunter2",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2",
            "https://h.example/?api_key=hunter2",
            "https://h.example/?pass%77ord=hunter2",
            "mongodb://ada:hunter2@h/db",
            "file:///x/mongodb+srv://h/?authMechanismProperties=AWS_SESSION_TOKEN:hunter2",
            "AKIAIOSFODNN7EXAMPLE",
            "region/ASIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "s3://bucket/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            &"0f".repeat(32),
            &format!("s3://bucket/{}", "0F".repeat(32)),
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
            "passphrase:hunter2",
            "AGE-SECRET-KEY-1HUNTER2",
            "-----BEGIN PRIVATE KEY-----hunter2",
            "Bearer hunter2",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.x",
        ] {
            assert!(secret_in(value).is_some(), "{value}");
        }
    }

    #[test]
    fn what_settings_are_made_of_is_no_secret() {
        for value in [
            "",
            "true",
            "Europe/Zurich",
            "s3://backups/eu-west-1/team@corp.example/2026",
            "s3://bucket/date=2026/env=production",
            "file:///mnt/ada@host:22/backups",
            "/nix/store/0c9ss3p5k1r4y2x7v8b6n5m4l3k2j1h0-mongodb-tools-100.18.0/bin/mongodump",
            &format!("/var/lib/docker/volumes/{}/_data", "0f".repeat(32)),
            &format!("file:///var/lib/docker/volumes/{}/_data", "0f".repeat(32)),
            "https://a.example, plain+http://127.0.0.1:8080, https://[::1]:8443",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/holdfast-prod-ContentQueue-1A2B3C4D5E6F",
            "arn:aws:events:eu-west-1:123456789012:event-bus/holdfast-prod",
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
            "https://platform.example/claims/roles",
            "cognito:groups",
            "custom:role",
            "users,userSubscriptionPaymentTransactionHistoryVersion2,system.js",
            "age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v",
            "Holdfast/prod",
            "https://storage.example:9000",
        ] {
            assert_eq!(secret_in(value), None, "{value}");
        }
    }
}
