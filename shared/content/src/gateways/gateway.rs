//! One IPFS gateway, as the operator names it.

use std::{fmt, str::FromStr};

use url::Url;

use crate::http::{Origin, OriginError, web_url};

/// A gateway for IPFS files: `https://host`, or `plain+https://host` for one with plain files only.
/// Those come last, and their files are marked as unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    url: Url,
    origin: Origin,
    trustless: bool,
}

impl Gateway {
    /// Its base address. `/ipfs/<cid>` is appended.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it serves blocks, each to be checked against its CID.
    #[must_use]
    pub fn is_trustless(&self) -> bool {
        self.trustless
    }

    /// Its origin, exempt from the rules for untrusted URLs in requests to the gateway itself.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Its address of `path`: a CID with or without a path, percent-encoded.
    pub(crate) fn address(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.url.clone();
        let base = self.url.path().trim_end_matches('/');
        url.set_path(&format!("{base}/ipfs/{path}"));
        url.set_query(query);
        url
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.trustless { "" } else { "plain+" };
        write!(f, "{mark}{}", self.url.as_str().trim_end_matches('/'))
    }
}

impl FromStr for Gateway {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (address, trustless) = text
            .strip_prefix("plain+")
            .map_or((text, true), |rest| (rest, false));
        let url = web_url(address)?;
        let origin = Origin::of(&url)
            .ok_or_else(|| OriginError::new(address, "is not a gateway: expected https://host"))?;
        Ok(Self {
            url,
            origin,
            trustless,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_written_as_it_is_read() {
        for text in [
            "https://ipfs.io",
            "plain+https://h.example/base",
            "http://127.0.0.1:8080",
            "plain+http://[::1]:81",
        ] {
            let gateway: Gateway = text.parse().unwrap();
            assert_eq!(gateway.to_string(), text);
            assert_eq!(gateway.is_trustless(), !text.starts_with("plain+"));
        }
        for text in [
            "",
            "ipfs.io",
            "plain+",
            "plain+plain+https://h",
            "https://u:p@h",
            "https://h?x",
            "ipfs://h",
        ] {
            assert!(text.parse::<Gateway>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_keeps_the_base_and_the_encoding() {
        let gateway: Gateway = "https://h.example/base/".parse().unwrap();
        assert_eq!(
            gateway.address("Qm/a%20b%2Fc%3F", None).as_str(),
            "https://h.example/base/ipfs/Qm/a%20b%2Fc%3F"
        );
        assert_eq!(
            gateway.address("Qm", Some("format=raw")).as_str(),
            "https://h.example/base/ipfs/Qm?format=raw"
        );
    }
}
