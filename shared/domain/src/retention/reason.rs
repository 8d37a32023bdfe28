//! The reasons of decisions, as sentences.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::JobStatus;

/// A reason of a decision, displayed as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionReason {
    /// There is no policy for its type.
    NoPolicy,
    /// Its nature or its origin is uncertain.
    Unsure(String),
    /// A run works on it.
    InUse(JobStatus),
    /// Its deletion was begun.
    Deleting,
    /// It is one of the newest `minCount` good ones, which are always kept.
    AmongNewest {
        /// `minCount`.
        min_count: u32,
    },
    /// There are fewer good ones than `minCount`, so a backup that is not good may be the only one.
    BetterThanNone {
        /// `minCount`.
        min_count: u32,
    },
    /// It is the newest good one of this day.
    NewestOfDay(String),
    /// It is the newest good one of this ISO week.
    NewestOfWeek(String),
    /// It is the newest good one of this month.
    NewestOfMonth(String),
    /// It is the newest good one of this year.
    NewestOfYear(String),
    /// No limit is reached.
    WithinLimits,
    /// It is too old.
    TooOld {
        /// `maxAgeDays`.
        max_age_days: u32,
    },
    /// There are enough newer ones.
    TooMany {
        /// `maxCount`.
        max_count: u32,
    },
    /// It counts towards no rule, because it is empty and an earlier one is not.
    Empty,
    /// It counts towards nothing, because its verification failed.
    VerificationFailed,
    /// It counts towards nothing, because its job is not completed.
    NotCompleted(JobStatus),
}

impl fmt::Display for RetentionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPolicy => f.write_str(
                "there is no retention policy for its type, and without one all are kept",
            ),
            Self::Unsure(why) => write!(f, "an uncertain backup is kept: {why}"),
            Self::InUse(status) => write!(f, "its job is {status}: a run works on it"),
            Self::Deleting => f.write_str("its deletion was begun"),
            Self::AmongNewest { min_count: 1 } => {
                f.write_str("it is the newest good one, and one is always kept")
            }
            Self::AmongNewest { min_count } => {
                write!(
                    f,
                    "it is among the newest {min_count} good ones, and these are always kept"
                )
            }
            Self::BetterThanNone { min_count } => {
                write!(
                    f,
                    "there are fewer than {min_count} good ones, so it may be better than nothing"
                )
            }
            Self::NewestOfDay(day) => write!(f, "it is the newest good one of day {day}"),
            Self::NewestOfWeek(week) => write!(f, "it is the newest good one of week {week}"),
            Self::NewestOfMonth(month) => write!(f, "it is the newest good one of month {month}"),
            Self::NewestOfYear(year) => write!(f, "it is the newest good one of year {year}"),
            Self::WithinLimits => f.write_str("it is within the limits"),
            Self::TooOld { max_age_days: 1 } => f.write_str("it is older than 1 day"),
            Self::TooOld { max_age_days } => write!(f, "it is older than {max_age_days} days"),
            Self::TooMany { max_count: 1 } => {
                f.write_str("there is a newer good one, and the maximum is one")
            }
            Self::TooMany { max_count } => write!(
                f,
                "there are {max_count} newer good ones, and this is the maximum"
            ),
            Self::Empty => f.write_str(
                "it is empty, but an earlier good one is not, so it counts towards no rule",
            ),
            Self::VerificationFailed => {
                f.write_str("its verification failed, so it counts towards no rule")
            }
            Self::NotCompleted(status) => {
                write!(f, "its job is {status}, so it counts towards no rule")
            }
        }
    }
}

impl Serialize for RetentionReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
