//! The router's process on AWS: one function, and an event bus to the workers.

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_api::{DispatchError, Host, Work};
use holdfast_domain::settings::Reading;
use holdfast_lambda::Function;
use holdfast_operations::{Holdfast, OperationError};
use holdfast_repository::Repository;

/// The function of the API.
#[derive(Debug)]
pub(crate) struct FunctionHost(pub(crate) Arc<Function>);

#[async_trait]
impl Host for FunctionHost {
    async fn reading(&self) -> Reading {
        self.0.reading().await
    }

    fn other_settings(&self) -> Vec<(String, String)> {
        self.0.settings_of_the_stack()
    }

    async fn repository(&self) -> Result<Repository, OperationError> {
        self.0.repository().await
    }

    async fn holdfast(&self) -> Result<&Holdfast, OperationError> {
        self.0.holdfast().await
    }

    async fn dispatch(&self, work: Work<'_>) -> Result<(), DispatchError> {
        let events = self.0.events().await.map_err(|error| refused(&error))?;
        let accepted = match work {
            Work::Backup(job) => events.request_backup(job).await,
            Work::Verification {
                backup_id,
                level,
                by,
            } => events.request_verification(backup_id, level, by).await,
            Work::Retention { by } => events.request_cleanup(by).await,
        };
        accepted.map_err(|error| refused(&error))
    }
}

fn refused(error: &impl ToString) -> DispatchError {
    DispatchError {
        reason: error.to_string(),
    }
}
