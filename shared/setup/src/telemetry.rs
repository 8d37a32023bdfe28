//! Tracing as JSON, one line for each event, on stdout. Lambda passes it to CloudWatch Logs.

use holdfast_domain::settings::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets, fmt, layer::SubscriberExt as _, registry::Registry,
    util::SubscriberInitExt as _,
};

/// Crates with many lines at `info` and possible secrets at `debug`: only their warnings are
/// logged.
const NOISY: [&str; 10] = [
    "aws",
    "h2",
    "hickory",
    "hyper",
    "lambda_http",
    "lambda_runtime",
    "mongodb",
    "reqwest",
    "rustls",
    "tower",
];

/// Sets the process's log. Panics are logged too. A second call changes nothing.
pub fn telemetry(level: LogLevel) {
    let set = Registry::default()
        .with(filter(level))
        .with(lines(std::io::stdout))
        .try_init();
    if set.is_ok() {
        std::panic::set_hook(Box::new(
            |panic| tracing::error!(error = %panic, "a fault of Holdfast's own: it panicked"),
        ));
    }
}

fn lines<S, W>(writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false)
        .with_writer(writer)
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let quiet = level.min(LevelFilter::WARN);
    // `logged` logs failed invocations, and a hook logs panics. This layer would repeat both.
    let again = LevelFilter::OFF;
    // The runtime's span has the request's id at `info`. Its `trace` has the complete event,
    // including the token.
    let span = level.min(LevelFilter::INFO);
    NOISY
        .iter()
        .fold(Targets::new().with_default(level), |targets, name| {
            targets.with_target(*name, quiet)
        })
        .with_target("lambda_runtime::layers::trace", span)
        .with_target("lambda_runtime::layers::panic", again)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing::Level;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_of_json_with_its_fields_at_the_top() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = Registry::default()
            .with(filter(LogLevel::Info))
            .with(lines(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(backupId = "db_1_a", bytes = 12_u64, "backup\ncompleted");
            tracing::debug!("not logged");
        });
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "backup\ncompleted");
        assert_eq!(line["backupId"], "db_1_a");
        assert_eq!(line["bytes"], 12);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn what_may_hold_a_secret_is_not_logged_at_any_level() {
        for level in [LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            for target in [
                "aws_smithy_runtime::client",
                "hyper::proto",
                "mongodb::cmap",
                "lambda_runtime::requests",
            ] {
                assert!(
                    !filter(level).would_enable(target, &Level::INFO),
                    "{target} at {level}"
                );
                assert!(
                    filter(level).would_enable(target, &Level::WARN),
                    "{target} at {level}"
                );
            }
        }
        assert!(!filter(LogLevel::Error).would_enable("mongodb", &Level::WARN));
        assert!(filter(LogLevel::Trace).would_enable("holdfast_operations", &Level::TRACE));
        assert!(filter(LogLevel::Info).would_enable("lambda_runtime::layers::trace", &Level::INFO));
    }
}
