//! The rules for a URL before its request: scheme, port, user, and the address if the host is one.
//! Names are checked when they are resolved (`names`).

use std::{collections::HashSet, net::IpAddr};

use holdfast_domain::ItemFailureCode;
use url::{Host, Url};

use super::{Origin, address};
use crate::FetchError;

/// Trust in an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The operator named it: any address, port and scheme of the web.
    Exempt,
    /// An untrusted URL.
    Stranger,
}

/// The operator's origins, allowed for every URL. A gateway is not one of them. It is exempt only
/// for its own requests, so that no untrusted URL or redirect reaches an internal one.
#[derive(Debug)]
pub(crate) struct Rules {
    allowed: HashSet<Origin>,
}

impl Rules {
    pub(crate) fn new(allowed: impl IntoIterator<Item = Origin>) -> Self {
        Self {
            allowed: allowed.into_iter().collect(),
        }
    }

    /// Checks one hop alone. `gateway` is set for a request to a gateway. An exemption of the hop
    /// before does not matter.
    ///
    /// # Errors
    /// [`ItemFailureCode::Blocked`], with the reason.
    pub(crate) fn check(
        &self,
        url: &Url,
        gateway: Option<&Origin>,
    ) -> Result<(Origin, Standing), FetchError> {
        let origin = Origin::of(url).ok_or_else(|| {
            blocked(format!(
                "a URL of scheme {:?} is not followed",
                url.scheme()
            ))
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(blocked(format!(
                "the URL of {origin} contains a user or a password, and is not followed"
            )));
        }
        if gateway == Some(&origin) || self.allowed.contains(&origin) {
            return Ok((origin, Standing::Exempt));
        }
        if !origin.is_https() {
            return Err(blocked(format!(
                "{origin} is not https, and not among BACKUP_CONTENT_ALLOWED_ORIGINS"
            )));
        }
        if !matches!(origin.port(), 443 | 80) {
            return Err(blocked(format!(
                "the port of {origin} is neither 443 nor 80"
            )));
        }
        match literal(url).and_then(address::refusal) {
            Some(kind) => Err(blocked(format!("the address of {origin} is {kind}"))),
            None => Ok((origin, Standing::Stranger)),
        }
    }
}

/// The host, if it is an address. The parser has normalised every notation.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn blocked(message: String) -> FetchError {
    FetchError::new(ItemFailureCode::Blocked, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(rules: &Rules, url: &str) -> Option<Standing> {
        standing_for(rules, url, None)
    }

    fn standing_for(rules: &Rules, url: &str, gateway: Option<&Origin>) -> Option<Standing> {
        rules
            .check(&Url::parse(url).unwrap(), gateway)
            .map_err(|error| assert_eq!(error.code, ItemFailureCode::Blocked))
            .ok()
            .map(|(_, standing)| standing)
    }

    #[test]
    fn untrusted_urls_are_followed_over_https_on_usual_ports_only() {
        let rules = Rules::new([]);
        for url in [
            "https://example.com/x",
            "https://example.com:80/",
            "https://1.1.1.1/",
            "https://[2606:4700::1]/",
        ] {
            assert_eq!(standing(&rules, url), Some(Standing::Stranger), "{url}");
        }
        for url in [
            "http://example.com/",
            "https://example.com:8443/",
            "https://u@example.com/",
            "https://u:p@example.com/",
            "ftp://example.com/",
            "data:text/plain,x",
            "file:///etc/passwd",
            "javascript:x",
        ] {
            assert_eq!(standing(&rules, url), None, "{url}");
        }
    }

    #[test]
    fn every_way_to_write_an_inner_address_is_refused() {
        let rules = Rules::new([]);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0",
            "10.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:0:1:2:3:4:80ff:fffe]",
            "[fd00:ec2::254]",
            "[fe80::1]",
        ] {
            assert_eq!(
                standing(&rules, &format!("https://{host}/latest/meta-data")),
                None,
                "{host}"
            );
        }
    }

    #[test]
    fn an_exemption_is_for_scheme_host_and_port_together() {
        let rules = Rules::new(["http://127.0.0.1:8080".parse().unwrap()]);
        assert_eq!(
            standing(&rules, "http://127.0.0.1:8080/x"),
            Some(Standing::Exempt)
        );
        for url in [
            "https://127.0.0.1:8080/",
            "http://127.0.0.1/",
            "http://127.0.0.2:8080/",
            "http://u@127.0.0.1:8080/",
            "http://localhost:8080/",
        ] {
            assert_eq!(standing(&rules, url), None, "{url}");
        }
    }

    #[test]
    fn a_gateway_is_exempt_at_its_own_origin_and_for_its_own_requests_alone() {
        let rules = Rules::new([]);
        let [gateway, other] =
            ["http://10.0.0.5:8080", "http://10.0.0.6:8080"].map(|text| text.parse().unwrap());
        let url = "http://10.0.0.5:8080/ipfs/x";
        assert_eq!(
            standing_for(&rules, url, Some(&gateway)),
            Some(Standing::Exempt)
        );
        assert_eq!(standing_for(&rules, url, Some(&other)), None);
        assert_eq!(standing_for(&rules, url, None), None);
    }
}
