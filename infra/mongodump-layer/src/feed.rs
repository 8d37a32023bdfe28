//! The vendor's list of releases, and the one archive that is wanted of it.

use serde::Deserialize;

use crate::{error::Error, platform::Architecture};

/// The build for what Lambda runs on.
const SYSTEM: &str = "amazon2023";

/// An archive of the tools, as the vendor describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) architecture: Architecture,
    pub(crate) version: String,
    pub(crate) url: String,
    /// 64 hexadecimal digits in lower case.
    pub(crate) sha256: String,
}

#[derive(Deserialize)]
struct Feed {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    downloads: Vec<Download>,
}

/// Old releases lack some of these.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Download {
    name: String,
    arch: String,
    archive: Archive,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Archive {
    url: String,
    sha256: String,
}

/// Finds the archive of a version for a processor.
pub(crate) fn find(
    text: &[u8],
    feed: &str,
    version: &str,
    architecture: Architecture,
) -> Result<Release, Error> {
    let parsed: Feed = serde_json::from_slice(text).map_err(|error| Error::NotAFeed {
        url: feed.into(),
        cause: error.to_string(),
    })?;
    let found = parsed
        .versions
        .into_iter()
        .find(|one| one.version == version);
    let found = found.ok_or_else(|| Error::NoSuchRelease {
        feed: feed.into(),
        version: version.into(),
    })?;
    let fits = |one: &Download| {
        one.name == SYSTEM && architecture.is_called(&one.arch) && is_sha256(&one.archive.sha256)
    };
    let archive = found
        .downloads
        .into_iter()
        .find(fits)
        .map(|download| download.archive);
    let no_archive = || Error::NoSuchArchive {
        feed: feed.into(),
        version: version.into(),
        architecture,
    };
    let Archive { url, sha256 } = archive.ok_or_else(no_archive)?;
    Ok(Release {
        architecture,
        version: version.into(),
        url,
        sha256: sha256.to_ascii_lowercase(),
    })
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn feed(arch: &str, name: &str, sha256: &str) -> String {
        let archive = json!({ "url": "https://site/tools.tgz", "sha256": sha256 });
        let downloads =
            json!([{ "name": "windows" }, { "name": name, "arch": arch, "archive": archive }]);
        json!({ "versions": [{ "version": "1.0.0" }, { "version": "2.0.0", "downloads": downloads }] }).to_string()
    }

    #[test]
    fn the_archive_of_the_version_system_and_processor_is_found_by_either_name() {
        let digest = "AB".repeat(32);
        for (arch, architecture) in [
            ("x86_64", Architecture::X8664),
            ("arm64", Architecture::Arm64),
            ("aarch64", Architecture::Arm64),
        ] {
            let release = find(
                feed(arch, "amazon2023", &digest).as_bytes(),
                "feed",
                "2.0.0",
                architecture,
            )
            .unwrap();
            assert_eq!(
                (release.url.as_str(), release.sha256),
                ("https://site/tools.tgz", digest.to_lowercase())
            );
        }
    }

    #[test]
    fn an_archive_for_another_system_processor_or_without_a_digest_is_refused() {
        let digest = "ab".repeat(32);
        for (arch, name, digest) in [
            ("arm64", "amazon2023", &*digest),
            ("x86_64", "amazon2", &digest),
            ("x86_64", "amazon2023", ""),
        ] {
            let found = find(
                feed(arch, name, digest).as_bytes(),
                "feed",
                "2.0.0",
                Architecture::X8664,
            );
            assert!(
                matches!(found, Err(Error::NoSuchArchive { .. })),
                "{found:?}"
            );
        }
    }
}
