//! `holdfast list`: the backups in the store, newest first. It does not read the catalogue.

use holdfast_domain::{Manifest, settings::Settings};
use holdfast_repository::{SourceName, StoredBackup};
use serde_json::{Value, json};

use super::items;
use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text::{self, Side},
};

const COLUMNS: [(&str, Side); 9] = [
    ("BACKUP", Side::Left),
    ("CREATED", Side::Left),
    ("TYPE", Side::Left),
    ("SIZE", Side::Right),
    ("ORIGINAL", Side::Right),
    ("STORED AS", Side::Left),
    ("HOLDS", Side::Left),
    ("ENGINE", Side::Left),
    ("SOURCE", Side::Left),
];

pub(crate) async fn run(session: &Session, output: Output) -> Result<Exit, Failure> {
    let repository = session.repository()?;
    repository.open().await?;
    let backups = repository.list().await?;
    for backup in &backups {
        output.json(|| document(backup))?;
    }
    output.text(|| {
        if backups.is_empty() {
            return format!("{} holds no backup yet", repository.location());
        }
        let rows: Vec<Vec<String>> = backups
            .iter()
            .map(|backup| row(backup, &session.settings))
            .collect();
        text::table(&COLUMNS, &rows)
    })?;
    Ok(Exit::Done)
}

fn row(backup: &StoredBackup, settings: &Settings) -> Vec<String> {
    let id = backup.backup_id.to_string();
    match &backup.manifest {
        Ok(manifest) => vec![
            id,
            text::time(manifest.created_at, settings),
            manifest.backup_type.to_string(),
            text::size(stored(manifest)),
            text::size(manifest.original_size),
            form(manifest),
            holds(manifest),
            manifest.engine.as_ref().map_or_else(String::new, |engine| {
                format!("{} {}", engine.name, engine.version)
            }),
            SourceName::from_uri(&manifest.source.uri).to_string(),
        ],
        Err(why) => vec![id, format!("unreadable: {why}")],
    }
}

fn holds(manifest: &Manifest) -> String {
    match &manifest.content {
        Some(content) => items::held(&content.items),
        None => text::count(manifest.namespaces.len() as u64, "namespace"),
    }
}

fn document(backup: &StoredBackup) -> Value {
    match &backup.manifest {
        Ok(manifest) => json!({
            "backupId": manifest.backup_id,
            "type": manifest.backup_type,
            "createdAt": manifest.created_at,
            "size": stored(manifest),
            "originalSize": manifest.original_size,
            "compressed": manifest.compression.is_some(),
            "encrypted": manifest.encryption.is_some(),
            "namespaces": manifest.namespaces.len(),
            "items": manifest.content.as_ref().map(|content| content.items),
            "parentId": manifest.parent_id,
            "engine": manifest.engine,
            "source": manifest.source,
            "artifacts": manifest.artifacts.iter().map(|artifact| json!({
                "key": artifact.key, "size": artifact.size, "sha256": artifact.sha256,
            })).collect::<Vec<_>>(),
        }),
        Err(why) => json!({ "backupId": backup.backup_id, "unreadable": why }),
    }
}

/// Stored bytes of this backup alone. Files shared by backups are not counted.
pub(crate) fn stored(manifest: &Manifest) -> u64 {
    manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.size)
        .sum()
}

/// Its stored form: `gzip, encrypted`.
pub(crate) fn form(manifest: &Manifest) -> String {
    match (&manifest.compression, &manifest.encryption) {
        (Some(_), Some(_)) => "gzip, encrypted",
        (Some(_), None) => "gzip",
        (None, Some(_)) => "encrypted",
        (None, None) => "plain",
    }
    .to_owned()
}
