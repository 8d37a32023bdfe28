//! The mongodump archive format: written, walked and proved. Pure, without I/O.
//!
//! An archive is the magic number, a header, one document per namespace (the [`Prelude`]), then
//! blocks of documents. The last block of a namespace carries the CRC-64 of its documents' bytes.
//! Integers are little-endian.

mod block;
mod content_hash;
mod crc;
mod error;
mod extended_json;
mod flat;
mod foreign;
mod inspector;
mod line_endings;
mod metadata;
mod namespace_kind;
mod namespaces;
mod prelude;
mod summary;
mod visitor;
mod walker;
mod writer;

pub use content_hash::ContentHash;
pub use error::WalkError;
pub use extended_json::{JsonError, JsonVersion, from_extended_json, to_extended_json};
pub use foreign::ForeignFile;
pub use inspector::Inspector;
pub use metadata::{Metadata, MetadataError};
pub use namespace_kind::NamespaceKind;
pub use prelude::{Prelude, PreludeNamespace};
pub use summary::{NamespaceSummary, Summary};
pub use visitor::{VisitError, Visitor};
pub use walker::Walker;
pub use writer::{BlockWriter, WriteError, Written, WrittenNamespace};

/// The first four bytes of every archive.
pub const MAGIC: [u8; 4] = 0x8199_e26d_u32.to_le_bytes();

/// Written instead of a document's length. It ends the prelude and each block.
const TERMINATOR: [u8; 4] = (-1_i32).to_le_bytes();

/// Bytes of the shortest BSON document: its length and the closing NUL.
const MIN_DOCUMENT_BYTES: usize = 5;

/// Bytes of the longest document: the server's 16 MiB, and its additional 16 KiB for oplog entries.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024 + 16 * 1024;

/// Limit of declared namespaces. It bounds the walker's memory.
pub const MAX_NAMESPACES: usize = 100_000;

/// Limit of a prelude's bytes. It bounds the walker's memory.
pub const MAX_PRELUDE_BYTES: u64 = 64 * 1024 * 1024;
