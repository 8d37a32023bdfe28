//! One invocation of a worker: its time limit and its failures.

use holdfast_domain::Timestamp;
use holdfast_operations::OperationError;
use lambda_runtime::{Context, Diagnostic};

use crate::EventFault;

/// Time at which Lambda kills this invocation.
#[must_use]
pub fn deadline(context: &Context) -> Timestamp {
    let ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Why an invocation failed. Its event's source retries, and then sends the event to a dead-letter
/// queue.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event is not for this function.
    #[error(transparent)]
    Event(#[from] EventFault),
    /// The requested work could not begin, or could not be recorded.
    #[error(transparent)]
    Operation(#[from] OperationError),
}

impl InvocationError {
    /// Whether MongoDB refused the login, or a privilege of the user.
    #[must_use]
    pub const fn is_refused_login(&self) -> bool {
        matches!(self, Self::Operation(error) if error.is_login_refused())
    }
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        let error_type = match &error {
            InvocationError::Event(_) => "event-invalid",
            InvocationError::Operation(error) => error.code().as_str(),
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Logs the failure of an invocation. Only this function does it.
///
/// # Errors
/// The given error.
pub fn logged<T>(outcome: Result<T, InvocationError>) -> Result<T, InvocationError> {
    outcome.inspect_err(|error| match error {
        InvocationError::Event(error) => tracing::error!(%error, "the event is not for this function"),
        InvocationError::Operation(error) => {
            tracing::error!(%error, code = %error.code(), transient = error.is_transient(), "the invocation failed");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_is_the_invocations_own() {
        let mut context = Context::default();
        context.deadline = 1_700_000_000_123;
        assert_eq!(
            deadline(&context),
            Timestamp::from_millisecond(1_700_000_000_123).unwrap()
        );
        context.deadline = u64::MAX;
        assert_eq!(deadline(&context), Timestamp::MAX);
    }

    #[test]
    fn a_dead_letter_names_its_kind_of_failure() {
        let error = InvocationError::from(EventFault::Malformed {
            problem: "no source".to_owned(),
        });
        assert_eq!(Diagnostic::from(error).error_type, "event-invalid");
        let error = InvocationError::from(OperationError::Disabled("BACKUP_SYSTEM_ENABLED"));
        assert_eq!(Diagnostic::from(error).error_type, "config-invalid");
    }
}
