//! A MongoDB server of a test's own, to be killed and started again.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

/// A server that ends with the test.
///
/// Its functions panic if it cannot be started or stopped, because the test cannot continue.
pub struct MongoServer {
    data: TempDir,
    child: Option<Child>,
    port: u16,
    arguments: Vec<&'static str>,
}

impl MongoServer {
    /// An empty server.
    pub async fn start(arguments: &[&'static str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut server = Self {
            data,
            child: None,
            port: free_port(),
            arguments: arguments.to_vec(),
        };
        server.start_again().await;
        server
    }

    /// Its connection string. `credentials` are empty or end in `@`.
    #[must_use]
    pub fn uri(&self, credentials: &str, database: &str) -> String {
        format!(
            "mongodb://{credentials}127.0.0.1:{}/{database}?directConnection=true",
            self.port
        )
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is killed");
            child.wait().expect("it is gone");
        }
    }

    /// The same data, served otherwise.
    pub async fn with_arguments(mut self, arguments: &[&'static str]) -> Self {
        self.stop();
        self.arguments = arguments.to_vec();
        self.start_again().await;
        self
    }

    /// Shuts it down cleanly, so that everything is on disk.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let asked = Command::new("kill")
                .arg(child.id().to_string())
                .status()
                .expect("kill");
            assert!(asked.success());
            child.wait().expect("it is gone");
        }
    }

    /// Kills it, and deletes all of its data. Started again it is an empty server.
    pub fn lose_everything(&mut self) {
        self.kill();
        self.data = tempfile::tempdir().expect("a folder");
    }

    /// Serves the same data again, on the same port.
    pub async fn start_again(&mut self) {
        let mut child = Command::new(crate::mongodb_server_program())
            .args([
                "--port",
                &self.port.to_string(),
                "--cache-size",
                "64M",
                "--log-file-max",
                "1MB",
                "--storage-path",
            ])
            .arg(self.data.path())
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        // Its pipe must not fill up.
        std::thread::spawn(move || output.lines().count());
        self.child = Some(child);
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not come up");
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago. Nothing better is possible for a server that must restart on
/// the same port.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
}
