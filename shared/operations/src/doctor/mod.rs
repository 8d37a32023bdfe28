//! Whether everything that backups need is there and may be used, found out by using it; and what to do where it is not.
//! Whatever is written for that is deleted again. It judges no backup: that is verification's.

mod clock;
mod content;
mod databases;
mod keys;
mod last_backup;
mod retention;
mod store;

use holdfast_catalog::Catalog;
use holdfast_domain::{
    Timestamp,
    settings::{SettingWarning, Settings},
};
use serde::Serialize;

use crate::OperationError;
use holdfast_repository::Repository;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// Backups go on, and somebody should look.
    Warning,
    /// Backups, or what makes them trustworthy, will fail.
    Bad,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub part: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn good(part: &'static str, found: impl Into<String>) -> Self {
        Self { part, health: Health::Good, found: found.into(), advice: None }
    }

    fn warning(part: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { part, health: Health::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    fn bad(part: &'static str, found: impl Into<String>, advice: Option<String>) -> Self {
        Self { part, health: Health::Bad, found: found.into(), advice }
    }

    /// With what the error itself says is to be done.
    fn failed(part: &'static str, error: &OperationError) -> Self {
        let failure = error.failure();
        Self::bad(part, failure.message, failure.hint)
    }
}

/// Looks at everything. A repository that the settings do not even open is handed in as the error.
pub async fn examine(
    settings: &Settings,
    repository: Result<Repository, OperationError>,
    second: Option<Result<Repository, OperationError>>,
    now: Timestamp,
) -> Vec<Finding> {
    let catalog = Catalog::from_settings(settings).await.map_err(OperationError::from);
    let kept = async {
        match &repository {
            Ok(repository) => {
                let mut findings = store::examine("store", repository).await;
                findings.extend(keys::examine(repository, settings).await);
                findings
            }
            Err(error) => vec![Finding::failed("store", error)],
        }
    };
    let copied = async {
        match &second {
            Some(Ok(second)) => store::examine_copy("second store", second, repository.as_ref().ok()).await,
            Some(Err(error)) => vec![Finding::failed("second store", error)],
            None => Vec::new(),
        }
    };
    let (source, catalogue, kept, retained, copied, drill, content) = tokio::join!(
        databases::source(settings, catalog.as_ref().ok(), repository.as_ref().ok()),
        databases::catalogue(&catalog),
        kept,
        retention::examine(settings, catalog.as_ref().ok(), repository.as_ref().ok()),
        copied,
        databases::drill_server(settings, now),
        content::examine(settings),
    );
    [without_effect(settings), source, catalogue, kept, retained, copied, drill, content].concat()
}

/// Settings of which something has no effect.
fn without_effect(settings: &Settings) -> Vec<Finding> {
    let finding =
        |warning: &SettingWarning| Finding::warning("settings", warning.to_string(), "remove it, or correct its name");
    settings.warnings.iter().map(finding).collect()
}
