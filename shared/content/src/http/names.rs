//! Name resolution. An untrusted name is resolved once, every address is checked, and the
//! connection uses only checked addresses. So a second look-up cannot lead to another address.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;

/// Addresses on their way.
type LookingUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Resolves the addresses of a name.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> LookingUp + Send + Sync>);

impl Lookup {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|name| async move {
            Ok(tokio::net::lookup_host((name, 0))
                .await?
                .map(|address| address.ip())
                .collect())
        })
    }

    /// Another: for tests.
    pub fn new<F, R>(look_up: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |name| Box::pin(look_up(name))))
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// Names of the operator's origins: every address is allowed.
pub(crate) struct ExemptNames(pub(crate) Lookup);

/// Untrusted names: a single non-global address refuses the name.
pub(crate) struct StrangerNames(pub(crate) Lookup);

/// A name with a refused address.
#[derive(Debug, thiserror::Error)]
#[error("its name resolves to a forbidden address ({kind})")]
pub(crate) struct NameRefused {
    kind: &'static str,
}

impl Resolve for ExemptNames {
    fn resolve(&self, name: Name) -> Resolving {
        let looking_up = self.0.0(name.as_str().to_owned());
        Box::pin(async move { Ok(addresses(looking_up.await?)) })
    }
}

impl Resolve for StrangerNames {
    fn resolve(&self, name: Name) -> Resolving {
        let looking_up = self.0.0(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking_up.await?;
            match found.iter().find_map(|address| address::refusal(*address)) {
                Some(kind) => Err(NameRefused { kind }.into()),
                None if found.is_empty() => Err(io::Error::other("the name has no address").into()),
                None => Ok(addresses(found)),
            }
        })
    }
}

/// Port 0 is replaced by the URL's.
fn addresses(found: Vec<IpAddr>) -> Addrs {
    Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn resolved(found: &[&str]) -> Result<Vec<IpAddr>, String> {
        let found: Vec<IpAddr> = found.iter().map(|text| text.parse().unwrap()).collect();
        let names = StrangerNames(Lookup::new(move |_| std::future::ready(Ok(found.clone()))));
        let addresses = names
            .resolve("example.com".parse().unwrap())
            .await
            .map_err(|error| error.to_string())?;
        Ok(addresses.map(|address| address.ip()).collect())
    }

    #[tokio::test]
    async fn only_addresses_that_were_judged_are_handed_on() {
        assert_eq!(
            resolved(&["1.1.1.1", "2606:4700::1"]).await.unwrap().len(),
            2
        );
        assert!(resolved(&[]).await.unwrap_err().contains("no address"));
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_so_that_it_cannot_change() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let names = StrangerNames(Lookup::new(move |_| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            std::future::ready(Ok(vec![IpAddr::from(if first {
                [1, 1, 1, 1]
            } else {
                [127, 0, 0, 1]
            })]))
        }));
        let name = || "rebinding.example".parse().unwrap();
        let found: Vec<_> = names.resolve(name()).await.unwrap().collect();
        assert_eq!(
            (found, asked.load(Ordering::SeqCst)),
            (vec![SocketAddr::from(([1, 1, 1, 1], 0))], 1)
        );
        assert!(names.resolve(name()).await.is_err());
    }

    #[tokio::test]
    async fn one_bad_address_among_good_ones_refuses_the_name() {
        for bad in [
            "127.0.0.1",
            "169.254.169.254",
            "10.0.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
        ] {
            for found in [["1.1.1.1", bad], [bad, "1.1.1.1"]] {
                let error = resolved(&found).await.unwrap_err();
                assert!(error.contains("resolves to a forbidden address"), "{error}");
            }
        }
    }
}
