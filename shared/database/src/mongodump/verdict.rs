//! Whether the tool succeeded. The archive alone does not show it: after a lost server, a dump had
//! perfect framing and a tenth of its documents.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt};

use holdfast_archive::{NamespaceKind, NamespaceSummary, Summary};

use super::{Ending, Tool, redaction::Redaction, transcript::Transcript};
use crate::{DatabaseError, error::shortened, listing::BUCKETS_PREFIX};

/// Number of last lines in the error. The log contains all kept lines.
const LAST_LINES: usize = 3;

/// The tool's report of a successful run.
#[derive(Debug, Clone, Default)]
pub struct ToolReport {
    counts: BTreeMap<String, u64>,
}

impl ToolReport {
    /// Compares the tool's reported counts with the content of its archive.
    ///
    /// # Errors
    /// `Refused`, with the first different collection.
    pub fn confirm(&self, summary: &Summary) -> Result<(), DatabaseError> {
        for walked in &summary.namespaces {
            let Some(dumped) = self.count_of(walked) else {
                continue;
            };
            if dumped != walked.documents && walked.kind != NamespaceKind::View {
                return Err(DatabaseError::Refused(format!(
                    "mongodump reported {dumped} documents of {}.{}, but its archive contains {}",
                    walked.db, walked.collection, walked.documents
                )));
            }
        }
        Ok(())
    }

    /// For a time series, it may name the collection of buckets.
    fn count_of(&self, walked: &NamespaceSummary) -> Option<u64> {
        let named = |prefix| {
            self.counts
                .get(&format!("{}.{prefix}{}", walked.db, walked.collection))
                .copied()
        };
        let buckets = (walked.kind == NamespaceKind::Timeseries)
            .then(|| named(BUCKETS_PREFIX))
            .flatten();
        buckets.or_else(|| named(""))
    }
}

/// Exit code 0, without a reported failure.
pub(super) fn judge(
    tool: &Tool,
    ending: Ending,
    said: &Transcript,
    redaction: &Redaction,
) -> Result<ToolReport, DatabaseError> {
    let how = match ending {
        Ok(status) if status.success() && said.failure.is_none() => {
            return Ok(ToolReport {
                counts: said.counts.clone(),
            });
        }
        Ok(status) => match (status.code(), status.signal()) {
            (Some(0), _) => "exited with code 0 but reported a failure".to_owned(),
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(9)) => {
                "was killed by signal 9, usual when a function runs out of memory".to_owned()
            }
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        },
        Err(error) => format!("ended with an unknown status: {error}"),
    };
    let lines: Vec<String> = said
        .lines()
        .iter()
        .map(|line| redaction.clean(line))
        .collect();
    tracing::warn!(stderr = lines.join("\n"), "mongodump failed");
    let failure = said
        .failure
        .as_deref()
        .map(|failure| redaction.clean(failure));
    let words = last_words(failure.as_deref(), &lines);
    Err(classified(said, format!("{tool} {how}{words}")))
}

/// The line with the failure, then the last ones.
fn last_words(failure: Option<&str>, lines: &[String]) -> String {
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    let last = last
        .iter()
        .filter(|line| failure.is_none_or(|failure| !line.contains(failure)));
    let words: Vec<String> = failure
        .into_iter()
        .chain(last.map(String::as_str))
        .map(shortened)
        .collect();
    if words.is_empty() {
        " without a message".to_owned()
    } else {
        format!(": {}", words.join(" | "))
    }
}

/// By the Go driver's text about the server.
fn classified(said: &Transcript, text: String) -> DatabaseError {
    const DENIED: [&str; 5] = [
        "authentication failed",
        "auth error",
        "not authorized",
        "not allowed to do action",
        "requires authentication",
    ];
    const LOST: [&str; 7] = [
        "closed unexpectedly",
        "incomplete read of",
        "unexpected eof",
        "connection reset",
        "broken pipe",
        "i/o timeout",
        "interruptedatshutdown",
    ];
    const UNREACHABLE: [&str; 3] = [
        "server selection error",
        "connection refused",
        "no reachable servers",
    ];
    let failure = said.failure.as_deref().unwrap_or_default().to_lowercase();
    let tells = |signs: &[&str]| signs.iter().any(|sign| failure.contains(sign));
    if tells(&DENIED) {
        DatabaseError::Denied(text)
    } else if tells(&LOST) {
        DatabaseError::Lost(text)
    } else if tells(&UNREACHABLE) {
        DatabaseError::Unreachable(text)
    } else {
        DatabaseError::Refused(text)
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use holdfast_archive::{ContentHash, Prelude};
    use holdfast_domain::Secret;
    use holdfast_testing::golden_stderr;

    use super::*;

    fn judged(status: i32, stderr: &str) -> Result<ToolReport, DatabaseError> {
        let redaction = Redaction::of(&Secret::new("mongodb://ada:hunter2@h/x"));
        judge(
            &Tool::assumed("100.18.0"),
            Ok(ExitStatus::from_raw(status)),
            &Transcript::of(stderr.as_bytes()),
            &redaction,
        )
    }

    const EXIT_1: i32 = 1 << 8;
    const EXIT_2: i32 = 2 << 8;

    #[test]
    fn a_server_that_went_away_is_lost_and_all_else_refused() {
        assert!(matches!(
            judged(EXIT_1, &golden_stderr("cut-700k")),
            Err(DatabaseError::Lost(_))
        ));
        assert!(matches!(
            judged(EXIT_1, &golden_stderr("cut-but-whole")),
            Err(DatabaseError::Lost(_))
        ));
        assert!(matches!(
            judged(EXIT_2, &golden_stderr("cut-1500k")),
            Err(DatabaseError::Refused(_))
        ));
        assert!(matches!(
            judged(EXIT_1, &golden_stderr("oplog-overflow")),
            Err(DatabaseError::Refused(_))
        ));
        assert!(
            matches!(judged(9, ""), Err(DatabaseError::Refused(text)) if text.contains("memory"))
        );
        let denied = "Failed: can't create session: could not connect to server: connection() error occurred during \
                      connection handshake: auth error: sasl conversation error";
        assert!(matches!(
            judged(EXIT_1, denied),
            Err(DatabaseError::Denied(_))
        ));
    }

    #[test]
    fn exit_code_0_is_not_enough() {
        for name in ["cut-700k", "cut-1500k", "cut-but-whole", "oplog-overflow"] {
            assert!(judged(0, &golden_stderr(name)).is_err(), "{name}");
        }
        assert!(judged(0, "writing `a.b` to \"archive on stdout\"\n").is_ok());
    }

    #[test]
    fn the_error_begins_with_the_failure_and_contains_no_secret() {
        let stderr = "one\nFailed: bad mongodb://ada:hunter2@h/x (hunter2)\ntwo\nthree\nfour\n";
        let text = judged(EXIT_1, stderr).unwrap_err().to_string();
        assert_eq!(
            text,
            "mongodump 100.18.0 exited with code 1: Failed: bad mongodb://***@h/x (***) | two | three | four"
        );
        assert!(
            judged(EXIT_1, "")
                .unwrap_err()
                .to_string()
                .ends_with("code 1 without a message")
        );
    }

    fn summary(collection: &str, kind: NamespaceKind, documents: u64) -> Summary {
        let namespace = NamespaceSummary {
            db: "a".to_owned(),
            collection: collection.to_owned(),
            kind,
            documents,
            bytes: 0,
            crc: 0,
            content_hash: ContentHash::default(),
        };
        Summary {
            prelude: Prelude::default(),
            namespaces: vec![namespace],
            bytes: 0,
        }
    }

    #[test]
    fn a_count_that_the_archive_does_not_hold_is_refused() {
        let report = judged(
            0,
            "done dumping `a.b` (12 documents)\ndone dumping `a.system.buckets.t` (3 documents)",
        )
        .unwrap();
        report
            .confirm(&summary("b", NamespaceKind::Collection, 12))
            .unwrap();
        report
            .confirm(&summary("t", NamespaceKind::Timeseries, 3))
            .unwrap();
        report
            .confirm(&summary("unmentioned", NamespaceKind::Collection, 7))
            .unwrap();
        let error = report
            .confirm(&summary("b", NamespaceKind::Collection, 11))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("12 documents of a.b") && error.ends_with("contains 11"),
            "{error}"
        );
        assert!(
            report
                .confirm(&summary("t", NamespaceKind::Timeseries, 4))
                .is_err()
        );
    }
}
