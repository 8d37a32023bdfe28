//! A server in place of the vendor's site.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use crate::{
    bench::VERSION,
    programs::{MACHINES, program},
};

/// What it answers to a path.
#[derive(Clone)]
pub(crate) enum Page {
    /// This.
    Whole(Vec<u8>),
    /// This, and then silence where more was announced.
    Cut(Vec<u8>),
}

/// The server. Its thread ends with the tests.
pub(crate) struct Site {
    origin: String,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Without any page.
    pub(crate) fn empty() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let site = Self {
            origin,
            pages: Arc::default(),
            asked: Arc::default(),
        };
        let (pages, asked) = (Arc::clone(&site.pages), Arc::clone(&site.asked));
        thread::spawn(move || {
            for connection in listener.incoming() {
                // A client that went away is its own affair.
                _ = answer(connection.unwrap(), &pages.lock().unwrap().clone(), &asked);
            }
        });
        site
    }

    /// With the feed and an archive for each processor.
    pub(crate) fn vendors() -> Self {
        let site = Self::empty();
        for (architecture, _) in MACHINES {
            site.serve(
                &archive_path(architecture),
                Page::Whole(archive_for(architecture)),
            );
        }
        site.list(
            &MACHINES.map(|(architecture, _)| (architecture, sha256(&archive_for(architecture)))),
        );
        site
    }

    /// With one archive, whatever it is, in the feed for that processor.
    pub(crate) fn offering(architecture: &str, archive: Vec<u8>) -> Self {
        let site = Self::empty();
        site.list(&[(architecture, sha256(&archive))]);
        site.serve(&archive_path(architecture), Page::Whole(archive));
        site
    }

    pub(crate) fn serve(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.pages.lock().unwrap().remove(path);
    }

    /// The feed, in the vendor's form and words.
    pub(crate) fn list(&self, archives: &[(&str, String)]) {
        let download = |(architecture, sha256): &(&str, String)| {
            let url = self.url(&archive_path(architecture));
            let arch = if *architecture == "arm64" {
                "aarch64"
            } else {
                architecture
            };
            let archive = serde_json::json!({ "url": url, "md5": "", "sha256": sha256 });
            serde_json::json!({ "name": "amazon2023", "arch": arch, "archive": archive })
        };
        let other = serde_json::json!({ "name": "macos", "arch": "arm64", "archive": { "url": "", "sha256": "" } });
        let downloads: Vec<_> = [other]
            .into_iter()
            .chain(archives.iter().map(download))
            .collect();
        let old = serde_json::json!({ "version": "100.0.0", "downloads": [] });
        let feed = serde_json::json!({ "versions": [old, { "version": VERSION, "downloads": downloads }] });
        self.serve("/full.json", Page::Whole(feed.to_string().into_bytes()));
    }

    pub(crate) fn feed(&self) -> String {
        self.url("/full.json")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// How often a path was asked for.
    pub(crate) fn asked_for(&self, path: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| *asked == path)
            .count()
    }
}

fn answer(
    mut stream: TcpStream,
    pages: &HashMap<String, Page>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, announced, body) = match pages.get(&path) {
        Some(Page::Whole(body)) => ("200 OK", body.len(), &body[..]),
        Some(Page::Cut(body)) => ("200 OK", body.len() + 1, &body[..]),
        None => ("404 Not Found", 0, &b""[..]),
    };
    asked.lock().unwrap().push(path);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

/// Where the site has the archive.
pub(crate) fn archive_path(architecture: &str) -> String {
    format!("/tools-{architecture}.tgz")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An archive as the vendor makes it, with a program for that processor.
pub(crate) fn archive_for(architecture: &str) -> Vec<u8> {
    let mongodump = program(architecture, &LIBRARIES);
    archive_of(&[
        ("LICENSE.md", b"Apache"),
        ("THIRD-PARTY-NOTICES", b"others"),
        ("bin/mongodump", &mongodump),
    ])
}

/// What its program links.
pub(crate) const LIBRARIES: [&str; 2] = ["libgssapi_krb5.so.2", "libc.so.6"];

/// A gzipped tar of these files in one folder, and a program that nobody wants.
pub(crate) fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files.iter().chain([&("bin/mongorestore", &b"another"[..])]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        // Not executable: what the layer needs does not hang on what the archive says.
        header.set_mode(0o600);
        archive
            .append_data(&mut header, format!("tools-{VERSION}/{path}"), *content)
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}
