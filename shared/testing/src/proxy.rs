//! A proxy between the SDK and the local S3 that breaks the real protocol on demand: throttling,
//! resets, lost and truncated responses, altered bodies. Plain HTTP/1.1, one request for each
//! connection, only bodies with a length.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub use crate::wire_fault::WireFault;
use crate::{
    clock,
    wire::{Head, end_of_head, read_head},
    wire_fault::answer,
};

/// A running proxy. It ends when dropped.
pub struct FaultProxy {
    endpoint: String,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<(String, String)>,
}

struct Rule {
    method: &'static str,
    target_part: String,
    times_left: u32,
    fault: WireFault,
}

impl FaultProxy {
    /// Starts a proxy in front of the local AWS.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        Self::before(&crate::parts().aws_endpoint).await
    }

    /// Starts a proxy in front of another server. If that address has a path, the proxy's address
    /// has it too.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before(endpoint: &str) -> Self {
        let upstream = endpoint
            .strip_prefix("http://")
            .unwrap_or(endpoint)
            .trim_end_matches('/');
        let (upstream, path) = upstream
            .find('/')
            .map_or((upstream, ""), |slash| upstream.split_at(slash));
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            state: Mutex::default(),
        });
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = socket
            .local_addr()
            .unwrap_or_else(|error| panic!("its address: {error}"));
        let listener = tokio::spawn(accept(socket, Arc::clone(&shared)));
        Self {
            endpoint: format!("http://{address}{path}"),
            shared,
            listener,
        }
    }

    /// The address for clients.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The next `times` requests of this method fail, if their path and query contain
    /// `target_part`.
    pub fn fail(&self, method: &'static str, target_part: &str, times: u32, fault: WireFault) {
        let rule = Rule {
            method,
            target_part: target_part.to_owned(),
            times_left: times,
            fault,
        };
        self.shared.state().rules.push(rule);
    }

    /// Number of such requests.
    #[must_use]
    pub fn count(&self, method: &str, target_part: &str) -> usize {
        let state = self.shared.state();
        state
            .seen
            .iter()
            .filter(|(seen, target)| seen == method && target.contains(target_part))
            .count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self, method: &str, target: &str) -> Option<WireFault> {
        let mut state = self.state();
        state.seen.push((method.to_owned(), target.to_owned()));
        let fits = |rule: &&mut Rule| {
            rule.times_left > 0 && rule.method == method && target.contains(&rule.target_part)
        };
        let rule = state.rules.iter_mut().find(fits)?;
        rule.times_left -= 1;
        Some(rule.fault.clone())
    }
}

async fn accept(socket: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = socket.accept().await {
        let shared = Arc::clone(&shared);
        // Broken connections are the purpose of this proxy.
        tokio::spawn(async move { serve(client, &shared).await.ok() });
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let Some((head, mut body)) = read_head(&mut client).await? else {
        return Ok(());
    };
    let fault = shared.next_fault(head.method(), head.target());
    if head.header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if let Some(WireFault::ResetAfter(count)) = fault {
        read_up_to(&mut client, &mut body, count).await?;
        return reset(&client);
    }
    let length = head
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    read_up_to(&mut client, &mut body, length).await?;
    match fault {
        Some(WireFault::Answer { status, body }) => {
            client.write_all(answer(status, &body).as_bytes()).await
        }
        Some(WireFault::Hang) => std::future::pending().await,
        Some(WireFault::LoseAnswer) => {
            forward(shared, &head, &body).await?;
            reset(&client)
        }
        Some(WireFault::HoldAnswer) => {
            forward(shared, &head, &body).await?;
            std::future::pending().await
        }
        Some(WireFault::CutAnswerAfter(count)) => {
            let answer = forward(shared, &head, &body).await?;
            let end = (end_of_head(&answer).unwrap_or(0) + count).min(answer.len());
            client.write_all(&answer[..end]).await
        }
        Some(WireFault::AlterBody) => {
            let middle = body.len() / 2;
            body[middle] ^= 1;
            client
                .write_all(&forward(shared, &head, &body).await?)
                .await
        }
        Some(WireFault::WithoutHeaders(prefix)) => {
            client
                .write_all(&without_headers(
                    &forward(shared, &head, &body).await?,
                    prefix,
                ))
                .await
        }
        Some(WireFault::ClockAhead(seconds)) => {
            let answer = match clock::refusal(&head, seconds) {
                Some(refusal) => refusal,
                None => forward(shared, &head, &body).await?,
            };
            client
                .write_all(&clock::dated(&without_headers(&answer, "date"), seconds))
                .await
        }
        Some(WireFault::ResetAfter(_)) | None => {
            client
                .write_all(&forward(shared, &head, &body).await?)
                .await
        }
    }
}

fn without_headers(answer: &[u8], prefix: &str) -> Vec<u8> {
    let (head, body) = answer.split_at(end_of_head(answer).unwrap_or(0));
    let head = String::from_utf8_lossy(head);
    let kept = head
        .split_inclusive("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with(prefix));
    [kept.collect::<String>().into_bytes(), body.to_vec()].concat()
}

async fn read_up_to(client: &mut TcpStream, body: &mut Vec<u8>, length: usize) -> io::Result<()> {
    while body.len() < length {
        if client.read_buf(body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn forward(shared: &Shared, head: &Head, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(&shared.upstream).await?;
    upstream.write_all(head.for_upstream().as_bytes()).await?;
    upstream.write_all(body).await?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Closing without lingering sends RST.
fn reset(client: &TcpStream) -> io::Result<()> {
    client.set_zero_linger()
}
