//! The scratch databases of a drill: under a name that is nobody else's, and never left behind. A drill that was killed
//! leaves them with a beat that stands still; whoever drills next on that server drops them.

use std::time::Duration;

use holdfast_codec::random_bytes;
use holdfast_database::{Connection, DatabaseError, NamespaceMap};
use holdfast_domain::{BackupId, Manifest, Secret, Timestamp, settings::ReadPreference};
use jiff::SignedDuration;

use crate::OperationError;

/// What the names of all scratch databases begin with.
const PREFIX: &str = "holdfast_drill_";
/// The database that holds the beat.
const BEAT: &str = "beat";
/// How often it beats.
const BEAT_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked for writes that were still on their way when a restore broke off.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After so many looks that found nothing, none is on its way any more.
const QUIET_LOOKS: u32 = 10;
/// What still comes back after so many is left to the next drill.
const MOST_REMOVALS: u32 = 20;
/// After so long without a beat its drill is dead.
const DEAD_AFTER: SignedDuration = SignedDuration::from_mins(10);
const APP_NAME: &str = "holdfast-drill";

/// The scratch databases of one drill.
pub(super) struct Scratch {
    connection: Connection,
    /// What their names begin with.
    name: String,
    /// The databases of the backup; each has its scratch database by its number here.
    databases: Vec<String>,
}

/// The server of the scratch databases, reached.
pub(super) async fn connect(server: &Secret) -> Result<Connection, OperationError> {
    let connected = Connection::open(server, ReadPreference::Primary, APP_NAME).await;
    connected.map_err(|error| of_server(&error))
}

impl Scratch {
    /// Takes a name for the databases of this backup, and begins to beat.
    pub(super) async fn begin(
        connection: Connection,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<Self, OperationError> {
        let name = name_at(now)?;
        let mut databases: Vec<String> = manifest.namespaces.iter().map(|namespace| namespace.db.clone()).collect();
        databases.sort_unstable();
        databases.dedup();
        let scratch = Self { connection, name, databases };
        scratch.beat(manifest.backup_id.as_str()).await?;
        Ok(scratch)
    }

    /// Where each namespace of the backup goes.
    pub(super) fn map(&self) -> Result<NamespaceMap, OperationError> {
        let from: Vec<String> =
            self.databases.iter().map(|database| format!("{}.*", NamespaceMap::literal(database))).collect();
        let to: Vec<String> = (0..from.len()).map(|number| format!("{}_{number}.*", self.name)).collect();
        NamespaceMap::parse(&from, &to).map_err(|error| OperationError::Invalid(error.to_string()))
    }

    /// A text about the scratch databases, as one about the backup's.
    pub(super) fn unmapped(&self, text: &str) -> String {
        let numbered = self.databases.iter().enumerate();
        numbered.rev().fold(text.to_owned(), |text, (number, database)| {
            text.replace(&format!("{}_{number}.", self.name), &format!("{database}."))
        })
    }

    /// Beats until it is dropped. A beat that fails is one too few; the drill's own calls say what is wrong.
    pub(super) async fn keep_beating(&self, backup: &BackupId) {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            let _ = self.beat(backup.as_str()).await;
        }
    }

    async fn beat(&self, of: &str) -> Result<(), OperationError> {
        let now = time_of(&self.connection).await?;
        let beaten = self.connection.beat(&self.beat_database(), of, now).await;
        beaten.map_err(|error| of_server(&error))
    }

    fn beat_database(&self) -> String {
        format!("{}_{BEAT}", self.name)
    }

    /// The same after a restore that broke off: the server may still take a write that it was sent, and makes the
    /// database again for it.
    pub(super) async fn remove_and_watch(&self) -> Vec<String> {
        for _ in 0..MOST_REMOVALS {
            let left = self.remove().await;
            if !left.is_empty() || self.stay_gone().await {
                return left;
            }
        }
        vec![format!("the scratch databases {}_* came back each time, the next drill drops them", self.name)]
    }

    async fn stay_gone(&self) -> bool {
        for _ in 0..QUIET_LOOKS {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = self.connection.databases_beginning_with(&self.name).await;
            if !found.is_ok_and(|names| names.is_empty()) {
                return false;
            }
        }
        true
    }

    /// Drops them all, the beat last. What could not be dropped is told, and dropped by the next drill.
    pub(super) async fn remove(&self) -> Vec<String> {
        let scratch = (0..self.databases.len()).map(|number| format!("{}_{number}", self.name));
        let mut left = Vec::new();
        for name in scratch.chain([self.beat_database()]) {
            if let Err(error) = self.connection.drop_database(&name).await {
                left.push(format!("the scratch database {name} was not dropped, the next drill does it: {error}"));
            }
        }
        left
    }
}

/// Makes a scratch database on the server of the drills, and drops it again.
pub(crate) async fn try_server(server: &Secret, now: Timestamp) -> Result<(), OperationError> {
    let scratch = Scratch { connection: connect(server).await?, name: name_at(now)?, databases: Vec::new() };
    let made = scratch.beat("probe").await;
    match scratch.remove().await.pop() {
        Some(left) => made.and(Err(OperationError::Drill(left, false))),
        None => made,
    }
}

/// A name that is nobody else's.
/// The present by the clock of the drill's server. Drills on other machines judge the beats by it.
async fn time_of(connection: &Connection) -> Result<Timestamp, OperationError> {
    let time = connection.time().await.map_err(|error| of_server(&error))?;
    Ok(time.unwrap_or_else(Timestamp::now))
}

fn name_at(now: Timestamp) -> Result<String, OperationError> {
    Ok(format!("{PREFIX}{}_{}", now.as_millisecond(), hex::encode(random_bytes::<4>()?)))
}

/// Drops the scratch databases of drills that died, and says which.
///
/// # Errors
/// Where the server cannot be asked.
pub async fn remove_dead_scratch(server: &Secret) -> Result<Vec<String>, OperationError> {
    remove_dead(&connect(server).await?).await
}

pub(super) async fn remove_dead(connection: &Connection) -> Result<Vec<String>, OperationError> {
    let (mut removed, now) = (Vec::new(), time_of(connection).await?);
    for name in connection.databases_beginning_with(PREFIX).await.map_err(|error| of_server(&error))? {
        let Some((group, begun_at)) = group_of(&name) else { continue };
        let beat = connection.last_beat(&format!("{group}_{BEAT}")).await.map_err(|error| of_server(&error))?;
        if now.duration_since(beat.unwrap_or(begun_at)) > DEAD_AFTER {
            connection.drop_database(&name).await.map_err(|error| of_server(&error))?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// The drill of a scratch database, and when it began: `holdfast_drill_<unix ms>_<8 hex>_<which>`.
fn group_of(name: &str) -> Option<(&str, Timestamp)> {
    let (group, _) = name.rsplit_once('_')?;
    let (ms, unique) = group.strip_prefix(PREFIX)?.split_once('_')?;
    let is_ours = unique.len() == 8 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begun_at = Timestamp::from_millisecond(ms.parse().ok()?).ok()?;
    is_ours.then_some((group, begun_at))
}

pub(super) fn of_server(error: &DatabaseError) -> OperationError {
    OperationError::Drill(error.to_string(), error.is_transient())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_drill_made_is_taken_for_scratch() {
        let (group, at) = group_of("holdfast_drill_1700000000000_0a1b2c3d_0").unwrap();
        assert_eq!((group, at.as_millisecond()), ("holdfast_drill_1700000000000_0a1b2c3d", 1_700_000_000_000));
        assert!(group_of("holdfast_drill_1700000000000_0a1b2c3d_beat").is_some());
        for name in
            ["holdfast_drill_mine", "holdfast_drill_1_x_0", "holdfast_drill__0a1b2c3d_0", "holdfast", "shop_1_2"]
        {
            assert!(group_of(name).is_none(), "{name}");
        }
    }
}
