//! Every client, built once from one AWS configuration: one HTTP pool, one set of credentials.

use std::sync::Arc;

use aws_config::SdkConfig;
use holdfast_catalog::Catalog;
use holdfast_codec::{AgeRecipient, KeyEncryptionKey, KeyError};
use holdfast_domain::settings::{Reading, SettingError, Settings, SettingsError};
use holdfast_operations::{Holdfast, Keyring, Observer, Openers, OperationError, Preflight, Repository};

use crate::{Events, SqsQueue, settings, stores};

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
        self.repository_with(settings, self.keyring(settings, Openers::default())?)
    }

    /// The same, which these keys open beside those of the settings; and KMS, whatever key it was wrapped by.
    ///
    /// # Errors
    /// As [`Clients::repository`].
    pub fn repository_opened_by(&self, settings: &Settings, openers: Openers) -> Result<Repository, OperationError> {
        let kms = Some(aws_sdk_kms::Client::new(&self.aws));
        self.repository_with(settings, self.keyring(settings, Openers { kms, ..openers })?)
    }

    fn repository_with(&self, settings: &Settings, keyring: Keyring) -> Result<Repository, OperationError> {
        let location = settings.store.clone().ok_or_else(|| fault("BACKUP_STORE", NO_STORE))?;
        let store = stores::open(&self.aws, &settings.cloud, &location)?;
        Ok(Repository::new(store, location, keyring))
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

    /// The queue of files to fetch.
    ///
    /// # Errors
    /// [`OperationError::Config`] where `BACKUP_CONTENT_QUEUE` is not set.
    pub fn queue(&self, settings: &Settings) -> Result<SqsQueue, OperationError> {
        let url = settings.content.queue.clone().ok_or_else(|| fault("BACKUP_CONTENT_QUEUE", NO_QUEUE))?;
        Ok(SqsQueue::new(aws_sdk_sqs::Client::new(&self.aws), url))
    }

    fn keyring(&self, settings: &Settings, mut openers: Openers) -> Result<Keyring, OperationError> {
        let key = parsed("BACKUP_ENCRYPTION_KEY", settings.encryption_key.as_ref(), KeyEncryptionKey::parse)?;
        let name = "BACKUP_ENCRYPTION_KEY_PREVIOUS";
        openers.previous_keys.extend(parsed(name, settings.encryption_key_previous.as_ref(), KeyEncryptionKey::parse)?);
        let recipient = settings.break_glass_recipient.as_deref();
        let recipient = parsed("BACKUP_BREAK_GLASS_RECIPIENT", recipient, AgeRecipient::parse)?;
        let kms = settings.kms_key_id.clone().map(|id| (aws_sdk_kms::Client::new(&self.aws), id));
        Ok(Keyring::new(key, kms).wrapping_for(recipient).opening_with(openers))
    }
}

/// A setting that only the codec can judge.
fn parsed<S: ?Sized, T>(
    name: &str,
    setting: Option<&S>,
    parse: impl FnOnce(&S) -> Result<T, KeyError>,
) -> Result<Option<T>, OperationError> {
    setting.map(parse).transpose().map_err(|error| fault(name, error.to_string()))
}

pub(crate) const NO_STORE: &str = "is not set, it takes s3://bucket/prefix, file:///directory, gs://… or az://…";

const NO_QUEUE: &str = "is not set, it takes the URL of an SQS queue; the template sets it";

pub(crate) fn fault(name: &str, problem: impl Into<String>) -> OperationError {
    SettingsError(vec![SettingError::new(name, problem)]).into()
}
