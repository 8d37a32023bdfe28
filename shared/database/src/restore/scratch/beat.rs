//! The beat of a restore in one database. It shows that the restore is running, and names the
//! scratch collections with the only copy of a target. Rows are only inserted, because the server's
//! role `restore` may not update or remove any.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::Timestamp;
use jiff::SignedDuration;
use mongodb::Database;
use serde::Serialize;

use crate::{DatabaseError, classify, restore::target::Target, scratch_name};

/// A restore with an older beat is dead. Clocks do not matter: both times come from the server.
pub(super) const DEAD_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The beat of this restore in one database.
pub(super) struct Beat {
    pub(super) database: Database,
    run: String,
    /// The id of the first row. It is gone if another restore removed the beat.
    first: Bson,
    pulse: Mutex<Pulse>,
    /// The scratch collections with the only copy of a target.
    held: Mutex<BTreeSet<String>>,
}

/// Time of the beat, by the server's clock.
#[derive(Debug)]
struct Pulse {
    last: Timestamp,
    /// At some moment, other restores could consider this one dead.
    was_overdue: bool,
}

impl Pulse {
    fn note(&mut self, at: Timestamp) {
        self.was_overdue |= is_overdue(self.last, at);
        self.last = at;
    }
}

fn is_overdue(last: Timestamp, now: Timestamp) -> bool {
    now.duration_since(last) > DEAD_AFTER
}

impl Beat {
    pub(super) async fn begin(
        database: &Database,
        run: &str,
        now: Timestamp,
    ) -> Result<Self, DatabaseError> {
        let first = insert(database, run, doc! { "at": date(now) }).await?;
        let pulse = Mutex::new(Pulse {
            last: now,
            was_overdue: false,
        });
        Ok(Self {
            database: database.clone(),
            run: run.to_owned(),
            first,
            pulse,
            held: Mutex::default(),
        })
    }

    pub(super) async fn beat(&self, now: Timestamp) -> Result<(), DatabaseError> {
        insert(&self.database, &self.run, doc! { "at": date(now) }).await?;
        locked(&self.pulse).note(now);
        Ok(())
    }

    /// Beats, and refuses if another restore may have removed the scratch collections.
    pub(super) async fn confirm(&self, now: Timestamp) -> Result<(), DatabaseError> {
        self.beat(now).await?;
        if locked(&self.pulse).was_overdue {
            let limit = DEAD_AFTER.as_secs();
            return Err(refused(&format!(
                "the restore had no beat for more than {limit} seconds"
            )));
        }
        let first = self
            .rows()
            .find_one(doc! { "_id": self.first.clone() })
            .await;
        match first.map_err(|error| unreadable(&self.database, &error))? {
            Some(_) => Ok(()),
            None => Err(refused(&format!(
                "{} was dropped by another program",
                scratch_name::beat_name(&self.run)
            ))),
        }
    }

    /// Records the scratch collection as the coming only copy of the target.
    pub(super) async fn hold(&self, target: &Target) -> Result<(), DatabaseError> {
        let remedy = if target.is_series() {
            Remedy::Copy
        } else {
            Remedy::Rename
        };
        let row =
            doc! { "needed": target.filled(), "target": target.name(), "remedy": remedy.as_str() };
        insert(&self.database, &self.run, row).await?;
        locked(&self.held).insert(target.filled().to_owned());
        Ok(())
    }

    /// Removes this record.
    pub(super) async fn release(&self, target: &Target) {
        locked(&self.held).remove(target.filled());
        if let Err(error) = insert(
            &self.database,
            &self.run,
            doc! { "released": target.filled() },
        )
        .await
        {
            tracing::warn!(target = target.name(), %error, "the beat still records a needed scratch collection");
        }
    }

    pub(super) fn holds(&self, scratch: &str) -> bool {
        locked(&self.held).contains(scratch)
    }

    pub(super) fn holds_any(&self) -> bool {
        !locked(&self.held).is_empty()
    }

    fn rows(&self) -> mongodb::Collection<Document> {
        rows(&self.database, &self.run)
    }
}

/// The only complete copy of a target, in a scratch collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlyCopy {
    /// `database.collection` of the target.
    pub target: String,
    /// The method of restoring the target from it.
    pub remedy: Remedy,
}

/// The operator's method of restoring a target from its scratch collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Remedy {
    /// The server renames it.
    Rename,
    /// It is a time series. The server does not rename those.
    Copy,
}

impl Remedy {
    /// The verb.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rename => "rename",
            Self::Copy => "copy",
        }
    }
}

/// The recorded beat of any restore.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) last: Option<Timestamp>,
    needed: Vec<(String, OnlyCopy)>,
}

impl Record {
    pub(super) async fn read(database: &Database, run: &str) -> Result<Self, DatabaseError> {
        let failed = |error: mongodb::error::Error| unreadable(database, &error);
        let rows = rows(database, run);
        let newest = rows
            .find_one(doc! {})
            .sort(doc! { "at": -1 })
            .await
            .map_err(failed)?;
        let at = newest.and_then(|beat| beat.get_datetime("at").ok().copied());
        let last = at.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok());
        let about_copies = doc! { "$or": [{ "needed": { "$exists": true } }, { "released": { "$exists": true } }] };
        let about_copies: Vec<Document> = rows
            .find(about_copies)
            .await
            .map_err(failed)?
            .try_collect()
            .await
            .map_err(failed)?;
        Ok(Self {
            last,
            needed: needed_of(&about_copies),
        })
    }

    /// The target of this scratch collection, if it is the only copy.
    pub(super) fn only_copy(&self, scratch: &str) -> Option<&OnlyCopy> {
        self.needed
            .iter()
            .find(|(name, _)| name == scratch)
            .map(|(_, copy)| copy)
    }

    pub(super) fn needs_any(&self, present: &[String]) -> bool {
        self.needed.iter().any(|(name, _)| present.contains(name))
    }

    pub(super) fn is_dead(&self, now: Timestamp) -> bool {
        self.last.is_some_and(|last| is_overdue(last, now))
    }
}

fn needed_of(rows: &[Document]) -> Vec<(String, OnlyCopy)> {
    let released: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.get_str("released").ok())
        .collect();
    let needed = rows
        .iter()
        .filter_map(|row| Some((row.get_str("needed").ok()?, row)));
    needed
        .filter(|(scratch, _)| !released.contains(scratch))
        .map(|(scratch, row)| {
            let remedy = match row.get_str("remedy") {
                Ok("copy") => Remedy::Copy,
                _ => Remedy::Rename,
            };
            let target = row.get_str("target").unwrap_or_default().to_owned();
            (scratch.to_owned(), OnlyCopy { target, remedy })
        })
        .collect()
}

fn rows(database: &Database, run: &str) -> mongodb::Collection<Document> {
    database.collection(&scratch_name::beat_name(run))
}

async fn insert(database: &Database, run: &str, row: Document) -> Result<Bson, DatabaseError> {
    let inserted = rows(database, run).insert_one(row).await;
    let inserted = inserted
        .map_err(|error| classify(&error).during(format!("writing to {}", database.name())))?;
    Ok(inserted.inserted_id)
}

fn date(at: Timestamp) -> bson::DateTime {
    bson::DateTime::from_millis(at.as_millisecond())
}

fn unreadable(database: &Database, error: &mongodb::error::Error) -> DatabaseError {
    classify(error).during(format!("reading from {}", database.name()))
}

fn refused(what: &str) -> DatabaseError {
    DatabaseError::Refused(format!(
        "{what}. Another restore may have removed its scratch collections: restore again"
    ))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_that_was_overdue_once_stays_so() {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        let mut pulse = Pulse {
            last: start,
            was_overdue: false,
        };
        for seconds in [10, 70] {
            pulse.note(after(seconds));
            assert!(!pulse.was_overdue, "{seconds}");
        }
        pulse.note(after(131));
        assert!(pulse.was_overdue);
        pulse.note(after(132));
        assert!(pulse.was_overdue);
    }

    #[test]
    fn a_copy_is_needed_until_it_is_released() {
        let rows = [
            doc! { "needed": "a", "target": "shop.a", "remedy": "rename" },
            doc! { "needed": "b", "target": "shop.b", "remedy": "copy" },
            doc! { "released": "a" },
        ];
        let copy = OnlyCopy {
            target: "shop.b".to_owned(),
            remedy: Remedy::Copy,
        };
        assert_eq!(needed_of(&rows), [("b".to_owned(), copy)]);
    }
}
