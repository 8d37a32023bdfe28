//! Exclusions without a match. A misspelt name leaves its collection in the dump, and the job
//! reports the name.

use holdfast_database::{Connection, DumpSelection, unmatched_exclusions};

use crate::{Holdfast, OperationError};

/// Most names in one message.
const MAX_NAMED: usize = 10;

/// A warning with the exclusions without a match.
pub(super) async fn unmatched(
    h: &Holdfast,
    connection: &Connection,
) -> Result<Option<String>, OperationError> {
    let selection = DumpSelection {
        collections: h.settings.database.collections.clone(),
        exclude: Vec::new(),
    };
    let warning = no_such_exclusion(&unmatched_exclusions(connection, &selection).await?);
    if let Some(warning) = &warning {
        tracing::warn!("{warning}");
    }
    Ok(warning)
}

/// The message about exclusions without a match.
pub(crate) fn no_such_exclusion(names: &[String]) -> Option<String> {
    let shown: Vec<String> = names
        .iter()
        .take(MAX_NAMED)
        .map(|name| format!("{name:?}"))
        .collect();
    let rest = names.len().saturating_sub(MAX_NAMED);
    let rest = if rest == 0 {
        String::new()
    } else {
        format!(" and {rest} more")
    };
    (!names.is_empty()).then(|| {
        format!(
            "BACKUP_DATABASE_EXCLUDE_COLLECTIONS has names without a collection in the source: {}{rest}",
            shown.join(", ")
        )
    })
}
