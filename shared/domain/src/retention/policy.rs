//! A policy: how long backups of one type are kept, and how many.

use serde::{Deserialize, Serialize};

/// Backups kept by count where nothing else is said.
pub const DEFAULT_MAX_COUNT: u32 = 30;
/// Good backups that are always left where nothing else is said.
pub const DEFAULT_MIN_COUNT: u32 = 3;

/// What is past `maxAgeDays` or beyond the newest `maxCount` goes, unless a rule keeps it. No limit: nothing goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionPolicy {
    /// Days of 24 hours since a backup was triggered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u32>,
    /// The newest good ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Good ones that are always left, whatever any other rule says.
    pub min_count: u32,
    /// The newest of each day, of so many days that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// The newest of each ISO week, of so many weeks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// The newest of each month, of so many months that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    /// The newest of each year, of so many years that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
}

/// A policy that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A number out of its range.
    #[error("{field} is {value}: expected a whole number from 1 to {maximum}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it is.
        value: u32,
        /// The largest that it may be.
        maximum: u32,
    },
    /// More are always left than are kept at most.
    #[error("minCount ({min_count}) must not exceed maxCount ({max_count})")]
    Crossed {
        /// The one.
        min_count: u32,
        /// The other.
        max_count: u32,
    },
}

impl RetentionPolicy {
    /// The most days that a policy can name: a hundred years.
    pub const MAX_DAYS: u32 = 36_500;
    /// The largest count that a policy can name.
    pub const MAX_COUNT: u32 = 100_000;

    /// The policy where none is stored: so many days, 30 backups, never fewer than 3.
    #[must_use]
    pub const fn of_days(max_age_days: u32) -> Self {
        Self {
            max_age_days: Some(max_age_days),
            max_count: Some(DEFAULT_MAX_COUNT),
            min_count: DEFAULT_MIN_COUNT,
            keep_daily: None,
            keep_weekly: None,
            keep_monthly: None,
            keep_yearly: None,
        }
    }

    /// Whether it can be meant. `minCount` is at least 1: no policy deletes the last good backup.
    ///
    /// # Errors
    /// [`PolicyError`] with the first fault.
    pub fn check(&self) -> Result<(), PolicyError> {
        let ranges = [
            ("maxAgeDays", self.max_age_days, Self::MAX_DAYS),
            ("maxCount", self.max_count, Self::MAX_COUNT),
            ("minCount", Some(self.min_count), Self::MAX_COUNT),
            ("keepDaily", self.keep_daily, Self::MAX_COUNT),
            ("keepWeekly", self.keep_weekly, Self::MAX_COUNT),
            ("keepMonthly", self.keep_monthly, Self::MAX_COUNT),
            ("keepYearly", self.keep_yearly, Self::MAX_COUNT),
        ];
        for (field, value, maximum) in ranges {
            if let Some(value) = value.filter(|value| !(1..=maximum).contains(value)) {
                return Err(PolicyError::OutOfRange { field, value, maximum });
            }
        }
        match self.max_count {
            Some(max_count) if max_count < self.min_count => {
                Err(PolicyError::Crossed { min_count: self.min_count, max_count })
            }
            _ => Ok(()),
        }
    }
}
