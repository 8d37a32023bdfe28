//! Links: a shared access signature for one blob, made without a request. Another client uses it.
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas>

use std::time::Duration;

use holdfast_domain::{ObjectKey, Secret, Timestamp};

use super::{AzureStore, account::VERSION};
use crate::{Link, StoreError};

pub(super) fn link(
    store: &AzureStore,
    key: &ObjectKey,
    lifetime: Duration,
) -> Result<Link, StoreError> {
    let invalid = |_| StoreError::Invalid {
        key: key.to_string(),
        cause: "invalid time".to_owned(),
    };
    let end = Timestamp::from_second(Timestamp::now().as_second()).map_err(invalid)?;
    let expires_at = end.checked_add(lifetime).map_err(invalid)?;
    let protocol = if store.account.endpoint().starts_with("https:") {
        "https"
    } else {
        "https,http"
    };
    let (name, until) = (
        format!("{}/{}", store.container, store.full_key(key)),
        expires_at.to_string(),
    );
    let text = [
        "r",
        "",
        &until,
        &format!("/blob/{}/{name}", store.account.name()),
        "",
        "",
        protocol,
        VERSION,
        "b",
        // Neither a snapshot, nor an encryption scope, nor other headers of the answer.
        "\n\n\n\n\n\n",
    ];
    let signature = store.account.key().sign(&text.join("\n"));
    let query = [
        ("sp", "r".to_owned()),
        ("se", until),
        ("spr", protocol.to_owned()),
        ("sv", VERSION.to_owned()),
        ("sr", "b".to_owned()),
        ("sig", signature),
    ];
    let url = store.address(key.as_str(), &name, &query)?;
    Ok(Link {
        url: Secret::new(url),
        expires_at,
    })
}
