//! A server of a test's own, to be killed and started again.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

/// Ends with the test.
pub(crate) struct Server {
    data: TempDir,
    child: Option<Child>,
    port: u16,
    arguments: Vec<&'static str>,
}

impl Server {
    pub(crate) async fn start(arguments: &[&'static str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut server = Self { data, child: None, port: free_port(), arguments: arguments.to_vec() };
        server.start_again().await;
        server
    }

    pub(crate) fn uri(&self, credentials: &str, database: &str) -> String {
        format!("mongodb://{credentials}127.0.0.1:{}/{database}?directConnection=true", self.port)
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is killed");
            child.wait().expect("it is gone");
        }
    }

    /// The same data, served otherwise.
    pub(crate) async fn with_arguments(mut self, arguments: &[&'static str]) -> Self {
        self.stop();
        self.arguments = arguments.to_vec();
        self.start_again().await;
        self
    }

    /// Lets it end properly, so that everything is on disk.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let asked = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
            assert!(asked.success());
            child.wait().expect("it is gone");
        }
    }

    pub(crate) async fn start_again(&mut self) {
        let mut child = Command::new(holdfast_testing::mongodb_server_program())
            .args(["--port", &self.port.to_string(), "--cache-size", "64M", "--log-file-max", "1MB", "--storage-path"])
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

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Free a moment ago; nothing better is to be had for a server that must come back on the same one.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}
