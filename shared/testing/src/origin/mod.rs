//! An HTTP/1.1 origin that misbehaves on demand, for the failures of content downloads. One request
//! for each connection. As a gateway it alters the responses of a real node.

mod answer;
mod car;
mod connection;
mod gateway;
mod reply;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use self::connection::{Connections, Wire};
pub use self::{answer::Answer, gateway::Alteration};
use crate::wire::Head;

/// A running origin. It ends with its connections when dropped.
pub struct Origin {
    address: String,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, ….
    pub method: String,
    /// Path and query.
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The target up to its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl From<&Head> for Request {
    fn from(head: &Head) -> Self {
        let headers = head
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            method: head.method().to_owned(),
            target: head.target().to_owned(),
            headers: headers.collect(),
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    connections: Connections,
}

#[derive(Default)]
struct State {
    scripts: Vec<Script>,
    requests: Vec<Request>,
}

/// Responses to matching requests, in order. The last one repeats.
struct Script {
    pattern: String,
    answers: Vec<Answer>,
    given: usize,
}

impl Script {
    fn fits(&self, request: &Request) -> bool {
        let (path, query) = self.pattern.split_once('?').unwrap_or((&self.pattern, ""));
        let path_fits = if path.ends_with('/') {
            request.path().starts_with(path)
        } else {
            request.path() == path
        };
        path_fits && request.target[request.path().len()..].contains(query)
    }

    fn next(&mut self) -> Option<Answer> {
        let answer = self.answers.get(self.given).or(self.answers.last());
        self.given += 1;
        answer.cloned()
    }
}

impl Origin {
    /// An origin that responds 404 to everything so far.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = socket
            .local_addr()
            .unwrap_or_else(|error| panic!("its address: {error}"));
        let shared = Arc::new(Shared::default());
        let listener = tokio::spawn(accept(socket, Arc::clone(&shared)));
        Self {
            address: format!("http://{address}"),
            shared,
            listener,
        }
    }

    /// Its address: `http://127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL of a path. The path begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Matching requests get these responses in order. The last one repeats.
    ///
    /// A pattern is a path. One that ends in `/` matches all below it. Text after a `?` in it must
    /// occur in the query: `/ipfs/?format=car`. If several patterns match, the longest wins. Of
    /// equal ones, the newest wins.
    pub fn answer(&self, pattern: &str, answers: impl IntoIterator<Item = Answer>) {
        let script = Script {
            pattern: pattern.to_owned(),
            answers: answers.into_iter().collect(),
            given: 0,
        };
        self.shared.state().scripts.push(script);
    }

    /// All requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Number of requests for that path.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.shared
            .state()
            .requests
            .iter()
            .filter(|request| request.path() == path)
            .count()
    }

    /// The highest number of concurrent connections.
    #[must_use]
    pub fn most_connections(&self) -> usize {
        self.shared.connections.most()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_answer(&self, request: &Request) -> Answer {
        let mut state = self.state();
        state.requests.push(request.clone());
        let fitting = state
            .scripts
            .iter_mut()
            .filter(|script| script.fits(request));
        // Of equals, the last one.
        let script = fitting.max_by_key(|script| script.pattern.len());
        script
            .and_then(Script::next)
            .unwrap_or_else(|| Answer::status(404))
    }
}

async fn accept(socket: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = socket.accept().await {
        while connections.try_join_next().is_some() {}
        let open = shared.connections.count_one();
        let shared = Arc::clone(&shared);
        // Broken connections are the purpose of this origin.
        connections.spawn(async move { serve(Wire::new(client, open), &shared).await.ok() });
    }
}

async fn serve(mut wire: Wire, shared: &Shared) -> io::Result<()> {
    let Some(request) = wire.read_request().await? else {
        return Ok(());
    };
    shared.next_answer(&request).give(wire, &request).await
}
