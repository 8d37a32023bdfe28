//! The events of `events/`, as AWS sends them.

use std::{fs, path::Path};

use serde_json::Value;

/// The event of this name.
///
/// # Panics
/// If the file is missing, or not JSON.
#[must_use]
pub fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../events/{name}.json"));
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("the event {}: {error}", path.display()));
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("the event {}: {error}", path.display()))
}
