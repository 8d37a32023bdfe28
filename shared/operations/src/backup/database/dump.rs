//! The dump on its way: engine → stages → upload, as one stream without files on disk. It is proved
//! before it is completed.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use holdfast_database::Connection;
use holdfast_domain::{Encoding, EngineInfo, ObjectKey, Source};
use holdfast_repository::{artifact_writer::Meters, writing_key::WritingKey};
use holdfast_storage::upload;

use super::{
    engine::{Dumped, choose},
    exclusions, left_out,
    pipeline::{Proof, Stages},
};
use crate::{
    Holdfast, OperationError,
    job::{
        artifact_upload::{Uploading, complete},
        run::Run,
        watch::Watch,
    },
};

const APP_NAME: &str = "holdfast-backup";

/// A dump, stored and checked, but not yet a backup.
pub(super) struct StoredDump {
    pub(super) key: ObjectKey,
    pub(super) proof: Proof,
    /// Names of the indexes of each namespace.
    pub(super) indexes: Vec<Vec<String>>,
    /// Capped collections overwritten by the server during the read, as database and collection.
    pub(super) rolled_over: Vec<(String, String)>,
    pub(super) engine: EngineInfo,
    /// Notes on the choice of the engine, and on attempts.
    pub(super) note: Option<String>,
    /// Exclusions without a match, and collections left out of the dump.
    pub(super) warnings: Vec<String>,
    pub(super) source: Source,
}

/// Dumps and stores. `planned` receives the names of all namespaces before the first byte is read.
pub(super) async fn dump_to_store(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    meters: &Meters,
    watch: &Watch,
    planned: &mut BTreeSet<String>,
) -> Result<StoredDump, OperationError> {
    let settings = &h.settings.database;
    let place = ObjectKey::database_dump(
        &run.job.backup_id,
        run.fence,
        Encoding {
            compressed: settings.compression,
            encrypted: settings.encryption,
        },
    );
    let connection = watch.guard(connect(h)).await?;
    let freshness = watch
        .guard(async { Ok(connection.freshness().await?) })
        .await?;
    let mut temporary = watch.guard(left_out::temporary(h, &connection)).await?;
    let (engine, note) = watch.guard(choose(h, &connection)).await?;
    engine.check_manifest_limit()?;
    planned.extend(engine.planned());
    let mut warnings: Vec<String> = watch
        .guard(exclusions::unmatched(h, &connection))
        .await?
        .into_iter()
        .collect();
    let info = engine.info();
    meters
        .expected
        .store(engine.estimated_bytes(), Ordering::Relaxed);
    let part_bytes = upload::part_bytes_for(engine.estimated_bytes());
    let engine = engine.within(h.settings.function_memory_mib, part_bytes as u64);
    let (sink, source) = upload::channel(part_bytes);
    let recipe = key.recipe(
        &place,
        settings.compression.then_some(settings.compression_level),
    );
    let stages = Stages::new(&recipe, meters, sink)
        .map_err(|error| OperationError::internal("begin the dump", &error))?;
    let uploading = Uploading::begin(h, &place, source);
    let ran = engine.run(h, &connection, stages, watch).await;
    let (
        pending,
        Dumped {
            proof,
            indexes,
            rolled_over,
        },
    ) = uploading.join(ran, watch).await?;
    complete(h, &place, pending, &proof.artifact, watch).await?;
    // mongodump reads some of them.
    for dumped in &proof.summary.namespaces {
        temporary.remove(&format!("{}.{}", dumped.db, dumped.collection));
    }
    warnings.extend(
        watch
            .guard(left_out::still_there(h, &connection, &temporary))
            .await?,
    );
    let source = Source {
        uri: connection.redacted_uri().to_owned(),
        server_version: connection.server_version().to_owned(),
        last_write_at: freshness.last_write_at,
        lag_seconds: freshness.lag_seconds,
    };
    Ok(StoredDump {
        key: place,
        proof,
        indexes,
        rolled_over,
        engine: info,
        note,
        warnings,
        source,
    })
}

async fn connect(h: &Holdfast) -> Result<Connection, OperationError> {
    let preference = h.settings.database.read_preference;
    Ok(Connection::open(&h.settings.mongodb_uri, preference, APP_NAME).await?)
}
