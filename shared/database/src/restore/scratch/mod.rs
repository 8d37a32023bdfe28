//! Scratch collections: a restore over live data fills one for each target, until the copy is proved. A beat in each
//! database shows that the restore is at work. A later restore removes the scratch collections of a killed one.

mod name;

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use bson::{Document, doc};
use holdfast_domain::Timestamp;
use jiff::SignedDuration;
use mongodb::Database;
use serde::Serialize;

pub(crate) use self::name::{PREFIX, is_scratch};
use super::target::{Target, lister};
use crate::{Connection, DatabaseError, classify, listing::Lister};

const BEAT_EVERY: Duration = Duration::from_secs(10);

/// A restore whose beat is older is dead. Clocks do not matter: both times are the server's.
const DEAD_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The scratch collections of one restore.
pub(super) struct Scratch {
    connection: Connection,
    run: String,
    /// The databases with a beat.
    databases: Vec<Database>,
    /// The scratch collections, by database and name.
    collections: Vec<(Database, String)>,
}

/// A scratch collection that a restore left behind, or fills now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchCollection {
    /// `database.collection`.
    pub namespace: String,
    /// Its restore is at work.
    pub is_live: bool,
}

impl Scratch {
    /// Gives a scratch collection to each target that is to be replaced, and begins to beat. Nothing else is created. A
    /// database that takes no beat has its targets refused.
    ///
    /// # Errors
    /// The server went away.
    pub(super) async fn begin(connection: &Connection, targets: &mut [Target]) -> Result<Self, DatabaseError> {
        let mut scratch = Self {
            connection: connection.clone(),
            run: name::new_run(),
            databases: Vec::new(),
            collections: Vec::new(),
        };
        for target in targets.iter_mut().filter(|target| target.is_replaced() && target.refusal.is_none()) {
            if let Err(error) = scratch.beat_first_in(&target.database).await {
                if error.is_transient() {
                    scratch.remove(&[]).await;
                    return Err(error);
                }
                target.refusal = Some(error.to_string());
                continue;
            }
            let name = name::of_target(&scratch.run, &target.collection);
            scratch.collections.push((target.database.clone(), name.clone()));
            target.scratch = Some(name);
        }
        Ok(scratch)
    }

    async fn beat_first_in(&mut self, database: &Database) -> Result<(), DatabaseError> {
        if self.databases.iter().any(|known| known.name() == database.name()) {
            return Ok(());
        }
        write_beat(database, &self.run, server_time(&self.connection).await?).await?;
        self.databases.push(database.clone());
        Ok(())
    }

    /// Beats until it is dropped. One missed beat does no harm.
    pub(super) async fn keep_beating(&self) -> Infallible {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            if let Err(error) = self.beat().await {
                tracing::debug!(%error, "a beat of the restore was not written");
            }
        }
    }

    async fn beat(&self) -> Result<(), DatabaseError> {
        if self.databases.is_empty() {
            return Ok(());
        }
        let now = server_time(&self.connection).await?;
        for database in &self.databases {
            write_beat(database, &self.run, now).await?;
        }
        Ok(())
    }

    /// Drops what is left of them, the beat last. A later restore drops what this one cannot. One that holds what its
    /// target has lost stays, without a beat: no restore drops it.
    pub(super) async fn remove(&self, needed: &[String]) {
        for (database, name) in self.collections.iter().filter(|(_, name)| !needed.contains(name)) {
            if let Err(error) = drop_collection(database, name).await {
                tracing::warn!(database = database.name(), collection = name, %error, "a scratch collection stays");
                if error.is_transient() {
                    return;
                }
            }
        }
        for database in &self.databases {
            let _ = drop_collection(database, &name::of_beat(&self.run)).await;
        }
    }
}

/// Names of scratch collections that do not exist.
pub(super) fn absent_names() -> [String; 2] {
    let run = name::new_run();
    ["from", "to"].map(|end| name::of_target(&run, end))
}

/// Drops the scratch collections of dead restores in these databases, and returns their names.
pub(super) async fn remove_dead(connection: &Connection, targets: &[Target]) -> Result<Vec<String>, DatabaseError> {
    let mut removed = Vec::new();
    let databases: BTreeSet<&str> = targets.iter().map(|target| target.database.name()).collect();
    for database in databases {
        let database = connection.client().database(database);
        let mut found = match judged(connection, &lister(database.clone())).await {
            Ok(found) => found,
            Err(error) if error.is_transient() => return Err(error),
            // Without the right to look there is nothing to remove.
            Err(_) => continue,
        };
        // The beat last: what a removal that breaks leaves behind still has its owner's beat.
        found.sort_by_key(|(name, _)| name::is_beat(name));
        for (name, verdict) in found {
            if verdict == Verdict::Dead && drop_collection(&database, &name).await.is_ok() {
                removed.push(format!("{}.{name}", database.name()));
            }
        }
    }
    removed.retain(|name| name.split_once('.').is_some_and(|(_, name)| !name::is_beat(name)));
    Ok(removed)
}

/// The scratch collections in the databases of a connection, without the beats of restores.
///
/// # Errors
/// The databases or their collections cannot be listed.
pub async fn scratch_collections(connection: &Connection) -> Result<Vec<ScratchCollection>, DatabaseError> {
    let mut found = Vec::new();
    for database in connection.databases().await? {
        let lister = lister(connection.client().database(&database));
        for (name, verdict) in judged(connection, &lister).await? {
            if !name::is_beat(&name) {
                let namespace = format!("{database}.{name}");
                found.push(ScratchCollection { namespace, is_live: verdict == Verdict::Live });
            }
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Live,
    Dead,
    /// No beat: not known to be of a restore. It is listed, and never dropped.
    Unknown,
}

async fn judged(connection: &Connection, lister: &Lister) -> Result<Vec<(String, Verdict)>, DatabaseError> {
    let names = lister.names().await?;
    let scratch: Vec<String> = names.into_iter().filter(|name| is_scratch(name)).collect();
    if scratch.is_empty() {
        return Ok(Vec::new());
    }
    let now = server_time(connection).await?;
    let mut judged = Vec::new();
    for name in scratch {
        let run = name::run_of(&name).unwrap_or_default();
        let verdict = match last_beat(&lister.database, run).await? {
            Some(beat) if now.duration_since(beat) > DEAD_AFTER => Verdict::Dead,
            Some(_) => Verdict::Live,
            None => Verdict::Unknown,
        };
        judged.push((name, verdict));
    }
    Ok(judged)
}

async fn server_time(connection: &Connection) -> Result<Timestamp, DatabaseError> {
    Ok(connection.time().await?.unwrap_or_else(Timestamp::now))
}

async fn write_beat(database: &Database, run: &str, at: Timestamp) -> Result<(), DatabaseError> {
    // Inserted each time: the server's role `restore` may insert, and may not update.
    let beats = database.collection::<Document>(&name::of_beat(run));
    let written = beats.insert_one(doc! { "at": bson::DateTime::from_millis(at.as_millisecond()) }).await;
    written.map(drop).map_err(|error| classify(&error).during(format!("writing to {}", database.name())))
}

async fn last_beat(database: &Database, run: &str) -> Result<Option<Timestamp>, DatabaseError> {
    let beats = database.collection::<Document>(&name::of_beat(run));
    let found = beats.find_one(doc! {}).sort(doc! { "at": -1 }).await;
    let found = found.map_err(|error| classify(&error).during(format!("reading from {}", database.name())))?;
    let at = found.and_then(|beat| beat.get_datetime("at").ok().copied());
    Ok(at.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok()))
}

pub(super) async fn drop_collection(database: &Database, name: &str) -> Result<(), DatabaseError> {
    let dropped = database.collection::<Document>(name).drop().await;
    dropped.map_err(|error| classify(&error).during(format!("dropping {}.{name}", database.name())))
}
