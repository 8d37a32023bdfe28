//! A proxy between driver and server. It answers a `getMore` like a server whose capped collection has overwritten the
//! cursor's position.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bson::doc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Bytes before a message's body: length, request, response to, operation.
const HEADER_BYTES: usize = 16;
/// Flags, and the kind of the one section.
const BEFORE_DOCUMENT: [u8; 5] = [0; 5];

/// Ends with the test.
pub(crate) struct Rollover {
    port: u16,
    listener: JoinHandle<()>,
    left: Arc<AtomicU64>,
}

impl Rollover {
    /// In front of the server of this connection string, for this many answers.
    pub(crate) async fn start(uri: &str, times: u64) -> Self {
        let upstream = uri.split_once("://").expect("a scheme").1.split(['/', '?']).next().expect("a host").to_owned();
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let left = Arc::new(AtomicU64::new(times));
        let listener = tokio::spawn({
            let left = Arc::clone(&left);
            async move {
                while let Ok((client, _)) = socket.accept().await {
                    let (upstream, left) = (upstream.clone(), Arc::clone(&left));
                    tokio::spawn(async move { serve(client, &upstream, &left).await });
                }
            }
        });
        Self { port, listener, left }
    }

    pub(crate) fn uri(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true", self.port)
    }

    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }
}

impl Drop for Rollover {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(client: TcpStream, upstream: &str, left: &AtomicU64) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let answering = async {
        loop {
            let mut message = vec![0; HEADER_BYTES];
            from_server.read_exact(&mut message).await?;
            let length = i32::from_le_bytes([message[0], message[1], message[2], message[3]]);
            message.resize(usize::try_from(length).map_err(std::io::Error::other)?, 0);
            from_server.read_exact(&mut message[HEADER_BYTES..]).await?;
            let is_get_more = message.windows(10).any(|window| window == b"nextBatch\0");
            let take_one = |left: u64| left.checked_sub(1);
            if is_get_more && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok() {
                message = lost(&message[..HEADER_BYTES]);
            }
            to_client.write_all(&message).await?;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        _ = asking => (),
        _ = answering => (),
    }
}

/// The answer to the same request.
fn lost(header: &[u8]) -> Vec<u8> {
    let answer = doc! { "ok": 0.0, "code": 136, "codeName": "CappedPositionLost", "errmsg": "CappedPositionLost" };
    let document = answer.to_vec().expect("it is small");
    let mut message = [header, &BEFORE_DOCUMENT, &document].concat();
    let length = i32::try_from(message.len()).expect("it is small");
    message[..4].copy_from_slice(&length.to_le_bytes());
    message
}
