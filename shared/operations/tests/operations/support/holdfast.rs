//! The use cases over the settings, the catalogue and the store of one test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use holdfast_catalog::Catalog;
use holdfast_codec::{AgeRecipient, KeyEncryptionKey};
use holdfast_domain::{
    Job, JobStatus, Secret,
    settings::{Settings, StoreLocation},
};
use holdfast_operations::{Holdfast, Observer, Preflight, Silent};
use holdfast_repository::{Keyring, Openers, Repository};
use holdfast_storage::Store;
use holdfast_testing::{MongoServer, TestStore};

pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Records the states of jobs.
#[derive(Default)]
pub(crate) struct RecordedStates(Mutex<Vec<JobStatus>>);

#[async_trait]
impl Observer for RecordedStates {
    async fn job_changed(&self, job: &Job) {
        self.0.lock().unwrap().push(job.status);
    }
}

impl RecordedStates {
    pub(crate) fn states(&self) -> Vec<JobStatus> {
        self.0.lock().unwrap().clone()
    }
}

/// The settings of these variables. Later variables replace earlier ones.
pub(crate) fn settings_of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Settings {
    let variables: BTreeMap<String, String> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    holdfast_domain::settings::read(variables).settings.unwrap()
}

/// A repository in this store, with the keys of the settings.
pub(crate) fn repository_of(
    settings: &Settings,
    location: StoreLocation,
    store: Arc<dyn Store>,
) -> Repository {
    let parse = |key: &Secret| KeyEncryptionKey::parse(key).unwrap();
    let recipient = settings
        .break_glass_recipient
        .as_deref()
        .map(|text| AgeRecipient::parse(text).unwrap());
    let openers = Openers {
        previous_keys: settings.encryption_key_previous.iter().map(parse).collect(),
        ..Openers::default()
    };
    let keyring = Keyring::new(settings.encryption_key.as_ref().map(parse), None)
        .wrapping_for(recipient)
        .opening_with(openers);
    Repository::new(store, location, keyring)
}

/// The use cases with the catalogue of the settings, over this repository.
pub(crate) async fn holdfast_of(
    settings: Settings,
    repository: Repository,
    observer: Arc<dyn Observer>,
) -> Holdfast {
    Holdfast {
        repository,
        catalog: Catalog::from_settings(&settings).await.unwrap(),
        observer,
        settings: Arc::new(settings),
        preflight: Preflight::default(),
    }
}

/// The use cases with platform and catalogue on a separate server.
pub(crate) async fn holdfast_on(server: &MongoServer, store: &TestStore) -> Holdfast {
    let (platform, catalog) = (server.uri("", "platform"), server.uri("", "catalog"));
    let settings = settings_of([
        ("MONGODB_URI", platform.as_str()),
        ("BACKUP_CATALOG_URI", catalog.as_str()),
    ]);
    let repository = repository_of(&settings, store.location(), Arc::clone(&store.store));
    holdfast_of(settings, repository, Arc::new(Silent)).await
}
