//! One file for each call, or for calls of one kind.

pub(crate) mod cancel;
pub(crate) mod cleanup;
pub(crate) mod config;
pub(crate) mod export;
pub(crate) mod jobs;
pub(crate) mod list;
pub(crate) mod namespaces;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod status;
pub(crate) mod triggers;
pub(crate) mod verify;
