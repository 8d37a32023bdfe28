//! The keys: whether what is encrypted opens, here and now.

use holdfast_domain::settings::Settings;

use super::Finding;
use holdfast_repository::{Repository, WrappedUnder};

const PART: &str = "keys";

pub(super) async fn examine(repository: &Repository, settings: &Settings) -> Vec<Finding> {
    // A repository that cannot be read was told already.
    let Ok(file) = repository.open().await else { return Vec::new() };
    let is_encrypting = settings.database.encryption || settings.content.encryption;
    if file.epochs.is_empty() {
        return vec![if is_encrypting {
            let advice = "run `holdfast init`, which makes one and wraps it under the key of the settings";
            Finding::bad(PART, "encryption is on, and the repository has no master key", Some(advice.to_owned()))
        } else {
            Finding::good(PART, "none: nothing in the repository is encrypted")
        }];
    }
    let mut findings = Vec::new();
    for epoch in &file.epochs {
        let under: Vec<&str> = epoch.keys.iter().map(|key| WrappedUnder::of(key).method).collect();
        let found = format!("the master key of epoch {}, wrapped under {},", epoch.epoch, under.join(" and "));
        findings.push(match repository.master_key(epoch.epoch).await {
            Ok(_) => Finding::good(PART, format!("{found} opens")),
            Err(error) => {
                let advice = "set the key that it is wrapped under; without it, `holdfast key import FILE` reads what \
                              `holdfast key export` printed";
                Finding::bad(PART, format!("{found} does not open: {error}"), Some(advice.to_owned()))
            }
        });
        if !under.contains(&"age") {
            let advice = "whoever loses that key loses every encrypted backup: keep `holdfast key export` offline, or \
                          run `holdfast key add-recipient RECIPIENT` with the age recipient of an identity that is \
                          kept offline";
            findings.push(Finding::warning(PART, format!("epoch {} has no offline recipient", epoch.epoch), advice));
        }
    }
    findings
}
