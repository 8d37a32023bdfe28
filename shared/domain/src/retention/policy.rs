//! A policy: the age and number limits of one type of backup.

use serde::{Deserialize, Serialize};

/// Default number of backups kept by count.
pub const DEFAULT_MAX_COUNT: u32 = 30;
/// Default number of good backups that are always kept.
pub const DEFAULT_MIN_COUNT: u32 = 3;

/// Backups older than `maxAgeDays` or beyond the newest `maxCount` expire, unless a rule keeps
/// them. A missing limit expires nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionPolicy {
    /// Days of 24 hours since a backup was triggered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u32>,
    /// The newest good ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Good backups that are always kept, regardless of other rules.
    pub min_count: u32,
    /// Number of days with a backup: the newest of each is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// Number of ISO weeks with a backup: the newest of each is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// Number of months with a backup: the newest of each is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    /// Number of years with a backup: the newest of each is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
}

/// An implausible policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A number out of its range.
    #[error("{field} is {value}: expected a whole number from 1 to {maximum}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// The largest allowed value.
        maximum: u32,
    },
    /// More are always left than are kept at most.
    #[error("minCount ({min_count}) must not exceed maxCount ({max_count})")]
    Crossed {
        /// The one.
        min_count: u32,
        /// Name of the other field.
        max_count: u32,
    },
}

impl RetentionPolicy {
    /// The largest number of days in a policy: a hundred years.
    pub const MAX_DAYS: u32 = 36_500;
    /// The largest count in a policy.
    pub const MAX_COUNT: u32 = 100_000;

    /// The default policy: this number of days, 30 backups, never fewer than 3.
    #[must_use]
    pub const fn from_days(max_age_days: u32) -> Self {
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

    /// Whether it is plausible. `minCount` is at least 1: no policy deletes the last good backup.
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
                return Err(PolicyError::OutOfRange {
                    field,
                    value,
                    maximum,
                });
            }
        }
        match self.max_count {
            Some(max_count) if max_count < self.min_count => Err(PolicyError::Crossed {
                min_count: self.min_count,
                max_count,
            }),
            _ => Ok(()),
        }
    }
}
