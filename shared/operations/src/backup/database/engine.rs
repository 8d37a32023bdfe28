//! Chooses the engine of a dump and runs it. Both engines write one format, and the stages prove
//! its content.

use holdfast_archive::Summary;
use holdfast_database::{
    Connection, DumpError, DumpPlan, DumpReport, DumpSelection, Invocation, Survey, Tool,
    Unsuitable,
};
use holdfast_domain::{EngineInfo, settings::DumpEngine};

use super::{
    engine_fault::EngineFault,
    manifest_limit::check_manifest_limit,
    pipeline::{Proof, Stages},
};
use crate::{Holdfast, OperationError, job::watch::Watch};

const MIB: u64 = 1024 * 1024;

/// Memory of this process except for the parts of the upload: compression on all cores, one
/// document in the walk, clients, and the process itself.
const OWN_BYTES: u64 = 160 * MIB;

/// Parts of an upload in memory at a time.
const PARTS_IN_MEMORY: u64 = 3;

/// Least memory for mongodump. With less, it spends its time on garbage collection.
const MIN_BYTES: u64 = 64 * MIB;

/// An engine with all its inputs for one run.
pub(super) enum Engine {
    Native(DumpPlan),
    Mongodump(Box<Mongodump>),
}

/// A run of the official tool.
pub(super) struct Mongodump {
    tool: Tool,
    invocation: Invocation,
    survey: Survey,
}

/// A dump after the stages.
pub(super) struct Dumped {
    pub(super) proof: Proof,
    /// Names of the indexes of each namespace.
    pub(super) indexes: Vec<Vec<String>>,
    /// Capped collections overwritten by the server during the read, as database and collection.
    pub(super) rolled_over: Vec<(String, String)>,
}

/// The configured engine. Without a setting it is mongodump, or the native engine if mongodump
/// cannot be used. The second value is the reason, if it is worth a note.
pub(super) async fn choose(
    h: &Holdfast,
    connection: &Connection,
) -> Result<(Engine, Option<String>), OperationError> {
    let selection = selection(h);
    let asked = h.settings.database.engine;
    if asked == DumpEngine::Native {
        return Ok((native(h, connection, &selection).await?, None));
    }
    match mongodump_tool(h, connection, &selection).await {
        Ok(mongodump_tool) => Ok((Engine::Mongodump(Box::new(mongodump_tool)), None)),
        Err(EngineBlocker::Operation(error)) => Err(error),
        Err(EngineBlocker::Fault(fault)) if asked == DumpEngine::Mongodump => Err(fault.into()),
        Err(EngineBlocker::Fault(fault)) => Ok((
            native(h, connection, &selection).await?,
            fallback_note(&fault),
        )),
    }
}

/// Everything except the catalogue's own collections.
pub(super) fn selection(h: &Holdfast) -> DumpSelection {
    let own = crate::own_collections(&h.catalog.location());
    DumpSelection {
        collections: h.settings.database.collections.clone(),
        exclude: vec![own],
    }
}

async fn native(
    h: &Holdfast,
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<Engine, OperationError> {
    let parallel = h.settings.database.parallel_collections;
    Ok(Engine::Native(
        holdfast_database::plan(connection, selection, parallel).await?,
    ))
}

/// A fault of mongodump, with or without the native engine as an alternative.
enum EngineBlocker {
    Fault(EngineFault),
    Operation(OperationError),
}

impl<F: Into<EngineFault>> From<F> for EngineBlocker {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

async fn mongodump_tool(
    h: &Holdfast,
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<Mongodump, EngineBlocker> {
    let settings = &h.settings.database;
    let tool = h
        .preflight
        .tool(&settings.mongodump)
        .await
        .map_err(Clone::clone)?
        .clone();
    let database = connection.default_database();
    let (parallel, preference) = (
        settings.parallel_collections,
        connection.read_preference_for_mongodump(),
    );
    let invocation = Invocation::new(
        &h.settings.mongodb_uri,
        database,
        selection,
        parallel,
        &preference,
    )?;
    let survey = holdfast_database::survey(connection, selection).await;
    let survey = survey.map_err(|error| EngineBlocker::Operation(error.into()))?;
    match survey.passed_over_by_mongodump() {
        Some(collection) => Err(Unsuitable::PassedOver(collection).into()),
        None => Ok(Mongodump {
            tool,
            invocation,
            survey,
        }),
    }
}

/// The reason for the native engine. A missing installation is no reason.
fn fallback_note(fault: &EngineFault) -> Option<String> {
    match fault {
        EngineFault::Tool(fault) if fault.is_absent() => {
            tracing::info!(reason = %fault, "the native engine dumps");
            return None;
        }
        EngineFault::Tool(fault) => {
            tracing::warn!(error = %fault, "the native engine dumps instead of mongodump");
        }
        EngineFault::Unsuitable(unsuitable) => {
            tracing::info!(reason = %unsuitable, "the native engine dumps instead of mongodump");
        }
    }
    Some(format!("dumped by the native engine: {fault}"))
}

impl Engine {
    /// The size of the dumped data, as reported by the server.
    pub(super) fn estimated_bytes(&self) -> u64 {
        match self {
            Self::Native(plan) => plan.estimated_bytes(),
            Self::Mongodump(mongodump_tool) => mongodump_tool.survey.estimated_bytes(),
        }
    }

    /// Refuses a dump without room in a manifest, as far as this is known before the dump.
    pub(super) fn check_manifest_limit(&self) -> Result<(), OperationError> {
        match self {
            Self::Native(plan) => check_manifest_limit(plan.namespaces()),
            Self::Mongodump(mongodump_tool) => check_manifest_limit(
                mongodump_tool
                    .survey
                    .namespaces()
                    .map(|(db, collection)| (db, collection, &[][..])),
            ),
        }
    }

    /// `database.collection` of each namespace in the plan.
    pub(super) fn planned(&self) -> Vec<String> {
        match self {
            Self::Native(plan) => plan
                .prelude()
                .namespaces
                .iter()
                .map(ToString::to_string)
                .collect(),
            Self::Mongodump(mongodump_tool) => mongodump_tool.survey.names(),
        }
    }

    /// Its name and version.
    pub(super) fn info(&self) -> EngineInfo {
        let (name, version) = match self {
            Self::Native(_) => ("native", env!("CARGO_PKG_VERSION")),
            Self::Mongodump(mongodump_tool) => ("mongodump", mongodump_tool.tool.version()),
        };
        EngineInfo {
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    /// Runs the engine into the stages, and ends them. If the run must stop, the engine stops, and
    /// the stages are dropped without an end.
    pub(super) async fn run(
        self,
        h: &Holdfast,
        connection: &Connection,
        stages: Stages,
        watch: &Watch,
    ) -> Result<Dumped, OperationError> {
        let stop = async {
            watch.stopped().await;
        };
        let (proof, rolled_over) = match self {
            Self::Native(plan) => {
                let parallel = h.settings.database.parallel_collections;
                let ended = holdfast_database::dump(connection, plan, parallel, stages, stop).await;
                let (proof, report) = proved(ended, watch).await?;
                check_report(&report, &proof)?;
                (proof, rolled_over(report))
            }
            Self::Mongodump(mongodump_tool) => {
                let Mongodump {
                    tool,
                    invocation,
                    survey,
                } = *mongodump_tool;
                let ended = holdfast_database::mongodump(&tool, &invocation, stages, stop).await;
                let (proof, report) = proved(ended, watch).await?;
                report.confirm(&proof.summary)?;
                watch
                    .guard(async { Ok(survey.confirm(&proof.summary).await?) })
                    .await?;
                (proof, Vec::new())
            }
        };
        Ok(Dumped {
            indexes: indexes(&proof.summary)?,
            proof,
            rolled_over,
        })
    }

    /// Limits mongodump to its share of a function's memory. This process needs the rest, and more
    /// of it for larger parts.
    pub(super) fn within(self, function_memory_mib: Option<u32>, part_bytes: u64) -> Self {
        match self {
            Self::Mongodump(mut mongodump_tool) => {
                let share =
                    function_memory_mib.map(|mib| share_of(u64::from(mib) * MIB, part_bytes));
                mongodump_tool.invocation = mongodump_tool.invocation.within(share);
                Self::Mongodump(mongodump_tool)
            }
            native @ Self::Native(_) => native,
        }
    }
}

/// Reserves a tenth of the rest for memory outside Go's accounting.
fn share_of(memory_bytes: u64, part_bytes: u64) -> u64 {
    let left = memory_bytes
        .saturating_sub(OWN_BYTES)
        .saturating_sub(PARTS_IN_MEMORY * part_bytes);
    (left / 10 * 9).max(MIN_BYTES)
}

/// Ends the stages after a successful engine.
async fn proved<R>(
    ended: Result<(Stages, R), DumpError>,
    watch: &Watch,
) -> Result<(Proof, R), OperationError> {
    let (stages, report) = match ended {
        Ok(ended) => ended,
        Err(DumpError::Stopped) => return Err(watch.stopped().await.into()),
        Err(DumpError::Database(error)) => return Err(error.into()),
        Err(error) => return Err(OperationError::DumpNotWhole(error.to_string())),
    };
    let finished = tokio::task::spawn_blocking(move || stages.finish()).await;
    let finished = finished.map_err(|error| OperationError::internal("end the dump", &error))?;
    let proof = finished.map_err(|error| OperationError::DumpNotWhole(error.to_string()))?;
    Ok((proof, report))
}

/// Compares the count of the native engine with the count of the walk.
fn check_report(report: &DumpReport, proof: &Proof) -> Result<(), OperationError> {
    let (dumped, walked) = (report.documents(), proof.summary.documents());
    if dumped == walked && report.namespaces.len() == proof.summary.namespaces.len() {
        return Ok(());
    }
    Err(OperationError::DumpNotWhole(format!(
        "the engine sent {dumped} documents, the archive holds {walked}"
    )))
}

fn rolled_over(report: DumpReport) -> Vec<(String, String)> {
    let namespaces = report
        .namespaces
        .into_iter()
        .filter(|namespace| namespace.rolled_over);
    namespaces
        .map(|namespace| (namespace.db, namespace.collection))
        .collect()
}

/// The indexes in the archive's prelude: a restore creates these.
fn indexes(summary: &Summary) -> Result<Vec<Vec<String>>, OperationError> {
    let unreadable =
        |namespace: &str, error| format!("the metadata of {namespace} cannot be read: {error}");
    let named =
        summary
            .prelude
            .namespaces
            .iter()
            .map(|namespace| match namespace.parsed_metadata() {
                Ok(metadata) => Ok(metadata.index_names()),
                Err(error) => Err(OperationError::DumpNotWhole(unreadable(
                    &namespace.collection,
                    error,
                ))),
            });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_share_of_memory_leaves_room_for_the_pipeline() {
        let share = |mib: u64, part_mib: u64| share_of(mib * MIB, part_mib * MIB) / MIB;
        assert_eq!(share(1024, 8), 756);
        assert_eq!(share(3008, 100), 2293);
        assert_eq!((share(256, 8), share(128, 8)), (64, 64));
    }
}
