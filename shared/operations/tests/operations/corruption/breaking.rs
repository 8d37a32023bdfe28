//! Ways to break an object, and the expected results of verification.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_domain::{BackupId, ObjectKey, Timestamp, VerificationLevel, VerificationStatus};
use holdfast_operations::{Holdfast, OperationError, RunLimits, VerifyOutcome, verify_on_request};
use holdfast_recovery::Verification;
use holdfast_storage::{PutMode, Store, read_all};

/// A change of an object.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// One flipped bit of the byte at this place.
    Flip(usize),
    /// Only this many of its first bytes.
    Cut(usize),
    /// One more byte.
    Append,
    /// Its two halves are swapped.
    SwapHalves,
    /// Another object's bytes.
    Another(Vec<u8>),
    /// It is deleted.
    Delete,
}

impl Way {
    /// Every way, at places spread over the object, including the borders of its regions.
    pub(crate) fn all(whole: &[u8], borders: &[usize], another: Vec<u8>) -> Vec<Self> {
        let len = whole.len();
        let spread = [0, 1, len / 4, len / 2, len * 3 / 4, len - 2, len - 1];
        let borders = borders.iter().flat_map(|at| [at.saturating_sub(1), *at]);
        let places: Vec<usize> = spread
            .into_iter()
            .chain(borders)
            .filter(|at| *at < len)
            .collect();
        let mut ways: Vec<Self> = places.iter().map(|at| Self::Flip(*at)).collect();
        ways.extend(places.iter().map(|at| Self::Cut(*at)));
        ways.extend([
            Self::Append,
            Self::SwapHalves,
            Self::Another(another),
            Self::Delete,
        ]);
        ways
    }

    pub(crate) fn applied(&self, whole: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = whole.to_vec();
        match self {
            Self::Flip(at) => bytes[*at] ^= 1,
            Self::Cut(at) => bytes.truncate(*at),
            Self::Append => bytes.push(b'x'),
            Self::SwapHalves => bytes.rotate_left(whole.len() / 2),
            Self::Another(another) => bytes.clone_from(another),
            Self::Delete => return None,
        }
        (bytes != whole).then_some(bytes)
    }
}

pub(crate) async fn object(store: &Arc<dyn Store>, key: &ObjectKey) -> Vec<u8> {
    read_all(store.as_ref(), key, 256 << 20)
        .await
        .unwrap()
        .to_vec()
}

pub(crate) async fn put(store: &Arc<dyn Store>, key: &ObjectKey, bytes: Vec<u8>) {
    store
        .put(key, Bytes::from(bytes), PutMode::Replace)
        .await
        .unwrap();
}

/// Breaks an object in each of these ways. Asserts that a verification at `level`, in one run and
/// in steps, fails and reports one of `names`. Then asserts that the intact backup is good again.
pub(crate) async fn each_way_is_named(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    key: &ObjectKey,
    ways: &[Way],
    names: &[&str],
) {
    let store = h.repository.store();
    let whole = object(store, key).await;
    for way in ways {
        match way.applied(&whole) {
            Some(bytes) => put(store, key, bytes).await,
            None => store.delete(key).await.unwrap(),
        }
        let what = format!("{key}: {}", shown(way));
        is_named(h, id, level, names, &what).await;
    }
    put(store, key, whole).await;
    passes(h, id, level).await;
}

fn shown(way: &Way) -> String {
    match way {
        Way::Another(_) => "another's bytes".to_owned(),
        way => format!("{way:?}"),
    }
}

/// Asserts that a verification fails and reports one of these.
pub(crate) async fn is_named(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    names: &[&str],
    what: &str,
) {
    for limits in [RunLimits::none(), in_steps()] {
        let found = looked(h, id, level, limits).await;
        assert_eq!(
            found.status,
            VerificationStatus::Failed,
            "{what}, {limits:?}"
        );
        let is_told = found
            .problems
            .iter()
            .any(|problem| names.iter().any(|name| problem.contains(name)));
        assert!(
            is_told,
            "{what}, {limits:?}: {:?} names none of {names:?}",
            found.problems
        );
    }
}

/// Asserts that a verification reports one of these as a fault of the repository, and that the
/// backup does not fail because of it.
pub(crate) async fn is_of_the_repository(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    names: &[&str],
    what: &str,
) {
    for limits in [RunLimits::none(), in_steps()] {
        let told = match Box::pin(verify_on_request(h, id, level, limits, Timestamp::now())).await {
            Ok(VerifyOutcome::Done(found)) => {
                assert_eq!(
                    (found.status, &found.problems),
                    (VerificationStatus::Passed, &Vec::new()),
                    "{what}"
                );
                let rows = h.catalog.verifications(id).await.unwrap();
                assert_eq!(
                    rows[0].repository_problems, found.repository_problems,
                    "{what}"
                );
                found.repository_problems.join("; ")
            }
            // Without the repository's files, no backup can be verified.
            Err(error @ OperationError::Repository(_)) => error.to_string(),
            other => panic!("{what}: {other:?}"),
        };
        assert!(
            names.iter().any(|name| told.contains(name)),
            "{what}, {limits:?}: {told:?} names none of {names:?}"
        );
        let failed = h
            .catalog
            .get(id)
            .await
            .unwrap()
            .verification
            .is_some_and(|v| v.status == VerificationStatus::Failed);
        assert!(!failed, "{what}: the backup is failed");
    }
}

pub(crate) async fn passes(h: &Holdfast, id: &BackupId, level: VerificationLevel) {
    for limits in [RunLimits::none(), in_steps()] {
        let found = looked(h, id, level, limits).await;
        assert_eq!(
            (&found.problems, &found.repository_problems),
            (&Vec::new(), &Vec::new()),
            "{limits:?}"
        );
    }
}

/// So little time that every level with steps needs several runs.
pub(crate) fn in_steps() -> RunLimits {
    RunLimits {
        deadline: Some(Timestamp::now() + jiff::SignedDuration::from_millis(45_900)),
    }
}

/// Verifies like the functions: later runs resume the steps of earlier ones.
pub(crate) async fn looked(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
) -> Verification {
    for _ in 0..1000 {
        // A level without steps gets enough time.
        let limits = if level == VerificationLevel::Checksum {
            limits
        } else {
            RunLimits::none()
        };
        match Box::pin(verify_on_request(h, id, level, limits, Timestamp::now()))
            .await
            .unwrap()
        {
            VerifyOutcome::Done(verification) => return *verification,
            VerifyOutcome::Continue => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("a thousand runs were not enough")
}
