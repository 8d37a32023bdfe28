//! Checks the objects of one item: they exist, their bytes are authentic, and their content is the
//! listed file, under its CID.

use holdfast_content::ipfs::RebuildError;
use holdfast_domain::{ItemRecord, StoredFile, VerificationLevel};
use holdfast_repository::{
    Repository, RepositoryError,
    content::{
        item_list::is_safe_name,
        proof::ContentObject,
        read::{Hashing, Plain, ReadFault, blocking, digest_of},
        stored::StoredContent,
    },
};
use tokio::runtime::Handle;

/// Checks objects at a level.
pub struct Objects {
    repository: Repository,
    backup: StoredContent,
    level: VerificationLevel,
}

impl Objects {
    /// For the objects of a backup.
    #[must_use]
    pub fn new(repository: &Repository, backup: &StoredContent, level: VerificationLevel) -> Self {
        Self {
            repository: repository.clone(),
            backup: backup.clone(),
            level,
        }
    }

    /// The problems of an item's objects. Empty for an item without a file.
    ///
    /// # Errors
    /// If the store is unavailable, or no key at hand opens an object.
    pub async fn problems_of(&self, record: &ItemRecord) -> Result<Vec<String>, RepositoryError> {
        let Some(file) = &record.file else {
            return Ok(Vec::new());
        };
        let problems = match self.level {
            VerificationLevel::Exists => self.missing(file).await?,
            VerificationLevel::Checksum => self.unreadable(file).await?,
            // A restore reads files in the same way, so a drill adds no check.
            VerificationLevel::Structure | VerificationLevel::Drill => {
                self.different(record, file).await?
            }
        };
        let content_id = &record.item.content_id;
        Ok(problems
            .into_iter()
            .map(|problem| format!("item {content_id}: {problem}"))
            .collect())
    }

    async fn missing(&self, file: &StoredFile) -> Result<Vec<String>, RepositoryError> {
        let mut problems = Vec::new();
        for object in ContentObject::all(file) {
            problems.extend(match self.repository.store().head(object.key()).await {
                Ok(found) => {
                    self.backup
                        .source
                        .problem_of_size(&object, found.size_bytes)
                        .await?
                }
                Err(error) if error.is_not_found() => Some(format!("{} is missing", object.key())),
                Err(error) => return Err(error.into()),
            });
        }
        Ok(problems)
    }

    async fn unreadable(&self, file: &StoredFile) -> Result<Vec<String>, RepositoryError> {
        let mut problems = Vec::new();
        for object in ContentObject::all(file) {
            problems.extend(told(self.backup.source.authenticate(&object).await)?.err());
        }
        Ok(problems)
    }

    async fn different(
        &self,
        record: &ItemRecord,
        file: &StoredFile,
    ) -> Result<Vec<String>, RepositoryError> {
        let mut problems = Vec::new();
        let name = record.file_name.as_deref().unwrap_or_default();
        if !is_safe_name(name) {
            problems.push(format!("{name:?} is not a file name of Holdfast"));
        }
        let (backup, handle, kept) = (self.backup.clone(), Handle::current(), file.clone());
        let read = blocking("read a file", move || read_whole(&backup, &handle, &kept)).await?;
        let key = &file.object.artifact.key;
        match told(read)? {
            Err(problem) => problems.push(problem),
            Ok(plain) if plain.size != file.size => {
                problems.push(format!(
                    "{key} holds {} bytes instead of {} in its list",
                    plain.size, file.size
                ));
            }
            Ok(plain) if plain.sha256 != file.file_sha256 => {
                problems.push(format!(
                    "{key} holds another file than its list describes: the SHA-256 differs"
                ));
            }
            Ok(_) => {}
        }
        Ok(problems)
    }
}

/// Reads the file. If its blocks are recorded, it also rebuilds them from the file, up to the root
/// of its CID.
fn read_whole(
    backup: &StoredContent,
    handle: &Handle,
    file: &StoredFile,
) -> Result<Plain, ReadFault> {
    let record = backup.dag_record(handle, file)?;
    let key = &file.object.artifact.key;
    let mut reader =
        Hashing::new(handle.block_on(backup.source.open_stored(ContentObject::file(file)))?);
    let Some(record) = record else {
        digest_of(&mut reader).map_err(|error| ReadFault::of(&error, key))?;
        return Ok(reader.finish());
    };
    match record.rebuild(&mut reader, |_, _| Ok(())) {
        Ok(()) => Ok(reader.finish()),
        Err(RebuildError::Io(error)) => Err(ReadFault::of(&error, key)),
        Err(fault) => {
            let cid = file.cid.as_deref().unwrap_or("its CID");
            Err(ReadFault::Damaged(format!(
                "the file in {key} does not match {cid}: {fault}"
            )))
        }
    }
}

fn told<T>(read: Result<T, ReadFault>) -> Result<Result<T, String>, RepositoryError> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(ReadFault::Damaged(problem)) => Ok(Err(problem)),
        Err(ReadFault::Other(error)) => Err(error),
    }
}
