//! IPFS without a network: blocks are proved against their CIDs, a file is extracted from its DAG
//! in order, and a record of its blocks is made. No I/O, no async. All input is untrusted, so all
//! memory is bounded.

mod car;
mod cid;
mod dag_pb;
mod directory;
mod fault;
mod leaf;
mod limits;
mod murmur3;
mod name;
mod path;
mod protobuf;
mod rebuild;
mod record;
mod unixfs;
mod varint;
mod walk;

pub use car::{CarBlock, CarFault, CarReader, CarWriter};
pub use cid::{Cid, check_supported, is_raw_file};
pub(crate) use cid::{RawProof, is_raw};
pub use fault::{DagFault, DagFaultKind, WalkError};
pub(crate) use leaf::single_leaves;
pub use limits::WalkLimits;
pub use name::IpfsName;
pub use path::IpfsPath;
pub use rebuild::RebuildError;
pub use record::{DagRecord, RecordError};
pub use walk::{Walk, WalkedFile};

/// Size limit of a block, in bytes. Importers write 1 MiB at most, and public gateways pass on 2
/// MiB.
pub const MAX_BLOCK_BYTES: usize = 4 * 1024 * 1024;
