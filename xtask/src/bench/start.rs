//! The start of a function: from the start of its process to its first request to Lambda's runtime
//! API. A listener here replaces the runtime API, and every setting is a plain value.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{io::AsyncReadExt as _, net::TcpListener, process::Command, time::timeout};

use crate::files::{self, Build};

const HANDLERS: [&str; 3] = ["api", "database-backup", "retention"];
const RUNS: usize = 30;
const LONGEST: Duration = Duration::from_secs(20);
const FIRST_REQUEST: &[u8] = b"GET /2018-06-01/runtime/invocation/next ";

/// Lambda's variables, and the settings that every function needs.
const VARIABLES: [(&str, &str); 10] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "holdfast-bench"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "bench"),
    ("AWS_SECRET_ACCESS_KEY", "bench"),
    ("BACKUP_STORE", "s3://bench"),
    ("MONGODB_URI", "mongodb://127.0.0.1:1/bench"),
];

/// Measures and prints.
pub(super) async fn measure() -> Result<()> {
    println!("\nThe start of a function, until its first request to the runtime API\n");
    let program = files::built_programs(Build::Release)?.join("holdfast-bootstrap");
    for handler in HANDLERS {
        let mut starts = Vec::new();
        for _ in 0..RUNS {
            starts.push(start(&program, handler).await?.as_secs_f64() * 1000.0);
        }
        starts.sort_by(f64::total_cmp);
        println!(
            "  {handler:<16} median {:.1} ms, fastest {:.1} ms",
            starts[RUNS / 2],
            starts[0]
        );
    }
    Ok(())
}

/// Starts the function once, and ends it at its first request.
async fn start(program: &Path, handler: &str) -> Result<Duration> {
    let runtime_api = TcpListener::bind("127.0.0.1:0").await?;
    let mut command = Command::new(program);
    command.env_clear().envs(VARIABLES).env("_HANDLER", handler);
    command.env(
        "AWS_LAMBDA_RUNTIME_API",
        runtime_api.local_addr()?.to_string(),
    );
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let began = Instant::now();
    let mut process = command
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let (mut connection, _) = tokio::select! {
        accepted = timeout(LONGEST, runtime_api.accept()) => {
            accepted.with_context(|| format!("{handler} did not connect to the runtime API"))??
        }
        status = process.wait() => bail!("{handler} ended before its first request: {}", status?),
    };
    let mut request = [0; FIRST_REQUEST.len()];
    connection.read_exact(&mut request).await?;
    let took = began.elapsed();
    process.kill().await?;
    ensure!(
        request == FIRST_REQUEST,
        "{handler} sent another request: {}",
        String::from_utf8_lossy(&request)
    );
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_without_a_first_request_is_an_error() {
        let missing = start(Path::new("/missing/bootstrap"), "api")
            .await
            .unwrap_err();
        assert!(
            missing.to_string().contains("/missing/bootstrap"),
            "{missing}"
        );
        let ended = start(Path::new("/bin/sh"), "api").await.unwrap_err();
        assert!(
            ended
                .to_string()
                .contains("api ended before its first request"),
            "{ended}"
        );
    }
}
