//! Views: each is created after its source, and read once. An unreadable view is of no use.

use bson::{Bson, Document, doc};
use holdfast_archive::NamespaceKind;
use mongodb::{Database, error::ErrorKind};

use super::{
    compare::option_differences,
    definition::{create, wanted_options},
    scratch::drop_collection,
    swap_fault::{SwapFault, drop_existing, kept},
    target::Target,
};
use crate::{DatabaseError, classify, listing::Listed};

/// Time limit for one document of a view. A slower view counts as readable.
const READING_MS: i32 = 10_000;

/// The numbers of the views to create, each after its source. A circle keeps its order: the server
/// refuses it.
pub(super) fn in_order_of_creation(targets: &[Target]) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..targets.len())
        .filter(|at| targets[*at].is_view())
        .collect();
    waiting.retain(|at| targets[*at].is_new() && targets[*at].refusal.is_none());
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let is_waiting = |at: &usize| {
            waiting
                .iter()
                .any(|other| reads(&targets[*at], &targets[*other]))
        };
        let (later, now): (Vec<_>, Vec<_>) = waiting.iter().copied().partition(is_waiting);
        let is_circle = now.is_empty();
        ordered.extend(if is_circle { &later } else { &now });
        waiting = if is_circle { Vec::new() } else { later };
    }
    ordered
}

fn reads(view: &Target, source: &Target) -> bool {
    let name = view.metadata.options.get_str("viewOn").unwrap_or_default();
    source.collection == name && source.database.name() == view.database.name()
}

/// Creates a view, and reads it.
pub(super) async fn create_and_read(target: &Target) -> Result<(), SwapFault> {
    create(target, &target.collection).await.map_err(kept)?;
    let read = read_once(target, &target.collection).await;
    read.map_err(|error| {
        SwapFault::Incomplete(format!("{error}. The view was created nevertheless"))
    })
}

/// Replaces the existing namespace with the archive's view. A scratch view first proves the
/// definition and its readability.
pub(super) async fn replace(target: &Target, existing: &Listed) -> Result<(), SwapFault> {
    prove(target).await.map_err(kept)?;
    if existing.kind == NamespaceKind::View && has_same_collation(target, existing) {
        return match redefine(target).await {
            Err(error) if error.is_transient() => is_redefined(target, error).await,
            redefined => redefined.map_err(kept),
        };
    }
    drop_existing(target)
        .await
        .map_err(SwapFault::without_copy)?;
    let Err(error) = create(target, &target.collection).await else {
        return Ok(());
    };
    if existing.kind == NamespaceKind::View && recreate(&target.database, existing).await {
        return Err(kept(error));
    }
    Err(SwapFault::Incomplete(format!(
        "{error}. The earlier content is dropped"
    )))
}

async fn prove(target: &Target) -> Result<(), DatabaseError> {
    let scratch = target.filled();
    create(target, scratch).await?;
    let read = read_once(target, scratch).await;
    drop_collection(&target.database, scratch).await?;
    read
}

/// `collMod` replaces a view's definition in one step. It cannot change the collation.
async fn redefine(target: &Target) -> Result<(), DatabaseError> {
    let options = wanted_options(target);
    let pipeline = options
        .get("pipeline")
        .cloned()
        .unwrap_or_else(|| Bson::Array(Vec::new()));
    let source = options.get_str("viewOn").unwrap_or_default();
    let command = doc! { "collMod": &target.collection, "viewOn": source, "pipeline": pipeline };
    let changed = target.database.run_command(command).await;
    changed
        .map(drop)
        .map_err(|error| classify(&error).during(format!("redefining the view {}", target.name())))
}

/// The answer can be lost after the change.
async fn is_redefined(target: &Target, error: DatabaseError) -> Result<(), SwapFault> {
    match target.lister().collection(&target.collection).await {
        Ok(Some(found))
            if option_differences(&wanted_options(target), &found.options).is_empty() =>
        {
            Ok(())
        }
        Ok(_) => Err(kept(error)),
        Err(_) => Err(SwapFault::Incomplete(format!(
            "{error}. It is either the old view or the new one"
        ))),
    }
}

fn has_same_collation(target: &Target, existing: &Listed) -> bool {
    let collation = |options: &Document| -> Document {
        options
            .get("collation")
            .map(|collation| doc! { "collation": collation.clone() })
            .unwrap_or_default()
    };
    option_differences(
        &collation(&wanted_options(target)),
        &collation(&existing.options),
    )
    .is_empty()
}

/// Recreates a dropped view. Returns whether it exists again.
pub(super) async fn recreate(database: &Database, view: &Listed) -> bool {
    let mut command = doc! { "create": &view.name };
    command.extend(view.options.clone());
    let created = database.run_command(command).await;
    if let Err(error) = &created {
        tracing::warn!(view = view.name, error = %classify(error), "could not recreate the view");
    }
    created.is_ok()
}

/// Reads one document of a view.
async fn read_once(target: &Target, name: &str) -> Result<(), DatabaseError> {
    const MAX_TIME_MS_EXPIRED: i32 = 50;
    let command = doc! { "find": name, "limit": 1, "singleBatch": true, "maxTimeMS": READING_MS };
    let read: mongodb::error::Result<Document> = target.database.run_command(command).await;
    match read {
        Err(error) if !matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == MAX_TIME_MS_EXPIRED) => {
            Err(classify(&error).during(format!("reading the view {}", target.name())))
        }
        _ => Ok(()),
    }
}
