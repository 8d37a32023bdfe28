//! AWS KMS: wraps a master key for one repository, and unwraps it.

use aws_sdk_kms::{Client, error::ProvideErrorMetadata, primitives::Blob};
use holdfast_codec::MasterKey;
use holdfast_domain::{RepositoryId, WrappedKey};

use super::KeyringError;

/// KMS binds a wrapped key to this context, so it opens for no other repository.
const ENCRYPTION_CONTEXT: &str = "holdfast:repository";

pub(super) async fn wrap(
    client: &Client,
    key_id: &str,
    master: &MasterKey,
    repository: &RepositoryId,
) -> Result<WrappedKey, KeyringError> {
    let answer = client
        .encrypt()
        .key_id(key_id)
        .plaintext(Blob::new(master.expose()))
        .encryption_context(ENCRYPTION_CONTEXT, repository.as_str())
        .send()
        .await
        .map_err(|error| KeyringError::Kms {
            action: "wrap",
            cause: service_reason(&error),
        })?;
    let ciphertext = answer.ciphertext_blob().ok_or_else(|| KeyringError::Kms {
        action: "wrap",
        cause: "the answer contains no ciphertext".to_owned(),
    })?;
    Ok(WrappedKey::Kms {
        key_id: answer.key_id().unwrap_or(key_id).to_owned(),
        ciphertext: hex::encode(ciphertext.as_ref()),
    })
}

pub(super) async fn unwrap(
    client: &Client,
    key_id: &str,
    ciphertext: &str,
    repository: &RepositoryId,
) -> Result<MasterKey, KeyringError> {
    let fault = |cause: String| KeyringError::Kms {
        action: "unwrap",
        cause,
    };
    let ciphertext =
        hex::decode(ciphertext).map_err(|_| fault("the wrapped key is not hex".to_owned()))?;
    let answer = client
        .decrypt()
        .key_id(key_id)
        .ciphertext_blob(Blob::new(ciphertext))
        .encryption_context(ENCRYPTION_CONTEXT, repository.as_str())
        .send()
        .await
        .map_err(|error| fault(service_reason(&error)))?;
    let master: Option<[u8; 32]> = answer
        .plaintext()
        .and_then(|plain| plain.as_ref().try_into().ok());
    master
        .map(MasterKey::new)
        .ok_or_else(|| fault("its content is not a master key of 32 bytes".to_owned()))
}

/// The error text of KMS. Lower errors, such as a failed connection, are only summarized.
fn service_reason(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("it could not be reached");
    error
        .message()
        .map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
}
