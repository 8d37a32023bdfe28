//! `holdfast show <id>`: the manifest from the store, and the job from the catalogue if it is
//! reachable.

use clap::Args;
use holdfast_domain::{BackupId, BackupType, Job, Manifest, Source, settings::Settings};
use holdfast_operations::OperationError;
use holdfast_repository::RepositoryError;
use serde::Serialize;

use super::{
    failed_items, gone, items,
    job_fields::{find_job, job_fields},
    list, show_full,
};
use crate::{
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    session::Session,
    text::{self, Side},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The backup to show
    #[arg(value_name = "BACKUP_ID")]
    id: BackupId,
    /// For a content backup, list the failed items, with the reasons
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    backup_id: &'a BackupId,
    manifest: Option<&'a Manifest>,
    /// Why the manifest is shown without authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_authenticated: Option<String>,
    job: Option<&'a Job>,
    /// Why the catalogue was not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_problem: Option<String>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let id = &arguments.id;
    match id.backup_type() {
        BackupType::Content if arguments.failed => {
            return failed_items::run(id, session, output).await;
        }
        _ if arguments.failed => {
            return Err(Failure::usage(format!(
                "--failed needs a content backup: {id} is not one"
            )));
        }
        BackupType::Full => return show_full::run(id, session, output).await,
        BackupType::Content | BackupType::Database => {}
    }
    let (manifest, not_authenticated) = manifest(id, session).await?;
    let (job, catalog_problem) = match find_job(id, session).await {
        Ok(job) => (job, None),
        Err(failure) => (None, Some(failure)),
    };
    if manifest.is_none() && job.is_none() {
        return Err(catalog_problem.unwrap_or_else(|| OperationError::NotFound(id.clone()).into()));
    }
    let catalog_problem = catalog_problem.map(|failure| failure.message().to_owned());
    let document = Document {
        backup_id: id,
        manifest: manifest.as_ref(),
        not_authenticated,
        job: job.as_ref(),
        catalog_problem,
    };
    output.result(&document, || text(&document, &session.settings))?;
    Ok(Exit::Done)
}

/// The manifest, and the reason if it was not authenticated. No key is needed to inspect a backup.
async fn manifest(
    id: &BackupId,
    session: &Session,
) -> Result<(Option<Manifest>, Option<String>), Failure> {
    let repository = session.repository()?;
    match repository.manifest(id).await {
        Ok(manifest) => Ok((Some(manifest), None)),
        Err(RepositoryError::NotFound(_)) => Ok((None, None)),
        Err(reason @ RepositoryError::Key(_)) => Ok((
            Some(repository.unauthenticated(id).await?),
            Some(reason.to_string()),
        )),
        Err(error) => Err(error.into()),
    }
}

fn text(document: &Document<'_>, settings: &Settings) -> String {
    let mut parts = Vec::new();
    if let Some(manifest) = document.manifest {
        parts.push(text::fields(&manifest_fields(manifest, settings)));
        if manifest.content.is_none() {
            parts.push(namespaces(manifest));
        }
    } else {
        parts.push(gone::why_no_manifest(
            document.backup_id,
            document.job,
            settings,
        ));
    }
    if let Some(reason) = &document.not_authenticated {
        parts.push(format!("the manifest was not authenticated: {reason}\n"));
    }
    if let Some(job) = document.job {
        parts.push(text::fields(&job_fields(job, settings)));
    }
    if let Some(problem) = &document.catalog_problem {
        parts.push(format!("the job is unknown: {problem}"));
    }
    parts.join("\n")
}

fn manifest_fields(manifest: &Manifest, settings: &Settings) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("backup", manifest.backup_id.to_string()),
        ("type", manifest.backup_type.to_string()),
        ("created", text::time(manifest.created_at, settings)),
        ("completed", text::time(manifest.completed_at, settings)),
        ("source", source(manifest)),
        ("size", text::size(list::stored(manifest))),
        ("original", text::size(manifest.original_size)),
        ("stored as", list::form(manifest)),
    ];
    if let Some(at) = manifest.source.last_write_at {
        let lag = manifest.source.lag_seconds.filter(|lag| *lag > 0);
        let behind = lag
            .map(|lag| format!(", {} behind", text::duration(lag * 1000)))
            .unwrap_or_default();
        fields.push((
            "last write",
            format!("{}{behind}", text::time(at, settings)),
        ));
    }
    if let Some(engine) = &manifest.engine {
        fields.push(("engine", format!("{} {}", engine.name, engine.version)));
    }
    if let Some(encryption) = &manifest.encryption {
        fields.push((
            "encryption",
            format!("{}, key epoch {}", encryption.suite, encryption.key_epoch),
        ));
    }
    if let Some(content) = &manifest.content {
        fields.extend(items::fields(&content.items));
        fields.push(("item list", content.item_list.to_string()));
    }
    fields.extend(
        manifest
            .parent_id
            .iter()
            .map(|parent| ("part of", parent.to_string())),
    );
    for artifact in &manifest.artifacts {
        fields.push(("artifact", artifact.key.to_string()));
        fields.push(("sha256", artifact.sha256.to_string()));
    }
    fields
}

fn source(manifest: &Manifest) -> String {
    let Source {
        uri,
        server_version,
        ..
    } = &manifest.source;
    if server_version.is_empty() {
        uri.clone()
    } else {
        format!("{uri}, server {server_version}")
    }
}

fn namespaces(manifest: &Manifest) -> String {
    let columns = [
        ("NAMESPACE", Side::Left),
        ("KIND", Side::Left),
        ("DOCUMENTS", Side::Right),
        ("SIZE", Side::Right),
        ("INDEXES", Side::Right),
    ];
    let rows: Vec<Vec<String>> = manifest
        .namespaces
        .iter()
        .map(|namespace| {
            vec![
                format!("{}.{}", namespace.db, namespace.collection),
                namespace.kind.clone(),
                namespace.documents.to_string(),
                text::size(namespace.bytes),
                // As a restore counts them: the index on _id comes with the collection.
                namespace
                    .indexes
                    .iter()
                    .filter(|name| *name != "_id_")
                    .count()
                    .to_string(),
            ]
        })
        .collect();
    text::table(&columns, &rows)
}
