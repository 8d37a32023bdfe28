//! Links: a signed GET request for another client. Making it sends nothing. At its use, it has the
//! signer's rights on one object. It ends earlier if the signing credentials end earlier.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use holdfast_domain::{ObjectKey, Secret, Timestamp};

use super::{S3Store, errors::translate};
use crate::{Link, StoreError};

pub(super) async fn link(
    store: &S3Store,
    key: &ObjectKey,
    lifetime: Duration,
) -> Result<Link, StoreError> {
    let invalid = |cause: String| StoreError::Invalid {
        key: key.to_string(),
        cause,
    };
    let now = SystemTime::now();
    let config = PresigningConfig::builder()
        .start_time(now)
        .expires_in(lifetime)
        .build();
    let config = config.map_err(|error| {
        invalid(format!(
            "cannot make a link for {} s: {error}",
            lifetime.as_secs()
        ))
    })?;
    let request = store
        .client
        .get_object()
        .bucket(&*store.bucket)
        .key(store.full_key(key));
    let signed = request.presigned(config).await;
    let signed = signed.map_err(|error| translate(key.as_str(), &error))?;
    if signed.headers().next().is_some() {
        return Err(invalid("its link would need additional headers".to_owned()));
    }
    let end = now
        .checked_add(lifetime)
        .and_then(|end| Timestamp::try_from(end).ok());
    let expires_at = end.ok_or_else(|| invalid("invalid time".to_owned()))?;
    Ok(Link {
        url: Secret::new(signed.uri()),
        expires_at,
    })
}
