//! One GET from a stranger, made safe: where it may lead, whom it connects to, how much and how long it may take.
//! Knows nothing of IPFS or Gaia, and never tries again.

mod address;
mod answer;
mod client;
mod coding;
mod decoder;
mod host;
mod names;
mod origin;
mod retry_after;
mod rules;

pub(crate) use answer::Answer;
pub(crate) use client::{HttpClient, Request};
pub use names::Lookup;
pub(crate) use origin::web_url;
pub use origin::{Origin, OriginError};
