//! The MongoDB servers: what is backed up, the catalogue, and the server of the drills.

use holdfast_catalog::Catalog;
use holdfast_codec::random_bytes;
use holdfast_database::{Connection, DatabaseError, DumpSelection, DumpTrial, Tool, try_dump, unmatched_exclusions};
use holdfast_domain::{
    Timestamp,
    settings::{DumpEngine, Settings},
};

use super::{Finding, clock};
use crate::{OperationError, backup_database::no_such_exclusion, own_collections, verify};

const SOURCE: &str = "database";
const CATALOGUE: &str = "catalogue";
const DRILL: &str = "drill server";
/// Collections that cannot be read are named up to here, and counted beyond.
const MOST_NAMED: usize = 10;

/// The database that is backed up: reached, and read as a dump reads it.
pub(super) async fn source(settings: &Settings, catalog: Option<&Catalog>) -> Vec<Finding> {
    if !settings.database.enabled {
        return vec![Finding::good(SOURCE, "not backed up: BACKUP_DATABASE_ENABLED is false")];
    }
    let preference = settings.database.read_preference;
    let connection = match Connection::open(&settings.mongodb_uri, preference, "holdfast-doctor").await {
        Ok(connection) => connection,
        Err(error) => return vec![of_source(error)],
    };
    let before = Timestamp::now();
    let theirs = connection.time().await;
    let after = Timestamp::now();
    let location = catalog.map(Catalog::location).unwrap_or_default();
    let selection =
        DumpSelection { collections: settings.database.collections.clone(), exclude: vec![own_collections(&location)] };
    let mut findings = match try_dump(&connection, &selection).await {
        Ok(trial) => readable(&connection, trial),
        Err(error) => vec![of_source(error)],
    };
    if let Ok(names) = unmatched_exclusions(&connection, &selection).await {
        findings.extend(no_such_exclusion(&names).map(|found| {
            Finding::warning(SOURCE, found, "correct the names: a collection that is to be left out is dumped")
        }));
    }
    findings.push(engine(settings).await);
    if let Ok(Some(theirs)) = theirs {
        findings.push(clock::judge("the MongoDB server's", theirs, before, after));
    }
    findings
}

fn of_source(error: DatabaseError) -> Finding {
    Finding::failed(SOURCE, &OperationError::Source(error))
}

fn readable(connection: &Connection, trial: DumpTrial) -> Vec<Finding> {
    let server = format!("MongoDB {} at {}", connection.server_version(), connection.redacted_uri());
    if trial.namespaces == 0 {
        let advice = "a backup of it would be an empty one: look for a misspelt name in MONGODB_URI";
        return vec![Finding::warning(SOURCE, format!("{server} holds nothing to back up"), advice)];
    }
    let DumpTrial { namespaces, documents, bytes, refused } = trial;
    let read = namespaces - refused.len();
    let mut findings = vec![Finding::good(
        SOURCE,
        format!("{server}: {read} of {namespaces} collections can be read; about {documents} documents, {bytes} bytes"),
    )];
    let unnamed = refused.len().saturating_sub(MOST_NAMED);
    findings.extend(refused.into_iter().take(MOST_NAMED).map(|(name, error)| {
        let finding = of_source(error);
        Finding { found: format!("{name} cannot be dumped: {}", finding.found), ..finding }
    }));
    if unnamed > 0 {
        findings.push(Finding::bad(SOURCE, format!("{unnamed} more collections cannot be dumped"), None));
    }
    findings
}

/// Which engine a backup from here would take.
async fn engine(settings: &Settings) -> Finding {
    const PART: &str = "dump engine";
    let chosen = settings.database.engine;
    if chosen == DumpEngine::Native {
        return Finding::good(PART, "native, as BACKUP_DUMP_ENGINE says");
    }
    match (Tool::find(&settings.database.mongodump).await, chosen) {
        (Ok(tool), _) => Finding::good(PART, format!("mongodump {}", tool.version())),
        (Err(fault), DumpEngine::Mongodump) => {
            Finding::failed(PART, &OperationError::Engine(crate::EngineFault::Tool(fault)))
        }
        (Err(fault), _) if fault.is_absent() => Finding::good(PART, format!("native: {fault}")),
        (Err(fault), _) => {
            let advice = "backups go on by the native engine; mend the tool, or set BACKUP_DUMP_ENGINE to native";
            Finding::warning(PART, fault.to_string(), advice)
        }
    }
}

/// The catalogue: reached, and written to.
pub(super) async fn catalogue(catalog: &Result<Catalog, OperationError>) -> Vec<Finding> {
    let tried = async {
        let catalog = catalog.as_ref().map_err(|error| Finding::failed(CATALOGUE, error))?;
        let unique = random_bytes::<8>().map_err(|error| Finding::failed(CATALOGUE, &error.into()))?;
        let tried = catalog.try_access(&hex::encode(unique)).await;
        tried.map_err(|error| Finding::failed(CATALOGUE, &error.into()))?;
        let database = catalog.location().database;
        Ok(Finding::good(CATALOGUE, format!("rows of the database {database} can be written, read and deleted")))
    };
    vec![tried.await.unwrap_or_else(|finding: Finding| finding)]
}

/// The server of the drills, where there is one.
pub(super) async fn drill_server(settings: &Settings, now: Timestamp) -> Vec<Finding> {
    let Some(server) = &settings.drill.uri else {
        return vec![Finding::good(DRILL, "none: backups are not restored on a schedule (BACKUP_DRILL_URI)")];
    };
    vec![match verify::try_drill_server(server, now).await {
        Ok(()) => Finding::good(DRILL, "scratch databases can be made and dropped"),
        Err(error) => {
            let advice = "check that it is up, and that its user may create and drop databases holdfast_drill_*";
            Finding::bad(DRILL, error.to_string(), Some(advice.to_owned()))
        }
    }]
}
