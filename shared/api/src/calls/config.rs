//! `GET /config`: the effective settings and all their faults. This call answers even if all others
//! fail.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use holdfast_domain::settings::Reading;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::{Answer, Failure},
    host::Host,
    request::NoQuery,
};

/// The settings and their validation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Configuration {
    /// The effective settings. Secrets are shown as `***`.
    config: BTreeMap<String, String>,
    /// Result of the validation.
    validation: Validation,
}

/// Result of the validation of the settings.
#[derive(Debug, Serialize, ToSchema)]
struct Validation {
    /// Whether all settings are valid.
    success: bool,
    /// All invalid settings.
    errors: Vec<Fault>,
    /// Settings without an effect.
    warnings: Vec<Fault>,
}

/// A setting that is invalid or has no effect.
#[derive(Debug, Serialize, ToSchema)]
struct Fault {
    /// Name of the environment variable.
    name: String,
    /// The problem and the expected value, or why the setting has no effect.
    message: String,
}

/// Returns the effective settings and their validation. If a setting is invalid, every other call
/// answers 503.
#[utoipa::path(
    get,
    path = "/api/backups/config",
    operation_id = "config",
    responses((status = 200, description = "The settings", body = Answer<Configuration>))
)]
pub(crate) async fn config(
    State(host): State<Arc<dyn Host>>,
    _: NoQuery,
) -> Result<Answer<Configuration>, Failure> {
    Ok(Answer::new(Configuration::of(
        host.reading().await,
        host.other_settings(),
    )))
}

impl Configuration {
    /// The stack's settings replace those of this function, because it does not need or may not
    /// have all of them.
    fn of(reading: Reading, of_the_stack: Vec<(String, String)>) -> Self {
        let warnings = reading
            .settings
            .as_ref()
            .map_or(&[][..], |settings| &settings.warnings);
        let warnings = warnings.iter().cloned().map(|warning| Fault {
            name: warning.name,
            message: warning.message,
        });
        let warnings = warnings.collect();
        let errors: Vec<Fault> = reading.settings.err().map_or_else(Vec::new, |faults| {
            faults
                .0
                .into_iter()
                .map(|fault| Fault {
                    name: fault.name,
                    message: fault.problem,
                })
                .collect()
        });
        let own = reading
            .shown
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Self {
            config: own.chain(of_the_stack).collect(),
            validation: Validation {
                success: errors.is_empty(),
                errors,
                warnings,
            },
        }
    }
}
