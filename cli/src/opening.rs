//! Keys for encrypted backups in addition to the settings. They come from files, because other
//! users can see arguments. A file may be a pipe, as `<(age -d key.age)`, and is read once.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use holdfast_codec::{AgeIdentity, KeyEncryptionKey, KeyError};
use holdfast_domain::Secret;
use holdfast_repository::{ExportedKey, Openers};
use serde::Deserialize;

use crate::failure::{Exit, Failure};

/// More than any of these files needs.
const MAX_BYTES: u64 = 1024 * 1024;

/// The files on the command line.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Opening {
    /// Open with this age identity file. The master key must be wrapped for its recipient. No key
    /// setting is needed
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Open with the master key in this file, the output of `holdfast key export`. No key setting
    /// is needed, and repository.json may be missing
    #[arg(long, value_name = "FILE")]
    exported: Option<PathBuf>,
}

/// Contents of the files.
#[derive(Default)]
pub(crate) struct GivenKeys {
    identity: Option<Secret>,
    exported: Option<Secret>,
}

impl Opening {
    /// Whether keys are given.
    pub(crate) const fn is_given(&self) -> bool {
        self.identity.is_some() || self.exported.is_some()
    }

    /// Reads the files.
    pub(crate) fn read(&self) -> Result<GivenKeys, Failure> {
        let read = |path: &Option<PathBuf>| path.as_deref().map(read_secret).transpose();
        Ok(GivenKeys {
            identity: read(&self.identity)?,
            exported: read(&self.exported)?,
        })
    }
}

impl GivenKeys {
    /// The keys, if any were given.
    pub(crate) fn openers(&self) -> Result<Option<Openers>, Failure> {
        if self.identity.is_none() && self.exported.is_none() {
            return Ok(None);
        }
        let identities = self
            .identity
            .as_ref()
            .map(AgeIdentity::read_file)
            .transpose()
            .map_err(|error| unusable(&error))?;
        let exported = self.exported.as_ref().map(exported).transpose()?;
        let of_epoch = |key: ExportedKey| Ok::<_, Failure>((key.epoch, key.master()?));
        Ok(Some(Openers {
            identities: identities.unwrap_or_default(),
            exported: exported
                .into_iter()
                .flatten()
                .map(of_epoch)
                .collect::<Result<_, _>>()?,
            ..Openers::default()
        }))
    }
}

/// Reads the key in a file, in the forms of `BACKUP_ENCRYPTION_KEY`. One line end at the end of the
/// file is ignored.
pub(crate) fn read_key(path: &Path) -> Result<KeyEncryptionKey, Failure> {
    let text = read_secret(path)?;
    let key = text.expose().trim_end_matches(['\r', '\n']);
    KeyEncryptionKey::parse(&Secret::new(key)).map_err(|error| unusable(&error))
}

/// Reads the master keys from the output of `holdfast key export`, as text or as JSON.
pub(crate) fn read_exported(path: &Path) -> Result<Vec<ExportedKey>, Failure> {
    exported(&read_secret(path)?)
}

fn unusable(error: &KeyError) -> Failure {
    Failure::new(Exit::Settings, error.to_string())
}

fn read_secret(path: &Path) -> Result<Secret, Failure> {
    let unreadable = |error: io::Error| Failure::file("read", path, &error);
    let mut text = String::new();
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(Secret::new(text))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    repository: String,
    epochs: Vec<DocumentEpoch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentEpoch {
    epoch: u32,
    master_key: String,
}

fn exported(text: &Secret) -> Result<Vec<ExportedKey>, Failure> {
    let text = text.expose().trim();
    let document = if text.starts_with('{') {
        serde_json::from_str(text).ok()
    } else {
        printed(text)
    };
    let document: Document = document
        .filter(|read: &Document| !read.epochs.is_empty())
        .ok_or_else(not_exported)?;
    let repository = document.repository.parse().map_err(|_| not_exported())?;
    let key = |DocumentEpoch { epoch, master_key }| {
        let key = ExportedKey {
            repository: Clone::clone(&repository),
            epoch,
            master_key: Secret::new(master_key),
        };
        key.master().map(|_| key).map_err(Failure::from)
    };
    document.epochs.into_iter().map(key).collect()
}

/// Parses the text form: `repository`, then `epoch` and `master key` of each key. Other lines are
/// ignored.
fn printed(text: &str) -> Option<Document> {
    let mut document = Document {
        repository: String::new(),
        epochs: Vec::new(),
    };
    let mut epoch = None;
    for line in text.lines().map(str::trim) {
        if let Some(id) = line.strip_prefix("repository ") {
            id.trim().clone_into(&mut document.repository);
        } else if let Some(number) = line.strip_prefix("epoch ") {
            epoch = Some(number.trim().parse().ok()?);
        } else if let Some(key) = line.strip_prefix("master key ") {
            document.epochs.push(DocumentEpoch {
                epoch: epoch.take()?,
                master_key: key.trim().to_owned(),
            });
        }
    }
    Some(document)
}

fn not_exported() -> Failure {
    Failure::new(Exit::Settings, "cannot read the file of exported keys: it is not the output of `holdfast key export`")
        .hint(
            "it has a line `repository <id>`, and for each key the lines `epoch <n>` and `master key <64 hex digits>`",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c";

    fn read(text: &str) -> Result<Vec<(u32, String)>, Failure> {
        let keys = exported(&Secret::new(text))?;
        assert!(keys.iter().all(|key| key.repository.as_str() == ID));
        Ok(keys
            .into_iter()
            .map(|key| (key.epoch, key.master_key.expose().to_owned()))
            .collect())
    }

    #[test]
    fn what_was_exported_is_read_as_it_was_printed() {
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        let text = format!(
            "repository  {ID}\nstore       s3://b/\nepoch       1\nmaster key  {one}\nwrapped     {{\"x\":1}}\n\
             epoch       2\nmaster key  {two}\n"
        );
        let json = format!(
            r#"{{"repository":"{ID}","warning":"","epochs":[{{"epoch":1,"masterKey":"{one}","wrapped":[]}},
               {{"epoch":2,"masterKey":"{two}","wrapped":[]}}]}}"#
        );
        for export in [text, json] {
            assert_eq!(
                read(&export).unwrap(),
                [(1, one.clone()), (2, two.clone())],
                "{export}"
            );
        }
    }

    #[test]
    fn what_was_not_exported_is_refused_without_being_shown() {
        let key = "ab".repeat(32);
        for wrong in [
            String::new(),
            key.clone(),
            format!("epoch 1\nmaster key {key}"),
            format!("repository {ID}\nmaster key {key}"),
            format!("repository {ID}\nepoch one\nmaster key {key}"),
            format!("repository {ID}\nepoch 1\nmaster key {}", &key[2..]),
            format!("repository ../x\nepoch 1\nmaster key {key}"),
            format!("{{\"repository\":\"{ID}\",\"epochs\":[]}}"),
            format!(
                "{{\"repository\":\"x\",\"repository\":\"{ID}\",\"epochs\":[{{\"epoch\":1,\"masterKey\":\"{key}\"}}]}}"
            ),
        ] {
            let failure = exported(&Secret::new(wrong.as_str()))
                .map(|_| ())
                .unwrap_err();
            assert!(!failure.to_text().contains("abab"), "{}", failure.to_text());
        }
    }

    #[test]
    fn a_key_in_a_file_may_end_in_a_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (text, is_key) in [
            ("passphrase:sixteen letters!\n", true),
            ("passphrase:sixteen letters! \n", false),
            ("hunter2", false),
        ] {
            std::fs::write(&file, text).unwrap();
            let read = read_key(&file);
            assert_eq!(read.is_ok(), is_key, "{text}");
            assert!(
                read.err()
                    .is_none_or(|failure| !failure.to_text().contains("hunter2"))
            );
        }
    }
}
