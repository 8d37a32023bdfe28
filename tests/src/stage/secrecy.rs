//! The secrets of a scenario, and the search for them.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// All secrets, by their kind.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    pub(crate) fn add(&mut self, what: &'static str, secret: &str) {
        assert!(
            secret.len() >= 8,
            "{what} is so short that it may stand anywhere by chance"
        );
        for form in [
            secret.to_owned(),
            BASE64_STANDARD.encode(secret),
            hex::encode(secret),
        ] {
            self.0.push((what, form));
        }
    }

    /// The kind of secret in a text.
    fn found_in(&self, text: &str) -> Option<&'static str> {
        let text = text.to_ascii_lowercase();
        let found = self
            .0
            .iter()
            .find(|(_, secret)| text.contains(&secret.to_ascii_lowercase()));
        found.map(|(what, _)| *what)
    }

    #[track_caller]
    pub(crate) fn assert_absent(&self, place: &str, text: &str) {
        assert!(!self.0.is_empty(), "there is nothing to look for");
        if let Some(what) = self.found_in(text) {
            panic!("{what} stands in {place}: {text}");
        }
    }
}

#[test]
fn the_search_finds_a_secret_in_any_of_its_forms() {
    let mut secrets = Secrets::default();
    secrets.add("the password", "hunter2-hunter2");
    for text in [
        r#"{"uri":"mongodb://ada:hunter2-hunter2@host/db"}"#,
        "HUNTER2-HUNTER2",
        "aHVudGVyMi1odW50ZXIy",
        "68756e746572322d68756e74657232",
    ] {
        assert_eq!(secrets.found_in(text), Some("the password"), "{text}");
    }
    assert_eq!(secrets.found_in("mongodb://***@host/db"), None);
}
