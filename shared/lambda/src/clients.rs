//! Every client, built once from one AWS configuration: one HTTP pool, one set of credentials.

use std::sync::Arc;

use aws_config::SdkConfig;
use holdfast_catalog::Catalog;
use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    Secret,
    settings::{Reading, SettingError, Settings, SettingsError},
};
use holdfast_operations::{Holdfast, Keyring, Observer, OperationError, Preflight, Repository};
use holdfast_storage::{S3Store, s3_client};

use crate::{Events, settings};

/// What builds clients.
#[derive(Debug, Clone)]
pub struct Clients {
    aws: SdkConfig,
}

impl Clients {
    /// By the AWS SDK's own chain of credentials, region and endpoint.
    pub async fn load() -> Self {
        Self::new(aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await)
    }

    /// By this configuration.
    #[must_use]
    pub const fn new(aws: SdkConfig) -> Self {
        Self { aws }
    }

    /// The settings in these variables, with the secrets that they name.
    pub async fn settings(&self, variables: &[(String, String)]) -> Reading {
        settings::read(&self.aws, variables).await
    }

    /// The repository that the settings name. Nothing is sent yet, and no MongoDB is needed.
    ///
    /// # Errors
    /// [`OperationError::Config`] where `BACKUP_STORE` or the key cannot be used.
    pub fn repository(&self, settings: &Settings) -> Result<Repository, OperationError> {
        let location = settings.store.clone().ok_or_else(|| fault("BACKUP_STORE", NO_STORE))?;
        // A local stand-in has no name for each bucket.
        let client = s3_client(&self.aws, self.aws.endpoint_url().is_some());
        let store = S3Store::new(client, &location.bucket, &location.prefix);
        Ok(Repository::new(Arc::new(store), location, self.keyring(settings)?))
    }

    /// What the use cases work with. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`Clients::repository`], and [`OperationError::Catalog`] where the catalogue's connection string cannot be
    /// used.
    pub async fn holdfast(&self, settings: Settings, observer: Arc<dyn Observer>) -> Result<Holdfast, OperationError> {
        let repository = self.repository(&settings)?;
        let catalog = Catalog::from_settings(&settings).await?;
        let preflight = Preflight::default();
        Ok(Holdfast { settings: Arc::new(settings), repository, catalog, observer, preflight })
    }

    /// Where triggers go and state changes are told.
    #[must_use]
    pub fn events(&self, settings: &Settings) -> Events {
        Events::new(aws_sdk_eventbridge::Client::new(&self.aws), settings.event_bus.clone())
    }

    fn keyring(&self, settings: &Settings) -> Result<Keyring, OperationError> {
        let parse = |key: &Secret| {
            KeyEncryptionKey::parse(key).map_err(|error| fault("BACKUP_ENCRYPTION_KEY", error.to_string()))
        };
        let key = settings.encryption_key.as_ref().map(parse).transpose()?;
        let kms = settings.kms_key_id.clone().map(|id| (aws_sdk_kms::Client::new(&self.aws), id));
        Ok(Keyring::new(key, kms))
    }
}

pub(crate) const NO_STORE: &str = "is not set, it takes s3://bucket or s3://bucket/prefix";

fn fault(name: &str, problem: impl Into<String>) -> OperationError {
    SettingsError(vec![SettingError::new(name, problem)]).into()
}
