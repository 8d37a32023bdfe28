//! A relay before MongoDB whose answers report a wrong time, as if this machine's clock were wrong
//! by as much.

use std::io;

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    messages::relay_messages,
    relay::{mongodb_host, mongodb_uri_at},
};

/// The field of `hello` with the server's time: a BSON date of this name.
const LOCAL_TIME: &[u8] = b"\x09localTime\0";

/// A running relay; it ends when dropped.
pub struct WrongClock {
    address: String,
    listener: JoinHandle<()>,
}

impl WrongClock {
    /// Starts a relay in front of the tests' MongoDB server. The server's clock is ahead of this
    /// machine's by so many seconds, or behind if there are fewer than none.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before_mongodb(seconds_ahead: i64) -> Self {
        Self::before(mongodb_host(), seconds_ahead).await
    }

    /// The same in front of another MongoDB server: a host and a port.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before(upstream: &str, seconds_ahead: i64) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = socket
            .local_addr()
            .unwrap_or_else(|error| panic!("its address: {error}"))
            .to_string();
        Self {
            address,
            listener: tokio::spawn(accept(socket, upstream.to_owned(), seconds_ahead * 1000)),
        }
    }

    /// Where clients connect to: a host and a port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The connection string of a database of the tests' MongoDB server, through this relay.
    #[must_use]
    pub fn mongodb_uri(&self, database: &str) -> String {
        mongodb_uri_at(&self.address, database)
    }
}

impl Drop for WrongClock {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn accept(socket: TcpListener, upstream: String, ahead_ms: i64) {
    while let Ok((client, _)) = socket.accept().await {
        let upstream = upstream.clone();
        tokio::spawn(async move { serve(client, &upstream, ahead_ms).await.ok() });
    }
}

async fn serve(client: TcpStream, upstream: &str, ahead_ms: i64) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = relay_messages(&mut from_client, &mut to_server, |_| ());
    let answers = relay_messages(&mut from_server, &mut to_client, |message| {
        shift(message, ahead_ms);
    });
    tokio::try_join!(requests, answers).map(drop)
}

fn shift(message: &mut [u8], ahead_ms: i64) {
    let found = message
        .windows(LOCAL_TIME.len())
        .position(|window| window == LOCAL_TIME);
    let Some(at) = found.map(|start| start + LOCAL_TIME.len()) else {
        return;
    };
    let Some(bytes) = message.get_mut(at..at + 8) else {
        return;
    };
    let time = i64::from_le_bytes((&*bytes).try_into().unwrap_or_default());
    bytes.copy_from_slice(&(time + ahead_ms).to_le_bytes());
}
