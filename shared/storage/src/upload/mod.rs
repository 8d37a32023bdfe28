//! An upload of unknown length from a blocking thread: `PartSink` → bounded buffers → [`send_all`]
//! → [`PendingUpload`].
//!
//! Memory: at most three part buffers exist (one being filled, two being sent). They are made when
//! first needed, and grow with their content. The end of the data is an explicit message: a dead
//! source is [`UploadError::SourceDied`], and only a [`PendingUpload`] can be completed. A dropped
//! value aborts the upload.

mod open;
mod parts;
mod send;

pub(crate) use open::OpenUpload;
pub use parts::{PartSink, PartSource, channel};
pub use send::{PendingUpload, UploadError, send_all};

/// Default size of a part. A larger expected size increases it.
pub const PART_BYTES: usize = 8 * 1024 * 1024;

/// Limit of parts per object in S3.
pub const MAX_PARTS: u32 = 10_000;

/// The part size for an upload of about this many bytes: [`PART_BYTES`], or more MiB if necessary.
/// Even 25% more bytes than expected fit into [`MAX_PARTS`].
#[must_use]
pub fn part_bytes_for(expected_bytes: u64) -> usize {
    const MIB: u64 = 1024 * 1024;
    let with_margin = expected_bytes.saturating_add(expected_bytes / 4);
    let needed = with_margin
        .div_ceil(u64::from(MAX_PARTS))
        .div_ceil(MIB)
        .saturating_mul(MIB);
    usize::try_from(needed)
        .unwrap_or(usize::MAX)
        .max(PART_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_only_where_ten_thousand_would_not_do() {
        assert_eq!(part_bytes_for(0), PART_BYTES);
        assert_eq!(part_bytes_for(60 << 30), PART_BYTES);
        for expected in [80_u64 << 30, 1 << 40, 5 << 40] {
            let parts = expected.div_ceil(part_bytes_for(expected) as u64);
            assert!(
                (7_000..10_000).contains(&parts),
                "{expected} bytes in {parts} parts"
            );
        }
    }
}
