//! The terms of content backups: the storage type of an item's file, the kind of its verification,
//! and the reasons of failures.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Storage of an item's file on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    /// IPFS, under a CID that proves the bytes.
    Ipfs,
    /// On a Gaia hub, under a URL.
    Gaia,
}

impl StorageType {
    /// Every storage type of backups.
    pub const ALL: [Self; 2] = [Self::Ipfs, Self::Gaia];

    /// The name of the type in the platform's items.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipfs => "ipfs",
            Self::Gaia => "gaia",
        }
    }
}

/// The proof that a file's bytes are correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verified {
    /// Every block was checked against its CID, from the root down.
    Cid,
    /// Only the authenticated connection to the server.
    Transport,
}

impl Verified {
    /// Both ways, the stronger first.
    pub const ALL: [Self; 2] = [Self::Cid, Self::Transport];

    /// The word used in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cid => "cid",
            Self::Transport => "transport",
        }
    }
}

/// A server's own marks of a content. Sent back, they detect whether the content changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validator {
    /// The `ETag`, strong or weak, with its quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// The state of a host by its last responses, from the best to the worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostState {
    /// Its last response was normal or a requested pause, or no fault of it is known.
    #[default]
    Working,
    /// Its last requests failed, but perhaps only for a moment.
    Failing,
    /// It failed at each retry, so it counts as down.
    Down,
}

/// Why an item's file was not backed up, classified by the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemFailureCode {
    /// The item's URL is not of a supported storage type.
    Unsupported,
    /// Holdfast refuses the address of the URL or of a redirect.
    Blocked,
    /// The origin, or every trustless gateway, reported that the file does not exist.
    NotFound,
    /// The origin reported that the file is permanently removed.
    Gone,
    /// The origin refused the request.
    Refused,
    /// The file is larger than `BACKUP_MAX_FILE_SIZE`.
    TooLarge,
    /// The URL has no valid CID in the place of a CID.
    BadCid,
    /// The blocks are correct, but do not form a file that can be stored.
    BadDag,
    /// The origin requested a delay.
    Throttled,
    /// The origin could not be reached, or failed inside.
    Unavailable,
    /// The origin fell silent, or took too long in all.
    TimedOut,
    /// The origin's response is truncated, has the wrong length, or does not fit the request.
    InvalidAnswer,
    /// The store did not take the file.
    Store,
    /// The queue never delivered the item, or not often enough.
    NotDelivered,
    /// The run that downloaded it was stopped.
    Stopped,
}

impl ItemFailureCode {
    /// Every code.
    pub const ALL: [Self; 15] = [
        Self::Unsupported,
        Self::Blocked,
        Self::NotFound,
        Self::Gone,
        Self::Refused,
        Self::TooLarge,
        Self::BadCid,
        Self::BadDag,
        Self::Throttled,
        Self::Unavailable,
        Self::TimedOut,
        Self::InvalidAnswer,
        Self::Store,
        Self::NotDelivered,
        Self::Stopped,
    ];

    /// The word used in manifests and the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Blocked => "blocked",
            Self::NotFound => "not-found",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::TooLarge => "too-large",
            Self::BadCid => "bad-cid",
            Self::BadDag => "bad-dag",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed-out",
            Self::InvalidAnswer => "invalid-answer",
            Self::Store => "store",
            Self::NotDelivered => "not-delivered",
            Self::Stopped => "stopped",
        }
    }

    /// Whether a retry is useless, so that the item is settled at once.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(
            self,
            Self::Unsupported
                | Self::Blocked
                | Self::NotFound
                | Self::Gone
                | Self::Refused
                | Self::TooLarge
                | Self::BadCid
                | Self::BadDag
        )
    }
}

/// An unknown term of content backups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {word:?} is unknown: expected {expected}")]
pub struct ContentWordError {
    what: &'static str,
    word: String,
    expected: String,
}

macro_rules! content_word {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ContentWordError;

            fn from_str(text: &str) -> Result<Self, ContentWordError> {
                Self::ALL
                    .into_iter()
                    .find(|value| value.as_str() == text)
                    .ok_or_else(|| ContentWordError {
                        what: $what,
                        word: text.chars().take(80).collect(),
                        expected: Self::ALL.map(Self::as_str).join(", "),
                    })
            }
        }
    };
}

content_word!(StorageType, "storage type");
content_word!(Verified, "kind of verification");
content_word!(ItemFailureCode, "item failure code");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_word_in_json_and_in_text() {
        for code in ItemFailureCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
            assert_eq!(code.as_str().parse::<ItemFailureCode>().unwrap(), code);
        }
        for kind in StorageType::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(kind.as_str().parse::<StorageType>().unwrap(), kind);
        }
        for verified in Verified::ALL {
            assert_eq!(
                serde_json::to_string(&verified).unwrap(),
                format!("\"{verified}\"")
            );
            assert_eq!(verified.as_str().parse::<Verified>().unwrap(), verified);
        }
    }

    #[test]
    fn an_unknown_word_is_refused_and_shown_in_part() {
        let error = format!("arweave{}", "x".repeat(1000))
            .parse::<StorageType>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected ipfs, gaia") && error.len() < 200,
            "{error}"
        );
    }

    #[test]
    fn a_validator_is_camel_case_and_leaves_out_what_was_not_given() {
        let validator = Validator {
            etag: None,
            last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        };
        let text = serde_json::to_string(&validator).unwrap();
        assert_eq!(text, r#"{"lastModified":"Sun, 06 Nov 1994 08:49:37 GMT"}"#);
        assert_eq!(serde_json::from_str::<Validator>(&text).unwrap(), validator);
    }
}
