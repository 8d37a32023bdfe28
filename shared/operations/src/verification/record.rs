//! Results of verifications in the catalogue.

use holdfast_catalog::{Catalog, CatalogError, VerificationRecord};
use holdfast_domain::{DrilledCollection, JobVerification};
use holdfast_recovery::verification::Verification;

use crate::OperationError;

/// Writes a verification to the catalogue: its own row, and the job's newest verification.
///
/// # Errors
/// If the catalogue is unavailable. Without a job row, only the verification's own row is written.
pub async fn record_verification(
    catalog: &Catalog,
    verification: &Verification,
) -> Result<(), OperationError> {
    let record = VerificationRecord {
        backup_id: verification.backup_id.clone(),
        level: verification.level,
        status: verification.status,
        problems: problems_in_a_row(&verification.problems),
        repository_problems: problems_in_a_row(&verification.repository_problems),
        notes: problems_in_a_row(&verification.notes),
        bytes_read: verification.bytes_read,
        at: verification.started_at,
        duration_ms: verification.duration_ms,
        collections: in_a_row(&verification.collections),
    };
    catalog.insert_verification(&record).await?;
    let newest = JobVerification {
        level: record.level,
        status: record.status,
        at: record.at,
    };
    match catalog.set_verification(&record.backup_id, newest).await {
        Ok(()) | Err(CatalogError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The problems with room in a row of the catalogue, each cut to a readable length.
fn problems_in_a_row(problems: &[String]) -> Vec<String> {
    const MAX_ROWS: usize = 500;
    const CHARACTERS: usize = 2000;
    let mut shown: Vec<String> = problems
        .iter()
        .take(MAX_ROWS)
        .map(|problem| problem.chars().take(CHARACTERS).collect())
        .collect();
    if problems.len() > MAX_ROWS {
        shown.push(format!("and {} more", problems.len() - MAX_ROWS));
    }
    shown
}

/// The collections with room in a row of the catalogue. Bad ones come first.
fn in_a_row(collections: &[DrilledCollection]) -> Vec<DrilledCollection> {
    const MAX_ROWS: usize = 2000;
    let (well, ill): (Vec<_>, Vec<_>) = collections
        .iter()
        .partition(|collection| collection.is_faithful());
    if collections.len() <= MAX_ROWS {
        return collections.to_vec();
    }
    ill.into_iter()
        .chain(well)
        .take(MAX_ROWS)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_room_for_the_problems_of_a_hundred_thousand_collections() {
        let problems: Vec<String> = (0..100_000)
            .map(|number| format!("{number}{}", "x".repeat(5000)))
            .collect();
        let shown = problems_in_a_row(&problems);
        assert!(shown.iter().map(String::len).sum::<usize>() < 2_000_000);
        assert_eq!(shown.last().unwrap(), "and 99500 more");
        assert_eq!(problems_in_a_row(&["one".to_owned()]), ["one"]);
    }
}
