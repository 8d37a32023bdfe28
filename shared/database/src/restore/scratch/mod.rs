//! Scratch collections: a restore over live data fills one for each target, until the copy is
//! proved. A beat in each database shows that the restore is running. A later restore removes the
//! scratch collections of a killed one.

mod beat;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use bson::Document;
use holdfast_domain::Timestamp;
use mongodb::Database;
use serde::Serialize;

use self::beat::{Beat, Record};
pub use self::beat::{OnlyCopy, Remedy};
use super::target::{Target, lister};
use crate::{
    Connection, DatabaseError, classify,
    listing::Lister,
    scratch_name::{self, is_scratch},
};

const BEAT_EVERY: Duration = Duration::from_secs(10);

/// The scratch collections of one restore.
pub(super) struct Scratch {
    connection: Connection,
    run: String,
    /// One in each database.
    beats: Vec<Beat>,
    /// The scratch collections, by database and name.
    collections: Vec<(Database, String)>,
}

/// A scratch collection of an earlier or a running restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchCollection {
    /// `database.collection`.
    pub namespace: String,
    /// Its restore is running.
    pub is_live: bool,
    /// The target, if this is its only copy. No restore drops it.
    pub only_copy_of: Option<OnlyCopy>,
}

impl Scratch {
    /// Names a scratch collection for each target to replace, and starts the beat. Creates nothing
    /// else. In a database that refuses the beat, the targets are refused.
    ///
    /// # Errors
    /// The server went away, or has no room: no copy of any target would fit.
    pub(super) async fn begin(
        connection: &Connection,
        targets: &mut [Target],
    ) -> Result<Self, DatabaseError> {
        let mut scratch = Self {
            connection: connection.clone(),
            run: scratch_name::new_run(),
            beats: Vec::new(),
            collections: Vec::new(),
        };
        for target in targets
            .iter_mut()
            .filter(|target| target.is_replaced() && target.refusal.is_none())
        {
            if let Err(error) = scratch.beat_first_in(&target.database).await {
                if error.is_of_the_server() {
                    scratch.remove().await;
                    return Err(error);
                }
                target.refusal = Some(error.to_string());
                continue;
            }
            let name = scratch_name::target_name(&scratch.run, &target.collection);
            scratch
                .collections
                .push((target.database.clone(), name.clone()));
            target.scratch = Some(name);
        }
        Ok(scratch)
    }

    async fn beat_first_in(&mut self, database: &Database) -> Result<(), DatabaseError> {
        if self
            .beats
            .iter()
            .any(|known| known.database.name() == database.name())
        {
            return Ok(());
        }
        self.beats
            .push(Beat::begin(database, &self.run, server_time(&self.connection).await?).await?);
        Ok(())
    }

    /// Beats until it is dropped. One missed beat does no harm.
    pub(super) async fn keep_beating(&self) -> Infallible {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            if let Err(error) = self.beat().await {
                tracing::debug!(%error, "could not write a beat of the restore");
            }
        }
    }

    async fn beat(&self) -> Result<(), DatabaseError> {
        if self.beats.is_empty() {
            return Ok(());
        }
        let now = server_time(&self.connection).await?;
        for beat in &self.beats {
            beat.beat(now).await?;
        }
        Ok(())
    }

    /// Refuses if another restore may have removed the scratch collections in the database of this
    /// target.
    pub(super) async fn confirm(&self, target: &Target) -> Result<(), DatabaseError> {
        self.beat_of(target)?
            .confirm(server_time(&self.connection).await?)
            .await
    }

    /// Records that the target will be dropped. From then on no restore drops its scratch
    /// collection.
    pub(super) async fn hold(&self, target: &Target) -> Result<(), DatabaseError> {
        self.beat_of(target)?.hold(target).await
    }

    /// Records that the target is complete or unchanged.
    pub(super) async fn release(&self, target: &Target) {
        if let Ok(beat) = self.beat_of(target) {
            beat.release(target).await;
        }
    }

    fn beat_of(&self, target: &Target) -> Result<&Beat, DatabaseError> {
        let beat = self
            .beats
            .iter()
            .find(|beat| beat.database.name() == target.database.name());
        beat.ok_or_else(|| {
            DatabaseError::Refused(format!(
                "the restore has no beat in {}",
                target.database.name()
            ))
        })
    }

    /// Drops the remaining ones, the beat last. A later restore drops the rest. A scratch
    /// collection with the only copy of its target stays, together with its beat.
    pub(super) async fn remove(&self) {
        let is_held = |name: &String| self.beats.iter().any(|beat| beat.holds(name));
        for (database, name) in self.collections.iter().filter(|(_, name)| !is_held(name)) {
            if let Err(error) = drop_collection(database, name).await {
                tracing::warn!(database = database.name(), collection = name, %error, "a scratch collection stays");
                if error.is_transient() {
                    return;
                }
            }
        }
        for beat in self.beats.iter().filter(|beat| !beat.holds_any()) {
            let _ = drop_collection(&beat.database, &scratch_name::beat_name(&self.run)).await;
        }
    }
}

/// Names of missing scratch collections.
pub(super) fn absent_names() -> [String; 2] {
    let run = scratch_name::new_run();
    ["from", "to"].map(|end| scratch_name::target_name(&run, end))
}

/// Drops the scratch collections of dead restores in these databases, and returns their names.
pub(super) async fn remove_dead(
    connection: &Connection,
    targets: &[Target],
) -> Result<Vec<String>, DatabaseError> {
    let mut removed = Vec::new();
    let databases: BTreeSet<&str> = targets
        .iter()
        .map(|target| target.database.name())
        .collect();
    for database in databases {
        let database = connection.client().database(database);
        let mut found = match judged(connection, &lister(database.clone())).await {
            Ok(found) => found,
            Err(error) if error.is_transient() => return Err(error),
            // Without the privilege to list, nothing can be removed.
            Err(_) => continue,
        };
        // The beat is last: after an interrupted removal, the rest still has its owner's beat.
        found.sort_by_key(|(name, _)| scratch_name::is_beat(name));
        for (name, verdict) in found {
            if verdict == Verdict::Dead && drop_collection(&database, &name).await.is_ok() {
                removed.push(format!("{}.{name}", database.name()));
            }
        }
    }
    removed.retain(|name| {
        name.split_once('.')
            .is_some_and(|(_, name)| !scratch_name::is_beat(name))
    });
    Ok(removed)
}

/// The scratch collections in the databases of a connection, without the beats of restores.
///
/// # Errors
/// The databases or their collections cannot be listed.
pub async fn scratch_collections(
    connection: &Connection,
) -> Result<Vec<ScratchCollection>, DatabaseError> {
    let mut found = Vec::new();
    for database in connection.databases().await? {
        let lister = lister(connection.client().database(&database));
        for (name, verdict) in judged(connection, &lister).await? {
            if !scratch_name::is_beat(&name) {
                let namespace = format!("{database}.{name}");
                let is_live = verdict == Verdict::Live;
                let only_copy_of = if let Verdict::Needed(copy) = verdict {
                    Some(copy)
                } else {
                    None
                };
                found.push(ScratchCollection {
                    namespace,
                    is_live,
                    only_copy_of,
                });
            }
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Live,
    Dead,
    /// Its restore ended and left the only copy of this target. It is never dropped.
    Needed(OnlyCopy),
    /// No beat, so its origin is unknown. Or a beat with an only copy. It is never dropped.
    Kept,
}

async fn judged(
    connection: &Connection,
    lister: &Lister,
) -> Result<Vec<(String, Verdict)>, DatabaseError> {
    let names = lister.names().await?;
    let scratch: Vec<String> = names.into_iter().filter(|name| is_scratch(name)).collect();
    if scratch.is_empty() {
        return Ok(Vec::new());
    }
    let now = server_time(connection).await?;
    let mut records = BTreeMap::new();
    for run in scratch.iter().filter_map(|name| scratch_name::run_of(name)) {
        if !records.contains_key(run) {
            records.insert(run, Record::read(&lister.database, run).await?);
        }
    }
    let record_of = |name: &str| scratch_name::run_of(name).and_then(|run| records.get(run));
    let verdict_of = |name: &String| {
        record_of(name).map_or(Verdict::Kept, |record| judge(name, record, &scratch, now))
    };
    Ok(scratch
        .iter()
        .map(|name| (name.clone(), verdict_of(name)))
        .collect())
}

fn judge(name: &str, record: &Record, present: &[String], now: Timestamp) -> Verdict {
    if record.last.is_some() && !record.is_dead(now) {
        return Verdict::Live;
    }
    match record.only_copy(name) {
        Some(copy) => Verdict::Needed(copy.clone()),
        None if record.last.is_none()
            || (scratch_name::is_beat(name) && record.needs_any(present)) =>
        {
            Verdict::Kept
        }
        None => Verdict::Dead,
    }
}

async fn server_time(connection: &Connection) -> Result<Timestamp, DatabaseError> {
    Ok(connection.time().await?.unwrap_or_else(Timestamp::now))
}

pub(super) async fn drop_collection(database: &Database, name: &str) -> Result<(), DatabaseError> {
    let dropped = database.collection::<Document>(name).drop().await;
    dropped.map_err(|error| classify(&error).during(format!("dropping {}.{name}", database.name())))
}
