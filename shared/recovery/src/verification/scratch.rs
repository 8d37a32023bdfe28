//! The scratch databases of a drill. Their name is unique, and they are always dropped. After a
//! crash their beat stops, and the next drill on that server drops them.

use std::{convert::Infallible, time::Duration};

use holdfast_codec::random_bytes;
use holdfast_database::{Connection, DatabaseError, NamespaceMap};
use holdfast_domain::heartbeat::{
    BEAT_TIMEOUT, DRILL_BEAT_EVERY, DRILL_DEAD_AFTER, DRILL_SILENCE_LIMIT, REPEAT_AFTER,
};
use holdfast_domain::{BackupId, Manifest, Secret, Timestamp, settings::ReadPreference};
use holdfast_repository::{InvalidRequest, RepositoryError};

use crate::{
    DrillFault, RecoveryError,
    heartbeat::{Rhythm, Stopped, beat_until_stopped},
};

/// Prefix of all scratch databases.
const PREFIX: &str = "holdfast_drill_";
/// The database of the beat.
const BEAT: &str = "beat";
/// The first beat is part of [`Scratch::begin`].
const RHYTHM: Rhythm = Rhythm {
    first_after: DRILL_BEAT_EVERY,
    every: DRILL_BEAT_EVERY,
    timeout: BEAT_TIMEOUT,
    repeat_after: REPEAT_AFTER,
    silence_limit: DRILL_SILENCE_LIMIT,
};
/// Interval of the checks for late writes after a failed restore.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// After this many empty checks, no write is pending.
const EMPTY_CHECKS: u32 = 10;
/// After this many removals the rest is left to the next drill.
const MAX_REMOVALS: u32 = 20;
const APP_NAME: &str = "holdfast-drill";

/// The scratch databases of one drill.
pub(crate) struct Scratch {
    connection: Connection,
    /// Prefix of their names.
    name: String,
    /// The databases of the backup. The index is the number of the scratch database.
    databases: Vec<String>,
}

/// Connects to the server of the scratch databases.
pub(crate) async fn connect(server: &Secret) -> Result<Connection, RecoveryError> {
    let connected = Connection::open(server, ReadPreference::Primary, APP_NAME).await;
    connected.map_err(server_error)
}

impl Scratch {
    /// Chooses a name for the databases of this backup, and begins to beat.
    pub(crate) async fn begin(
        connection: Connection,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<Self, RecoveryError> {
        let name = name_at(now)?;
        let mut databases: Vec<String> = manifest
            .namespaces
            .iter()
            .map(|namespace| namespace.db.clone())
            .collect();
        databases.sort_unstable();
        databases.dedup();
        let scratch = Self {
            connection,
            name,
            databases,
        };
        // A missing privilege is no fault of the backup. It is found before the restore.
        if let Err(error) = scratch.try_rights(manifest.backup_id.as_str()).await {
            scratch.remove().await;
            return Err(error);
        }
        Ok(scratch)
    }

    /// The target of each namespace of the backup.
    pub(crate) fn map(&self) -> Result<NamespaceMap, RecoveryError> {
        let from: Vec<String> = self
            .databases
            .iter()
            .map(|database| format!("{}.*", NamespaceMap::literal(database)))
            .collect();
        let to: Vec<String> = (0..from.len())
            .map(|number| format!("{}_{number}.*", self.name))
            .collect();
        NamespaceMap::parse(&from, &to).map_err(|error| {
            InvalidRequest::NamespaceMap {
                cause: error.to_string(),
            }
            .into()
        })
    }

    /// Replaces the names of scratch databases in a text by those of the backup.
    pub(crate) fn unmapped(&self, text: &str) -> String {
        let numbered = self.databases.iter().enumerate();
        numbered
            .rev()
            .fold(text.to_owned(), |text, (number, database)| {
                text.replace(&format!("{}_{number}.", self.name), &format!("{database}."))
            })
    }

    /// Beats until the silence limit. After it, another drill may soon drop the databases.
    pub(crate) async fn keep_beating(&self, backup: &BackupId) -> RecoveryError {
        let beat = || async {
            self.beat(backup.as_str())
                .await
                .map(|()| None::<Infallible>)
        };
        let stopped = beat_until_stopped(RHYTHM, beat, |error| {
            tracing::warn!(backupId = %backup, error, "the beat of a drill failed and is repeated");
        });
        match stopped.await {
            Stopped::Lost(never) => match never {},
            Stopped::Silent(_) => DrillFault::Silent {
                minutes: DRILL_SILENCE_LIMIT.as_secs() / 60,
            }
            .into(),
        }
    }

    async fn beat(&self, of: &str) -> Result<(), RecoveryError> {
        let now = time_of(&self.connection).await?;
        let beaten = self.connection.beat(&self.beat_database(), of, now).await;
        beaten.map_err(server_error)
    }

    /// Beats, and does what a restore does, in the database of the beat.
    async fn try_rights(&self, of: &str) -> Result<(), RecoveryError> {
        self.beat(of).await?;
        self.connection
            .try_restoring(&self.beat_database())
            .await
            .map_err(server_error)
    }

    fn beat_database(&self) -> String {
        format!("{}_{BEAT}", self.name)
    }

    /// Removes the databases after a failed restore. The server may still execute a pending write,
    /// and creates the database again for it.
    pub(crate) async fn remove_and_watch(&self) -> Vec<String> {
        for _ in 0..MAX_REMOVALS {
            let left = self.remove().await;
            if !left.is_empty() || self.stay_gone().await {
                return left;
            }
        }
        vec![format!(
            "the scratch databases {}_* reappeared after each removal: the next drill drops them",
            self.name
        )]
    }

    async fn stay_gone(&self) -> bool {
        for _ in 0..EMPTY_CHECKS {
            tokio::time::sleep(CHECK_EVERY).await;
            let found = self.connection.databases_beginning_with(&self.name).await;
            if !found.is_ok_and(|names| names.is_empty()) {
                return false;
            }
        }
        true
    }

    /// Drops all databases, the beat last. Returns the failures. The next drill drops the rest.
    pub(crate) async fn remove(&self) -> Vec<String> {
        let left = self.drop_all().await;
        left.iter().map(ToString::to_string).collect()
    }

    async fn drop_all(&self) -> Vec<DrillFault> {
        let scratch = (0..self.databases.len()).map(|number| format!("{}_{number}", self.name));
        let mut left = Vec::new();
        for database in scratch.chain([self.beat_database()]) {
            if let Err(cause) = self.connection.drop_database(&database).await {
                left.push(DrillFault::NotDropped { database, cause });
            }
        }
        left
    }
}

/// Executes the steps of a drill in a scratch database on the server of the drills, and drops the
/// database.
///
/// # Errors
/// [`RecoveryError::Drill`] if the server is unavailable, refuses a step, or keeps the database.
pub async fn try_server(server: &Secret, now: Timestamp) -> Result<(), RecoveryError> {
    let scratch = Scratch {
        connection: connect(server).await?,
        name: name_at(now)?,
        databases: Vec::new(),
    };
    let made = scratch.try_rights("probe").await;
    match scratch.drop_all().await.pop() {
        Some(left) => made.and(Err(left.into())),
        None => made,
    }
}

/// The present by the clock of the drill's server. Drills on other machines judge the beats by it.
async fn time_of(connection: &Connection) -> Result<Timestamp, RecoveryError> {
    let time = connection.time().await.map_err(server_error)?;
    Ok(time.unwrap_or_else(Timestamp::now))
}

/// A unique name.
fn name_at(now: Timestamp) -> Result<String, RecoveryError> {
    Ok(format!(
        "{PREFIX}{}_{}",
        now.as_millisecond(),
        hex::encode(random_bytes::<4>().map_err(RepositoryError::from)?)
    ))
}

/// Drops the scratch databases of dead drills, and returns their names.
///
/// # Errors
/// If the server is unavailable.
pub async fn remove_dead_scratch(server: &Secret) -> Result<Vec<String>, RecoveryError> {
    remove_dead(&connect(server).await?).await
}

pub(crate) async fn remove_dead(connection: &Connection) -> Result<Vec<String>, RecoveryError> {
    let (mut removed, now) = (Vec::new(), time_of(connection).await?);
    for name in connection
        .databases_beginning_with(PREFIX)
        .await
        .map_err(server_error)?
    {
        let Some((group, begun_at)) = group_of(&name) else {
            continue;
        };
        let beat = connection
            .last_beat(&format!("{group}_{BEAT}"))
            .await
            .map_err(server_error)?;
        if now.duration_since(beat.unwrap_or(begun_at)) > DRILL_DEAD_AFTER {
            connection
                .drop_database(&name)
                .await
                .map_err(server_error)?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// The drill of a scratch database, and its start: `holdfast_drill_<unix ms>_<8 hex>_<which>`.
fn group_of(name: &str) -> Option<(&str, Timestamp)> {
    let (group, _) = name.rsplit_once('_')?;
    let (ms, unique) = group.strip_prefix(PREFIX)?.split_once('_')?;
    let is_ours = unique.len() == 8 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begun_at = Timestamp::from_millisecond(ms.parse().ok()?).ok()?;
    is_ours.then_some((group, begun_at))
}

fn server_error(error: DatabaseError) -> RecoveryError {
    DrillFault::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_databases_of_drills_count_as_scratch() {
        let (group, at) = group_of("holdfast_drill_1700000000000_0a1b2c3d_0").unwrap();
        assert_eq!(
            (group, at.as_millisecond()),
            ("holdfast_drill_1700000000000_0a1b2c3d", 1_700_000_000_000)
        );
        assert!(group_of("holdfast_drill_1700000000000_0a1b2c3d_beat").is_some());
        for name in [
            "holdfast_drill_mine",
            "holdfast_drill_1_x_0",
            "holdfast_drill__0a1b2c3d_0",
            "holdfast",
            "shop_1_2",
        ] {
            assert!(group_of(name).is_none(), "{name}");
        }
    }
}
