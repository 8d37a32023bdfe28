//! Every client, built once from one AWS configuration: one HTTP pool, one set of credentials.

use std::sync::Arc;

use aws_config::{
    BehaviorVersion, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
};
use holdfast_catalog::Catalog;
use holdfast_codec::{AgeRecipient, KeyEncryptionKey, KeyError};
use holdfast_domain::settings::{Reading, SECRET_VARIABLES, Settings, StoreLocation};
use holdfast_operations::{Holdfast, Observer, OperationError, Preflight};
use holdfast_repository::{Keyring, Openers, Repository};

use crate::{
    secrets,
    settings::{self, NO_STORE, setting_fault},
    stores,
    timeouts::with_time_limits,
};

/// The configuration of all clients.
#[derive(Debug, Clone)]
pub struct Clients {
    aws: SdkConfig,
}

impl Clients {
    /// Clients with the AWS SDK's own chain of credentials, region and endpoint.
    pub async fn load() -> Self {
        Self::new(aws_config::load_defaults(BehaviorVersion::latest()).await)
    }

    /// The same for these settings, with `store` instead of theirs. Without any AWS setting, no
    /// request is sent. Outside AWS, the look-up of the machine's region would fail only after
    /// seconds.
    pub async fn load_for(variables: &[(String, String)], store: Option<&StoreLocation>) -> Self {
        if needs_aws(variables, store) {
            return Self::load().await;
        }
        let configured = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        // Without a region, each part of the chain would look it up again.
        Self::new(match configured.region().await {
            Some(region) => {
                aws_config::defaults(BehaviorVersion::latest())
                    .region(region)
                    .load()
                    .await
            }
            None => SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .build(),
        })
    }

    /// Clients with this configuration.
    #[must_use]
    pub const fn new(aws: SdkConfig) -> Self {
        Self { aws }
    }

    /// The settings in these variables, with the secrets behind their ARNs.
    pub async fn settings(&self, variables: &[(String, String)]) -> Reading {
        settings::read(&self.aws, variables).await
    }

    /// Whether a variable names a secret of Secrets Manager.
    #[must_use]
    pub fn reads_secrets(&self, variables: &[(String, String)]) -> bool {
        variables.iter().any(|(name, value)| {
            SECRET_VARIABLES.contains(&name.as_str()) && secrets::is_arn(value)
        })
    }

    /// The repository of the settings. No request is sent, and no MongoDB is needed.
    ///
    /// # Errors
    /// [`OperationError::Config`] if `BACKUP_STORE` or the key cannot be used.
    pub fn repository(&self, settings: &Settings) -> Result<Repository, OperationError> {
        self.repository_with(settings, self.keyring(settings, Openers::default())?)
    }

    /// The same, opened by these keys in addition to those of the settings. KMS opens it regardless
    /// of the wrapping key.
    ///
    /// # Errors
    /// As [`Clients::repository`].
    pub fn repository_opened_by(
        &self,
        settings: &Settings,
        openers: Openers,
    ) -> Result<Repository, OperationError> {
        let kms = Some(aws_sdk_kms::Client::new(&with_time_limits(&self.aws)));
        self.repository_with(
            settings,
            self.keyring(settings, Openers { kms, ..openers })?,
        )
    }

    /// The second copy, opened by the same keys. None if `BACKUP_CLOUD_BUCKET` is not set. It may
    /// be disabled. No request is sent.
    ///
    /// # Errors
    /// [`OperationError::Config`] if the keys of its provider are missing or invalid.
    pub fn second_repository(
        &self,
        settings: &Settings,
    ) -> Result<Option<Repository>, OperationError> {
        let Some(location) = settings.cloud.location.clone() else {
            return Ok(None);
        };
        let keyring = self.keyring(settings, Openers::default())?;
        self.repository_at(settings, location, keyring).map(Some)
    }

    fn repository_with(
        &self,
        settings: &Settings,
        keyring: Keyring,
    ) -> Result<Repository, OperationError> {
        let location = settings
            .store
            .clone()
            .ok_or_else(|| setting_fault("BACKUP_STORE", NO_STORE))?;
        self.repository_at(settings, location, keyring)
    }

    fn repository_at(
        &self,
        settings: &Settings,
        location: StoreLocation,
        keyring: Keyring,
    ) -> Result<Repository, OperationError> {
        let store = stores::open(&self.aws, &settings.cloud, &location)?;
        Ok(Repository::new(store, location, keyring))
    }

    /// The resources of the use cases. No request is sent.
    ///
    /// # Errors
    /// As [`Clients::repository`], and [`OperationError::Catalog`] if the catalogue's connection
    /// string cannot be used.
    pub async fn holdfast(
        &self,
        settings: Settings,
        observer: Arc<dyn Observer>,
    ) -> Result<Holdfast, OperationError> {
        let repository = self.repository(&settings)?;
        let catalog = Catalog::from_settings(&settings).await?;
        let preflight = Preflight::default();
        Ok(Holdfast {
            settings: Arc::new(settings),
            repository,
            catalog,
            observer,
            preflight,
        })
    }

    /// The configuration of every other client, with a time limit for each call.
    #[must_use]
    pub fn aws(&self) -> SdkConfig {
        with_time_limits(&self.aws)
    }

    fn keyring(
        &self,
        settings: &Settings,
        mut openers: Openers,
    ) -> Result<Keyring, OperationError> {
        let key = parsed(
            "BACKUP_ENCRYPTION_KEY",
            settings.encryption_key.as_ref(),
            KeyEncryptionKey::parse,
        )?;
        let name = "BACKUP_ENCRYPTION_KEY_PREVIOUS";
        openers.previous_keys.extend(parsed(
            name,
            settings.encryption_key_previous.as_ref(),
            KeyEncryptionKey::parse,
        )?);
        let recipient = settings.break_glass_recipient.as_deref();
        let recipient = parsed(
            "BACKUP_BREAK_GLASS_RECIPIENT",
            recipient,
            AgeRecipient::parse,
        )?;
        let kms = settings
            .kms_key_id
            .clone()
            .map(|id| (aws_sdk_kms::Client::new(&with_time_limits(&self.aws)), id));
        Ok(Keyring::new(key, kms)
            .wrapping_for(recipient)
            .opening_with(openers))
    }
}

/// Whether the settings may need a region from AWS itself.
fn needs_aws(variables: &[(String, String)], store: Option<&StoreLocation>) -> bool {
    let is_in_s3 = |value: &str| value.trim_start().starts_with("s3://");
    let copies_elsewhere = variables.iter().any(|(name, value)| {
        name == "BACKUP_CLOUD_PROVIDER"
            && ["azure", "gcp"].contains(&value.trim().to_ascii_lowercase().as_str())
    });
    variables.iter().any(|(name, value)| match name.as_str() {
        "BACKUP_STORE" => store.is_none() && is_in_s3(value),
        "BACKUP_KMS_KEY_ID" => !value.trim().is_empty(),
        "BACKUP_CLOUD_ENABLED" => !copies_elsewhere && value.trim().eq_ignore_ascii_case("true"),
        _ => is_setting(name) && secrets::is_arn(value),
    }) || matches!(store, Some(StoreLocation::S3 { .. }))
}

fn is_setting(name: &str) -> bool {
    name == "MONGODB_URI" || name.starts_with("BACKUP_")
}

/// Parses a setting that only the codec can check.
fn parsed<S: ?Sized, T>(
    name: &str,
    setting: Option<&S>,
    parse: impl FnOnce(&S) -> Result<T, KeyError>,
) -> Result<Option<T>, OperationError> {
    setting
        .map(parse)
        .transpose()
        .map_err(|error| setting_fault(name, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeouts::CALL_TIMEOUT;

    #[tokio::test]
    async fn no_call_waits_for_ever_for_a_service_that_is_silent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let once = aws_config::retry::RetryConfig::disabled();
        let aws = holdfast_testing::aws_config_at(&endpoint)
            .to_builder()
            .retry_config(once)
            .build();
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:uri-AbCdEf";
        let read = [("MONGODB_URI".to_owned(), arn.to_owned())];
        let clients = Clients::new(aws.clone());
        let kms = aws_sdk_kms::Client::new(&with_time_limits(&aws));
        let asked =
            async { tokio::join!(clients.settings(&read), kms.decrypt().key_id("k").send()) };
        let (reading, decrypted) = tokio::time::timeout(CALL_TIMEOUT, asked).await.unwrap();
        assert!(reading.settings.unwrap_err().is_transient() && decrypted.is_err());
    }

    #[test]
    fn aws_gets_requests_only_if_a_setting_names_it() {
        let asks = |pairs: &[(&str, &str)], store: Option<&str>| {
            let variables: Vec<_> = pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            needs_aws(
                &variables,
                store
                    .map(|store| StoreLocation::parse(store).unwrap())
                    .as_ref(),
            )
        };
        let here = ("BACKUP_STORE", "file:///backups");
        assert!(!asks(
            &[
                here,
                ("MONGODB_URI", "mongodb://h/db"),
                ("BACKUP_KMS_KEY_ID", "")
            ],
            None
        ));
        assert!(!asks(
            &[("BACKUP_STORE", "s3://b")],
            Some("file:///backups")
        ));
        assert!(!asks(&[], None));
        assert!(asks(&[here], Some("s3://bucket")));
        assert!(asks(&[("BACKUP_STORE", " s3://b")], None));
        assert!(asks(&[here, ("BACKUP_KMS_KEY_ID", "alias/k")], None));
        assert!(asks(
            &[
                here,
                ("MONGODB_URI", "arn:aws:secretsmanager:eu-west-1:1:secret:x")
            ],
            None
        ));
        let copied = ("BACKUP_CLOUD_ENABLED", "true");
        assert!(asks(&[here, copied], None));
        assert!(!asks(
            &[here, copied, ("BACKUP_CLOUD_PROVIDER", "azure")],
            None
        ));
        assert!(!asks(&[here, ("BACKUP_CLOUD_ENABLED", "False")], None));
    }
}
