//! `MONGODUMP-LAYER.txt`: what the layer holds, where it came from, and what it needs of the
//! system. The same input gives the same text, so that an unchanged layer is not deployed again.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{elf::Program, feed::Release, platform::Architecture};

/// Where a mongodump came from.
pub(crate) enum Origin {
    /// The vendor's archive.
    Vendor(Release),
    /// A file at hand.
    Local { file: String, answer: Answer },
}

/// What a program answered when it was asked for its version.
pub(crate) enum Answer {
    /// The version.
    Version(String),
    /// It could not be asked on this machine, and why.
    None(String),
}

impl Origin {
    fn version(&self) -> String {
        match self {
            Self::Vendor(release) => release.version.clone(),
            Self::Local {
                answer: Answer::Version(version),
                ..
            } => version.clone(),
            Self::Local {
                answer: Answer::None(why),
                ..
            } => format!("unknown (not run here: {why})"),
        }
    }

    fn source(&self) -> String {
        match self {
            Self::Vendor(release) => release.url.clone(),
            Self::Local { file, .. } => format!("a local file, {file}"),
        }
    }
}

/// The text, and one sentence of it for whoever builds.
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) summary: String,
}

/// On a layer with mongodump.
pub(crate) fn on(
    origin: &Origin,
    architecture: Architecture,
    program: &Program,
    bytes: &[u8],
) -> Note {
    let libraries = match &program.libraries[..] {
        [] => "none; it is linked statically".to_owned(),
        some => some.join(", "),
    };
    let (version, source) = (origin.version(), origin.source());
    let mut text = format!(
        "mongodump of the MongoDB Database Tools, as /opt/bin/mongodump.\n\nversion: {version}\n"
    );
    let mut line = |name: &str, value: &str| _ = writeln!(text, "{name}: {value}");
    line("architecture", architecture.name());
    line("source", &source);
    if let Origin::Vendor(release) = origin {
        line("sha256 of the source", &release.sha256);
    }
    line(
        "sha256 of bin/mongodump",
        &hex::encode(Sha256::digest(bytes)),
    );
    line("shared libraries", &libraries);
    line(
        "licence",
        "Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0",
    );
    let summary = format!(
        "Layer: mongodump {version} for {architecture}, from {source}. Shared libraries: {libraries}."
    );
    Note { text, summary }
}

/// On a layer without it.
pub(crate) fn on_its_absence() -> Note {
    let text = "This layer holds no mongodump: it was built with MONGODUMP_BINARY=none.\n\
                The function dumps with its native engine; BACKUP_DUMP_ENGINE=mongodump cannot work.\n";
    let summary = "Layer: no mongodump, a note alone (MONGODUMP_BINARY=none). The function dumps with its native \
                   engine; DumpEngine=mongodump would fail every backup.";
    Note {
        text: text.into(),
        summary: summary.into(),
    }
}
