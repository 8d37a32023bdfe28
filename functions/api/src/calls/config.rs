//! `GET /config`: the settings in force, and all that is wrong with them. It answers where nothing else does.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use holdfast_domain::settings::Reading;
use holdfast_lambda::Function;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::{Answer, Failure},
    request::NoQuery,
};

/// The settings, and whether they are right.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Configuration {
    /// Each setting in force; secrets as `***`.
    config: BTreeMap<&'static str, String>,
    /// What is wrong.
    validation: Validation,
}

/// What is wrong with the settings.
#[derive(Debug, Serialize, ToSchema)]
struct Validation {
    /// Whether nothing is.
    success: bool,
    /// Every fault.
    errors: Vec<Fault>,
    /// What was given and has no effect.
    warnings: Vec<Fault>,
}

/// One setting that is wrong.
#[derive(Debug, Serialize, ToSchema)]
struct Fault {
    /// The variable.
    name: String,
    /// What is wrong with it and what it takes, or what has no effect.
    message: String,
}

/// The settings in force and what is wrong with them. Where something is, every other call answers 503.
#[utoipa::path(
    get,
    path = "/api/backups/config",
    operation_id = "config",
    responses((status = 200, description = "The settings", body = Answer<Configuration>))
)]
pub(crate) async fn config(
    State(function): State<Arc<Function>>,
    _: NoQuery,
) -> Result<Answer<Configuration>, Failure> {
    Ok(Answer::new(Configuration::of(function.reading().await)))
}

impl Configuration {
    fn of(reading: Reading) -> Self {
        let warnings = reading.settings.as_ref().map_or(&[][..], |settings| &settings.warnings);
        let warnings = warnings.iter().cloned().map(|warning| Fault { name: warning.name, message: warning.message });
        let warnings = warnings.collect();
        let errors: Vec<Fault> = reading.settings.err().map_or_else(Vec::new, |faults| {
            faults.0.into_iter().map(|fault| Fault { name: fault.name, message: fault.problem }).collect()
        });
        Self {
            config: reading.shown.into_iter().collect(),
            validation: Validation { success: errors.is_empty(), errors, warnings },
        }
    }
}
