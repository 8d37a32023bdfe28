//! The plan: for each backup the decision, with its reasons as text.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{RetentionPolicy, RetentionReason, calendar};
use crate::{BackupId, JobStatus};

/// The reliability of a backup, according to the store and the catalogue together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its manifest exists, its job is completed, and no verification has failed. It counts towards
    /// a keep.
    Good,
    /// It is complete but empty, and an earlier good one is not: the source was deleted or
    /// misnamed.
    Empty,
    /// Its newest verification failed.
    VerificationFailed,
    /// Its manifest exists, but its job did not complete.
    NotCompleted(JobStatus),
    /// A run works on it.
    InUse(JobStatus),
    /// Its deletion was begun.
    Deleting,
    /// Its nature or its origin is uncertain, for this reason. An uncertain backup is kept.
    Unsure(String),
}

/// A backup of the planned type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionCandidate {
    /// The backup.
    pub backup_id: BackupId,
    /// Time of the trigger.
    pub created_at: Timestamp,
    /// Its reliability.
    pub standing: Standing,
}

/// A decision about a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Verdict))]
#[serde(rename_all = "lowercase")]
pub enum RetentionVerdict {
    /// It stays.
    Keep,
    /// It is deleted.
    Delete,
}

/// The decision about one backup, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RetentionDecision {
    /// ID of the backup.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub backup_id: BackupId,
    /// When the backup was triggered.
    pub created_at: Timestamp,
    /// Whether the backup is completed and no verification of it failed.
    pub is_good: bool,
    /// The decision.
    pub verdict: RetentionVerdict,
    /// The reasons, one sentence each. Never empty.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub reasons: Vec<RetentionReason>,
}

/// Decides about every backup of one type, newest first. Without a policy all are kept, except
/// those with a started deletion.
#[must_use]
pub fn plan_retention(
    candidates: &[RetentionCandidate],
    policy: Option<&RetentionPolicy>,
    now: Timestamp,
    timezone: &TimeZone,
) -> Vec<RetentionDecision> {
    let mut sorted: Vec<&RetentionCandidate> = candidates.iter().collect();
    sorted.sort_by(|a, b| (b.created_at, &b.backup_id).cmp(&(a.created_at, &a.backup_id)));
    let good: Vec<Timestamp> = sorted
        .iter()
        .filter(|it| it.standing == Standing::Good)
        .map(|it| it.created_at)
        .collect();
    let mut calendar = policy
        .map(|policy| calendar::reasons(&good, policy, timezone))
        .unwrap_or_default()
        .into_iter();
    let mut standing = Counted {
        newer_good: 0,
        spare: 0,
        now,
    };
    standing.spare = policy.map_or(0, |policy| {
        u64::from(policy.min_count).saturating_sub(good.len() as u64)
    });
    let decide = |candidate: &&RetentionCandidate| {
        let of_calendar = match candidate.standing {
            Standing::Good => calendar.next().unwrap_or_default(),
            _ => Vec::new(),
        };
        let (verdict, reasons) = standing.decide(candidate, policy, of_calendar);
        RetentionDecision {
            backup_id: candidate.backup_id.clone(),
            created_at: candidate.created_at,
            is_good: candidate.standing == Standing::Good,
            verdict,
            reasons,
        }
    };
    sorted.iter().map(decide).collect()
}

/// Counters, from the newest backup to the oldest.
struct Counted {
    /// Good backups newer than the present one.
    newer_good: u64,
    /// Number of other backups to keep, because there are too few good ones.
    spare: u64,
    now: Timestamp,
}

impl Counted {
    fn decide(
        &mut self,
        candidate: &RetentionCandidate,
        policy: Option<&RetentionPolicy>,
        of_calendar: Vec<RetentionReason>,
    ) -> (RetentionVerdict, Vec<RetentionReason>) {
        use RetentionVerdict::{Delete, Keep};
        match (&candidate.standing, policy) {
            (Standing::Deleting, _) => (Delete, vec![RetentionReason::Deleting]),
            (Standing::InUse(status), _) => (Keep, vec![RetentionReason::InUse(*status)]),
            (Standing::Unsure(why), _) => (Keep, vec![RetentionReason::Unsure(why.clone())]),
            (_, None) => (Keep, vec![RetentionReason::NoPolicy]),
            (Standing::Good, Some(policy)) => {
                let newest = self.newer_good < u64::from(policy.min_count);
                let newest = newest.then_some(RetentionReason::AmongNewest {
                    min_count: policy.min_count,
                });
                let keeps: Vec<_> = newest.into_iter().chain(of_calendar).collect();
                let past = self.limits_passed(candidate, policy);
                self.newer_good += 1;
                settle(keeps, past, None)
            }
            (Standing::Empty, Some(policy)) => {
                self.decide_on_bad(candidate, policy, RetentionReason::Empty)
            }
            (Standing::VerificationFailed, Some(policy)) => {
                self.decide_on_bad(candidate, policy, RetentionReason::VerificationFailed)
            }
            (Standing::NotCompleted(status), Some(policy)) => {
                self.decide_on_bad(candidate, policy, RetentionReason::NotCompleted(*status))
            }
        }
    }

    fn decide_on_bad(
        &mut self,
        candidate: &RetentionCandidate,
        policy: &RetentionPolicy,
        why: RetentionReason,
    ) -> (RetentionVerdict, Vec<RetentionReason>) {
        let past = self.limits_passed(candidate, policy);
        let is_spare = self.spare > 0;
        self.spare = self.spare.saturating_sub(1);
        let keeps = is_spare.then_some(RetentionReason::BetterThanNone {
            min_count: policy.min_count,
        });
        settle(keeps.into_iter().collect(), past, Some(why))
    }

    /// The limits that it exceeds. Times are compared, not subtracted, so that no time overflows.
    fn limits_passed(
        &self,
        candidate: &RetentionCandidate,
        policy: &RetentionPolicy,
    ) -> Vec<RetentionReason> {
        let is_old = |days: u32| {
            let age = SignedDuration::from_hours(24 * i64::from(days));
            self.now.duration_since(candidate.created_at) > age
        };
        let too_old = policy.max_age_days.filter(|days| is_old(*days));
        let too_many = policy
            .max_count
            .filter(|count| self.newer_good >= u64::from(*count));
        let too_old = too_old.map(|max_age_days| RetentionReason::TooOld { max_age_days });
        too_old
            .into_iter()
            .chain(too_many.map(|max_count| RetentionReason::TooMany { max_count }))
            .collect()
    }
}

/// A rule to keep overrides every limit. Without either, the backup stays.
fn settle(
    keeps: Vec<RetentionReason>,
    past: Vec<RetentionReason>,
    why_bad: Option<RetentionReason>,
) -> (RetentionVerdict, Vec<RetentionReason>) {
    let (verdict, mut reasons) = match (keeps.is_empty(), past.is_empty()) {
        (false, _) => (RetentionVerdict::Keep, keeps),
        (true, true) => (RetentionVerdict::Keep, vec![RetentionReason::WithinLimits]),
        (true, false) => (RetentionVerdict::Delete, past),
    };
    reasons.extend(why_bad);
    (verdict, reasons)
}
