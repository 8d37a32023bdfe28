//! Faults of stored bytes and of keys. Messages never contain a key or a passphrase.

use std::io;

use holdfast_domain::RepositoryId;

/// A fault of a stored artifact. It is permanent: the next read of the same bytes fails too.
///
/// Readers return it inside an [`io::Error`] of kind `InvalidData`, and [`ArtifactError::of`]
/// extracts it. All other errors of a reader come from its inner reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The header is malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The artifact was encrypted under another master key.
    #[error(
        "wrong key: the artifact was encrypted under key epoch {key_epoch} of repository {repository}, and the key \
         given is another (or the header was changed)"
    )]
    WrongKey {
        /// Repository in the header.
        repository: RepositoryId,
        /// Key epoch in the header.
        key_epoch: u32,
    },
    /// The artifact belongs to another repository.
    #[error("the artifact belongs to repository {found}, not to {expected}")]
    OtherRepository {
        /// The expected repository.
        expected: RepositoryId,
        /// The repository in the header.
        found: RepositoryId,
    },
    /// The artifact belongs to another key epoch.
    #[error("the artifact was encrypted under key epoch {found}, not under {expected}")]
    OtherEpoch {
        /// The expected epoch.
        expected: u32,
        /// The epoch in the header.
        found: u32,
    },
    /// The list of segment digests and the size cannot belong together.
    #[error("the digests given are inconsistent: {segments} segments for {size_bytes} bytes")]
    Digests {
        /// The size given.
        size_bytes: u64,
        /// Number of segment digests given.
        segments: usize,
    },
    /// No encrypted artifact has this length.
    #[error("an encrypted artifact cannot have {size_bytes} bytes: it was cut or extended")]
    Length {
        /// The length.
        size_bytes: u64,
    },
    /// The artifact ends too early.
    #[error("the artifact is cut: segment {} of {segments} has {found_bytes} of {expected_bytes} bytes", .index + 1)]
    Short {
        /// The segment, counted from 0.
        index: u64,
        /// Expected number of segments.
        segments: u64,
        /// Expected bytes of the segment.
        expected_bytes: u64,
        /// Bytes read.
        found_bytes: u64,
    },
    /// Bytes follow after the artifact's expected end.
    #[error(
        "the artifact continues after segment {segments} of {segments}: expected its end at {size_bytes} bytes"
    )]
    Long {
        /// Expected number of segments.
        segments: u64,
        /// The expected size.
        size_bytes: u64,
    },
    /// A segment has changed bytes, or another segment's.
    #[error("segment {} of {segments} is damaged, replaced or out of its place: its digest does not match", .index + 1)]
    Segment {
        /// The segment, counted from 0.
        index: u64,
        /// Number of segments.
        segments: u64,
    },
    /// All segments match, but the SHA-256 of the complete artifact does not.
    #[error(
        "the SHA-256 of the complete artifact does not match, although each of its {segments} segments matches"
    )]
    Whole {
        /// Number of segments.
        segments: u64,
    },
    /// The message authentication code at the end does not match.
    #[error(
        "the artifact was changed, or does not belong at {object_key}: its authentication code does not match"
    )]
    Mac {
        /// The expected place of the artifact.
        object_key: String,
    },
    /// Authentic, but not padded as CBC is.
    #[error("the ciphertext does not end in PKCS#7 padding")]
    Padding,
    /// The gzip stream ends inside a member.
    #[error("the gzip stream is cut inside a member: the file is incomplete")]
    GzipCut,
    /// Not gzip, or changed, or followed by other bytes.
    #[error("the gzip stream is damaged after {expanded_bytes} expanded bytes: {reason}")]
    GzipDamaged {
        /// Bytes expanded before the fault.
        expanded_bytes: u64,
        /// Reason from the decoder.
        reason: String,
    },
    /// The output exceeds the limit.
    #[error("the gzip stream expands to more than the {limit_bytes} bytes allowed")]
    GzipLimit {
        /// The limit.
        limit_bytes: u64,
    },
}

impl ArtifactError {
    /// The artifact's fault inside a reader's error. `None` for a failure to read.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<ArtifactError> for io::Error {
    fn from(error: ArtifactError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// A fault in the header of an encrypted artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Cut, or too long.
    #[error("the header has {found} bytes: expected {expected}")]
    Length {
        /// Bytes of a header.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Another kind of file, or a later format.
    #[error("not an encrypted artifact of Holdfast: it does not start with HOLDFAST1")]
    Magic,
    /// Something other than lines of `name=value` and padding of newlines, or another spelling of a
    /// value.
    #[error(
        "the header is malformed: expected lines of name=value in ASCII, and newlines to its end"
    )]
    Form,
    /// A line with an unknown name.
    #[error("the header has an unknown field {0:?}")]
    Unknown(String),
    /// A repeated line.
    #[error("the header repeats its field {0}")]
    Duplicate(&'static str),
    /// A missing line.
    #[error("the header lacks its field {0}")]
    Missing(&'static str),
    /// All lines exist, but in another order.
    #[error("the header's fields are out of order")]
    Order,
    /// A malformed value.
    #[error("the header's field {0} has a malformed value")]
    Value(&'static str),
    /// A later format.
    #[error("this version cannot read an artifact with the cipher suite {0:?}")]
    Suite(String),
}

/// A fault of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The setting's value has a wrong form.
    #[error(
        "the encryption key is not usable: {reason}. Expected 64 hex digits, 32 bytes in base64, or passphrase: and at \
         least 16 characters"
    )]
    Invalid {
        /// The broken rule, without the value.
        reason: &'static str,
    },
    /// A key in the right form, but not of this master key.
    #[error("wrong key: the encryption key given does not open the repository's master key")]
    WrongKey,
    /// A passphrase instead of a key, or a key instead of a passphrase.
    #[error(
        "wrong key: the repository's master key is kept under a {expected}, and the encryption key given is a {found}"
    )]
    WrongMethod {
        /// Kind of the wrapping.
        expected: &'static str,
        /// Kind of the key given.
        found: &'static str,
    },
    /// Impossible values next to the wrapped key.
    #[error("the repository's wrapped master key is malformed: {reason}")]
    Corrupt {
        /// Reason.
        reason: String,
    },
    /// Not an age recipient.
    #[error(
        "the age recipient is not usable: {reason}. Expected age1 and 58 more characters, as from age-keygen"
    )]
    Recipient {
        /// Reason, without the text.
        reason: &'static str,
    },
    /// Not an age identity.
    #[error(
        "the age identity is not usable: {reason}. Expected a line AGE-SECRET-KEY-1…, as age-keygen writes it"
    )]
    Identity {
        /// Reason, without the text.
        reason: &'static str,
    },
    /// An identity of another recipient.
    #[error("wrong identity: the repository's master key is wrapped for another age recipient")]
    WrongIdentity,
    /// The system has no randomness. Transient.
    #[error("cannot read random bytes from the system: {0}")]
    Random(String),
}
