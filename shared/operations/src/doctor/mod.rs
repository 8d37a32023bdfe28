//! Tries everything needed by backups, and returns the findings with their remedies. Test objects
//! and rows are deleted again. It checks no backup: verification does that.

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
use holdfast_repository::Repository;
use serde::Serialize;

use crate::OperationError;

/// The health of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It works.
    Good,
    /// Backups continue, but an operator should check it.
    Warning,
    /// Backups, or their protection, will fail.
    Bad,
}

/// The finding about one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The examined part.
    pub part: &'static str,
    /// Its health.
    pub health: Health,
    /// The observation.
    pub found: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn good(part: &'static str, found: impl Into<String>) -> Self {
        Self {
            part,
            health: Health::Good,
            found: found.into(),
            advice: None,
        }
    }

    fn warning(part: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            part,
            health: Health::Warning,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    fn bad(part: &'static str, found: impl Into<String>, advice: Option<String>) -> Self {
        Self {
            part,
            health: Health::Bad,
            found: found.into(),
            advice,
        }
    }

    /// Contains the error's own remedy.
    fn failed(part: &'static str, error: &OperationError) -> Self {
        let failure = error.failure();
        Self::bad(part, failure.message, failure.hint)
    }
}

/// Examines everything. If the settings do not open a repository, the argument is the error.
pub async fn examine(
    settings: &Settings,
    repository: Result<Repository, OperationError>,
    second: Option<Result<Repository, OperationError>>,
    now: Timestamp,
) -> Vec<Finding> {
    let catalog = Catalog::from_settings(settings)
        .await
        .map_err(OperationError::from);
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
            Some(Ok(second)) => {
                store::examine_copy("second store", second, repository.as_ref().ok()).await
            }
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
    [
        without_effect(settings),
        source,
        catalogue,
        kept,
        retained,
        copied,
        drill,
        content,
    ]
    .concat()
}

/// Settings without effect.
fn without_effect(settings: &Settings) -> Vec<Finding> {
    let finding = |warning: &SettingWarning| {
        Finding::warning(
            "settings",
            warning.to_string(),
            "remove it, or correct its name",
        )
    };
    settings.warnings.iter().map(finding).collect()
}
