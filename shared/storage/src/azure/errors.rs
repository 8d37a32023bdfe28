//! Translates Azure's errors to the caller's choices. Azure's error codes are used only here.
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes>

use reqwest::Response;
use serde::Deserialize;

use crate::{StoreError, error::chain};

/// Longer than every error.
const LONGEST: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    code: Option<String>,
    message: Option<String>,
}

/// An answer other than success.
pub(super) async fn translate(key: &str, answer: Response) -> StoreError {
    let status = answer.status().as_u16();
    let code = answer
        .headers()
        .get("x-ms-error-code")
        .and_then(|code| code.to_str().ok())
        .map(ToOwned::to_owned);
    let said = read_some(answer).await;
    let said: Answer =
        quick_xml::de::from_str(said.trim_start_matches('\u{feff}')).unwrap_or(Answer {
            code: None,
            message: None,
        });
    let code = code.or(said.code);
    // The lines after the first have the request's number and time.
    let message = said
        .message
        .as_deref()
        .and_then(|message| message.lines().next().map(str::trim));
    let cause = match (&code, message) {
        (Some(code), Some(message)) => format!("HTTP {status} {code}: {message}"),
        (Some(code), None) => format!("HTTP {status} {code}"),
        (None, _) => format!("HTTP {status}"),
    };
    from_answer(key, code.as_deref().unwrap_or_default(), status, cause)
}

async fn read_some(mut answer: Response) -> String {
    let mut said = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        said.extend_from_slice(&chunk);
        if said.len() > LONGEST {
            break;
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// A connection that failed or broke.
pub(super) fn broken(key: &str, error: &reqwest::Error) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        cause: chain(error),
    }
}

fn from_answer(key: &str, code: &str, status: u16, cause: String) -> StoreError {
    let key = key.to_owned();
    match (code, status) {
        ("BlobNotFound", _) => StoreError::NotFound { key, cause },
        // Not "not found": a wrong name must not look like an empty repository.
        ("ContainerNotFound" | "ResourceNotFound", _) => StoreError::Missing { key, cause },
        ("ContainerDisabled" | "InvalidResourceName" | "InvalidUri", _) => {
            StoreError::Invalid { key, cause }
        }
        (
            "BlobAlreadyExists"
            | "ContainerAlreadyExists"
            | "ConditionNotMet"
            | "TargetConditionNotMet"
            | "UnauthorizedBlobOverwrite",
            _,
        ) => StoreError::AlreadyExists { key, cause },
        (
            "BlobImmutableDueToPolicy"
            | "BlobImmutableDueToLegalHold"
            | "LeaseIdMissing"
            | "AccountIsDisabled",
            _,
        ) => StoreError::Denied { key, cause },
        (
            "Md5Mismatch" | "Crc64Mismatch" | "InvalidMd5" | "InvalidBlockList"
            | "InvalidBlobOrBlock",
            _,
        ) => StoreError::Corrupt { key, cause },
        ("RequestBodyTooLarge" | "BlockCountExceedsLimit" | "BlockListTooLong", _) | (_, 413) => {
            StoreError::Limit { key, cause }
        }
        ("ContainerBeingDeleted" | "OperationTimedOut" | "ServerBusy" | "InternalError", _)
        | (_, 408 | 429 | 500..) => StoreError::Unavailable { key, cause },
        (_, 401 | 403) => StoreError::Denied { key, cause },
        (_, 404) => StoreError::NotFound { key, cause },
        (_, 412) => StoreError::AlreadyExists { key, cause },
        _ => StoreError::Invalid { key, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_weighs_more_than_the_status_it_came_with() {
        let of = |code, status| from_answer("k", code, status, String::new());
        assert!(matches!(
            of("ContainerNotFound", 404),
            StoreError::Missing { .. }
        ));
        assert!(matches!(
            of("BlobNotFound", 404),
            StoreError::NotFound { .. }
        ));
        assert!(matches!(of("", 404), StoreError::NotFound { .. }));
        assert!(matches!(
            of("BlobAlreadyExists", 409),
            StoreError::AlreadyExists { .. }
        ));
        assert!(matches!(
            of("BlobImmutableDueToPolicy", 409),
            StoreError::Denied { .. }
        ));
        assert!(matches!(
            of("ContainerBeingDeleted", 409),
            StoreError::Unavailable { .. }
        ));
        assert!(matches!(of("Md5Mismatch", 400), StoreError::Corrupt { .. }));
        assert!(matches!(
            of("AuthenticationFailed", 403),
            StoreError::Denied { .. }
        ));
        assert!(matches!(
            of("ServerBusy", 503),
            StoreError::Unavailable { .. }
        ));
        assert!(matches!(
            of("InvalidRange", 416),
            StoreError::Invalid { .. }
        ));
        assert!(matches!(
            of("RequestBodyTooLarge", 413),
            StoreError::Limit { .. }
        ));
    }
}
