//! Archives from the real mongodump, and their contents.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf, sync::OnceLock};

/// Contents of the golden archives: archive, database, collection.
pub type Expected = BTreeMap<String, BTreeMap<String, BTreeMap<String, ExpectedCollection>>>;

/// Contents of one collection of a golden archive.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct ExpectedCollection {
    /// `collection`, `view` or `timeseries`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of documents. None for a namespace without its own documents.
    pub documents: Option<u64>,
    /// SHA-256, in hex, over the sorted SHA-256 of the raw documents.
    pub sha256_of_sorted_document_sha256: Option<String>,
    /// The names of its indexes.
    #[serde(default)]
    pub indexes: Vec<String>,
}

/// The unchanged bytes of a golden archive from mongodump (`platform-gzip` is gzipped by the tool
/// itself).
///
/// # Panics
/// If there is no archive of that name.
#[must_use]
pub fn golden(name: &str) -> Vec<u8> {
    let packed = file(&format!("{name}.archive.gz"));
    let mut archive = Vec::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "a fixture of one member and known size"
    )]
    let mut reader = flate2::read::GzDecoder::new(&packed[..]);
    reader
        .read_to_end(&mut archive)
        .unwrap_or_else(|error| panic!("golden archive {name}: {error}"));
    archive
}

/// A small archive of an old server, an old tool or an unusual definition, in its stored form.
///
/// # Panics
/// If there is no archive of that name.
#[must_use]
pub fn definition(name: &str) -> Vec<u8> {
    file(&format!("definitions/{name}.archive"))
}

/// A file that is not an archive, but may be taken for one.
///
/// # Panics
/// If there is no file of that name.
#[must_use]
pub fn no_archive(name: &str) -> Vec<u8> {
    file(&format!("no-archives/{name}"))
}

/// The stderr of mongodump for that archive.
///
/// # Panics
/// If it was not kept. Only that of failed runs was.
#[must_use]
pub fn golden_stderr(name: &str) -> String {
    String::from_utf8_lossy(&file(&format!("{name}.stderr"))).into_owned()
}

/// The correct result of a restore of the archives `platform` and `shapes`.
///
/// # Panics
/// If the fixture is damaged.
#[must_use]
pub fn expected() -> &'static Expected {
    static EXPECTED: OnceLock<Expected> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        serde_json::from_slice(&file("expected.json"))
            .unwrap_or_else(|error| panic!("expected.json: {error}"))
    })
}

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_golden_archive_begins_with_the_magic_or_is_the_tools_own_gzip() {
        for name in [
            "nothing",
            "platform",
            "platform-excluded",
            "platform-one",
            "platform-parallel",
            "shapes",
            "oplog",
        ] {
            assert_eq!(golden(name)[..4], [0x6d, 0xe2, 0x99, 0x81], "{name}");
        }
        assert_eq!(golden("platform-gzip")[..2], [0x1f, 0x8b]);
    }

    #[test]
    fn archives_to_refuse_have_their_stderr() {
        for name in ["cut-700k", "cut-1500k", "cut-but-whole", "oplog-overflow"] {
            assert!(
                !golden(name).is_empty() && !golden_stderr(name).is_empty(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_expected_names_counts_and_kinds() {
        assert_eq!(
            expected()["platform"]["web3platform"]["contents"].documents,
            Some(800)
        );
        assert_eq!(
            expected()["shapes"]["shapes"]["measurements"].kind,
            "timeseries"
        );
    }
}
