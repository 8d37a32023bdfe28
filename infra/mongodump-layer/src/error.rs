//! Why there is no layer, and what to do about it.

use std::{io, path::Path};

use thiserror::Error;

use crate::platform::Architecture;

/// What to do where the vendor's archive cannot be had.
const OTHERWISE: &str = "Or set MONGODUMP_BINARY to the path of a mongodump that you have, or to `none` for a layer \
     without: the function then dumps with its native engine.";

/// A build that made nothing.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// Unavailable: no answer, or it broke off.
    #[error(
        "{url} cannot be reached: {cause}. Check the network, and HTTPS_PROXY if there is a proxy; then build again. \
         {OTHERWISE}"
    )]
    Unreachable { url: String, cause: String },
    /// Not found, or denied: an answer, but not the file.
    #[error(
        "{url} answered {status}. Check the address (MONGODUMP_FEED_URL names the list of releases). {OTHERWISE}"
    )]
    NotServed { url: String, status: u16 },
    /// Limit: no file of that size is expected there.
    #[error(
        "{url} is larger than {limit_bytes} bytes, so it is not what it should be. Check MONGODUMP_FEED_URL."
    )]
    TooLarge { url: String, limit_bytes: u64 },
    /// Invalid: the answer is not a list of releases.
    #[error("{url} is not the vendor's list of releases: {cause}. Check MONGODUMP_FEED_URL.")]
    NotAFeed { url: String, cause: String },
    /// Not found: the release.
    #[error(
        "{feed} lists no release {version} of the MongoDB Database Tools. Set TOOLS_VERSION in \
         infra/mongodump-layer/layer.mk to one that it lists. {OTHERWISE}"
    )]
    NoSuchRelease { feed: String, version: String },
    /// Not found: the release for this processor.
    #[error(
        "{feed} lists release {version}, but no archive of it for Amazon Linux 2023 on {architecture} with a SHA-256. \
         Set TOOLS_VERSION in infra/mongodump-layer/layer.mk to a release that has one. {OTHERWISE}"
    )]
    NoSuchArchive {
        feed: String,
        version: String,
        architecture: Architecture,
    },
    /// Corrupt: bytes that the feed does not vouch for.
    #[error(
        "{url} has the SHA-256 {found}, but the vendor's list of releases says {expected}. It was thrown away. Build \
         again; if it stays so, something between here and the vendor changes files: find out what before you go on."
    )]
    WrongDigest {
        url: String,
        expected: String,
        found: String,
    },
    /// Conflict: what the vendor says today is not what was taken before.
    #[error(
        "the archive for {architecture} is not the one that was taken before. {lock} has\n  {held}\nbut the vendor's \
         list of releases now says\n  {offered}\nIf you changed TOOLS_VERSION or MONGODUMP_FEED_URL, delete that line \
         and build again. If not, a release was replaced after it came out: do not use it before you know why."
    )]
    NotTheLockedOne {
        architecture: Architecture,
        lock: String,
        held: String,
        offered: String,
    },
    /// Invalid: a lock file that somebody changed.
    #[error(
        "line {line} of {lock} is not `architecture version sha256 url`. Delete it and build again."
    )]
    LockUnreadable { lock: String, line: usize },
    /// Invalid: a file missing from the archive, or no archive at all.
    #[error("{archive} {fault}, so it is no archive of the MongoDB Database Tools. {OTHERWISE}")]
    NotTheTools { archive: String, fault: String },
    /// Invalid: not a program that Lambda could run.
    #[error(
        "{file} is not a 64-bit Linux program. Give the file `mongodump` itself, not an archive or a script."
    )]
    NotAProgram { file: String },
    /// Invalid: a program for another processor.
    #[error(
        "{file} is a program for {found}, but the function runs on {wanted}. Give a mongodump for {wanted}, or deploy \
         with the parameter Architecture of the one that you have."
    )]
    WrongArchitecture {
        file: String,
        found: String,
        wanted: Architecture,
    },
    /// Invalid: a program that runs, but is something else.
    #[error(
        "`{file} --version` {said}, so it is not taken for mongodump. Set MONGODUMP_BINARY to the official one."
    )]
    NotMongodump { file: String, said: String },
    /// Conflict: the folder holds something else.
    #[error("{folder} holds something other than a layer. Name a folder that is new or empty.")]
    Occupied { folder: String },
    /// The file system refused.
    #[error("cannot {verb} {path}: {cause}")]
    Files {
        verb: &'static str,
        path: String,
        cause: io::Error,
    },
}

impl Error {
    /// For `map_err` at a call of the file system.
    pub(crate) fn at(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Files {
            verb,
            path: path.display().to_string(),
            cause,
        }
    }
}
