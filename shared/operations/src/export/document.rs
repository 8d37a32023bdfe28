//! The content of an export, field by field, as specified in `docs/formats.md`. It contains no
//! secret: the repository by id and place, master keys by epoch. It has no settings and no wrapped
//! keys. Of content it has only the counts of jobs.

use holdfast_catalog::{CatalogError, Walk};
use holdfast_domain::{
    FORMAT_VERSION, KeyEpoch, RepositoryFile, RepositoryId, Sha256Digest, Timestamp,
};
use holdfast_repository::{RepositoryError, RepositoryFileError};
use serde::Serialize;

use super::text::Text;
use crate::{Holdfast, OperationError, RETAINED_TYPES, retention::policy_in_force, status};

/// The version of this format.
const VERSION: u32 = 1;
/// Maximum number of named unreadable rows. The rest is only counted.
const MAX_NAMED: usize = 100;

/// Numbers of rows.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Counts {
    pub(super) jobs: u64,
    pub(super) verifications: u64,
    pub(super) unreadable: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    location: String,
    /// `None` before the first backup.
    id: Option<RepositoryId>,
    format_version: u32,
    created_at: Option<Timestamp>,
    key_epochs: Vec<Epoch>,
    /// The problem of `repository.json`, if any. The other fields are written in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Epoch {
    #[serde(rename = "epoch")]
    number: u32,
    created_at: Timestamp,
    fingerprint: Option<Sha256Digest>,
}

/// Writes the complete document.
pub(super) async fn write(
    h: &Holdfast,
    now: Timestamp,
    text: &mut Text,
) -> Result<Counts, OperationError> {
    text.plain("{");
    for (name, value) in [
        ("format", "holdfast-metadata"),
        ("holdfastVersion", env!("CARGO_PKG_VERSION")),
    ] {
        text.name(name);
        text.value(&value).await?;
    }
    text.name("formatVersion");
    text.value(&VERSION).await?;
    text.name("exportedAt");
    text.value(&now).await?;
    text.name("repository");
    text.value(&repository(h).await?).await?;
    text.name("statistics");
    text.value(&status(h, now).await?.statistics).await?;
    write_policies(h, text).await?;
    let mut unreadable = Unreadable::default();
    let jobs = write_rows("jobs", h.catalog.all_jobs().await?, &mut unreadable, text).await?;
    let records = h.catalog.all_verifications().await?;
    let verifications = write_rows("verifications", records, &mut unreadable, text).await?;
    let counts = Counts {
        jobs,
        verifications,
        unreadable: unreadable.count,
    };
    text.name("unreadable");
    text.value(&unreadable.named).await?;
    // The counts come last, so a reader can detect a truncated export.
    text.name("counts");
    text.value(&counts).await?;
    text.plain("\n}\n");
    Ok(counts)
}

async fn repository(h: &Holdfast) -> Result<Repository, OperationError> {
    let unknown = Repository {
        location: h.repository.location().to_string(),
        id: None,
        format_version: FORMAT_VERSION,
        created_at: None,
        key_epochs: Vec::new(),
        problem: None,
    };
    match h.repository.open().await {
        Ok(RepositoryFile {
            format_version,
            id,
            created_at,
            epochs,
            ..
        }) => Ok(Repository {
            id: Some(id),
            format_version,
            created_at: Some(created_at),
            key_epochs: epochs.into_iter().map(epoch).collect(),
            ..unknown
        }),
        Err(RepositoryError::File(RepositoryFileError::NotInitialised(_))) => Ok(unknown),
        Err(RepositoryError::File(error)) => Ok(Repository {
            problem: Some(error.to_string()),
            ..unknown
        }),
        Err(error) => Err(error.into()),
    }
}

/// Without its wrapped keys.
fn epoch(
    KeyEpoch {
        epoch,
        created_at,
        fingerprint,
        ..
    }: KeyEpoch,
) -> Epoch {
    Epoch {
        number: epoch,
        created_at,
        fingerprint,
    }
}

async fn write_policies(h: &Holdfast, text: &mut Text) -> Result<(), OperationError> {
    text.name("policies");
    text.plain("{");
    for kind in RETAINED_TYPES {
        text.name(kind.as_str());
        text.value(&policy_in_force(h, kind).await?).await?;
    }
    text.plain("}");
    Ok(())
}

/// Unreadable rows. An export without a mention of them would look complete.
#[derive(Default)]
struct Unreadable {
    count: u64,
    named: Vec<String>,
}

async fn write_rows<T: Serialize>(
    name: &str,
    mut rows: Walk<T>,
    unreadable: &mut Unreadable,
    text: &mut Text,
) -> Result<u64, OperationError> {
    let mut written = 0;
    text.name(name);
    text.plain("[");
    while let Some(row) = rows.next().await? {
        match row {
            Ok(row) => {
                text.plain(if written == 0 { "\n" } else { ",\n" });
                text.value(&row).await?;
                written += 1;
            }
            Err(error) => unreadable.add(&error),
        }
    }
    text.plain("]");
    Ok(written)
}

impl Unreadable {
    fn add(&mut self, error: &CatalogError) {
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(error.to_string());
        }
    }
}
