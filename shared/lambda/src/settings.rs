//! Settings from variables: secrets fetched, and what only other crates can judge judged. All faults are told at once.

use std::sync::Arc;

use aws_config::SdkConfig;
use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    Secret,
    settings::{self, Reading, SECRET_VARIABLES, SettingError, Settings},
};
use holdfast_operations::{Holdfast, Observer, OperationError};

use crate::{Clients, environment, secrets};

/// Reads the settings from the environment, and the secrets it names from Secrets Manager.
pub async fn settings() -> Reading {
    Clients::load().await.settings(&environment::variables()).await
}

/// Builds what the use cases work with, by the AWS credentials of the environment. Nothing is sent yet.
///
/// # Errors
/// [`OperationError::Config`] where `BACKUP_STORE` or the key cannot be used, [`OperationError::Catalog`] where the
/// catalogue's connection string cannot.
pub async fn start(settings: Settings, observer: Arc<dyn Observer>) -> Result<Holdfast, OperationError> {
    Clients::load().await.holdfast(settings, observer).await
}

const KEY: &str = "BACKUP_ENCRYPTION_KEY";

/// Stands for a secret that could not be read, so that its absence is not told as a second fault. A reading that
/// holds it is always one of faults.
const UNREADABLE: &str = "mongodb://unreadable";

pub(crate) async fn read(aws: &SdkConfig, variables: &[(String, String)]) -> Reading {
    let mut values = variables.to_vec();
    let mut faults = Vec::new();
    for (name, value) in values.iter_mut().filter(|(name, _)| SECRET_VARIABLES.contains(&name.as_str())) {
        match resolve(aws, name, value).await {
            Ok(Some(secret)) => secret.expose().clone_into(value),
            Ok(None) => {}
            Err(fault) => {
                UNREADABLE.clone_into(value);
                faults.push(fault);
            }
        }
    }
    let mut reading = settings::read(values);
    for fault in faults {
        reading.reject(fault);
    }
    reading
}

/// The value of a secret's variable where it is another than the text there, or what is wrong with it.
async fn resolve(aws: &SdkConfig, name: &str, value: &str) -> Result<Option<Secret>, SettingError> {
    let fetched = if secrets::is_arn(value) { Some(secrets::read(aws, name, value.trim()).await?) } else { None };
    let text = fetched.as_ref().map_or(value.trim(), Secret::expose);
    if name == KEY && !text.is_empty() {
        KeyEncryptionKey::parse(&Secret::new(text)).map_err(|error| SettingError::new(name, error.to_string()))?;
    }
    Ok(fetched)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing listens there: whatever asks AWS for something fails at once.
    fn no_aws() -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:9")
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build()
    }

    async fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
        let variables: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reading = read(&no_aws(), &variables).await;
        assert!(!format!("{reading:?}").contains("hunter2"), "{reading:?}");
        reading.settings.err().map_or_else(Vec::new, |error| error.0.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_asked_for_is_no_lasting_fault() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:uri-AbCdEf";
        let variables = |more: &[(&str, &str)]| -> Vec<_> {
            let all = [&[("MONGODB_URI", arn)], more].concat();
            all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let alone = read(&no_aws(), &variables(&[])).await.settings.unwrap_err();
        assert!(alone.is_transient(), "{alone}");
        let beside_another = read(&no_aws(), &variables(&[("BACKUP_MAX_CONCURRENT", "0")])).await.settings.unwrap_err();
        assert!(!beside_another.is_transient());
    }

    #[tokio::test]
    async fn a_key_of_wrong_form_is_refused_by_the_settings_name_even_beside_other_faults() {
        let faults =
            faults(&[(KEY, "hunter2"), ("BACKUP_DATABASE_ENCRYPTION", "true"), ("BACKUP_MAX_CONCURRENT", "0")]).await;
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].starts_with("BACKUP_ENCRYPTION_KEY: "), "{faults:?}");
    }

    #[tokio::test]
    async fn a_key_of_right_form_is_taken() {
        assert_eq!(faults(&[(KEY, &"a7".repeat(32)), ("BACKUP_DATABASE_ENCRYPTION", "true")]).await, [""; 0]);
        assert_eq!(faults(&[(KEY, " ")]).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_names_its_variable_and_its_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:uri-AbCdEf";
        for name in SECRET_VARIABLES {
            let faults =
                faults(&[(name, arn), ("BACKUP_DATABASE_ENCRYPTION", "true"), ("BACKUP_KMS_KEY_ID", "k")]).await;
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(&format!("{name}: the secret {arn} cannot be read: ")), "{faults:?}");
        }
    }
}
