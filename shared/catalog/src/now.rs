//! The present by the clock of the catalogue's server.

use std::time::Instant;

use holdfast_domain::Timestamp;
use jiff::SignedDuration;

use crate::{Catalog, CatalogError};

impl Catalog {
    /// The present by the server's clock. Every time that another machine judges is written and
    /// judged by this clock.
    ///
    /// # Errors
    /// Those of the server, at most once a minute: the difference of the clocks is remembered.
    pub async fn now(&self) -> Result<Timestamp, CatalogError> {
        self.by_server_clock(Timestamp::now()).await
    }

    /// A time that this machine's clock showed, or will show, by the server's clock. A server that
    /// does not report its time changes nothing.
    ///
    /// # Errors
    /// As [`Catalog::now`].
    pub async fn by_server_clock(&self, at: Timestamp) -> Result<Timestamp, CatalogError> {
        let ahead = self.ahead().await?;
        Ok(at.saturating_add(ahead).unwrap_or(at))
    }

    async fn ahead(&self) -> Result<SignedDuration, CatalogError> {
        let (before, since) = (Timestamp::now(), Instant::now());
        if let Some(known) = self.clock.known(before, since) {
            return Ok(known);
        }
        let theirs = self.server_time().await?;
        Ok(self.clock.compare(theirs, (before, since)))
    }
}
