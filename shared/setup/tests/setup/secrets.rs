//! Settings with secrets on the local AWS.

use aws_sdk_secretsmanager::primitives::Blob;
use holdfast_domain::settings::Reading;
use holdfast_setup::Clients;
use holdfast_testing::{aws_config, unique};

const URI: &str = "mongodb://ada:hunter2@db.example.com/platform";

fn secrets() -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&aws_config())
}

async fn secret(value: &str) -> String {
    let created = secrets()
        .create_secret()
        .name(unique("lambda"))
        .secret_string(value)
        .send()
        .await
        .unwrap();
    created.arn().unwrap().to_owned()
}

async fn forget(arns: &[&str]) {
    for arn in arns {
        secrets()
            .delete_secret()
            .secret_id(*arn)
            .force_delete_without_recovery(true)
            .send()
            .await
            .unwrap();
    }
}

async fn read(variables: &[(&str, &str)]) -> Reading {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Clients::new(aws_config()).settings(&variables).await
}

#[tokio::test]
async fn a_secrets_plain_text_is_the_setting_and_is_shown_nowhere() {
    let (uri, key) = (
        secret(&format!(" {URI}\n")).await,
        secret(&"a7".repeat(32)).await,
    );
    let reading = read(&[
        ("MONGODB_URI", &uri),
        ("BACKUP_ENCRYPTION_KEY", &key),
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ])
    .await;
    let settings = reading.settings.as_ref().unwrap();
    assert_eq!(settings.mongodb_uri.expose(), URI);
    assert_eq!(
        settings.encryption_key.as_ref().unwrap().expose(),
        "a7".repeat(32)
    );
    assert!(!format!("{reading:?}").contains("hunter2"));
    forget(&[&uri, &key]).await;
}

#[tokio::test]
async fn a_secret_of_wrong_form_is_a_fault_of_its_variable() {
    let (uri, key) = (
        secret("postgres://ada:hunter2@h").await,
        secret("hunter2").await,
    );
    let reading = read(&[("MONGODB_URI", &uri), ("BACKUP_ENCRYPTION_KEY", &key)]).await;
    let faults = reading.settings.unwrap_err().to_string();
    assert!(
        faults.contains("MONGODB_URI: ") && faults.contains("BACKUP_ENCRYPTION_KEY: "),
        "{faults}"
    );
    assert!(!faults.contains("hunter2"), "{faults}");
    forget(&[&uri, &key]).await;
}

#[tokio::test]
async fn a_secret_that_is_missing_or_binary_names_its_variable_and_its_arn() {
    let absent = "arn:aws:secretsmanager:us-east-1:000000000000:secret:there-is-none-AbCdEf";
    let name = unique("lambda");
    let created = secrets()
        .create_secret()
        .name(name)
        .secret_binary(Blob::new([1, 2]))
        .send()
        .await
        .unwrap();
    let binary = created.arn().unwrap();
    let reading = read(&[("MONGODB_URI", absent), ("BACKUP_CATALOG_URI", binary)]).await;
    let faults: Vec<String> = reading
        .settings
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    let begins = |text: &str| faults.iter().any(|fault| fault.starts_with(text));
    assert!(
        begins(&format!(
            "MONGODB_URI: the secret {absent} cannot be read: ResourceNotFound"
        )),
        "{faults:?}"
    );
    assert!(
        begins(&format!(
            "BACKUP_CATALOG_URI: the secret {binary} is binary"
        )),
        "{faults:?}"
    );
    forget(&[binary]).await;
}
