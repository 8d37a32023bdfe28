//! The MongoDB servers: the source, the catalogue, and the server of the drills.

use holdfast_catalog::Catalog;
use holdfast_codec::random_bytes;
use holdfast_database::{
    Connection, DatabaseError, DumpSelection, DumpTrial, OnlyCopy, Remedy, ScratchCollection, Tool,
    scratch_collections, try_dump, unmatched_exclusions,
};
use holdfast_domain::{
    Timestamp,
    settings::{DumpEngine, Settings},
};
use holdfast_recovery::verification;
use holdfast_repository::Repository;

use super::{
    Finding, clock,
    last_backup::{self, Holds},
};
use crate::{OperationError, backup::database::no_such_exclusion, own_collections};

const SOURCE: &str = "database";
const CATALOGUE: &str = "catalogue";
const DRILL: &str = "drill server";
/// Maximum number of named unreadable collections. The rest is counted.
const MAX_NAMED: usize = 10;

/// The source database: reached, read in the same way as a dump, and compared with its last backup.
pub(super) async fn source(
    settings: &Settings,
    catalog: Option<&Catalog>,
    repository: Option<&Repository>,
) -> Vec<Finding> {
    if !settings.database.enabled {
        return vec![Finding::good(
            SOURCE,
            "not backed up: BACKUP_DATABASE_ENABLED is false",
        )];
    }
    let preference = settings.database.read_preference;
    let connection =
        match Connection::open(&settings.mongodb_uri, preference, "holdfast-doctor").await {
            Ok(connection) => connection,
            Err(error) => return vec![source_failed(error)],
        };
    let before = Timestamp::now();
    let theirs = connection.time().await;
    let after = Timestamp::now();
    let location = catalog.map(Catalog::location).unwrap_or_default();
    let selection = DumpSelection {
        collections: settings.database.collections.clone(),
        exclude: vec![own_collections(&location)],
    };
    let mut findings = match try_dump(&connection, &selection).await {
        Ok(trial) => {
            let source = Holds {
                uri: connection.redacted_uri(),
                documents: trial.documents,
            };
            let compared = since_last_backup(source, repository).await;
            [readable(&connection, trial), compared].concat()
        }
        Err(error) => vec![source_failed(error)],
    };
    if let Ok(scratch) = scratch_collections(&connection).await {
        findings.extend(scratch.into_iter().map(left_by_restore));
    }
    if let Ok(names) = unmatched_exclusions(&connection, &selection).await {
        findings.extend(no_such_exclusion(&names).map(|found| {
            Finding::warning(
                SOURCE,
                found,
                "correct the names: otherwise excluded collections are dumped",
            )
        }));
    }
    findings.push(engine(settings).await);
    if let Ok(Some(theirs)) = theirs {
        findings.push(clock::judge("the MongoDB server's", theirs, before, after));
    }
    findings
}

/// An unlistable store has its own finding.
async fn since_last_backup(source: Holds<'_>, repository: Option<&Repository>) -> Vec<Finding> {
    let Some(repository) = repository else {
        return Vec::new();
    };
    match repository.list().await {
        Ok(stored) => last_backup::compare(source, &stored),
        Err(_) => Vec::new(),
    }
}

fn source_failed(error: DatabaseError) -> Finding {
    Finding::failed(SOURCE, &OperationError::Source(error))
}

fn readable(connection: &Connection, trial: DumpTrial) -> Vec<Finding> {
    let server = format!(
        "MongoDB {} at {}",
        connection.server_version(),
        connection.redacted_uri()
    );
    if trial.namespaces == 0 {
        let advice = "its backup would be empty: check MONGODB_URI for a misspelt name";
        return vec![Finding::warning(
            SOURCE,
            format!("{server} holds nothing to back up"),
            advice,
        )];
    }
    let DumpTrial {
        namespaces,
        documents,
        bytes,
        refused,
    } = trial;
    let read = namespaces - refused.len();
    let mut findings = vec![Finding::good(
        SOURCE,
        format!(
            "{server}: {read} of {namespaces} collections can be read, about {documents} documents, {bytes} bytes"
        ),
    )];
    let unnamed = refused.len().saturating_sub(MAX_NAMED);
    findings.extend(refused.into_iter().take(MAX_NAMED).map(|(name, error)| {
        let finding = source_failed(error);
        Finding {
            found: format!("{name} cannot be dumped: {}", finding.found),
            ..finding
        }
    }));
    if unnamed > 0 {
        findings.push(Finding::bad(
            SOURCE,
            format!("{unnamed} more collections cannot be dumped"),
            None,
        ));
    }
    findings
}

/// A scratch collection of a restore takes space, and is in no backup.
fn left_by_restore(scratch: ScratchCollection) -> Finding {
    const PART: &str = "restores";
    let ScratchCollection {
        namespace,
        is_live,
        only_copy_of,
    } = scratch;
    if is_live {
        return Finding::good(PART, format!("{namespace} is being filled by a restore"));
    }
    if let Some(OnlyCopy { target, remedy }) = only_copy_of {
        let advice = match remedy {
            Remedy::Rename => format!("rename it to {target}"),
            Remedy::Copy => format!(
                "copy it to {target}, then drop it: the server does not rename a time series"
            ),
        };
        return Finding::bad(
            PART,
            format!("{namespace} holds the only copy of {target}"),
            Some(advice),
        );
    }
    let advice = "the next restore into this database removes it, if its restore beat once. Otherwise drop it by hand";
    Finding::warning(
        PART,
        format!("{namespace} was left by a killed restore"),
        advice,
    )
}

/// The engine of a backup from this machine.
async fn engine(settings: &Settings) -> Finding {
    const PART: &str = "dump engine";
    let chosen = settings.database.engine;
    if chosen == DumpEngine::Native {
        return Finding::good(PART, "native, as set in BACKUP_DUMP_ENGINE");
    }
    match (Tool::find(&settings.database.mongodump).await, chosen) {
        (Ok(tool), _) => Finding::good(PART, format!("mongodump {}", tool.version())),
        (Err(fault), DumpEngine::Mongodump) => Finding::failed(
            PART,
            &OperationError::Engine(crate::EngineFault::Tool(fault)),
        ),
        (Err(fault), _) if fault.is_absent() => Finding::good(PART, format!("native: {fault}")),
        (Err(fault), _) => {
            let advice = "backups use the native engine meanwhile: repair the tool, or set BACKUP_DUMP_ENGINE to native";
            Finding::warning(PART, fault.to_string(), advice)
        }
    }
}

/// The catalogue: reached, and written to.
pub(super) async fn catalogue(catalog: &Result<Catalog, OperationError>) -> Vec<Finding> {
    let tried = async {
        let catalog = catalog
            .as_ref()
            .map_err(|error| Finding::failed(CATALOGUE, error))?;
        let unique =
            random_bytes::<8>().map_err(|error| Finding::failed(CATALOGUE, &error.into()))?;
        let tried = catalog.try_access(&hex::encode(unique)).await;
        tried.map_err(|error| Finding::failed(CATALOGUE, &error.into()))?;
        let database = catalog.location().database;
        Ok(Finding::good(
            CATALOGUE,
            format!("rows of the database {database} can be written, read and deleted"),
        ))
    };
    vec![tried.await.unwrap_or_else(|finding: Finding| finding)]
}

/// The server of the drills, if configured.
pub(super) async fn drill_server(settings: &Settings, now: Timestamp) -> Vec<Finding> {
    let Some(server) = &settings.drill.uri else {
        return vec![Finding::good(
            DRILL,
            "none: backups are not restored on a schedule (BACKUP_DRILL_URI)",
        )];
    };
    vec![match verification::try_drill_server(server, now).await {
        Ok(()) => Finding::good(DRILL, "scratch databases can be created and dropped"),
        Err(error) => {
            let advice = "check that it is running, and permit its user to create and drop databases holdfast_drill_*";
            Finding::bad(DRILL, error.to_string(), Some(advice.to_owned()))
        }
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_copy_of_a_target_is_a_problem_with_its_remedy() {
        for (remedy, advice) in [
            (Remedy::Rename, "rename it to shop.a"),
            (Remedy::Copy, "copy it to shop.a"),
        ] {
            let only_copy_of = Some(OnlyCopy {
                target: "shop.a".to_owned(),
                remedy,
            });
            let namespace = "shop.holdfast_restore_0a1b2c3d_0123456789ab".to_owned();
            let finding = left_by_restore(ScratchCollection {
                namespace,
                is_live: false,
                only_copy_of,
            });
            assert!(
                finding.found.ends_with("holds the only copy of shop.a"),
                "{finding:?}"
            );
            assert!(finding.advice.unwrap().starts_with(advice));
        }
    }
}
