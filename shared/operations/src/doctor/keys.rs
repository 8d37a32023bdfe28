//! Checks the keys: whether the encrypted data open on this machine.

use holdfast_domain::settings::Settings;
use holdfast_repository::{Repository, WrappedUnder};

use super::Finding;

const PART: &str = "keys";

pub(super) async fn examine(repository: &Repository, settings: &Settings) -> Vec<Finding> {
    // An unreadable repository already has its finding.
    let Ok(file) = repository.open().await else {
        return Vec::new();
    };
    let is_encrypting = settings.database.encryption || settings.content.encryption;
    if file.epochs.is_empty() {
        return vec![if is_encrypting {
            let advice = "run `holdfast init` to create one, wrapped under the key of the settings";
            Finding::bad(
                PART,
                "encryption is on, but the repository has no master key",
                Some(advice.to_owned()),
            )
        } else {
            Finding::good(PART, "none: nothing in the repository is encrypted")
        }];
    }
    let mut findings = Vec::new();
    for epoch in &file.epochs {
        let under: Vec<&str> = epoch
            .keys
            .iter()
            .map(|key| WrappedUnder::of(key).method)
            .collect();
        let found = format!(
            "the master key of epoch {}, wrapped under {},",
            epoch.epoch,
            under.join(" and ")
        );
        findings.push(match repository.master_key(epoch.epoch).await {
            Ok(_) => Finding::good(PART, format!("{found} opens")),
            Err(error) => {
                let advice = "set the key of this wrapping. If it is lost, run `holdfast key import FILE` with the \
                              output of `holdfast key export`";
                Finding::bad(PART, format!("{found} does not open: {error}"), Some(advice.to_owned()))
            }
        });
        if !under.contains(&"age") {
            let advice = "the loss of that key would lose every encrypted backup: keep `holdfast key export` \
                          offline, or run `holdfast key add-recipient RECIPIENT` with the age recipient of an \
                          offline identity";
            findings.push(Finding::warning(
                PART,
                format!("epoch {} has no offline recipient", epoch.epoch),
                advice,
            ));
        }
    }
    findings
}
