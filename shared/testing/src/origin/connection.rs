//! Connections, and the number of concurrent ones. A connection counts until just before its last
//! byte. A client with the complete response may open the next one at once, and the two would seem
//! concurrent.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Request;
use crate::wire::read_head;

/// Number of open connections, and its maximum so far.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Counts>);

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Connections {
    pub(super) fn count_one(&self) -> Open {
        let open = self.0.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(open, Ordering::SeqCst);
        Open(Arc::clone(&self.0))
    }

    pub(super) fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

/// A counted connection.
pub(super) struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection of one request and one response.
pub(super) struct Wire {
    // Dropped in this order.
    open: Open,
    client: TcpStream,
}

impl Wire {
    pub(super) fn new(client: TcpStream, open: Open) -> Self {
        // A drop is not to wait for the next.
        client.set_nodelay(true).ok();
        Self { open, client }
    }

    pub(super) async fn read_request(&mut self) -> io::Result<Option<Request>> {
        Ok(read_head(&mut self.client)
            .await?
            .map(|(head, _)| Request::from(&head)))
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.client.write_all(bytes).await
    }

    /// Writes the end of the response and closes.
    pub(super) async fn finish(mut self, bytes: &[u8]) -> io::Result<()> {
        let (first, last) = bytes.split_at(bytes.len().saturating_sub(1));
        self.client.write_all(first).await?;
        drop(self.open);
        self.client.write_all(last).await?;
        self.client.shutdown().await
    }

    /// Sends nothing more until the client closes.
    pub(super) async fn until_hung_up(mut self) -> io::Result<()> {
        let mut ignored = [0; 1024];
        while self.client.read(&mut ignored).await? > 0 {}
        Ok(())
    }
}
