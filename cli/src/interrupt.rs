//! Ctrl-C, and the termination signal of service managers.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens to SIGINT and SIGTERM from now on: neither ends the process any more, and none is lost
/// between two calls.
pub(crate) struct Interrupts([Option<Signal>; 2]);

impl Interrupts {
    /// Without a listener, the signal ends the process as usual.
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
    let Some(signal) = signal else {
        return std::future::pending().await;
    };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Completes at the first interruption, for callers that ignore a second one.
pub(crate) async fn next() {
    Interrupts::listen().next().await;
}
