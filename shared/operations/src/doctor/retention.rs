//! The obstacles of retention: lost backups, a wrong store, unconfirmed policies.

use std::sync::Arc;

use holdfast_catalog::Catalog;
use holdfast_domain::settings::Settings;
use holdfast_repository::Repository;

use super::Finding;
use crate::{
    Holdfast, LostBackups, OperationError, Preflight, RETAINED_TYPES, Silent, lost_backups,
    retention::policy_in_force,
};

const PART: &str = "retention";
/// Maximum number of named lost backups.
const MAX_NAMED: usize = 5;

/// No finding without a catalogue and a store: their absence has its own finding.
pub(super) async fn examine(
    settings: &Settings,
    catalog: Option<&Catalog>,
    repository: Option<&Repository>,
) -> Vec<Finding> {
    let (Some(catalog), Some(repository)) = (catalog, repository) else {
        return Vec::new();
    };
    let h = Holdfast {
        settings: Arc::new(settings.clone()),
        repository: repository.clone(),
        catalog: catalog.clone(),
        observer: Arc::new(Silent),
        preflight: Preflight::default(),
    };
    let (lost, unconfirmed) = tokio::join!(lost_backups(&h), unconfirmed(&h));
    let mut findings = match lost {
        Ok(lost) => of_lost(&lost),
        Err(error) => failed(&error),
    };
    findings.extend(unconfirmed.unwrap_or_else(|error| failed(&error)));
    findings
}

/// An unavailable catalogue or store has its own finding.
fn failed(error: &OperationError) -> Vec<Finding> {
    if error.is_transient() {
        Vec::new()
    } else {
        vec![Finding::failed(PART, error)]
    }
}

fn of_lost(lost: &LostBackups) -> Vec<Finding> {
    if let Some(why) = &lost.suspended {
        return vec![Finding::bad(PART, format!("suspended: {why}"), None)];
    }
    if lost.backups.is_empty() {
        return vec![Finding::good(
            PART,
            "every expected manifest is in the store",
        )];
    }
    let named: Vec<&str> = lost
        .backups
        .iter()
        .take(MAX_NAMED)
        .map(|backup| backup.backup_id.as_str())
        .collect();
    let more = match lost.backups.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let found = format!(
        "lost backups, with a manifest missing now or before: {}{more}",
        named.join(", ")
    );
    let advice = "restore their manifests and run `holdfast cleanup`, or accept their loss: see `holdfast lost list`";
    vec![Finding::warning(PART, found, advice)]
}

async fn unconfirmed(h: &Holdfast) -> Result<Vec<Finding>, OperationError> {
    let mut findings = Vec::new();
    for kind in RETAINED_TYPES {
        if let Some(since) = policy_in_force(h, kind).await?.unconfirmed_since {
            let found =
                format!("{kind} backups: suspended, because the catalogue was rebuilt at {since}");
            let advice = format!(
                "store the policy again with `holdfast policy set {kind}`, or confirm the settings with `holdfast policy \
                 unset {kind}`"
            );
            findings.push(Finding::warning(PART, found, advice));
        }
    }
    Ok(findings)
}
