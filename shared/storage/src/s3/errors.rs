//! Translates the SDK's errors to the caller's choices. S3's error codes are used only here.

use std::error::Error;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{StoreError, clock, error::chain};

/// Translates the SDK's error for `key`.
pub(super) fn translate<E>(key: &str, error: &SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(cause) = clock_fault(error) {
        return StoreError::WrongClock {
            key: key.to_owned(),
            cause,
        };
    }
    let kind = match error {
        SdkError::ServiceError(_) if rejects_checksums(error.message()) => Kind::Unsupported,
        SdkError::ConstructionFailure(_) => Kind::from_undispatched(&chain(error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => Kind::Invalid,
        SdkError::DispatchFailure(failure) if failure.is_other() => {
            Kind::from_undispatched(&chain(error))
        }
        SdkError::ServiceError(answer) => {
            Kind::from_answer(error.code(), answer.raw().status().as_u16())
        }
        _ => Kind::Unavailable,
    };
    kind.error(key, cause(error))
}

/// Whether S3 refused a conditional write because another write of the same key was in progress.
pub(super) fn is_conflict<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: ProvideErrorMetadata + Error + 'static,
{
    error.code() == Some("ConditionalRequestConflict")
}

/// A refusal of a signature because of its time. An answer to HEAD has no code. There, the store's
/// time distinguishes it from a denial. The SDK signs the next request with the store's time.
fn clock_fault<E>(error: &SdkError<E, HttpResponse>) -> Option<String>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(answer) = error else {
        return None;
    };
    let is_named = error.code() == Some("RequestTimeTooSkewed");
    let is_suspect = error.code().is_none() && answer.raw().status().as_u16() == 403;
    if !is_named && !is_suspect {
        return None;
    }
    let ahead = clock::skew(answer.raw().headers().get("date"), jiff::Timestamp::now())
        .map(clock::described);
    if is_named {
        Some(format!(
            "RequestTimeTooSkewed: {}",
            ahead.unwrap_or_else(|| cause(error))
        ))
    } else {
        ahead
    }
}

/// Whether a store does not support the headers for checksums.
fn rejects_checksums(message: Option<&str>) -> bool {
    message.is_some_and(|message| {
        ["x-amz-checksum-", "x-amz-sdk-checksum-"]
            .iter()
            .any(|name| message.contains(name))
    })
}

fn cause<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(answer) = error else {
        return chain(error);
    };
    let status = answer.raw().status().as_u16();
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("HTTP {status} {code}: {message}"),
        (Some(code), None) => format!("HTTP {status} {code}"),
        // An unreadable answer: the error contains the place.
        (None, _) if status == 200 => format!("HTTP {status}: {}", chain(answer.err())),
        (None, _) => format!("HTTP {status}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NotFound,
    AlreadyExists,
    Denied,
    Unavailable,
    Corrupt,
    Missing,
    Unsupported,
    Invalid,
    Limit,
}

impl Kind {
    /// Codes are decisive: an error inside an answer of 200 has only its code, and 400 and 403 have
    /// many meanings.
    fn from_answer(code: Option<&str>, status: u16) -> Self {
        match code.unwrap_or_default() {
            "NoSuchKey" | "NoSuchUpload" | "NoSuchVersion" | "NotFound" => Self::NotFound,
            // Not "not found": a wrong name must not look like an empty repository.
            "NoSuchBucket" => Self::Missing,
            "PermanentRedirect" | "InvalidBucketName" | "InvalidObjectState" => Self::Invalid,
            "NotImplemented" => Self::Unsupported,
            "PreconditionFailed" => Self::AlreadyExists,
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "ConditionalRequestConflict"
            | "OperationAborted" => Self::Unavailable,
            "AccessDenied"
            | "ExpiredToken"
            | "InvalidToken"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch" => Self::Denied,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "IncompleteBody"
            | "InvalidPart"
            | "InvalidPartOrder" => Self::Corrupt,
            "EntityTooLarge" => Self::Limit,
            _ => Self::from_status(status),
        }
    }

    fn from_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Denied,
            404 => Self::NotFound,
            412 => Self::AlreadyExists,
            501 => Self::Unsupported,
            // An error inside an answer of 200 with an unknown code is a fault of the server too.
            200 | 408 | 429 | 500.. => Self::Unavailable,
            _ => Self::Invalid,
        }
    }

    /// A request that was not sent: usually the credentials for its signature are missing.
    fn from_undispatched(chain: &str) -> Self {
        if chain.contains("redential") || chain.contains("identity") {
            Self::Denied
        } else {
            Self::Unavailable
        }
    }

    fn error(self, key: &str, cause: String) -> StoreError {
        let key = key.to_owned();
        match self {
            Self::NotFound => StoreError::NotFound { key, cause },
            Self::AlreadyExists => StoreError::AlreadyExists { key, cause },
            Self::Denied => StoreError::Denied { key, cause },
            Self::Unavailable => StoreError::Unavailable { key, cause },
            Self::Corrupt => StoreError::Corrupt { key, cause },
            Self::Missing => StoreError::Missing { key, cause },
            Self::Unsupported => StoreError::Unsupported { key, cause },
            Self::Invalid => StoreError::Invalid { key, cause },
            Self::Limit => StoreError::Limit { key, cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_weighs_more_than_the_status_it_came_with() {
        for (code, status, kind) in [
            (Some("InternalError"), 200, Kind::Unavailable),
            (Some("RequestTimeout"), 400, Kind::Unavailable),
            (Some("ExpiredToken"), 400, Kind::Denied),
            (Some("BadDigest"), 400, Kind::Corrupt),
            (Some("NoSuchBucket"), 404, Kind::Missing),
            (Some("NotImplemented"), 501, Kind::Unsupported),
            (Some("NoSuchKey"), 404, Kind::NotFound),
            (Some("InvalidArgument"), 400, Kind::Invalid),
            (None, 404, Kind::NotFound),
            (None, 403, Kind::Denied),
            (None, 503, Kind::Unavailable),
        ] {
            assert_eq!(Kind::from_answer(code, status), kind, "{code:?} {status}");
        }
    }

    #[test]
    fn a_store_that_does_not_know_checksums_is_known_by_its_words() {
        assert!(rejects_checksums(Some(
            "Unsupported header 'x-amz-checksum-sha256' received for this API call."
        )));
        assert!(rejects_checksums(Some(
            "Unsupported header 'x-amz-sdk-checksum-algorithm'"
        )));
        assert!(
            !rejects_checksums(Some("The checksum you specified did not match"))
                && !rejects_checksums(None)
        );
    }

    #[test]
    fn missing_credentials_are_not_called_a_bad_network() {
        assert_eq!(
            Kind::from_undispatched("dispatch failure: no providers in chain provided credentials"),
            Kind::Denied
        );
        assert_eq!(
            Kind::from_undispatched("dispatch failure: unexpected frame"),
            Kind::Unavailable
        );
    }
}
