//! Start-up shared by all functions: settings, clients, tracing, metrics, deadline, events.
//!
//! Only this crate reads the environment. It contains no use case.

mod batch;
mod clients;
mod copy_queue;
mod environment;
mod event;
mod events;
mod function;
mod invocation;
mod metrics;
mod misconfigured;
mod queue;
mod report;
mod secrets;
mod settings;
mod stores;
mod telemetry;
mod warm;

pub use batch::{comes_again, hand_on_if_settled, message_in};
pub use clients::Clients;
pub use copy_queue::{CopyMessage, CopyQueue};
pub use environment::{Identity, identity};
pub use event::{Event, EventFault, request};
pub use events::{EventError, Events};
pub use function::Function;
pub use invocation::{InvocationError, deadline, logged};
pub use metrics::{Metric, Metrics};
pub use misconfigured::record_misconfigured_run;
pub use queue::SqsQueue;
pub use report::{answer, tell};
pub use settings::{settings, start};
pub use telemetry::telemetry;
pub use warm::Warm;
