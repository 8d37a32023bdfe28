//! What is fetched over HTTP: in pieces, no more than was allowed, with time limits on silence but
//! not on size.

use std::{error::Error as _, time::Duration};

use reqwest::{Client, Response};

use crate::error::Error;

const CONNECT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_mins(1);

/// The vendor's site, or one in its place.
pub(crate) struct Site {
    client: Client,
}

impl Site {
    /// Over TLS only, unless its own address says otherwise.
    pub(crate) fn of(url: &str) -> Result<Self, Error> {
        let builder = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        let client = builder.https_only(url.starts_with("https://")).build();
        Ok(Self {
            client: client.map_err(|error| unreachable(url, &error))?,
        })
    }

    /// Hands a file on piece by piece.
    pub(crate) async fn fetch(
        &self,
        url: &str,
        limit_bytes: u64,
        mut piece: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut response = self.get(url).await?;
        let mut left = limit_bytes;
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable(url, &error))?
        {
            let too_large = || Error::TooLarge {
                url: url.into(),
                limit_bytes,
            };
            left = left.checked_sub(chunk.len() as u64).ok_or_else(too_large)?;
            piece(&chunk)?;
        }
        Ok(())
    }

    async fn get(&self, url: &str) -> Result<Response, Error> {
        let response = self
            .client
            .get(url)
            .send()
            .await
            .map_err(|error| unreachable(url, &error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(Error::NotServed {
                url: url.into(),
                status: status.as_u16(),
            }),
        }
    }
}

/// The innermost cause says why; what is around it only that.
fn unreachable(url: &str, error: &reqwest::Error) -> Error {
    let mut cause = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        cause = error.to_string();
        inner = error.source();
    }
    Error::Unreachable {
        url: url.into(),
        cause,
    }
}
