//! Secrets of AWS Secrets Manager: a secret's variable may contain an ARN. The secret's text is
//! then the value. A secret with a connection string may also be JSON with the field `uri`.
//!
//! The value goes only into the settings, never into the environment.

use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use holdfast_domain::{Secret, settings::SettingError};
use serde_json::{Map, Value};

use crate::timeouts::with_time_limits;

/// Whether the value names a secret instead of being one.
pub(crate) fn is_arn(value: &str) -> bool {
    region(value).is_some()
}

/// Variables with a connection string.
const CONNECTION_STRINGS: [&str; 3] = ["MONGODB_URI", "BACKUP_CATALOG_URI", "BACKUP_DRILL_URI"];

/// Field of the connection string in a JSON secret.
const FIELD: &str = "uri";

/// The value in the secret with the ARN in this variable.
///
/// # Errors
/// Its fault. It is transient if Secrets Manager was unreachable.
pub(crate) async fn read(
    aws: &SdkConfig,
    variable: &str,
    arn: &str,
) -> Result<Secret, SettingError> {
    let region = region(arn)
        .filter(|region| !region.is_empty())
        .map(|region| Region::new(region.to_owned()));
    let config = aws_sdk_secretsmanager::config::Builder::from(&with_time_limits(aws))
        .region(region.or(aws.region().cloned()))
        .build();
    // Boxed: the SDK's future, seen through all its callers, is too deep a type for the compiler's
    // layout.
    let answer = Box::pin(
        Client::from_conf(config)
            .get_secret_value()
            .secret_id(arn)
            .send(),
    )
    .await;
    let answer = answer.map_err(|error| SettingError {
        is_transient: is_transient(&error),
        ..SettingError::new(
            variable,
            format!("the secret {arn} cannot be read: {}", reason(&error)),
        )
    })?;
    match answer.secret_string().map(str::trim) {
        Some(text) if !text.is_empty() => value(variable, text)
            .map_err(|problem| SettingError::new(variable, format!("the secret {arn} {problem}"))),
        Some(_) => Err(SettingError::new(
            variable,
            format!("the secret {arn} is empty"),
        )),
        None => Err(SettingError::new(
            variable,
            format!("the secret {arn} is binary: expected plain text"),
        )),
    }
}

/// The value in the text of a secret, or its problem.
fn value(variable: &str, text: &str) -> Result<Secret, String> {
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(text) else {
        return Ok(Secret::new(text));
    };
    if !CONNECTION_STRINGS.contains(&variable) {
        return Err("is JSON: expected plain text".to_owned());
    }
    match fields.get(FIELD) {
        Some(Value::String(uri)) if !uri.trim().is_empty() => Ok(Secret::new(uri.trim())),
        _ => Err(format!(
            "is JSON without the text field `{FIELD}`: add the field with the connection string, or store the \
             connection string alone"
        )),
    }
}

/// The region in a Secrets Manager ARN.
fn region(value: &str) -> Option<&str> {
    let mut parts = value.trim().splitn(4, ':');
    let is_secret = parts.next() == Some("arn")
        && parts.next().is_some()
        && parts.next() == Some("secretsmanager");
    is_secret
        .then(|| parts.next())?
        .and_then(|rest| rest.split(':').next())
}

/// Unreachable, throttled, or its own fault, but not a refusal.
fn is_transient(error: &SdkError<GetSecretValueError>) -> bool {
    matches!(
        error.code(),
        None | Some("InternalServiceError" | "ServiceUnavailable" | "ThrottlingException")
    )
}

fn reason(error: &SdkError<GetSecretValueError>) -> String {
    match (error.code(), error.message()) {
        (Some(code @ "ResourceNotFoundException"), _) => {
            format!("{code}: the secret does not exist. Correct the ARN")
        }
        (Some(code @ "AccessDeniedException"), _) => {
            format!("{code}: allow secretsmanager:GetSecretValue on it")
        }
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => {
            "Secrets Manager could not be reached: check the function's network".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_uri_of_a_json_secret_is_the_connection_string() {
        let json =
            r#"{"username":"ada","password":"hunter2","uri":" mongodb://ada:hunter2@h/db "}"#;
        for variable in CONNECTION_STRINGS {
            assert_eq!(
                value(variable, json).unwrap().expose(),
                "mongodb://ada:hunter2@h/db"
            );
            let plain = "mongodb://ada:hunter2@h/db";
            assert_eq!(value(variable, plain).unwrap().expose(), plain);
        }
    }

    #[test]
    fn a_json_secret_without_a_connection_string_is_refused_without_its_contents() {
        for (variable, json) in [
            ("MONGODB_URI", r#"{"username":"ada","password":"hunter2"}"#),
            ("MONGODB_URI", r#"{"uri":["mongodb://ada:hunter2@h"]}"#),
            ("MONGODB_URI", r#"{"uri":" ","password":"hunter2"}"#),
            ("BACKUP_CLOUD_SECRET_KEY", r#"{"uri":"hunter2"}"#),
            ("BACKUP_ENCRYPTION_KEY", r#"{"key":"hunter2"}"#),
        ] {
            let problem = value(variable, json).unwrap_err();
            assert!(
                problem.contains("JSON") && !problem.contains("hunter2"),
                "{problem}"
            );
            assert_eq!(
                problem.contains("`uri`"),
                variable == "MONGODB_URI",
                "{problem}"
            );
        }
    }

    #[test]
    fn only_arns_of_secrets_are_resolved() {
        assert_eq!(
            region("arn:aws:secretsmanager:eu-west-1:123456789012:secret:uri-AbCdEf"),
            Some("eu-west-1")
        );
        assert!(is_arn("arn:aws-cn:secretsmanager:cn-north-1:1:secret:x"));
        for value in [
            "mongodb://h/db",
            "passphrase:arn:aws:secretsmanager:x",
            "arn:aws:kms:us-east-1:1:key/x",
            "",
        ] {
            assert!(!is_arn(value), "{value}");
        }
    }
}
