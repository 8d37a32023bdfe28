//! One safe GET of an untrusted URL: with rules for its target, its address, its size and its
//! duration. It does not know IPFS or Gaia, and never retries.

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
mod transport;

pub(crate) use answer::Answer;
pub(crate) use client::{HttpClient, Request};
pub use names::Lookup;
pub(crate) use origin::web_url;
pub use origin::{Origin, OriginError};
