//! A dump leaves temporary collections out, because the server replaces or drops them at any
//! moment. A temporary collection with the same name before and after the dump may belong to a user
//! or to a dead aggregation. The job reports it.

use std::collections::BTreeSet;

use holdfast_database::{Connection, temporary_collections};

use super::engine::selection;
use crate::{Holdfast, OperationError};

/// Most names in one message.
const MAX_NAMED: usize = 10;

/// The present temporary collections, as `database.collection`.
pub(super) async fn temporary(
    h: &Holdfast,
    connection: &Connection,
) -> Result<BTreeSet<String>, OperationError> {
    Ok(temporary_collections(connection, &selection(h)).await?)
}

/// A warning with the names of those still present. The dump is stored, so an unavailable server
/// fails no backup.
pub(super) async fn still_there(
    h: &Holdfast,
    connection: &Connection,
    before: &BTreeSet<String>,
) -> Result<Option<String>, OperationError> {
    if before.is_empty() {
        return Ok(None);
    }
    let now = temporary(h, connection).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the temporary collections could not be listed after the dump");
        BTreeSet::new()
    });
    let names: Vec<&str> = before.intersection(&now).map(String::as_str).collect();
    Ok(warning(&names))
}

fn warning(names: &[&str]) -> Option<String> {
    let rest = names.len().saturating_sub(MAX_NAMED);
    let rest = if rest == 0 {
        String::new()
    } else {
        format!(" and {rest} more")
    };
    let shown = names[..names.len().min(MAX_NAMED)].join(", ");
    (!names.is_empty()).then(|| {
        format!(
            "not in the dump, because the server lists them as temporary or their names begin with tmp.agg_out.: \
             {shown}{rest}. Drop the remains of aggregations, and rename your own collections"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_that_are_left_out_are_named_as_far_as_a_message_has_room() {
        assert_eq!(warning(&[]), None);
        assert!(
            warning(&["shop.tmp.agg_out.1"])
                .unwrap()
                .contains(": shop.tmp.agg_out.1. Drop")
        );
        assert!(warning(&["a.b"; 12]).unwrap().contains("a.b and 2 more"));
    }
}
