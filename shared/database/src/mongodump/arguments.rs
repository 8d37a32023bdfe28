//! The tool's arguments, and requests impossible for it. Arguments contain no secret: the
//! connection string is in the options file.

use std::ffi::OsString;

use holdfast_domain::{Secret, settings::CollectionFilter};

use super::options;
use crate::{DumpSelection, restore::SCRATCH_PREFIX};

/// One run of the tool.
#[derive(Debug, Clone)]
pub struct Invocation {
    uri: Secret,
    arguments: Vec<String>,
    memory_bytes: Option<u64>,
}

/// Settings impossible in one run of mongodump.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// All databases, except the server's own and the catalogue's.
    #[error(
        "mongodump dumps one database, or all with the server's own: name the one to back up in MONGODB_URI \
         (mongodb://host/database)"
    )]
    ManyDatabases,
    /// Several collections by name.
    #[error(
        "mongodump takes one collection by name, and BACKUP_DATABASE_COLLECTIONS has several: name those to leave out \
         in BACKUP_DATABASE_EXCLUDE_COLLECTIONS instead"
    )]
    ManyCollections,
    /// mongodump would skip this collection.
    #[error(
        "mongodump would skip the collection {0}: it skips names with $, and Holdfast excludes names with the prefix \
         {SCRATCH_PREFIX}. Rename it, or name it alone in BACKUP_DATABASE_COLLECTIONS"
    )]
    PassedOver(String),
}

impl Invocation {
    /// The run for this selection in the connection string's database, `parallel` collections at a
    /// time. `read_preference` is a mode, or a document with its options, in the form of
    /// `--readPreference`.
    ///
    /// # Errors
    /// [`Unsuitable`]: the reason against one run.
    pub fn new(
        uri: &Secret,
        database: Option<&str>,
        selection: &DumpSelection,
        parallel: u32,
        read_preference: &str,
    ) -> Result<Self, Unsuitable> {
        let database = database.ok_or(Unsuitable::ManyDatabases)?;
        let mut arguments = vec![
            format!("--config={}", options::ON_STDIN),
            "--archive".to_owned(),
            format!("--numParallelCollections={parallel}"),
            format!("--readPreference={read_preference}"),
            format!("--db={database}"),
        ];
        arguments.extend(choice(database, selection)?);
        Ok(Self {
            uri: uri.clone(),
            arguments,
            memory_bytes: None,
        })
    }

    /// The same, with a target for the tool's heap memory. It is not a limit: Go collects garbage
    /// more often, and takes more memory if necessary.
    #[must_use]
    pub fn within(self, memory_bytes: Option<u64>) -> Self {
        Self {
            memory_bytes,
            ..self
        }
    }

    pub(super) fn arguments(&self) -> Vec<OsString> {
        self.arguments.iter().map(OsString::from).collect()
    }

    pub(super) fn options(&self) -> Secret {
        options::text(&self.uri)
    }

    pub(super) fn uri(&self) -> &Secret {
        &self.uri
    }

    pub(super) fn memory_bytes(&self) -> Option<u64> {
        self.memory_bytes
    }
}

/// `--excludeCollection` is not allowed together with `--collection`. A collection both requested
/// and excluded was refused earlier. Scratch collections of restores are excluded by their prefix,
/// because one may appear during the run.
fn choice(database: &str, selection: &DumpSelection) -> Result<Vec<String>, Unsuitable> {
    let own = selection
        .exclude
        .iter()
        .filter(|exclusion| exclusion.database == database);
    let own = own.flat_map(|exclusion| exclusion.collections.iter());
    let excluding = |names: &[String]| {
        let scratch = format!("--excludeCollectionsWithPrefix={SCRATCH_PREFIX}");
        names
            .iter()
            .map(|name| format!("--excludeCollection={name}"))
            .chain([scratch])
            .collect()
    };
    match &selection.collections {
        CollectionFilter::Only(names) => match names.as_slice() {
            [name] => Ok(vec![format!("--collection={name}")]),
            _ => Err(Unsuitable::ManyCollections),
        },
        CollectionFilter::Except(names) => Ok(excluding(
            &names.iter().chain(own).cloned().collect::<Vec<_>>(),
        )),
        CollectionFilter::All => Ok(excluding(&own.cloned().collect::<Vec<_>>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exclusion;

    fn chosen(collections: CollectionFilter) -> Result<Vec<String>, Unsuitable> {
        let catalog = Exclusion {
            database: "shop".to_owned(),
            collections: vec!["backup_jobs".to_owned()],
        };
        let other = Exclusion {
            database: "elsewhere".to_owned(),
            collections: vec!["contents".to_owned()],
        };
        choice(
            "shop",
            &DumpSelection {
                collections,
                exclude: vec![catalog, other],
            },
        )
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_catalogue_in_the_same_database_is_left_out_with_what_the_settings_exclude() {
        let scratch = "--excludeCollectionsWithPrefix=holdfast_restore_";
        assert_eq!(
            chosen(CollectionFilter::All).unwrap(),
            ["--excludeCollection=backup_jobs", scratch]
        );
        assert_eq!(
            chosen(CollectionFilter::Except(names(&["-a b", "logs"]))).unwrap(),
            [
                "--excludeCollection=-a b",
                "--excludeCollection=logs",
                "--excludeCollection=backup_jobs",
                scratch
            ]
        );
    }

    #[test]
    fn one_collection_is_asked_for_by_name_and_several_cannot_be() {
        assert_eq!(
            chosen(CollectionFilter::Only(names(&["users"]))).unwrap(),
            ["--collection=users"]
        );
        assert_eq!(
            chosen(CollectionFilter::Only(names(&["users", "contents"]))),
            Err(Unsuitable::ManyCollections)
        );
    }
}
