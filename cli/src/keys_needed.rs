//! The keys that a command needs from the settings. A command that only reads needs no key for
//! writing. Offline keys replace the keys of the settings.

use holdfast_domain::settings::{SettingError, Settings};
use holdfast_setup::Clients;

use crate::failure::Failure;

/// Switches that require a key.
const ENCRYPTION: [&str; 2] = ["BACKUP_DATABASE_ENCRYPTION", "BACKUP_CONTENT_ENCRYPTION"];
/// Settings with keys.
const KEYS: [&str; 3] = [
    "BACKUP_ENCRYPTION_KEY",
    "BACKUP_ENCRYPTION_KEY_PREVIOUS",
    "BACKUP_BREAK_GLASS_RECIPIENT",
];

/// Use of keys by a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysNeeded {
    /// It encrypts new backups, or wraps master keys: all settings of encryption hold.
    ForWriting,
    /// It opens existing backups: the settings' keys are used if they are set.
    ForReading,
    /// Keys of the settings are used if they are valid. Invalid ones are ignored: the command opens
    /// nothing, or has offline keys.
    Optional,
}

/// Settings as a command needs them.
#[derive(Debug)]
pub(crate) struct Usable {
    pub(crate) settings: Settings,
    /// Invalid settings that the command does not need.
    pub(crate) ignored: Vec<SettingError>,
}

impl KeysNeeded {
    /// Reads the settings from these variables, without the ones that the command does not need.
    pub(crate) async fn read(
        self,
        clients: &Clients,
        mut variables: Vec<(String, String)>,
    ) -> Result<Usable, Failure> {
        if self != Self::ForWriting {
            variables
                .retain(|(name, value)| !(ENCRYPTION.contains(&name.as_str()) && is_true(value)));
        }
        let faults = match clients.settings(&variables).await.settings {
            Ok(settings) => {
                return Ok(Usable {
                    settings,
                    ignored: Vec::new(),
                });
            }
            Err(faults) => faults,
        };
        let ignored: Vec<SettingError> = faults
            .0
            .iter()
            .filter(|fault| self.ignores(fault))
            .cloned()
            .collect();
        if ignored.is_empty() {
            return Err(faults.into());
        }
        variables.retain(|(name, _)| !ignored.iter().any(|fault| fault.name == *name));
        Ok(Usable {
            settings: clients.settings(&variables).await.settings?,
            ignored,
        })
    }

    fn ignores(self, fault: &SettingError) -> bool {
        self == Self::Optional && KEYS.contains(&fault.name.as_str())
    }
}

fn is_true(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    const SHORT: &str = "hunter2";

    async fn read(needed: KeysNeeded, pairs: &[(&str, &str)]) -> Result<Usable, Failure> {
        let variables: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        needed
            .read(&Clients::load_for(&variables, None).await, variables)
            .await
    }

    #[tokio::test]
    async fn only_a_command_that_writes_needs_a_key() {
        for switch in ENCRYPTION {
            let settings = [(switch, " True ")];
            let refused = read(KeysNeeded::ForWriting, &settings).await.unwrap_err();
            assert_eq!(refused.exit, Exit::Settings);
            assert!(
                refused.message().contains("BACKUP_ENCRYPTION_KEY"),
                "{}",
                refused.message()
            );
            for needed in [KeysNeeded::ForReading, KeysNeeded::Optional] {
                assert!(
                    read(needed, &settings).await.unwrap().ignored.is_empty(),
                    "{needed:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_faulty_key_is_ignored_only_where_another_opens_the_backup() {
        for name in KEYS {
            let settings = [(name, SHORT), (ENCRYPTION[0], "true")];
            for needed in [KeysNeeded::ForWriting, KeysNeeded::ForReading] {
                let refused = read(needed, &settings).await.unwrap_err();
                assert!(
                    !refused.to_text().contains(SHORT) || name == KEYS[2],
                    "{}",
                    refused.to_text()
                );
            }
            let usable = read(KeysNeeded::Optional, &settings).await.unwrap();
            assert_eq!(
                usable
                    .ignored
                    .iter()
                    .map(|fault| fault.name.as_str())
                    .collect::<Vec<_>>(),
                [name]
            );
            assert!(
                usable.settings.encryption_key.is_none()
                    && usable.settings.break_glass_recipient.is_none()
            );
        }
    }

    #[tokio::test]
    async fn other_faults_are_never_ignored() {
        for needed in [
            KeysNeeded::ForWriting,
            KeysNeeded::ForReading,
            KeysNeeded::Optional,
        ] {
            let settings = [
                (ENCRYPTION[0], "yes"),
                ("BACKUP_MAX_CONCURRENT", "many"),
                (KEYS[0], SHORT),
            ];
            let refused = read(needed, &settings).await.unwrap_err();
            assert!(
                refused.message().contains("BACKUP_MAX_CONCURRENT"),
                "{}",
                refused.message()
            );
            assert!(
                refused.message().contains(ENCRYPTION[0]),
                "{}",
                refused.message()
            );
        }
    }
}
