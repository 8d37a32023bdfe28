//! What the verbs work with: the settings, read once, and from them the repository and the catalogue, each made only
//! when a verb asks for it. What needs only the store never looks for MongoDB.

use std::sync::Arc;

use holdfast_catalog::Catalog;
use holdfast_codec::KeyEncryptionKey;
use holdfast_database::Exclusion;
use holdfast_domain::settings::Settings;
use holdfast_lambda::Clients;
use holdfast_operations::{Holdfast, Observer, Repository, own_collections};

use crate::{
    arguments::Global,
    environment,
    failure::Failure,
    opening::{GivenKeys, Opening},
};

const STORE: &str = "BACKUP_STORE";

/// The settings and the clients they are used with.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    clients: Clients,
    given: GivenKeys,
}

impl Session {
    /// Reads the settings; `--store` takes the place of `BACKUP_STORE`.
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        let mut variables = environment::variables();
        if global.store.is_some() {
            variables.retain(|(name, _)| name != STORE);
        }
        let clients = Clients::load().await;
        let mut settings = clients.settings(&variables).await.settings?;
        if let Some(store) = &global.store {
            settings.store = Some(store.clone());
        }
        Ok(Self { settings, clients, given: GivenKeys::default() })
    }

    /// The same, with what opens encrypted backups beside the settings.
    pub(crate) fn opened_by(self, opening: Option<&Opening>) -> Result<Self, Failure> {
        let given = opening.map(Opening::read).transpose()?.unwrap_or_default();
        Ok(Self { given, ..self })
    }

    /// The repository alone.
    pub(crate) fn repository(&self) -> Result<Repository, Failure> {
        Ok(match self.given.openers()? {
            Some(openers) => self.clients.repository_opened_by(&self.settings, openers)?,
            None => self.clients.repository(&self.settings)?,
        })
    }

    /// The same, which this key opens too, and KMS whatever key it was wrapped by.
    pub(crate) fn repository_opened_also_by(&self, key: Option<KeyEncryptionKey>) -> Result<Repository, Failure> {
        let mut openers = self.given.openers()?.unwrap_or_default();
        openers.previous_keys.extend(key);
        Ok(self.clients.repository_opened_by(&self.settings, openers)?)
    }

    /// The catalogue alone.
    pub(crate) async fn catalog(&self) -> Result<Catalog, Failure> {
        Ok(Catalog::from_settings(&self.settings).await?)
    }

    /// Holdfast's own rows, which are neither dumped nor restored. Nothing is sent for it; where the catalogue's
    /// connection string cannot be used, they are where they are by default.
    pub(crate) async fn own_catalogue(&self) -> Exclusion {
        let catalog = self.catalog().await;
        own_collections(&catalog.map(|catalog| catalog.location()).unwrap_or_default())
    }

    /// Everything, for the verbs that change something.
    pub(crate) async fn holdfast(&self, observer: Arc<dyn Observer>) -> Result<Holdfast, Failure> {
        Ok(self.clients.holdfast(self.settings.clone(), observer).await?)
    }
}
