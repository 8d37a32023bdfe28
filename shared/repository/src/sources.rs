//! The sources of a repository's backups, from its manifests.
//!
//! A backup of another source, or of a suddenly empty one, is worth a warning. Usual causes are a
//! misspelt name and a wiped database.

use std::{collections::BTreeSet, fmt};

use holdfast_domain::{BackupId, BackupType, Manifest};

use super::{Repository, StoredBackup};
use crate::RepositoryError;

/// A source is new for this many backups, because a single warning is easily missed.
const NEW_FOR: usize = 3;

/// Number of earlier backups of a type for the comparison at a backup's commit.
const MAX_COMPARED: usize = 20;

/// A source without credentials: its hosts and its database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceName {
    hosts: BTreeSet<String>,
    database: Option<String>,
}

impl SourceName {
    /// The source of a connection string, without credentials and options.
    #[must_use]
    pub fn from_uri(uri: &str) -> Self {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let rest = rest.split_once('?').map_or(rest, |(address, _)| address);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = hosts
            .split(',')
            .map(|host| host.replace(['[', ']'], "").to_ascii_lowercase());
        Self {
            hosts: hosts.filter(|host| !host.is_empty()).collect(),
            database: Some(database.to_owned()).filter(|name| !name.is_empty()),
        }
    }

    /// Whether both name one source: the same database of one deployment. Either may list other
    /// members.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.database == other.database && !self.hosts.is_disjoint(&other.hosts)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        match &self.database {
            Some(database) => write!(f, "{}/{database}", hosts.join(",")),
            None => write!(f, "{} (all databases)", hosts.join(",")),
        }
    }
}

/// A warning about the source of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SourceWarning {
    /// The repository has backups of other sources, but hardly any of this one.
    New {
        /// The backup.
        backup_id: BackupId,
        /// Its source.
        source: SourceName,
        /// Number of earlier backups of this source.
        earlier: usize,
        /// The sources of the other backups of its type.
        known: Vec<SourceName>,
    },
    /// It is empty, but an earlier backup of its type was not.
    Empty {
        /// The backup.
        backup_id: BackupId,
        /// Its source.
        source: SourceName,
        /// The newest backup with content.
        last: BackupId,
        /// Number of documents or items in that backup.
        held: u64,
        /// `documents` or `items`.
        unit: &'static str,
    },
}

impl fmt::Display for SourceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New {
                backup_id,
                source,
                earlier,
                known,
            } => {
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                let place = ["first", "second", "third"]
                    .get(*earlier)
                    .unwrap_or(&"latest");
                write!(
                    f,
                    "{backup_id} is the {place} backup of {source} in this repository. Its other backups are of {}: check \
                     MONGODB_URI",
                    known.join(", ")
                )
            }
            Self::Empty {
                backup_id,
                source,
                last,
                held,
                unit,
            } => write!(
                f,
                "{backup_id} of {source} holds no {unit}, but {last} held {held}: check for a deletion by mistake, \
                 and check the database in MONGODB_URI"
            ),
        }
    }
}

/// The amount in a backup: documents of a database backup, items of a content backup.
#[must_use]
pub fn amount_stored(manifest: &Manifest) -> (u64, &'static str) {
    match &manifest.content {
        Some(content) => (content.items.expected, "items"),
        None => (
            manifest
                .namespaces
                .iter()
                .map(|namespace| namespace.documents)
                .sum(),
            "documents",
        ),
    }
}

/// The newest readable backup of a type with content. The list is sorted newest first.
#[must_use]
pub fn newest_filled(stored: &[StoredBackup], kind: BackupType) -> Option<&Manifest> {
    let readable = stored
        .iter()
        .filter_map(|backup| backup.manifest.as_ref().ok());
    readable
        .filter(|manifest| manifest.backup_type == kind)
        .find(|manifest| amount_stored(manifest).0 > 0)
}

/// The sources of all readable backups of a type, each once.
#[must_use]
pub fn sources_of(stored: &[StoredBackup], kind: BackupType) -> Vec<SourceName> {
    let readable = stored
        .iter()
        .filter_map(|backup| backup.manifest.as_ref().ok());
    let of_kind =
        readable.filter(|manifest| manifest.backup_type == kind && !manifest.source.uri.is_empty());
    let names: BTreeSet<SourceName> = of_kind
        .map(|manifest| SourceName::from_uri(&manifest.source.uri))
        .collect();
    names.into_iter().collect()
}

/// The warnings about the source of this backup, compared with all stored backups, newest first.
fn source_warnings(stored: &[StoredBackup], id: &BackupId) -> Vec<SourceWarning> {
    let Some(at) = stored.iter().position(|backup| backup.backup_id == *id) else {
        return Vec::new();
    };
    let Ok(manifest) = &stored[at].manifest else {
        return Vec::new();
    };
    let (kind, earlier) = (manifest.backup_type, &stored[at + 1..]);
    let source = SourceName::from_uri(&manifest.source.uri);
    // Only the backups older than its own first backup.
    let first = earlier
        .iter()
        .rposition(|backup| is_of(backup, kind, &source));
    let known = sources_of(&earlier[first.map_or(0, |first| first + 1)..], kind);
    let of_it = earlier
        .iter()
        .filter(|backup| is_of(backup, kind, &source))
        .count();
    let mut warnings = Vec::new();
    if !known.is_empty() && of_it < NEW_FOR {
        warnings.push(SourceWarning::New {
            backup_id: id.clone(),
            source: source.clone(),
            earlier: of_it,
            known,
        });
    }
    let (held, unit) = amount_stored(manifest);
    if held == 0
        && let Some(last) = newest_filled(earlier, kind)
    {
        let (held, last) = (amount_stored(last).0, last.backup_id.clone());
        warnings.push(SourceWarning::Empty {
            backup_id: id.clone(),
            source,
            last,
            held,
            unit,
        });
    }
    warnings
}

fn is_of(backup: &StoredBackup, kind: BackupType, source: &SourceName) -> bool {
    backup.manifest.as_ref().is_ok_and(|manifest| {
        let uri = &manifest.source.uri;
        manifest.backup_type == kind && !uri.is_empty() && SourceName::from_uri(uri).is_same(source)
    })
}

/// The warnings about the source of an uncommitted backup, compared with the newest stored backups.
/// An unavailable store fails no backup.
pub async fn source_warnings_before(repository: &Repository, manifest: &Manifest) -> Vec<String> {
    let warnings = match newest(repository, manifest.backup_type).await {
        Ok(earlier) => {
            let own = light(StoredBackup {
                backup_id: manifest.backup_id.clone(),
                manifest: Ok(manifest.clone()),
            });
            let stored: Vec<StoredBackup> = std::iter::once(own)
                .chain(
                    earlier
                        .into_iter()
                        .filter(|one| one.backup_id != manifest.backup_id),
                )
                .collect();
            source_warnings(&stored, &manifest.backup_id)
                .iter()
                .map(ToString::to_string)
                .collect()
        }
        Err(error) => vec![format!(
            "the source was not compared with earlier backups: {error}"
        )],
    };
    for warning in &warnings {
        tracing::warn!(backupId = %manifest.backup_id, warning, "the source of the backup differs from earlier backups");
    }
    warnings
}

async fn newest(
    repository: &Repository,
    kind: BackupType,
) -> Result<Vec<StoredBackup>, RepositoryError> {
    let ids = repository.backup_ids().await?;
    let newest = ids
        .into_iter()
        .filter(|id| id.backup_type() == kind)
        .take(MAX_COMPARED)
        .collect();
    Ok(repository.read_each(newest, light).await)
}

/// Replaces the names of the namespaces, possibly many, by one with their sum.
fn light(mut backup: StoredBackup) -> StoredBackup {
    if let Ok(manifest) = &mut backup.manifest {
        let documents = manifest
            .namespaces
            .iter()
            .map(|namespace| namespace.documents)
            .sum();
        manifest.namespaces.truncate(1);
        manifest.namespaces.shrink_to_fit();
        if let Some(first) = manifest.namespaces.first_mut() {
            first.documents = documents;
        }
        manifest.artifacts = Vec::new();
    }
    backup
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{
        FORMAT_VERSION, NamespaceManifest, RepositoryId, Sha256Digest, Source, Timestamp, Trigger,
        TriggerKind,
    };

    use super::*;

    /// A backup of this source with this number of documents.
    fn backup(at: i64, uri: &str, documents: u64) -> StoredBackup {
        let created_at = Timestamp::from_second(at).unwrap();
        let backup_id = BackupId::new(BackupType::Database, created_at, [1; 4]);
        let namespace = NamespaceManifest {
            db: "shop".to_owned(),
            collection: "users".to_owned(),
            kind: "collection".to_owned(),
            documents,
            bytes: 0,
            content_hash: Sha256Digest::new([0; 32]),
            indexes: Vec::new(),
            rolled_over: false,
        };
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            backup_id: backup_id.clone(),
            backup_type: BackupType::Database,
            repository: RepositoryId::new([1; 16]),
            trigger: Trigger {
                kind: TriggerKind::Manual,
                by: None,
            },
            parent_id: None,
            fence: 1,
            created_at,
            started_at: created_at,
            completed_at: created_at,
            holdfast_version: String::new(),
            engine: None,
            consistency: None,
            source: Source {
                uri: uri.to_owned(),
                server_version: String::new(),
                last_write_at: None,
                lag_seconds: None,
            },
            namespaces: vec![namespace],
            content: None,
            original_size: 0,
            compression: None,
            encryption: None,
            artifacts: Vec::new(),
        };
        StoredBackup {
            backup_id,
            manifest: Ok(manifest),
        }
    }

    /// The warnings about the newest of these, given newest first.
    fn warned(backups: &[(&str, u64)]) -> Vec<SourceWarning> {
        let count = i64::try_from(backups.len()).unwrap();
        let stored: Vec<_> = (0..count)
            .rev()
            .zip(backups)
            .map(|(at, (uri, documents))| backup(at, uri, *documents))
            .collect();
        source_warnings(&stored, &stored[0].backup_id)
    }

    const SHOP: &str = "mongodb://a:1/shop";

    #[test]
    fn a_source_is_new_only_if_others_exist() {
        assert_eq!(warned(&[(SHOP, 1)]), []);
        assert_eq!(warned(&[(SHOP, 1), (SHOP, 1)]), []);
        assert_eq!(
            warned(&[(SHOP, 1), ("mongodb://b:1/shop", 1), (SHOP, 1)]),
            []
        );
        for other in ["mongodb://b:1/shop", "mongodb://a:1/shoop", "mongodb://a:1"] {
            let [SourceWarning::New { known, .. }] =
                &warned(&[(other, 1), (SHOP, 1), (SHOP, 1)])[..]
            else {
                panic!("{other}")
            };
            assert_eq!(
                known.iter().map(ToString::to_string).collect::<Vec<_>>(),
                ["a:1/shop"],
                "each once"
            );
        }
    }

    #[test]
    fn a_new_source_is_named_for_three_backups() {
        let other = "mongodb://b:1/shop";
        for (count, place) in [
            (1, Some("first")),
            (2, Some("second")),
            (3, Some("third")),
            (4, None),
        ] {
            let backups: Vec<(&str, u64)> = std::iter::repeat_n((other, 1), count)
                .chain([(SHOP, 1)])
                .collect();
            let shown: Vec<String> = warned(&backups).iter().map(ToString::to_string).collect();
            assert_eq!(shown.len(), usize::from(place.is_some()), "{shown:?}");
            assert!(
                place.is_none_or(
                    |place| shown[0].contains(&format!("is the {place} backup of b:1/shop"))
                ),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn a_deployment_whose_members_are_listed_otherwise_is_the_same() {
        for same in [
            "mongodb://b:2,a:1/shop",
            "mongodb://A:1/shop",
            "mongodb://[a]:1/shop",
        ] {
            assert_eq!(warned(&[(same, 1), (SHOP, 1)]), [], "{same}");
        }
    }

    #[test]
    fn a_source_is_suddenly_empty_only_after_it_held_something() {
        assert_eq!(warned(&[(SHOP, 0), (SHOP, 0)]), []);
        let [SourceWarning::Empty { held: 7, .. }] =
            &warned(&[(SHOP, 0), (SHOP, 0), (SHOP, 7)])[..]
        else {
            panic!()
        };
        assert_eq!(
            warned(&[("mongodb://a:1/shoop", 0), (SHOP, 7)]).len(),
            2,
            "new and empty"
        );
    }

    #[test]
    fn an_unreadable_manifest_adds_no_source() {
        let mut stored = vec![backup(1, SHOP, 0), backup(0, SHOP, 7)];
        stored[1].manifest = Err("it is cut".to_owned());
        assert_eq!(source_warnings(&stored, &stored[0].backup_id), []);
    }

    #[test]
    fn a_source_is_named_without_credentials_and_options() {
        let named = |uri| SourceName::from_uri(uri).to_string();
        assert_eq!(
            named("mongodb://ada:hunter2@b:2,a:1/shop?authSource=admin"),
            "a:1,b:2/shop"
        );
        assert_eq!(
            named("mongodb+srv://ada:hunter2@c.example.net"),
            "c.example.net (all databases)"
        );
    }
}
