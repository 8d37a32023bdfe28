//! The state of a function between invocations: its settings and its clients, once they are valid.
//!
//! Invalid settings and failed clients are not kept. The next invocation tries again, so a
//! corrected secret needs no new deployment.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::{
    BackupId,
    settings::{self, LogLevel, Reading, SettingError, Settings},
};
use holdfast_operations::{Holdfast, OperationError, Step};
use holdfast_repository::Repository;
use holdfast_setup::{Clients, NO_STORE, setting_fault, telemetry, variables};
use tokio::sync::OnceCell;

use crate::{CopyQueue, Events, Metrics, SqsQueue};

/// The variables with the location of the catalogue, the first one with precedence.
const CATALOG_VARIABLES: [&str; 2] = ["BACKUP_CATALOG_URI", "MONGODB_URI"];

const NO_CATALOG: &str = "is not set: expected the connection string of the catalogue, as set by the template from \
                          CatalogUriSecretArn";

const NO_QUEUE: &str = "is not set: expected the URL of an SQS queue, as set by the template";

/// One function's state.
#[derive(Debug)]
pub struct Function {
    variables: Vec<(String, String)>,
    clients: Clients,
    reading: OnceCell<Reading>,
    holdfast: OnceCell<Started>,
    suspected: AtomicBool,
}

/// A wrapper, so that `Debug` of `Function` does not show the started clients.
struct Started(Holdfast);

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Holdfast")
    }
}

impl Function {
    /// Reads the environment, once for all invocations, and begins to log.
    pub async fn cold_start() -> Self {
        let function = Self::new(variables(), Clients::load().await);
        telemetry(
            function
                .settings()
                .await
                .map_or(LogLevel::Info, |settings| settings.log_level),
        );
        function
    }

    /// A function with these variables for its environment.
    #[must_use]
    pub const fn new(variables: Vec<(String, String)>, clients: Clients) -> Self {
        Self {
            variables,
            clients,
            reading: OnceCell::const_new(),
            holdfast: OnceCell::const_new(),
            suspected: AtomicBool::new(false),
        }
    }

    /// The same function with the present secrets. None if they are unchanged, or if Secrets
    /// Manager is unreachable.
    pub(crate) async fn renewed(&self) -> Option<Self> {
        self.suspected.store(false, Ordering::Relaxed);
        // Invalid settings are not kept: the invocation reads them anyway.
        let known = self.reading.get()?.settings.as_ref().ok()?;
        if !self.clients.reads_secrets(&self.variables) {
            return None;
        }
        let reading = self.read().await;
        match &reading.settings {
            Ok(settings) if settings.secrets() == known.secrets() => return None,
            Err(faults) if faults.is_transient() => {
                tracing::warn!(error = %faults, "the secrets could not be read again: the known values are used");
                return None;
            }
            Ok(_) => tracing::info!("a secret has changed: settings and clients are replaced"),
            Err(faults) => tracing::error!(error = %faults, "a secret has changed and is invalid"),
        }
        let mut renewed = Self::new(self.variables.clone(), self.clients.clone());
        if reading.settings.is_ok() {
            renewed.reading = OnceCell::from(reading);
        }
        Some(renewed)
    }

    /// Makes the next invocation read the secrets, after a refused login.
    pub fn suspect_secrets(&self) {
        self.suspected.store(true, Ordering::Relaxed);
    }

    pub(crate) fn are_secrets_suspected(&self) -> bool {
        self.suspected.load(Ordering::Relaxed)
    }

    /// The settings, or all their faults. A function needs a store and a catalogue: the default
    /// server of a machine does not exist in Lambda.
    pub async fn reading(&self) -> Reading {
        let read = || async {
            let reading = self.read().await;
            if reading.settings.is_ok() {
                Ok(reading)
            } else {
                Err(Box::new(reading))
            }
        };
        match self.reading.get_or_try_init(read).await {
            Ok(reading) => reading.clone(),
            Err(reading) => *reading,
        }
    }

    async fn read(&self) -> Reading {
        let mut reading = self.clients.settings(&self.variables).await;
        let given = reading
            .shown
            .iter()
            .any(|(name, _)| *name == "BACKUP_STORE");
        if !given {
            reading.reject(SettingError::new("BACKUP_STORE", NO_STORE));
        }
        if self.catalog_variable().is_none() {
            reading.reject(SettingError::new(CATALOG_VARIABLES[0], NO_CATALOG));
        }
        reading
    }

    /// Settings of the stack's other functions, for display: `STACK_` and the name of the setting.
    /// A function without access to the source, the keys or the second store can thus report them.
    /// Secrets are masked in any case.
    #[must_use]
    pub fn settings_of_the_stack(&self) -> Vec<(String, String)> {
        let of_the_stack = self.variables.iter().filter_map(|(name, value)| {
            let name = name
                .strip_prefix("STACK_")
                .filter(|name| name.starts_with("BACKUP_") || *name == "MONGODB_URI")?;
            let is_secret = settings::SECRET_VARIABLES.contains(&name);
            Some((
                name.to_owned(),
                if is_secret {
                    "***".to_owned()
                } else {
                    value.trim().to_owned()
                },
            ))
        });
        of_the_stack
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }

    /// The settings.
    ///
    /// # Errors
    /// [`OperationError::Config`] with all faults.
    pub async fn settings(&self) -> Result<Settings, OperationError> {
        Ok(self.reading().await.settings?)
    }

    /// The repository. No request is sent, and MongoDB may be unreachable.
    ///
    /// # Errors
    /// [`OperationError::Config`].
    pub async fn repository(&self) -> Result<Repository, OperationError> {
        match self.holdfast.get() {
            Some(started) => Ok(started.0.repository.clone()),
            None => self.clients.repository(&self.settings().await?),
        }
    }

    /// The bus for triggers.
    ///
    /// # Errors
    /// [`OperationError::Config`].
    pub async fn events(&self) -> Result<Events, OperationError> {
        Ok(self.bus(&self.settings().await?))
    }

    /// Dispatches the next step of a running backup.
    ///
    /// # Errors
    /// If the bus did not accept it. The sweep dispatches the step again, but much later than the
    /// event's source.
    pub async fn continue_with(
        &self,
        backup_id: &BackupId,
        step: Step,
    ) -> Result<(), OperationError> {
        let dispatched = self.events().await?.continue_with(backup_id, step).await;
        dispatched.map_err(|error| OperationError::Dispatch(error.into()))
    }

    /// The queue of files to fetch.
    ///
    /// # Errors
    /// [`OperationError::Config`].
    pub async fn queue(&self) -> Result<SqsQueue, OperationError> {
        let url = self.settings().await?.content.queue;
        let url = url.ok_or_else(|| setting_fault("BACKUP_CONTENT_QUEUE", NO_QUEUE))?;
        Ok(SqsQueue::new(self.sqs(), url))
    }

    /// The repository of the second copies. No request is sent.
    ///
    /// # Errors
    /// [`OperationError::Config`], also if copying is disabled.
    pub async fn second_repository(&self) -> Result<Repository, OperationError> {
        let settings = self.settings().await?;
        let second = if settings.cloud.enabled {
            self.clients.second_repository(&settings)?
        } else {
            None
        };
        second.ok_or_else(|| {
            setting_fault(
                "BACKUP_CLOUD_ENABLED",
                "is false, but a copy was requested: set it to true",
            )
        })
    }

    /// The queue of copies to make.
    ///
    /// # Errors
    /// [`OperationError::Config`].
    pub async fn copy_queue(&self) -> Result<CopyQueue, OperationError> {
        let url = self.settings().await?.cloud.queue;
        let url = url.ok_or_else(|| setting_fault("BACKUP_CLOUD_QUEUE", NO_QUEUE))?;
        Ok(CopyQueue::new(self.sqs(), url))
    }

    /// The resources of the use cases. State changes go to the event bus, and the catalogue has its
    /// indexes.
    ///
    /// # Errors
    /// [`OperationError::Config`], or [`OperationError::Catalog`] if MongoDB is unreachable.
    pub async fn holdfast(&self) -> Result<&Holdfast, OperationError> {
        let start = || async {
            let settings = self.settings().await?;
            let events = self.bus(&settings);
            let holdfast = self.clients.holdfast(settings, Arc::new(events)).await?;
            ensure_indexes(&holdfast.catalog).await?;
            Ok::<_, OperationError>(Started(holdfast))
        };
        Ok(&self.holdfast.get_or_try_init(start).await?.0)
    }

    fn bus(&self, settings: &Settings) -> Events {
        Events::new(
            aws_sdk_eventbridge::Client::new(&self.clients.aws()),
            settings.event_bus.clone(),
        )
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.clients.aws())
    }

    /// Whether backups use the native engine because the installed mongodump does not run.
    #[must_use]
    pub fn fell_back(&self) -> bool {
        self.holdfast
            .get()
            .is_some_and(|started| started.0.engine_fallback().is_some())
    }

    /// The catalogue, despite invalid settings, if the settings of its location are valid.
    ///
    /// # Errors
    /// [`OperationError::Config`] if they are invalid, [`OperationError::Catalog`] if it cannot be
    /// used.
    pub async fn catalog_despite_config_errors(&self) -> Result<Catalog, OperationError> {
        let variable = self.catalog_variable().cloned();
        let settings = self.clients.settings(variable.as_slice()).await.settings?;
        Ok(Catalog::from_settings(&settings).await?)
    }

    /// The variable with the location of the catalogue.
    fn catalog_variable(&self) -> Option<&(String, String)> {
        let set = |name: &&str| {
            self.variables
                .iter()
                .rfind(|(set, value)| set == name && !value.trim().is_empty())
        };
        CATALOG_VARIABLES.iter().find_map(set)
    }

    /// The target of metrics, even with invalid settings. An invalid namespace is replaced by the
    /// default.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let is_it = |(name, _): &&(String, String)| name == "BACKUP_METRICS_NAMESPACE";
        let alone = settings::read(self.variables.iter().filter(is_it).cloned());
        let own = alone.settings.or_else(|_| settings::read([]).settings);
        Metrics::new(own.map_or_else(|_| String::new(), |settings| settings.metrics_namespace))
    }
}

/// Creates the indexes. They affect speed, not correctness: a missing privilege is logged once and
/// ignored.
async fn ensure_indexes(catalog: &Catalog) -> Result<(), CatalogError> {
    match catalog.ensure_indexes().await {
        Err(error) if !error.is_transient() => {
            tracing::warn!(%error, "the catalogue's indexes were not created");
            Ok(())
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};

    use super::*;

    fn function(pairs: &[(&str, &str)]) -> Function {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Function::new(
            variables,
            Clients::new(
                SdkConfig::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .build(),
            ),
        )
    }

    #[tokio::test]
    async fn a_function_needs_a_store_and_a_catalogue() {
        let error = function(&[]).settings().await.unwrap_err().to_string();
        assert!(error.contains("BACKUP_STORE: is not set"), "{error}");
        let error = function(&[("BACKUP_STORE", "nonsense")])
            .settings()
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(error.matches("BACKUP_STORE").count(), 1, "{error}");
        let store = ("BACKUP_STORE", "s3://backups");
        let error = function(&[store]).settings().await.unwrap_err().to_string();
        assert!(error.contains("CatalogUriSecretArn"), "{error}");
        let catalogue = ("BACKUP_CATALOG_URI", "mongodb://localhost/holdfast");
        assert!(function(&[store, catalogue]).settings().await.is_ok());
    }

    #[tokio::test]
    async fn metrics_have_their_namespace_even_where_settings_are_wrong() {
        let wrong = function(&[
            ("BACKUP_METRICS_NAMESPACE", "Holdfast/prod"),
            ("BACKUP_FROBNICATE", "1"),
        ]);
        assert!(wrong.settings().await.is_err());
        assert!(format!("{:?}", wrong.metrics()).contains("\"Holdfast/prod\""));
        assert!(format!("{:?}", function(&[]).metrics()).contains("\"Holdfast\""));
    }

    #[tokio::test]
    async fn the_catalogue_is_found_despite_other_faults() {
        let wrong = function(&[
            ("MONGODB_URI", "mongodb://127.0.0.1:1/x"),
            ("BACKUP_FROBNICATE", "1"),
        ]);
        assert!(wrong.holdfast().await.is_err());
        assert!(wrong.catalog_despite_config_errors().await.is_ok());
        assert!(
            function(&[("MONGODB_URI", "nonsense")])
                .catalog_despite_config_errors()
                .await
                .is_err()
        );
        let elsewhere = [
            ("BACKUP_CATALOG_URI", "mongodb://127.0.0.1:1/x"),
            ("MONGODB_URI", "nonsense"),
        ];
        assert!(
            function(&elsewhere)
                .catalog_despite_config_errors()
                .await
                .is_ok()
        );
    }
}
