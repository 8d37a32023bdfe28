//! A job in detail: its row, and for a running content backup the present counts of its items.

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, BackupType, Job, NamespaceCount, Timestamp};

use crate::OperationError;

/// One job. The items of a running content backup are counted now.
///
/// # Errors
/// Those of the catalogue.
pub async fn job_in_detail(
    catalog: &Catalog,
    id: &BackupId,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let mut job = catalog.get(id).await?;
    if job.backup_type == BackupType::Content && job.status.is_active() && job.started_at.is_some()
    {
        let mut items = catalog.item_counts(id).await?;
        items.per_minute = job
            .started_at
            .and_then(|began| per_minute(items.settled(), began, now));
        job.items = Some(items);
    }
    Ok(bounded(job))
}

/// Rows of earlier versions list all namespaces without a limit, and do not count them.
fn bounded(mut job: Job) -> Job {
    if let Some(all) = job.namespaces.take() {
        job.namespace_count = job.namespace_count.or(Some(all.len() as u64));
        job.document_count = job
            .document_count
            .or_else(|| Some(all.iter().map(|one| one.documents).sum()));
        job.namespaces = Some(NamespaceCount::listed(all));
    }
    job
}

/// Returns nothing before the first second.
fn per_minute(settled: u64, began: Timestamp, now: Timestamp) -> Option<u64> {
    let seconds = u64::try_from(now.duration_since(began).as_secs())
        .ok()
        .filter(|seconds| *seconds > 0)?;
    Some(settled.saturating_mul(60) / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_reported_from_the_first_second_on() {
        let at = |ms: i64| Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap();
        assert_eq!(per_minute(5, at(0), at(999)), None);
        assert_eq!(per_minute(5, at(0), at(30_000)), Some(10));
        assert_eq!(per_minute(5, at(1), at(0)), None);
    }
}
