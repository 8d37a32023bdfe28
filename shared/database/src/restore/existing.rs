//! Checks the existing content at a restore's targets. Protected content is refused here, before
//! the first write.

use std::collections::HashMap;

use bson::{Bson, Document};
use holdfast_archive::NamespaceKind;
use mongodb::options::ReadPreference;

use super::{Existing, RestoreFault, RestoreOptions, TargetState, adjust::number, target::Target};
use crate::{
    DatabaseError, classify,
    listing::{BUCKETS_PREFIX, Listed},
};

/// Finds the existing content at each target. Returns the protected content, for the plan of a dry
/// run.
///
/// # Errors
/// [`RestoreFault::NotEmpty`] for protected content, unless this is a dry run.
pub(super) async fn inspect(
    targets: &mut [Target],
    options: &RestoreOptions,
) -> Result<Vec<String>, RestoreFault> {
    let mut listings: HashMap<String, Result<Vec<Listed>, DatabaseError>> = HashMap::new();
    let mut conflicts = Vec::new();
    for target in targets {
        let database = target.database.name();
        if !listings.contains_key(database) {
            listings.insert(database.to_owned(), target.lister().collections().await);
        }
        match place_of(target, &listings[database], options.existing).await {
            Ok(Place::Free) => {}
            Ok(Place::Taken(existing, state)) => take_note(target, existing, state),
            Ok(Place::InTheWay(Conflict { documents, what })) => {
                target.state = TargetState::InTheWay(documents);
                conflicts.push(format!("{} ({what})", target.name()));
            }
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => refuse(target, error.to_string()),
        }
    }
    if conflicts.is_empty() || options.dry_run {
        Ok(conflicts)
    } else {
        Err(RestoreFault::NotEmpty(conflicts))
    }
}

/// The content at a target.
enum Place<'l> {
    Free,
    Taken(&'l Listed, TargetState),
    /// Protected.
    InTheWay(Conflict),
}

/// Protected content.
struct Conflict {
    documents: u64,
    what: String,
}

impl Conflict {
    fn new(documents: u64, what: impl Into<String>) -> Self {
        Self {
            documents,
            what: what.into(),
        }
    }
}

async fn place_of<'l>(
    target: &Target,
    listing: &'l Result<Vec<Listed>, DatabaseError>,
    policy: Existing,
) -> Result<Place<'l>, DatabaseError> {
    let listing = listing.as_ref().map_err(Clone::clone)?;
    let Some(existing) = listing
        .iter()
        .find(|listed| listed.name == target.collection)
    else {
        return Ok(Place::Free);
    };
    // A refused target is not written to, so it never conflicts.
    let policy = if target.refusal.is_some() {
        Existing::Merge
    } else {
        policy
    };
    Ok(match state_of(target, existing, policy).await? {
        Ok(state) => Place::Taken(existing, state),
        Err(_) if target.refusal.is_some() => Place::Free,
        Err(conflict) => Place::InTheWay(conflict),
    })
}

/// The first reason is kept.
fn refuse(target: &mut Target, reason: String) {
    target.refusal.get_or_insert(reason);
}

fn take_note(target: &mut Target, existing: &Listed, state: TargetState) {
    target.state = state;
    if target.is_new() {
        target.existing = Some(existing.clone());
    } else {
        target.has_validator |= existing.options.contains_key("validator");
    }
}

/// The state of an existing target, or the reason for its protection.
type StateOrConflict = Result<TargetState, Conflict>;

/// Judges an existing target by the policy.
async fn state_of(
    target: &Target,
    existing: &Listed,
    policy: Existing,
) -> Result<StateOrConflict, DatabaseError> {
    if existing.kind == NamespaceKind::View {
        let is_same = target.is_view() && same_options(&existing.options, &target.metadata.options);
        return Ok(match policy {
            _ if is_same => Ok(TargetState::Empty),
            Existing::Drop => Ok(TargetState::Replaced(0)),
            Existing::DropFirst => Ok(TargetState::Dropped(0)),
            Existing::Refuse | Existing::Merge if target.is_view() => {
                Err(Conflict::new(0, "another view"))
            }
            Existing::Refuse | Existing::Merge => Err(Conflict::new(0, "a view")),
        });
    }
    let documents = count(target, existing).await?;
    Ok(match policy {
        Existing::Drop => Ok(TargetState::Replaced(documents)),
        Existing::DropFirst => Ok(TargetState::Dropped(documents)),
        _ if existing.kind != target.metadata.kind => Err(Conflict::new(
            documents,
            format!("a {} of {documents} documents", existing.kind),
        )),
        Existing::Merge => Ok(TargetState::Merged(documents)),
        Existing::Refuse if documents > 0 => {
            Err(Conflict::new(documents, format!("{documents} documents")))
        }
        Existing::Refuse => match difference(target, existing).await? {
            Some(difference) => Err(Conflict::new(
                0,
                format!("empty, but with other {difference}"),
            )),
            None => Ok(TargetState::Empty),
        },
    })
}

/// The server's count can be wrong after a crash, so a zero is verified by a read.
async fn count(target: &Target, existing: &Listed) -> Result<u64, DatabaseError> {
    let name = match existing.kind {
        NamespaceKind::Timeseries => format!("{BUCKETS_PREFIX}{}", existing.name),
        _ => existing.name.clone(),
    };
    let failed = |error: mongodb::error::Error| {
        classify(&error).during(format!("counting {}", target.name()))
    };
    let collection = target.database.collection::<bson::RawDocumentBuf>(&name);
    let primary = || mongodb::options::SelectionCriteria::from(ReadPreference::Primary);
    let estimate = collection
        .estimated_document_count()
        .selection_criteria(primary())
        .await
        .map_err(failed)?;
    if estimate > 0 {
        return Ok(estimate);
    }
    let first = collection
        .find_one(Document::new())
        .selection_criteria(primary())
        .await
        .map_err(failed)?;
    Ok(u64::from(first.is_some()))
}

/// The difference between an empty collection and the one to create.
async fn difference(
    target: &Target,
    existing: &Listed,
) -> Result<Option<&'static str>, DatabaseError> {
    if !same_options(&existing.options, &target.metadata.options) {
        return Ok(Some("options"));
    }
    let present = target
        .lister()
        .indexes(&target.collection)
        .await?
        .unwrap_or_default();
    let is_known = |index: &Document| {
        target
            .metadata
            .indexes
            .iter()
            .any(|wanted| same_index(wanted, index))
    };
    Ok((!present.iter().all(is_known)).then_some("indexes"))
}

/// The version of an index is the server's own.
fn same_index(wanted: &Document, present: &Document) -> bool {
    let [wanted, present] = [wanted, present].map(|index| {
        let mut index = index.clone();
        index.remove("v");
        index
    });
    same_options(&wanted, &present)
}

/// Equal for any order of the fields, and any number types.
pub(super) fn same_options(a: &Document, b: &Document) -> bool {
    a.len() == b.len()
        && a.iter()
            .all(|(name, value)| b.get(name).is_some_and(|other| same_value(value, other)))
}

pub(super) fn same_value(a: &Bson, b: &Bson) -> bool {
    match (a, b) {
        (Bson::Document(a), Bson::Document(b)) => same_options(a, b),
        _ => a == b || number(a).is_some_and(|value| Some(value) == number(b)),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn options_are_the_same_whatever_their_order_and_number_types() {
        let a = doc! { "capped": true, "size": 4096_i64, "c": { "x": 1, "y": 2.0 } };
        assert!(same_options(
            &a,
            &doc! { "size": 4096, "capped": true, "c": { "y": 2, "x": 1 } }
        ));
        assert!(!same_options(
            &a,
            &doc! { "size": 4097, "capped": true, "c": { "x": 1, "y": 2 } }
        ));
        assert!(!same_options(&a, &doc! { "capped": true }));
    }
}
