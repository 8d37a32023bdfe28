//! What can be wrong with stored bytes and with keys. No message holds a key or a passphrase.

use std::io;

use holdfast_domain::RepositoryId;

/// A stored artifact that is not what was written. Permanent: reading the same bytes again cannot help.
///
/// Readers return it inside an [`io::Error`] of kind `InvalidData`; [`ArtifactError::of`] finds it there. Every other
/// error of a reader is its inner reader's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The header is not one.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The master key is not the one that the artifact was encrypted under.
    #[error(
        "wrong key: the artifact was encrypted under key epoch {key_epoch} of repository {repository}, and the key \
         given is another (or the header was changed)"
    )]
    WrongKey {
        /// Repository that the header names.
        repository: RepositoryId,
        /// Key epoch that the header names.
        key_epoch: u32,
    },
    /// The artifact belongs to another repository.
    #[error("the artifact belongs to repository {found}, not to {expected}")]
    OtherRepository {
        /// The repository that was asked.
        expected: RepositoryId,
        /// The repository that the header names.
        found: RepositoryId,
    },
    /// The artifact belongs to another key epoch.
    #[error("the artifact was encrypted under key epoch {found}, not under {expected}")]
    OtherEpoch {
        /// The epoch that was expected.
        expected: u32,
        /// The epoch that the header names.
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
    #[error("no encrypted artifact is {size_bytes} bytes long: it was cut or extended")]
    Length {
        /// The length.
        size_bytes: u64,
    },
    /// The artifact ends too early.
    #[error("the artifact is cut: segment {} of {segments} has {found_bytes} of {expected_bytes} bytes", .index + 1)]
    Short {
        /// The segment, counted from 0.
        index: u64,
        /// Number of segments there should be.
        segments: u64,
        /// Bytes that the segment should have.
        expected_bytes: u64,
        /// Bytes that came.
        found_bytes: u64,
    },
    /// Bytes follow where the artifact should end.
    #[error("the artifact goes on after segment {segments} of {segments}, where it should end at {size_bytes} bytes")]
    Long {
        /// Number of segments there should be.
        segments: u64,
        /// The size it should have.
        size_bytes: u64,
    },
    /// A segment has other bytes than were written, or another segment's.
    #[error("segment {} of {segments} is damaged, replaced or out of its place: its digest does not match", .index + 1)]
    Segment {
        /// The segment, counted from 0.
        index: u64,
        /// Number of segments.
        segments: u64,
    },
    /// Every segment is right, and the SHA-256 of the whole is not.
    #[error("the SHA-256 of the whole artifact does not match, though each of its {segments} segments does")]
    Whole {
        /// Number of segments.
        segments: u64,
    },
    /// The message authentication code at the end does not match.
    #[error("the artifact was changed, or does not belong at {object_key}: its authentication code does not match")]
    Mac {
        /// Where it was read.
        object_key: String,
    },
    /// Authentic, but not padded as CBC is.
    #[error("the ciphertext does not end in PKCS#7 padding")]
    Padding,
    /// The gzip stream ends inside a member.
    #[error("the gzip stream is cut inside a member: the file is incomplete")]
    GzipCut,
    /// Not gzip, or not as it was written, or followed by something else.
    #[error("the gzip stream is damaged after {expanded_bytes} expanded bytes: {reason}")]
    GzipDamaged {
        /// Bytes expanded before the fault.
        expanded_bytes: u64,
        /// What the decoder said.
        reason: String,
    },
    /// More came out than was allowed.
    #[error("the gzip stream expands to more than the {limit_bytes} bytes allowed")]
    GzipLimit {
        /// The limit.
        limit_bytes: u64,
    },
}

impl ArtifactError {
    /// The fault of the artifact inside a reader's error, if it is one, and not a failure to read.
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

/// A header that is not the 1,024 bytes of an encrypted artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Cut, or too long.
    #[error("the header of an encrypted artifact has {expected} bytes, this has {found}")]
    Length {
        /// Bytes of a header.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Something else altogether, or of a later format.
    #[error("not an artifact that Holdfast encrypted: it does not start with HOLDFAST1")]
    Magic,
    /// A line that is not `name=value`, other padding than newlines, or a value written in another way.
    #[error("the header is malformed: expected lines of name=value in ASCII, and newlines to its end")]
    Form,
    /// A line with a name that the format does not have.
    #[error("the header has an unknown field {0:?}")]
    Unknown(String),
    /// A line that comes twice.
    #[error("the header has its field {0} twice")]
    Duplicate(&'static str),
    /// A line that does not come.
    #[error("the header lacks its field {0}")]
    Missing(&'static str),
    /// All lines are there, in another order.
    #[error("the header's fields are out of order")]
    Order,
    /// A value that cannot be read.
    #[error("the header's field {0} has a malformed value")]
    Value(&'static str),
    /// A later format.
    #[error("the artifact is encrypted by {0:?}, which this version cannot read")]
    Suite(String),
}

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The setting's value has none of the accepted forms.
    #[error(
        "the encryption key is not usable: {reason}; expected 64 hex digits, 32 bytes in base64, or passphrase: and at \
         least 16 characters"
    )]
    Invalid {
        /// Which rule it breaks, without the value.
        reason: &'static str,
    },
    /// The right form, but not the key that wrapped this master key.
    #[error("wrong key: the encryption key given does not open the repository's master key")]
    WrongKey,
    /// A passphrase where a key was used, or the other way round.
    #[error(
        "wrong key: the repository's master key is kept under a {expected}, and the encryption key given is a {found}"
    )]
    WrongMethod {
        /// What wrapped it.
        expected: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// What is stored beside the wrapped key cannot be right.
    #[error("the repository's wrapped master key is malformed: {reason}")]
    Corrupt {
        /// What is wrong with it.
        reason: String,
    },
    /// What should be an age recipient is none.
    #[error("the age recipient is not usable: {reason}; expected age1 and 58 more characters, as age-keygen prints it")]
    Recipient {
        /// What is wrong with it, without its text.
        reason: &'static str,
    },
    /// What should be an age identity is none.
    #[error("the age identity is not usable: {reason}; expected a line AGE-SECRET-KEY-1…, as age-keygen writes it")]
    Identity {
        /// What is wrong with it, without its text.
        reason: &'static str,
    },
    /// An identity, but not of the recipient that this master key is wrapped for.
    #[error("wrong identity: the repository's master key is wrapped for another age recipient")]
    WrongIdentity,
    /// The system has no randomness to give. Transient.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
}
