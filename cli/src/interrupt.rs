//! Ctrl-C, and the polite way of service managers to say the same.

use tokio::signal;

/// Ready at the next SIGINT or SIGTERM. From the first call on, neither ends the process by itself.
pub(crate) async fn next() {
    tokio::select! {
        () = or_never(signal::ctrl_c()) => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Where it cannot be listened to, it ends the process as ever.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

async fn or_never(signal: impl Future<Output = std::io::Result<()>>) {
    if signal.await.is_err() {
        std::future::pending::<()>().await;
    }
}
