//! The head of an HTTP/1.1 request, read from a socket, for servers that misbehave below the level
//! of a library.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// The request line and the headers.
pub(crate) struct Head(String);

impl Head {
    pub(crate) fn method(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// Path and query, unchanged.
    pub(crate) fn target(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self
            .0
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        headers.map(|(name, value)| (name, value.trim()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Its form for the real server: the response ends with the connection.
    pub(crate) fn for_upstream(&self) -> String {
        let mut text = String::new();
        for line in self.0.lines().filter(|line| !line.is_empty()) {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            if name != "connection" && name != "expect" {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        text.push_str("connection: close\r\n\r\n");
        text
    }
}

/// The head, and the first bytes of the body. None if the client closed.
pub(crate) async fn read_head(client: &mut TcpStream) -> io::Result<Option<(Head, Vec<u8>)>> {
    let mut received = Vec::new();
    loop {
        if let Some(end) = end_of_head(&received) {
            let body = received.split_off(end);
            return Ok(Some((
                Head(String::from_utf8_lossy(&received).into_owned()),
                body,
            )));
        }
        if client.read_buf(&mut received).await? == 0 {
            return Ok(None);
        }
    }
}

pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|start| start + 4)
}
