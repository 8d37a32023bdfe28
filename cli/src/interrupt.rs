//! Ctrl-C, and the polite way of service managers to say the same.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM from now on: neither ends the process by itself any more, and none is lost between two calls.
pub(crate) struct Interrupts([Option<Signal>; 2]);

impl Interrupts {
    /// Where one cannot be listened to, it ends the process as ever.
    pub(crate) fn listen() -> Self {
        Self([SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok()))
    }

    /// Ready at the next one.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            () = received(interrupt.as_mut()) => {}
            () = received(terminate.as_mut()) => {}
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    let Some(signal) = signal else { return std::future::pending().await };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Ready at the first one, for whoever waits for no second.
pub(crate) async fn next() {
    Interrupts::listen().next().await;
}
