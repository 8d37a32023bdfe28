//! An origin: scheme, host and port. Trust is given to all three together.

use std::{fmt, str::FromStr};

use url::Url;

/// `scheme://host[:port]`, of http or https.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// Text that is not an origin, or not a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {problem}")]
pub struct OriginError {
    text: String,
    problem: String,
}

impl OriginError {
    pub(crate) fn new(text: &str, problem: impl Into<String>) -> Self {
        Self {
            text: text.chars().take(120).collect(),
            problem: problem.into(),
        }
    }
}

impl Origin {
    /// The origin of a URL, if its scheme is http or https.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let (scheme, host) = (url.scheme(), url.host_str()?);
        let port = url.port_or_known_default()?;
        matches!(scheme, "http" | "https").then(|| Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
        })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.is_https(), self.port) {
            (true, 443) | (false, 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = web_url(text)?;
        if url.path() != "/" {
            return Err(OriginError::new(
                text,
                "has a path: an origin is scheme://host[:port]",
            ));
        }
        Self::of(&url).ok_or_else(|| {
            OriginError::new(text, "is not an origin: expected scheme://host[:port]")
        })
    }
}

/// Parses an operator's URL of http or https, without user, query and fragment. A URL with a user
/// is never shown.
pub(crate) fn web_url(text: &str) -> Result<Url, OriginError> {
    let url = Url::parse(text).map_err(|error| {
        OriginError::new("the text", format!("cannot be read as a URL: {error}"))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OriginError::new(
            url.scheme(),
            "has a user or a password, not allowed in an origin",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(OriginError::new(
            text,
            "has a query or a fragment, not allowed in an origin",
        ));
    }
    if Origin::of(&url).is_none() {
        return Err(OriginError::new(text, "is not a URL of http or https"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_it_is_compared() {
        for (text, shown) in [
            ("https://Example.com", "https://example.com"),
            ("https://example.com:443/", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://example.com:80", "https://example.com:80"),
            ("http://0x7f.1", "http://127.0.0.1"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), shown);
            assert_eq!(shown.parse::<Origin>().unwrap(), origin);
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "",
            "example.com",
            "ftp://h",
            "https://h/x",
            "https://h?x",
            "https://h/#x",
            "https://",
            "data:x",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_never_shown() {
        let error = "https://user:hunter2@example.com"
            .parse::<Origin>()
            .unwrap_err();
        assert!(
            !error.to_string().contains("hunter2") && error.to_string().contains("password"),
            "{error}"
        );
    }
}
