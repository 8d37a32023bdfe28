//! Days, weeks, months and years in the operator's time zone, and the backup that represents each.

use std::collections::BTreeSet;

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

use super::{RetentionPolicy, RetentionReason};

/// A period of the calendar that keeps its newest good backup.
#[derive(Clone, Copy)]
enum Period {
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    const fn kept(self, policy: &RetentionPolicy) -> Option<u32> {
        match self {
            Self::Day => policy.keep_daily,
            Self::Week => policy.keep_weekly,
            Self::Month => policy.keep_monthly,
            Self::Year => policy.keep_yearly,
        }
    }

    /// Its usual name: `2026-03-29`, `2026-W13`, `2026-03`, `2026`.
    fn name(self, at: &ZonedDateTime) -> String {
        match self {
            Self::Day => at.strftime("%Y-%m-%d").to_string(),
            Self::Week => at.strftime("%G-W%V").to_string(),
            Self::Month => at.strftime("%Y-%m").to_string(),
            Self::Year => at.strftime("%Y").to_string(),
        }
    }

    const fn reason(self, name: String) -> RetentionReason {
        match self {
            Self::Day => RetentionReason::NewestOfDay(name),
            Self::Week => RetentionReason::NewestOfWeek(name),
            Self::Month => RetentionReason::NewestOfMonth(name),
            Self::Year => RetentionReason::NewestOfYear(name),
        }
    }
}

/// The reasons of the calendar to keep backups: a list for each of these times, newest first.
pub(super) fn reasons(
    newest_first: &[Timestamp],
    policy: &RetentionPolicy,
    timezone: &TimeZone,
) -> Vec<Vec<RetentionReason>> {
    let zoned: Vec<ZonedDateTime> = newest_first
        .iter()
        .map(|at| at.to_zoned_datetime(timezone.clone()))
        .collect();
    let mut reasons = vec![Vec::new(); zoned.len()];
    for period in Period::ALL {
        let Some(kept) = period.kept(policy) else {
            continue;
        };
        let mut seen = BTreeSet::new();
        for (at, reasons) in zoned.iter().zip(&mut reasons) {
            let name = period.name(at);
            if seen.len() < usize::try_from(kept).unwrap_or(usize::MAX) && seen.insert(name.clone())
            {
                reasons.push(period.reason(name));
            }
        }
    }
    reasons
}
