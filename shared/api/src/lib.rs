//! HTTP: `/api/backups/*`. All processes with these calls use one router.
//!
//! A front verifies the token, inserts the [`Claims`] into the request, and calls [`respond`].

mod access;
mod answer;
mod calls;
mod contract;
mod fit;
mod front;
mod host;
mod json;
mod request;
mod router;
mod schema;

pub use access::Claims;
pub use contract::document;
pub use fit::{MAX_ANSWER_BYTES, escaped_bytes};
pub use front::{refuse_size, respond};
pub use host::{DispatchError, Host, Work};
pub use router::router;
