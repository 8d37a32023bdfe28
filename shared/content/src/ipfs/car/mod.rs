//! CAR, version 1 (<https://ipld.io/specs/transport/car/carv1/>): a header, then one section for
//! each block. The reader accepts untrusted streams. The writer writes for `ipfs dag import`.

mod fault;
mod header;
mod reader;
mod writer;

pub use self::{
    fault::CarFault,
    reader::{CarBlock, CarReader},
    writer::CarWriter,
};

/// Size limit of a header, in bytes: some 700 roots.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Size limit of a CID, in bytes: four numbers and the longest digest.
const MAX_CID_BYTES: usize = 4 * 10 + 128;
