//! A proxy between driver and server. It cuts each connection after a number of answered bytes, or
//! all for good. It also traps one command: it holds the command, or loses its answer.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
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
    /// Number of answered bytes before a connection is cut. 0 means never.
    cut_after: AtomicU64,
    /// Remaining number of cuts.
    cuts_left: AtomicU64,
    is_dead: AtomicBool,
    trap: Mutex<Option<(Vec<u8>, Then)>>,
}

/// Treatment of a trapped command.
enum Then {
    /// The server executes it, and its answer is lost.
    LoseAnswer,
    /// Its answer is lost, and nothing passes any more.
    Die,
    Hold(Arc<Gate>),
}

/// A command held by the proxy until the test opens the gate.
#[derive(Default)]
pub(crate) struct Gate {
    reached: Notify,
    open: Notify,
}

impl Gate {
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    pub(crate) fn open(&self) {
        self.open.notify_one();
    }
}

/// The beginning of a command on a collection in BSON.
fn command(name: &str, collection: &str) -> Vec<u8> {
    let length = i32::try_from(collection.len() + 1)
        .expect("a short name")
        .to_le_bytes();
    [
        b"\x02",
        name.as_bytes(),
        b"\0",
        &length,
        collection.as_bytes(),
        b"\0",
    ]
    .concat()
}

impl Proxy {
    /// In front of the server of this connection string.
    pub(crate) async fn start(uri: &str) -> Self {
        let upstream = uri
            .split_once("://")
            .expect("a scheme")
            .1
            .split(['/', '?'])
            .next()
            .expect("a host")
            .to_owned();
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
        Self {
            port,
            listener,
            rules,
        }
    }

    pub(crate) fn uri(&self, database: &str) -> String {
        format!(
            "mongodb://127.0.0.1:{}/{database}?directConnection=true&serverSelectionTimeoutMS=500",
            self.port
        )
    }

    /// Cuts the next `cuts` connections after this many answered bytes.
    pub(crate) fn cut(&self, cuts: u64, after_bytes: u64) {
        self.rules.cut_after.store(after_bytes, Ordering::SeqCst);
        self.rules.cuts_left.store(cuts, Ordering::SeqCst);
    }

    pub(crate) fn cuts_left(&self) -> u64 {
        self.rules.cuts_left.load(Ordering::SeqCst)
    }

    /// The next such command is executed, and its answer is lost.
    pub(crate) fn lose_answer(&self, name: &str, collection: &str) {
        self.set_trap(command(name, collection), Then::LoseAnswer);
    }

    /// The next such command is executed, and then the server disappears.
    pub(crate) fn die_after(&self, name: &str, collection: &str) {
        self.set_trap(command(name, collection), Then::Die);
    }

    /// Holds the next command of this name.
    pub(crate) fn hold(&self, name: &str) -> Arc<Gate> {
        self.hold_bytes([b"\x02", name.as_bytes(), b"\0"].concat())
    }

    /// Holds the next such command.
    pub(crate) fn hold_on(&self, name: &str, collection: &str) -> Arc<Gate> {
        self.hold_bytes(command(name, collection))
    }

    fn hold_bytes(&self, needle: Vec<u8>) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.set_trap(needle, Then::Hold(Arc::clone(&gate)));
        gate
    }

    fn set_trap(&self, needle: Vec<u8>, then: Then) {
        *self.rules.trap.lock().unwrap() = Some((needle, then));
    }

    /// From now on nothing passes, not even on open connections.
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
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_caught = AtomicBool::new(false);
    let asking = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                return Ok::<_, std::io::Error>(());
            }
            match trapped(rules, &buffer[..count]) {
                Some(Then::Hold(gate)) => {
                    gate.reached.notify_one();
                    gate.open.notified().await;
                }
                Some(then) => {
                    is_caught.store(true, Ordering::SeqCst);
                    rules
                        .is_dead
                        .store(matches!(then, Then::Die), Ordering::SeqCst);
                }
                None => {}
            }
            to_server.write_all(&buffer[..count]).await?;
        }
    };
    let answering = async {
        let (mut buffer, mut answered) = (vec![0; 16 * 1024], 0);
        loop {
            let count = from_server.read(&mut buffer).await?;
            answered += count as u64;
            let is_caught = is_caught.load(Ordering::SeqCst);
            if count == 0
                || is_caught
                || rules.is_dead.load(Ordering::SeqCst)
                || is_cut(rules, answered)
            {
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
    limit > 0
        && answered > limit
        && rules
            .cuts_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
            .is_ok()
}

fn trapped(rules: &Rules, asked: &[u8]) -> Option<Then> {
    let mut trap = rules.trap.lock().unwrap();
    let is_there = |(needle, _): &mut (Vec<u8>, Then)| {
        asked
            .windows(needle.len())
            .any(|window| window == &needle[..])
    };
    trap.take_if(is_there).map(|(_, then)| then)
}
