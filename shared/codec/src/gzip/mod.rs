//! Gzip (RFC 1952) of many members, as every gunzip reads it: written on all cores, read with a
//! limit.

mod members;
mod reader;
mod worthwhile;
mod writer;

pub use members::MemberReader;
pub use reader::GunzipReader;
pub use worthwhile::is_worthwhile;
pub use writer::{GzipSummary, GzipWriter};
