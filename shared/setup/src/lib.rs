//! From settings to clients, for the functions and the command line.
//!
//! It reads the environment, fetches secrets, opens stores and starts the log. It contains no use
//! case, and knows nothing of Lambda's runtime.

mod clients;
mod environment;
mod secrets;
mod settings;
mod stores;
mod telemetry;
mod timeouts;

pub use clients::Clients;
pub use environment::{Identity, identity, variables};
pub use settings::{NO_STORE, fault};
pub use telemetry::telemetry;
