//! The tools of the verbs: the settings, read once, and the repository and catalogue, each opened
//! on first use. A verb that needs only the store never connects to MongoDB.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use holdfast_catalog::Catalog;
use holdfast_codec::KeyEncryptionKey;
use holdfast_database::Exclusion;
use holdfast_domain::{
    Secret,
    settings::{Settings, StoreLocation},
};
use holdfast_operations::{Holdfast, Observer, OperationError, own_collections};
use holdfast_repository::Repository;
use holdfast_setup::Clients;

use crate::{
    arguments::Global,
    environment,
    failure::{Exit, Failure},
    keys_needed::{KeysNeeded, Usable},
    opening::{GivenKeys, Opening},
    output::Output,
};

const STORE: &str = "BACKUP_STORE";
const SOURCE: &str = "MONGODB_URI";
const CATALOG: &str = "BACKUP_CATALOG_URI";
/// Locations of its parts, if they are elsewhere.
const DIRECTORIES: [&str; 2] = ["BACKUP_DATABASE_DIR", "BACKUP_CONTENT_DIR"];

/// The settings and the clients they are used with.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    clients: Clients,
    given: GivenKeys,
    is_elsewhere: bool,
    names: Named,
    has_written: AtomicBool,
}

/// Databases that the settings name. The functions have a default for both. The command line has
/// none, because it would back up or overwrite a local server.
#[derive(Debug, Clone, Copy)]
struct Named {
    source: bool,
    catalog: bool,
}

impl Named {
    fn by(variables: &[(String, String)]) -> Self {
        let is_set = |name: &str| {
            variables
                .iter()
                .any(|(set, value)| set == name && !value.trim().is_empty())
        };
        let source = is_set(SOURCE);
        Self {
            source,
            catalog: source || is_set(CATALOG),
        }
    }
}

impl Session {
    /// Reads the settings. `--store` replaces `BACKUP_STORE`. Ignored settings are reported.
    pub(crate) async fn open(
        global: &Global,
        needed: KeysNeeded,
        output: Output,
    ) -> Result<Self, Failure> {
        let mut variables = environment::variables();
        let own = variables
            .iter()
            .find(|(name, _)| name == STORE)
            .map(|(_, value)| StoreLocation::parse(value));
        let store = global
            .store
            .clone()
            .map(|store| in_place_of_settings(store, &mut variables));
        let clients = Clients::load_for(&variables, store.as_ref()).await;
        let names = Named::by(&variables);
        let Usable {
            mut settings,
            ignored,
        } = needed.read(&clients, variables).await?;
        for fault in ignored {
            output.note(&format!("warning: ignored {fault}"));
        }
        settings.store = store.or(settings.store);
        let is_other = |given: &StoreLocation| match own {
            Some(own) => own.as_ref() != Ok(given),
            None => settings.cloud.location.as_ref() == Some(given),
        };
        let is_elsewhere = global.store.as_ref().is_some_and(is_other);
        let (given, has_written) = (GivenKeys::default(), AtomicBool::new(false));
        Ok(Self {
            settings,
            clients,
            given,
            is_elsewhere,
            names,
            has_written,
        })
    }

    /// Adds the keys from files.
    pub(crate) fn opened_by(self, opening: Option<&Opening>) -> Result<Self, Failure> {
        let given = opening.map(Opening::read).transpose()?.unwrap_or_default();
        Ok(Self { given, ..self })
    }

    /// The database to back up, and the default target of restores.
    pub(crate) fn source(&self) -> Result<&Secret, Failure> {
        if self.names.source {
            return Ok(&self.settings.mongodb_uri);
        }
        Err(Failure::new(
            Exit::Settings,
            "MONGODB_URI is not set, and the command line has no default for it",
        )
        .hint("set it to the connection string of the database: mongodb://host:27017/database"))
    }

    /// Records the first change, so that the message of an interruption is correct.
    pub(crate) fn begin_writing(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// Whether something may have been changed.
    pub(crate) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    /// The repository alone.
    pub(crate) fn repository(&self) -> Result<Repository, Failure> {
        Ok(match self.given.openers()? {
            Some(openers) => self.clients.repository_opened_by(&self.settings, openers)?,
            None => self.clients.repository(&self.settings)?,
        })
    }

    /// The repository of second copies, if the settings name one, even if copying is disabled.
    pub(crate) fn second_repository(&self) -> Result<Option<Repository>, Failure> {
        Ok(self.clients.second_repository(&self.settings)?)
    }

    /// Whether `--store` names another store than the settings: the second copy or any other. Its
    /// contents are no evidence about the backup in the catalogue.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// The repository, and the repository of second copies, if there is one. The caller reports
    /// errors.
    pub(crate) fn repositories(
        &self,
    ) -> (
        Result<Repository, OperationError>,
        Option<Result<Repository, OperationError>>,
    ) {
        let repository = self.clients.repository(&self.settings);
        (
            repository,
            self.clients.second_repository(&self.settings).transpose(),
        )
    }

    /// The repositories, which this key opens too. KMS opens them regardless of the wrapping key.
    pub(crate) fn repository_opened_also_by(
        &self,
        key: Option<KeyEncryptionKey>,
    ) -> Result<Repository, Failure> {
        let mut openers = self.given.openers()?.unwrap_or_default();
        openers.previous_keys.extend(key);
        Ok(self.clients.repository_opened_by(&self.settings, openers)?)
    }

    /// The catalogue alone.
    pub(crate) async fn catalog(&self) -> Result<Catalog, Failure> {
        self.expect_catalog()?;
        Ok(Catalog::from_settings(&self.settings).await?)
    }

    fn expect_catalog(&self) -> Result<(), Failure> {
        if self.names.catalog {
            return Ok(());
        }
        Err(Failure::new(Exit::Settings, "neither MONGODB_URI nor BACKUP_CATALOG_URI is set: the catalogue is unknown")
            .hint("set MONGODB_URI to the connection string of the database: mongodb://host:27017/database"))
    }

    /// Holdfast's own rows, which are neither dumped nor restored. This sends no request. With an
    /// invalid connection string of the catalogue, it assumes their default place.
    pub(crate) async fn own_catalogue(&self) -> Exclusion {
        let catalog = self.catalog().await;
        own_collections(
            &catalog
                .map(|catalog| catalog.location())
                .unwrap_or_default(),
        )
    }

    /// Everything, for the verbs that change something.
    pub(crate) async fn holdfast(&self, observer: Arc<dyn Observer>) -> Result<Holdfast, Failure> {
        self.expect_catalog()?;
        let holdfast = self
            .clients
            .holdfast(self.settings.clone(), observer)
            .await?;
        Ok(Holdfast {
            repository: self.repository()?,
            ..holdfast
        })
    }
}

/// Removes the location of the repository from the variables. The directories of its parts stay if
/// `BACKUP_STORE` is empty or names the same store.
fn in_place_of_settings(
    mut store: StoreLocation,
    variables: &mut Vec<(String, String)>,
) -> StoreLocation {
    let value = |name: &str| {
        let found = variables
            .iter()
            .find(|(candidate, value)| candidate == name && !value.trim().is_empty());
        found.map(|(_, value)| value.trim().to_owned())
    };
    let is_the_same = value(STORE)
        .is_none_or(|text| StoreLocation::parse(&text).is_ok_and(|other| other == store));
    if let StoreLocation::Directory(directories) = &mut store
        && is_the_same
    {
        let [database, content] =
            DIRECTORIES.map(|name| directories.resolve(Path::new(&value(name)?)));
        (directories.database, directories.content) = (database, content);
    }
    variables.retain(|(name, _)| name != STORE && !DIRECTORIES.contains(&name.as_str()));
    store
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn another_store_has_its_parts_in_itself() {
        let parts_with = |pairs: &[(&str, &str)]| {
            let mut variables: Vec<_> = pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            variables.push(("BACKUP_DATABASE_DIR".into(), "/d".into()));
            let store =
                in_place_of_settings(StoreLocation::parse("file:///b").unwrap(), &mut variables);
            assert!(variables.is_empty(), "{variables:?}");
            let StoreLocation::Directory(directories) = store else {
                panic!("a directory")
            };
            directories.database
        };
        assert_eq!(parts_with(&[]), Some(PathBuf::from("/d")));
        assert_eq!(
            parts_with(&[("BACKUP_STORE", "file:///b/")]),
            Some(PathBuf::from("/d"))
        );
        assert_eq!(parts_with(&[("BACKUP_STORE", "file:///other")]), None);
        assert_eq!(parts_with(&[("BACKUP_STORE", "s3://bucket")]), None);
        assert_eq!(
            parts_with(&[("BACKUP_CONTENT_DIR", "./content")]),
            Some(PathBuf::from("/d"))
        );
    }
}
