//! Exclusions that leave nothing out: a misspelt name dumps what was to be left out, and the job says so.

use holdfast_database::{Connection, DumpSelection, unmatched_exclusions};

use crate::{Holdfast, OperationError};

/// Names in one message, at most.
const MOST_NAMED: usize = 10;

/// A warning that names the exclusions that match no collection.
pub(super) async fn unmatched(h: &Holdfast, connection: &Connection) -> Result<Option<String>, OperationError> {
    let selection = DumpSelection { collections: h.settings.database.collections.clone(), exclude: Vec::new() };
    let warning = no_such_exclusion(&unmatched_exclusions(connection, &selection).await?);
    if let Some(warning) = &warning {
        tracing::warn!("{warning}");
    }
    Ok(warning)
}

/// What to say of exclusions that match nothing.
pub(crate) fn no_such_exclusion(names: &[String]) -> Option<String> {
    let shown: Vec<String> = names.iter().take(MOST_NAMED).map(|name| format!("{name:?}")).collect();
    let rest = names.len().saturating_sub(MOST_NAMED);
    let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    (!names.is_empty()).then(|| {
        format!(
            "BACKUP_DATABASE_EXCLUDE_COLLECTIONS has names that no collection of the source has: {}{rest}",
            shown.join(", ")
        )
    })
}
