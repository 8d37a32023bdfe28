//! Examines a store: its repository, and every operation of a backup on one small object.

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_codec::random_bytes;
use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_repository::{Repository, RepositoryError, RepositoryFileError};
use holdfast_storage::{PutMode, Store, StoreError, read_all};

use super::{Finding, Health, clock};
use crate::OperationError;

const PROBE: &[u8] = b"written by holdfast doctor and deleted again\n";

pub(super) async fn examine(part: &'static str, repository: &Repository) -> Vec<Finding> {
    let found = of_repository(part, repository).await;
    examined(part, repository, found).await
}

/// Examines the second store: a copy of the first, or empty until the first copy.
pub(super) async fn examine_copy(
    part: &'static str,
    second: &Repository,
    first: Option<&Repository>,
) -> Vec<Finding> {
    let ours = match first {
        Some(first) => first.open().await.ok().map(|file| file.id),
        None => None,
    };
    let found = match (second.open().await, ours) {
        (Err(RepositoryError::File(RepositoryFileError::NotInitialised(_))), _) => Finding::good(
            part,
            format!(
                "{} is still empty: the first copy creates its repository",
                second.location()
            ),
        ),
        (Ok(theirs), Some(ours)) if theirs.id != ours => {
            let found = format!(
                "it holds the repository {} instead of {ours}: nothing is copied",
                theirs.id
            );
            Finding::bad(
                part,
                found,
                Some("set another bucket or prefix in BACKUP_CLOUD_BUCKET".to_owned()),
            )
        }
        _ => of_repository(part, second).await,
    };
    examined(part, second, found).await
}

async fn examined(part: &'static str, repository: &Repository, found: Finding) -> Vec<Finding> {
    let mut findings = vec![found];
    match rights(part, repository).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::failed(part, &error)),
    }
    let location = repository.location().to_string();
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.health == Health::Bad)
    {
        if !finding.found.contains(&location) {
            finding.found = format!("{location}: {}", finding.found);
        }
    }
    findings
}

async fn of_repository(part: &'static str, repository: &Repository) -> Finding {
    let file = match repository.open().await {
        Ok(file) => file,
        Err(error) => return Finding::failed(part, &error.into()),
    };
    let found = format!("{} holds the repository {}", repository.location(), file.id);
    let advice =
        "run `holdfast init` to write the copy again. `holdfast key show` lists the differences";
    match repository.copy().await {
        Ok(Some(copy)) if file.covers(&copy) && copy.covers(&file) => Finding::good(part, found),
        Ok(Some(_)) => Finding::warning(
            part,
            format!("{found}, but its repository.copy.json differs"),
            advice,
        ),
        Ok(None) => Finding::warning(
            part,
            format!("{found}, but its repository.copy.json is missing"),
            advice,
        ),
        Err(error) => Finding::warning(
            part,
            format!("{found}, but its repository.copy.json is unreadable: {error}"),
            advice,
        ),
    }
}

async fn rights(
    part: &'static str,
    repository: &Repository,
) -> Result<Vec<Finding>, OperationError> {
    let store = repository.store().as_ref();
    let key = ObjectKey::content_incoming(random_bytes()?);
    let mut findings = Vec::new();
    let before = Timestamp::now();
    if let Err(fault) = put(store, &key).await {
        findings.push(fault.finding(part));
        return Ok(findings);
    }
    let after = Timestamp::now();
    let seen = store.head(&key).await.map(|seen| seen.last_modified_at);
    findings.extend(
        try_operations(store, &key)
            .await
            .into_iter()
            .map(|fault| fault.finding(part)),
    );
    if let Err(error) = store.delete(&key).await {
        findings.push(
            Fault {
                doing: "deleted",
                error,
            }
            .finding(part),
        );
    }
    if findings.is_empty() {
        let can = "objects can be put, read, listed and deleted, and uploads begun and aborted";
        findings.push(Finding::good(part, can));
    }
    if let Ok(theirs) = seen {
        findings.push(clock::judge(
            &format!("the {part}'s"),
            theirs,
            before,
            after,
        ));
    }
    Ok(findings)
}

/// An operation on objects without permission or with a failure.
struct Fault {
    doing: &'static str,
    error: StoreError,
}

impl Fault {
    fn finding(self, part: &'static str) -> Finding {
        let finding = Finding::failed(part, &OperationError::Store(self.error));
        Finding {
            found: format!("an object cannot be {}: {}", self.doing, finding.found),
            ..finding
        }
    }
}

async fn put(store: &dyn Store, key: &ObjectKey) -> Result<(), Fault> {
    let put = store
        .put(key, Bytes::from_static(PROBE), PutMode::IfAbsent)
        .await;
    put.map(drop).map_err(|error| Fault {
        doing: "put",
        error,
    })
}

/// Tries everything except putting and deleting. One fault does not hide another.
async fn try_operations(store: &dyn Store, key: &ObjectKey) -> Vec<Fault> {
    let read = async { read_all(store, key, PROBE.len()).await.map(drop) };
    let listed = async { store.list(key.as_str()).try_next().await.map(drop) };
    let uploaded = async {
        let upload = store.begin_upload(key).await?;
        store.abort_upload(key, &upload).await
    };
    let unfinished = async { store.list_unfinished_uploads(key.as_str()).await.map(drop) };
    let locked = async { store.lock(key).await.map(drop) };
    let (read, listed, uploaded, unfinished, locked) =
        tokio::join!(read, listed, uploaded, unfinished, locked);
    let outcomes = [
        ("read", read),
        ("listed", listed),
        ("uploaded in parts", uploaded),
        ("listed as an unfinished upload", unfinished),
        (
            "checked for a lock (retention then keeps everything)",
            locked,
        ),
    ];
    outcomes
        .into_iter()
        .filter_map(|(doing, outcome)| {
            Some(Fault {
                doing,
                error: outcome.err()?,
            })
        })
        .collect()
}
