//! Settings from variables: fetches secrets, and applies the checks of other crates. All faults are
//! reported together.

use aws_config::SdkConfig;
use holdfast_codec::{AgeRecipient, KeyEncryptionKey};
use holdfast_domain::{
    Secret,
    settings::{self, Reading, SECRET_VARIABLES, SettingError, SettingsError},
};
use holdfast_operations::OperationError;

use crate::secrets;

/// Variables with keys.
const KEYS: [&str; 2] = ["BACKUP_ENCRYPTION_KEY", "BACKUP_ENCRYPTION_KEY_PREVIOUS"];

const RECIPIENT: &str = "BACKUP_BREAK_GLASS_RECIPIENT";

/// A placeholder for an unreadable secret, so that its absence is not a second fault. A reading
/// with it always has faults.
const UNREADABLE: &str = "mongodb://unreadable";

pub(crate) async fn read(aws: &SdkConfig, variables: &[(String, String)]) -> Reading {
    let mut values = variables.to_vec();
    let mut faults = Vec::new();
    for (name, value) in values
        .iter_mut()
        .filter(|(name, _)| SECRET_VARIABLES.contains(&name.as_str()))
    {
        match resolve(aws, name, value).await {
            Ok(Some(secret)) => secret.expose().clone_into(value),
            Ok(None) => {}
            Err(fault) => {
                UNREADABLE.clone_into(value);
                faults.push(fault);
            }
        }
    }
    faults.extend(
        values
            .iter()
            .filter_map(|(name, value)| recipient_fault(name, value)),
    );
    let mut reading = settings::read(values);
    for fault in faults {
        reading.reject(fault);
    }
    reading
}

/// The fault of the recipient. An identity is no fault here, because the check for exposed secrets
/// reports it.
fn recipient_fault(name: &str, value: &str) -> Option<SettingError> {
    let is_given = name == RECIPIENT && !value.trim().is_empty();
    let is_identity = value.to_ascii_lowercase().contains("age-secret-key-");
    let fault = (is_given && !is_identity).then(|| AgeRecipient::parse(value).err())?;
    fault.map(|error| SettingError::new(name, error.to_string()))
}

/// Fetches the secret of a variable with an ARN. `None` for a plain value. A value with a fault is
/// an error.
async fn resolve(aws: &SdkConfig, name: &str, value: &str) -> Result<Option<Secret>, SettingError> {
    let fetched = if secrets::is_arn(value) {
        Some(secrets::read(aws, name, value.trim()).await?)
    } else {
        None
    };
    let text = fetched.as_ref().map_or(value.trim(), Secret::expose);
    if KEYS.contains(&name) && !text.is_empty() {
        KeyEncryptionKey::parse(&Secret::new(text))
            .map_err(|error| SettingError::new(name, error.to_string()))?;
    }
    Ok(fetched)
}

/// The remedy for a missing `BACKUP_STORE`.
pub const NO_STORE: &str =
    "is not set: expected s3://bucket/prefix, file:///directory, gs://… or az://…";

/// The fault of one setting.
pub fn setting_fault(name: &str, problem: impl Into<String>) -> OperationError {
    SettingsError(vec![SettingError::new(name, problem)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An endpoint without a listener, so that every AWS call fails at once.
    fn no_aws() -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:9")
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build()
    }

    async fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
        let variables: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let reading = read(&no_aws(), &variables).await;
        assert!(!format!("{reading:?}").contains("hunter2"), "{reading:?}");
        reading.settings.err().map_or_else(Vec::new, |error| {
            error.0.iter().map(ToString::to_string).collect()
        })
    }

    #[tokio::test]
    async fn a_failed_request_for_a_secret_is_no_permanent_fault() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:uri-AbCdEf";
        let variables = |more: &[(&str, &str)]| -> Vec<_> {
            let all = [&[("MONGODB_URI", arn)], more].concat();
            all.into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let alone = read(&no_aws(), &variables(&[])).await.settings.unwrap_err();
        assert!(alone.is_transient(), "{alone}");
        let beside_another = read(&no_aws(), &variables(&[("BACKUP_MAX_CONCURRENT", "0")]))
            .await
            .settings
            .unwrap_err();
        assert!(!beside_another.is_transient());
    }

    #[tokio::test]
    async fn a_malformed_key_is_refused_by_the_settings_name_even_with_other_faults() {
        let faults = faults(&[
            (KEYS[0], "hunter2"),
            ("BACKUP_DATABASE_ENCRYPTION", "true"),
            ("BACKUP_MAX_CONCURRENT", "0"),
        ])
        .await;
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[1].starts_with("BACKUP_ENCRYPTION_KEY: "),
            "{faults:?}"
        );
    }

    #[tokio::test]
    async fn a_key_of_right_form_is_taken() {
        assert_eq!(
            faults(&[
                (KEYS[0], &"a7".repeat(32)),
                ("BACKUP_DATABASE_ENCRYPTION", "true")
            ])
            .await,
            [""; 0]
        );
        assert_eq!(faults(&[(KEYS[1], " ")]).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_names_its_variable_and_its_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:uri-AbCdEf";
        for name in SECRET_VARIABLES {
            // Both keys of the second copy are set, or none.
            let other = match name {
                "BACKUP_CLOUD_ACCESS_KEY" => "BACKUP_CLOUD_SECRET_KEY",
                "BACKUP_CLOUD_SECRET_KEY" => "BACKUP_CLOUD_ACCESS_KEY",
                _ => "BACKUP_KMS_KEY_ID",
            };
            let encrypted = [
                ("BACKUP_DATABASE_ENCRYPTION", "true"),
                ("BACKUP_KMS_KEY_ID", "k"),
            ];
            let faults = faults(&[&[(name, arn), (other, "k")][..], &encrypted].concat()).await;
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(
                faults[0].starts_with(&format!("{name}: the secret {arn} cannot be read: ")),
                "{faults:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_previous_key_and_a_recipient_are_judged_as_well() {
        let recipient = "age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v";
        assert_eq!(
            faults(&[(RECIPIENT, recipient), (KEYS[1], &"a7".repeat(32))]).await,
            [""; 0]
        );
        let mistyped = recipient.replace("a2e5", "a2e6");
        let faults = faults(&[(RECIPIENT, &mistyped), (KEYS[1], "hunter2")]).await;
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with(RECIPIENT) && fault.contains("mistyped")),
            "{faults:?}"
        );
        assert!(
            faults.iter().any(|fault| fault.starts_with(KEYS[1])),
            "{faults:?}"
        );
    }

    #[tokio::test]
    async fn an_identity_in_the_recipients_place_is_one_fault_that_does_not_show_it() {
        let faults = faults(&[(RECIPIENT, "AGE-SECRET-KEY-1hunter2")]).await;
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].starts_with(RECIPIENT) && faults[0].contains("secret"),
            "{faults:?}"
        );
    }
}
