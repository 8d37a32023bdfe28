//! A storage account, and the signature of its requests: Azure's Shared Key.
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key>

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use holdfast_domain::Secret;
use reqwest::Method;
use sha2::Sha256;
use url::Url;

/// Version of the protocol. It determines the form of the signature.
pub(super) const VERSION: &str = "2023-11-03";

/// One of the two keys of a storage account.
#[derive(Clone)]
pub struct AzureKey(Hmac<Sha256>);

impl AzureKey {
    /// Reads the portal's form, base64. `None` for another form.
    #[must_use]
    pub fn parse(text: &Secret) -> Option<Self> {
        let key = STANDARD
            .decode(text.expose().trim())
            .ok()
            .filter(|key| !key.is_empty())?;
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    /// The signature of a text.
    pub(super) fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.0.clone().chain_update(text).finalize().into_bytes())
    }
}

impl fmt::Debug for AzureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AzureKey(***)")
    }
}

/// An account: its name, its key, the address of its blobs.
pub(super) struct Account {
    name: String,
    key: AzureKey,
    /// Without a slash at its end.
    endpoint: String,
}

/// The signed elements of a request.
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    /// By lower-case names.
    pub(super) headers: &'a [(&'static str, String)],
    pub(super) body_bytes: usize,
}

impl Account {
    pub(super) fn new(name: &str, key: AzureKey, endpoint: Option<&Url>) -> Self {
        let endpoint = match endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None => format!("https://{name}.blob.core.windows.net"),
        };
        Self {
            name: name.to_owned(),
            key,
            endpoint,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key(&self) -> &AzureKey {
        &self.key
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self, request: &Signed<'_>) -> String {
        format!(
            "SharedKey {}:{}",
            self.name,
            self.key.sign(&self.text_to_sign(request))
        )
    }

    fn text_to_sign(&self, request: &Signed<'_>) -> String {
        let value = |name: &str| match name {
            "content-length" if request.body_bytes > 0 => request.body_bytes.to_string(),
            _ => request
                .headers
                .iter()
                .find(|(found, _)| *found == name)
                .map_or_else(String::new, |(_, v)| v.clone()),
        };
        let mut own: Vec<_> = request
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-ms-"))
            .collect();
        own.sort();
        let mut query: Vec<_> = request.url.query_pairs().collect();
        query.sort();
        let lines = std::iter::once(request.method.to_string())
            .chain(STANDARD_HEADERS.map(value))
            .chain(
                own.into_iter()
                    .map(|(name, value)| format!("{name}:{value}")),
            )
            .chain([format!("/{}{}", self.name, request.url.path())])
            .chain(
                query
                    .into_iter()
                    .map(|(name, value)| format!("{name}:{value}")),
            );
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// In the order of the signature.
const STANDARD_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_laid_out_as_azure_does() {
        let key = AzureKey::parse(&Secret::new("a2V5")).unwrap();
        let account = Account::new("account1", key, None);
        let url = Url::parse(&format!(
            "{}/box/a%20b?restype=container&comp=list",
            account.endpoint()
        ))
        .unwrap();
        let headers = [
            ("x-ms-version", "v".to_owned()),
            ("if-match", "\"e\"".to_owned()),
            ("x-ms-date", "d".to_owned()),
        ];
        let signed = Signed {
            method: &Method::PUT,
            url: &url,
            headers: &headers,
            body_bytes: 7,
        };
        let text = "PUT\n\n\n7\n\n\n\n\n\"e\"\n\n\n\nx-ms-date:d\nx-ms-version:v\n/account1/box/a%20b\ncomp:list\nrestype:container";
        assert_eq!(account.text_to_sign(&signed), text);
        assert!(
            account
                .authorization(&signed)
                .starts_with("SharedKey account1:")
        );
        let empty = Signed {
            body_bytes: 0,
            ..signed
        };
        assert!(
            account.text_to_sign(&empty).starts_with("PUT\n\n\n\n"),
            "no length is signed as nothing"
        );
    }

    #[test]
    fn a_key_is_base64_and_is_never_shown() {
        for wrong in ["", "not base64!", "  "] {
            assert!(AzureKey::parse(&Secret::new(wrong)).is_none(), "{wrong}");
        }
        assert_eq!(
            format!("{:?}", AzureKey::parse(&Secret::new("a2V5\n")).unwrap()),
            "AzureKey(***)"
        );
    }
}
