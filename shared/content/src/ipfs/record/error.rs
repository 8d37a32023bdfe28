//! The faults of stored records.

/// Bytes that are not a record. Permanent: reading the same bytes again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Something else altogether.
    #[error("not a record of an IPFS file's blocks: it does not begin with HOLDFAST-DAG-1")]
    Magic,
    /// Of a later format.
    #[error("the record of an IPFS file's blocks has a newer format: use a newer Holdfast")]
    Later,
    /// Cut, or changed since it was written.
    #[error("the record of an IPFS file's blocks is damaged: its checksum does not match")]
    Checksum,
    /// Complete, but not written by Holdfast.
    #[error("the record of an IPFS file's blocks is malformed: {0}")]
    Malformed(&'static str),
}
