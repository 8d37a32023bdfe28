//! Location of a repository: S3, a directory, Google Cloud Storage or Azure Blob Storage.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use url::Url;

use crate::ObjectKey;

/// Location of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// `s3://bucket/prefix`: S3, or a compatible store.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// Prefix of every key. Empty, or ends in `/`.
        prefix: String,
    },
    /// `gs://bucket/prefix`: Google Cloud Storage, by its S3-compatible interface.
    Gcs {
        /// The bucket's name.
        bucket: String,
        /// Prefix of every key, as for S3.
        prefix: String,
    },
    /// `az://account/container/prefix`: Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
        /// The container's name.
        container: String,
        /// Prefix of every key, as for S3.
        prefix: String,
    },
    /// `file:///dir`: a local directory.
    Directory(Directories),
}

/// Directories of a local repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// The repository's directory.
    pub root: PathBuf,
    /// `BACKUP_DATABASE_DIR`: replaces `database/`.
    pub database: Option<PathBuf>,
    /// `BACKUP_CONTENT_DIR`: replaces `content/`.
    pub content: Option<PathBuf>,
}

impl Directories {
    /// Resolves a directory of a part. A relative path starts at the repository's directory.
    /// Returns `None` if the result is the repository's directory itself, or is outside the
    /// file system.
    #[must_use]
    pub fn resolve(&self, given: &Path) -> Option<PathBuf> {
        if given.is_absolute() {
            return Some(given.to_owned());
        }
        let mut resolved = self.root.clone();
        for component in given.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    if !resolved.pop() {
                        return None;
                    }
                }
                other => resolved.push(other),
            }
        }
        (resolved != self.root).then_some(resolved)
    }

    /// Path of the object with this key, or of the objects with this key prefix.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        let aside = |name: &str, directory: &Option<PathBuf>| {
            let below = key.strip_prefix(name)?;
            directory.as_deref().map(|directory| directory.join(below))
        };
        aside("database/", &self.database)
            .or_else(|| aside("content/", &self.content))
            .unwrap_or_else(|| self.root.join(key))
    }
}

impl StoreLocation {
    /// Parses the URL of a repository.
    ///
    /// # Errors
    /// The expected forms, to follow the word "expected".
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EXPECTED.to_owned());
        };
        match scheme {
            "s3" => in_bucket(rest).map(|(bucket, prefix)| Self::S3 { bucket, prefix }),
            "gs" => in_bucket(rest).map(|(bucket, prefix)| Self::Gcs { bucket, prefix }),
            "az" => in_account(rest),
            "file" => directory(text),
            _ => None,
        }
        .ok_or_else(|| EXPECTED.to_owned())
    }

    /// Shell command that downloads an object into `file` with the provider's own tool.
    #[must_use]
    pub fn fetching(&self, key: &ObjectKey, file: &str) -> String {
        self.copying(key.as_str(), "", file)
    }

    /// Like `fetching`, for an object whose key is in a shell variable. The key begins with
    /// `content/`.
    #[must_use]
    pub fn fetching_content(&self, variable: &str, file: &str) -> String {
        self.copying("content/", &format!("\"${{{variable}#content/}}\""), file)
    }

    /// The key is `begin`, followed by the shell expansion of `rest`.
    fn copying(&self, begin: &str, rest: &str, file: &str) -> String {
        let file = quoted(file);
        match self {
            Self::S3 { .. } => format!(
                "aws s3 cp {}{rest} {file}",
                quoted(&format!("{self}{begin}"))
            ),
            Self::Gcs { .. } => format!(
                "gcloud storage cp {}{rest} {file}",
                quoted(&format!("{self}{begin}"))
            ),
            Self::Azure {
                account,
                container,
                prefix,
            } => format!(
                "az storage blob download --account-name {} --container-name {} --name {}{rest} --file {file}",
                quoted(account),
                quoted(container),
                quoted(&format!("{prefix}{begin}")),
            ),
            Self::Directory(directories) => {
                format!(
                    "cp {}{rest} {file}",
                    quoted(&directories.path(begin).to_string_lossy())
                )
            }
        }
    }

    /// Display name of the program that [`StoreLocation::fetching`] needs.
    #[must_use]
    pub const fn tool(&self) -> &'static str {
        match self {
            Self::S3 { .. } => "the AWS command line",
            Self::Gcs { .. } => "the Google Cloud command line",
            Self::Azure { .. } => "the Azure command line",
            Self::Directory(_) => "cp",
        }
    }
}

const EXPECTED: &str = "s3://bucket/prefix, file:///directory, gs://bucket/prefix or az://account/container/prefix \
                        (/prefix is optional)";

/// Quotes the text as one shell word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn in_bucket(rest: &str) -> Option<(String, String)> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = is_container_name(&bucket.replace('.', "-"));
    is_name
        .then(|| Some((bucket.to_owned(), root(prefix)?)))
        .flatten()
}

fn in_account(rest: &str) -> Option<StoreLocation> {
    let (account, rest) = rest.split_once('/')?;
    let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_account = (3..=24).contains(&account.len())
        && account
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (is_account && is_container_name(container))
        .then(|| {
            let (account, container) = (account.to_owned(), container.to_owned());
            Some(StoreLocation::Azure {
                account,
                container,
                prefix: root(prefix)?,
            })
        })
        .flatten()
}

/// A prefix that is empty, or ends in `/`.
fn root(prefix: &str) -> Option<String> {
    let prefix = prefix.trim_end_matches('/');
    let segments_ok = prefix.is_empty()
        || prefix
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."));
    let is_fine =
        segments_ok && prefix.len() <= 100 && prefix.bytes().all(|b| b.is_ascii_graphic());
    is_fine.then(|| {
        if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        }
    })
}

/// Checks the naming rules of S3 and Google buckets and of Azure containers, as far as typing
/// errors are likely. Dots are valid only in bucket names.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn is_container_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Parses an absolute path, plain or URL-encoded.
fn directory(text: &str) -> Option<StoreLocation> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    let root = url
        .to_file_path()
        .ok()
        .filter(|path| is_plain && path.parent().is_some())?;
    Some(StoreLocation::Directory(Directories {
        root: tidy(&root),
        database: None,
        content: None,
    }))
}

/// Without a slash at its end.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Ends in `/`.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Gcs { bucket, prefix } => write!(f, "gs://{bucket}/{prefix}"),
            Self::Azure {
                account,
                container,
                prefix,
            } => write!(f, "az://{account}/{container}/{prefix}"),
            Self::Directory(Directories { root, .. }) => match Url::from_directory_path(root) {
                Ok(url) => write!(f, "{url}"),
                Err(()) => write!(f, "file://{}/", root.display()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        for address in [
            "s3://backups/",
            "s3://a.b/prod/eu/",
            "gs://backups/x/",
            "az://account1/backups/x/",
            "file:///var/b%20%C3%BC/",
        ] {
            assert_eq!(StoreLocation::parse(address).unwrap().to_string(), address);
        }
        let written_plainly = StoreLocation::parse("file:///var/b ü").unwrap();
        assert_eq!(written_plainly.to_string(), "file:///var/b%20%C3%BC/");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "s3://",
            "s3://UPPER",
            "s3://b/../x",
            "s3://ok/a//b",
            "backups",
            "file://host/x",
            "file:///",
            "file://./x",
            "file:///x?y",
            "gs://b",
            "az://account1",
            "az://Account/backups",
            "az://account1/b.c",
            "ftp://backups/x",
        ] {
            assert!(StoreLocation::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_directory_of_its_own_takes_the_place_of_a_part_of_the_repository() {
        let directories = Directories {
            root: "/r".into(),
            database: Some("/d".into()),
            content: None,
        };
        assert_eq!(
            directories.path("database/x/dump"),
            PathBuf::from("/d/x/dump")
        );
        assert_eq!(directories.path("content/x"), PathBuf::from("/r/content/x"));
        assert_eq!(
            directories.path("repository.json"),
            PathBuf::from("/r/repository.json")
        );
    }

    #[test]
    fn an_object_is_fetched_by_one_command_whatever_its_path_holds() {
        let key = ObjectKey::repository();
        let fetching = |address: &str| StoreLocation::parse(address).unwrap().fetching(&key, ".");
        assert_eq!(
            fetching("s3://backups/eu"),
            "aws s3 cp 's3://backups/eu/repository.json' '.'"
        );
        assert_eq!(
            fetching("file:///it's here"),
            r"cp '/it'\''s here/repository.json' '.'"
        );
        assert_eq!(
            fetching("az://account1/backups/eu"),
            "az storage blob download --account-name 'account1' --container-name 'backups' \
             --name 'eu/repository.json' --file '.'"
        );
        let content = StoreLocation::parse("s3://backups")
            .unwrap()
            .fetching_content("OBJECT", "fetched");
        assert_eq!(
            content,
            r#"aws s3 cp 's3://backups/content/'"${OBJECT#content/}" 'fetched'"#
        );
    }
}
