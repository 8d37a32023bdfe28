//! A proxy between driver and server that cuts connections: every one after so many bytes of answers, or all for good.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Ends with the test.
pub(crate) struct Proxy {
    port: u16,
    listener: JoinHandle<()>,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
    /// A connection is cut after so many bytes of answers; 0 is never.
    cut_after: AtomicU64,
    /// How many are to be cut so.
    cuts_left: AtomicU64,
    is_dead: AtomicBool,
}

impl Proxy {
    /// In front of the server of this connection string.
    pub(crate) async fn start(uri: &str) -> Self {
        let upstream = uri.split_once("://").expect("a scheme").1.split(['/', '?']).next().expect("a host").to_owned();
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let rules = Arc::new(Rules::default());
        let for_listener = Arc::clone(&rules);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = socket.accept().await {
                let (upstream, rules) = (upstream.clone(), Arc::clone(&for_listener));
                tokio::spawn(async move { serve(client, &upstream, &rules).await });
            }
        });
        Self { port, listener, rules }
    }

    pub(crate) fn uri(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true&serverSelectionTimeoutMS=500", self.port)
    }

    /// The next `cuts` connections that answer so much are cut there.
    pub(crate) fn cut(&self, cuts: u64, after_bytes: u64) {
        self.rules.cut_after.store(after_bytes, Ordering::SeqCst);
        self.rules.cuts_left.store(cuts, Ordering::SeqCst);
    }

    pub(crate) fn cuts_left(&self) -> u64 {
        self.rules.cuts_left.load(Ordering::SeqCst)
    }

    /// From now on nothing gets through, on connections that are open neither.
    pub(crate) fn die(&self) {
        self.rules.is_dead.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(client: TcpStream, upstream: &str, rules: &Rules) {
    if rules.is_dead.load(Ordering::SeqCst) {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let answering = async {
        let (mut buffer, mut answered) = (vec![0; 16 * 1024], 0);
        loop {
            let count = from_server.read(&mut buffer).await?;
            answered += count as u64;
            if count == 0 || rules.is_dead.load(Ordering::SeqCst) || is_cut(rules, answered) {
                return Ok::<_, std::io::Error>(());
            }
            to_client.write_all(&buffer[..count]).await?;
        }
    };
    tokio::select! {
        _ = asking => (),
        _ = answering => (),
    }
}

fn is_cut(rules: &Rules, answered: u64) -> bool {
    let limit = rules.cut_after.load(Ordering::SeqCst);
    let take_one = |left: u64| left.checked_sub(1);
    limit > 0 && answered > limit && rules.cuts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok()
}
