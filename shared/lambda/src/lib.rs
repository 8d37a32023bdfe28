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

pub use batch::{batch_in, comes_again, hand_on_if_settled, message_in};
pub use copy_queue::{CopyMessage, CopyQueue};
pub use event::{Event, EventFault, request};
pub use events::{EventError, Events};
pub use function::Function;
pub use invocation::{InvocationError, deadline, logged};
pub use metrics::{Metric, Metrics};
pub use misconfigured::record_misconfigured_run;
pub use queue::SqsQueue;
pub use report::{answer, tell};
