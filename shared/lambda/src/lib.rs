//! Parts shared by all functions: state between invocations, events, queues, metrics, deadline.
//!
//! It contains no use case.

mod batch;
mod copy_queue;
mod event;
mod events;
mod function;
mod invocation;
mod metrics;
mod misconfigured;
mod queue;
mod report;
mod skipped;
mod warm;
mod worker;

pub use batch::{batch_in, dispatch_if_settled, message_in, redeliver};
pub use copy_queue::{CopyMessage, CopyQueue};
pub use event::{Event, EventFault, request};
pub use events::{EventError, Events};
pub use function::Function;
pub use invocation::{InvocationError, deadline, logged};
pub use metrics::{Metric, Metrics};
pub use misconfigured::record_misconfigured_run;
pub use queue::SqsQueue;
pub use report::{answer, report_outcome};
pub use skipped::skipped_tick;
pub use warm::Warm;
pub use worker::run_worker;
