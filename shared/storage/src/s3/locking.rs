//! Reads the locks on deletion of an object. On a versioned bucket, a delete without a version
//! succeeds on a locked object too, and hides it. So the lock is read before a delete, and a failed
//! read is an error.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::ObjectLockLegalHoldStatus,
};
use holdfast_domain::ObjectKey;

use super::{S3Store, errors, timestamp};
use crate::{Lock, StoreError, retry::Call};

/// The retention period and the legal hold of an object's newest version.
pub(super) async fn lock(store: &S3Store, key: &ObjectKey) -> Result<Lock, StoreError> {
    let full_key = store.full_key(key);
    let retention = store
        .retry
        .run(Call::short("get retention", key.as_str()), async || {
            let request = store
                .client
                .get_object_retention()
                .bucket(&*store.bucket)
                .key(&full_key);
            match request.send().await {
                Ok(answer) => Ok(Answer::Found(answer.retention)),
                Err(error) => {
                    without(&error).map_or_else(|| Err(errors::translate(key.as_str(), &error)), Ok)
                }
            }
        });
    let retained_until = match retention.await? {
        // A bucket without object lock has no legal holds either.
        Answer::NotOnThisBucket => return Ok(Lock::default()),
        Answer::None => None,
        Answer::Found(retention) => {
            match retention.and_then(|retention| retention.retain_until_date) {
                None => None,
                Some(until) => Some(timestamp(key.as_str(), Some(&until))?),
            }
        }
    };
    Ok(Lock {
        retained_until,
        legal_hold: legal_hold(store, key, &full_key).await?,
    })
}

async fn legal_hold(store: &S3Store, key: &ObjectKey, full_key: &str) -> Result<bool, StoreError> {
    let hold = store
        .retry
        .run(Call::short("get legal hold", key.as_str()), async || {
            let request = store
                .client
                .get_object_legal_hold()
                .bucket(&*store.bucket)
                .key(full_key);
            match request.send().await {
                Ok(answer) => Ok(Answer::Found(answer.legal_hold)),
                Err(error) => {
                    without(&error).map_or_else(|| Err(errors::translate(key.as_str(), &error)), Ok)
                }
            }
        });
    Ok(match hold.await? {
        Answer::NotOnThisBucket | Answer::None => false,
        // Every value except a clear "off" counts as a hold.
        Answer::Found(hold) => {
            hold.is_some_and(|hold| hold.status != Some(ObjectLockLegalHoldStatus::Off))
        }
    })
}

enum Answer<T> {
    Found(T),
    /// No lock, or no object.
    None,
    /// The bucket, or the store, has no object lock at all.
    NotOnThisBucket,
}

/// Answers without a lock. For a bucket without object lock, S3 has no code, only a message.
fn without<E: ProvideErrorMetadata, T>(error: &SdkError<E, HttpResponse>) -> Option<Answer<T>> {
    let SdkError::ServiceError(answer) = error else {
        return None;
    };
    let message = answer.err().message().unwrap_or_default();
    match answer.err().code()? {
        "NoSuchObjectLockConfiguration" | "NoSuchKey" => Some(Answer::None),
        "InvalidRequest" if message.contains("Object Lock Configuration") => {
            Some(Answer::NotOnThisBucket)
        }
        "ObjectLockConfigurationNotFoundError" | "NotImplemented" => Some(Answer::NotOnThisBucket),
        _ => None,
    }
}
