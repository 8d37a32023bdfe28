//! The settings of a second copy open its store, and missing ones are named.

use bytes::Bytes;
use holdfast_domain::{ObjectKey, settings::StoreLocation};
use holdfast_operations::OperationError;
use holdfast_repository::Repository;
use holdfast_setup::Clients;
use holdfast_storage::{PutMode, read_all};
use holdfast_testing::{SecondStore, aws_config};

async fn open(variables: &[(String, String)]) -> Result<Option<Repository>, OperationError> {
    let clients = Clients::new(aws_config());
    let settings = clients.settings(variables).await.settings.unwrap();
    clients.second_repository(&settings)
}

/// Opened as `--store` does.
async fn open_at(
    variables: &[(String, String)],
    address: &str,
) -> Result<Repository, OperationError> {
    let clients = Clients::new(aws_config());
    let mut settings = clients.settings(variables).await.settings.unwrap();
    settings.store = Some(StoreLocation::parse(address).unwrap());
    clients.repository(&settings)
}

#[tokio::test]
async fn a_second_store_of_each_kind_is_opened_by_its_settings_and_by_its_address() {
    for second in [
        SecondStore::azure().await,
        SecondStore::interoperable().await,
        SecondStore::in_another_region().await,
    ] {
        let key: ObjectKey = "content/x".parse().unwrap();
        second
            .store
            .put(&key, Bytes::from_static(b"x"), PutMode::IfAbsent)
            .await
            .unwrap();
        let variables = second.variables();
        let named = open_at(&variables, &second.location.to_string())
            .await
            .unwrap();
        for repository in [open(&variables).await.unwrap().unwrap(), named] {
            assert_eq!(
                read_all(&**repository.store(), &key, 10).await.unwrap(),
                Bytes::from_static(b"x")
            );
        }
        second.remove().await;
    }
}

#[tokio::test]
async fn without_a_bucket_there_is_no_second_store() {
    assert!(open(&[]).await.unwrap().is_none());
}

#[tokio::test]
async fn in_aws_the_role_opens_it_where_there_are_no_keys() {
    let second = SecondStore::in_another_region().await;
    let mut variables = second.variables();
    variables.retain(|(name, _)| !name.ends_with("_KEY") && name != "BACKUP_CLOUD_ENDPOINT");
    let repository = open(&variables).await.unwrap().unwrap();
    let key: ObjectKey = "x".parse().unwrap();
    repository
        .store()
        .put(&key, Bytes::new(), PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!(second.all_keys().await, ["x"]);
    second.remove().await;
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_it_holds() {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let azure = [variable("BACKUP_CLOUD_PROVIDER", "azure")];
    let gcp = [variable("BACKUP_CLOUD_PROVIDER", "gcp")];
    let keys = [
        variable("BACKUP_CLOUD_PROVIDER", "azure"),
        variable("BACKUP_CLOUD_ACCESS_KEY", "another1"),
        variable("BACKUP_CLOUD_SECRET_KEY", "a2V5"),
    ];
    let mut no_key = keys.clone();
    no_key[2].1 = "hunter2!".to_owned();
    for (variables, address, words) in [
        (
            &azure[..],
            "az://account1/box",
            vec![
                "BACKUP_CLOUD_ACCESS_KEY",
                "storage account's name",
                "BACKUP_CLOUD_SECRET_KEY",
            ],
        ),
        (
            &gcp,
            "gs://bucket",
            vec!["BACKUP_CLOUD_ACCESS_KEY", "HMAC", "BACKUP_CLOUD_SECRET_KEY"],
        ),
        (
            &[],
            "gs://bucket",
            vec!["BACKUP_CLOUD_PROVIDER", "aws", "gcp"],
        ),
        (
            &keys,
            "az://account1/box",
            vec!["BACKUP_CLOUD_ACCESS_KEY", "account1"],
        ),
        (
            &no_key,
            "az://another1/box",
            vec!["BACKUP_CLOUD_SECRET_KEY", "base64"],
        ),
    ] {
        let error = open_at(variables, address).await.map(drop).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, OperationError::Config(_)), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
