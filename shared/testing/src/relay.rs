//! A relay between a client and a server, for any protocol over TCP. Its network fails on demand.

use std::sync::Arc;

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Up,
    /// Nothing arrives, in either direction. It arrives once the network is up again, as TCP sends
    /// it again.
    Silent,
    /// Connections break, and new ones are refused.
    Down,
}

/// A running relay. It ends when dropped.
pub struct Relay {
    address: String,
    network: Arc<watch::Sender<Network>>,
    listener: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay in front of the server at `upstream`, a host and a port.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before(upstream: &str) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = socket
            .local_addr()
            .unwrap_or_else(|error| panic!("its address: {error}"))
            .to_string();
        let network = Arc::new(watch::Sender::new(Network::Up));
        let listener = tokio::spawn(accept(socket, upstream.to_owned(), Arc::clone(&network)));
        Self {
            address,
            network,
            listener,
        }
    }

    /// Starts a relay in front of the tests' MongoDB server.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before_mongodb() -> Self {
        Self::before(mongodb_host()).await
    }

    /// The connection string of a database of the tests' MongoDB server, through this relay.
    #[must_use]
    pub fn mongodb_uri(&self, database: &str) -> String {
        mongodb_uri_at(&self.address, database)
    }

    /// The address for clients: a host and a port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing arrives, as behind a firewall that drops packets.
    pub fn silence(&self) {
        self.network.send_replace(Network::Silent);
    }

    /// From now on connections break and are refused, as if the server were down.
    pub fn cut(&self) {
        self.network.send_replace(Network::Down);
    }

    /// All is well again.
    pub fn restore(&self) {
        self.network.send_replace(Network::Up);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// The connection string of a database of the tests' MongoDB server, with another address for
/// clients.
pub(crate) fn mongodb_uri_at(address: &str, database: &str) -> String {
    crate::parts()
        .mongodb_uri
        .replacen(mongodb_host(), address, 1)
        .replacen("/?", &format!("/{database}?"), 1)
}

/// Host and port of the tests' MongoDB server.
pub(crate) fn mongodb_host() -> &'static str {
    let uri = &crate::parts().mongodb_uri;
    let after_scheme = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

async fn accept(socket: TcpListener, upstream: String, network: Arc<watch::Sender<Network>>) {
    while let Ok((client, _)) = socket.accept().await {
        let (upstream, network) = (upstream.clone(), network.subscribe());
        // Broken connections are the purpose of this relay.
        tokio::spawn(async move { serve(client, &upstream, network).await.ok() });
    }
}

async fn serve(
    client: TcpStream,
    upstream: &str,
    network: watch::Receiver<Network>,
) -> io::Result<()> {
    let mut is_down = network.clone();
    let relayed = async {
        until_up(&mut network.clone()).await;
        let server = TcpStream::connect(upstream).await?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            relay(from_client, to_server, network.clone()),
            relay(from_server, to_client, network.clone()),
        )
    };
    tokio::select! {
        relayed = relayed => relayed.map(drop),
        _ = is_down.wait_for(|network| *network == Network::Down) => Ok(()),
    }
}

async fn relay(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut network: watch::Receiver<Network>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        until_up(&mut network).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}

async fn until_up(network: &mut watch::Receiver<Network>) {
    // The relay's end ends the connection too.
    let _ = network.wait_for(|network| *network == Network::Up).await;
}
