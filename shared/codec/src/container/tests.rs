//! The laws of the container, tried on small segments: `verify.rs`, `reader.rs` and `writer.rs`
//! together.

use std::io::{self, Read, Write};

use holdfast_domain::RepositoryId;
use proptest::prelude::*;

use super::{reader::DecryptReader, verify::verify_segments, *};
use crate::{ArtifactDigest, DigestWriter};

/// Twice the header's length: the first segment holds ciphertext too, and some trailers cross a
/// boundary.
const SEGMENT: usize = 2048;

/// Plaintext length. The padded plaintext ends exactly with the first segment, and the trailer
/// begins the second.
const TO_FIRST_END: usize = SEGMENT - HEADER_BYTES - 1;
const TO_SECOND_END: usize = 2 * SEGMENT - HEADER_BYTES - TRAILER_BYTES - 1;

fn master() -> MasterKey {
    MasterKey::new([0x4d; 32])
}

fn place() -> ArtifactPlace {
    ArtifactPlace {
        repository: RepositoryId::new([0xab; 16]),
        key_epoch: 1,
        object_key: "database/db_1_aa/dump.1.archive.gz.enc".parse().unwrap(),
    }
}

fn sample(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

fn encrypt(plain: &[u8], chunk: usize) -> (Vec<u8>, ArtifactDigest) {
    let keys = master().artifact_keys(&[0x5a; 32]);
    let digest = DigestWriter::with_segments(Vec::new(), keys.segment_hasher(), SEGMENT);
    let mut writer =
        EncryptWriter::new(digest, &keys, &[0x17; 16], &place().repository, 1).unwrap();
    for piece in plain.chunks(chunk) {
        writer.write_all(piece).unwrap();
    }
    let (digest, summary) = writer.finish_as(&place().object_key).unwrap();
    let (stored, digest) = digest.finish().unwrap();
    assert_eq!(
        (summary.plain_bytes, summary.stored_bytes),
        (plain.len() as u64, stored.len() as u64)
    );
    (stored, digest)
}

fn fault(error: &io::Error) -> ArtifactError {
    ArtifactError::of(error)
        .unwrap_or_else(|| panic!("no fault of the artifact: {error}"))
        .clone()
}

/// The decrypted bytes for these digests, and the result of the last read.
fn decrypt(
    stored: &[u8],
    master: &MasterKey,
    place: &ArtifactPlace,
    digest: &ArtifactDigest,
) -> (Vec<u8>, Option<ArtifactError>) {
    let mut reader =
        match DecryptReader::open_segments(stored, master, place, digest.clone(), SEGMENT) {
            Ok(reader) => reader,
            Err(error) => return (Vec::new(), Some(fault(&error))),
        };
    let mut plain = Vec::new();
    let end = reader.read_to_end(&mut plain);
    if end.is_err() {
        assert!(reader.read(&mut [0]).is_err(), "a failed reader has no end");
    }
    (plain, end.err().map(|error| fault(&error)))
}

fn verified(
    stored: &[u8],
    master: &MasterKey,
    place: &ArtifactPlace,
) -> Result<ArtifactDigest, ArtifactError> {
    verify_segments(stored, stored.len() as u64, master, place, SEGMENT)
        .map_err(|error| fault(&error))
}

fn round_trips(plain: &[u8], chunk: usize) {
    let (stored, digest) = encrypt(plain, chunk);
    assert_eq!(
        stored.len(),
        HEADER_BYTES + plain.len() / 16 * 16 + 16 + TRAILER_BYTES
    );
    assert_eq!(verified(&stored, &master(), &place()).unwrap(), digest);
    let (found, end) = decrypt(&stored, &master(), &place(), &digest);
    assert!(
        found == plain && end.is_none(),
        "{} bytes: {end:?}",
        plain.len()
    );
}

#[test]
fn sizes_at_the_edges_of_blocks_and_segments_are_read_as_written() {
    let edges = [
        0,
        15,
        16,
        17,
        TO_FIRST_END,
        TO_SECOND_END,
        128 * 1024,
        256 * 1024,
    ];
    for edge in edges {
        for size in edge.saturating_sub(49)..edge + 49 {
            round_trips(&sample(size), usize::MAX);
        }
    }
}

#[test]
fn any_flipped_byte_is_rejected() {
    let plain = sample(TO_SECOND_END + 20);
    let (stored, digest) = encrypt(&plain, usize::MAX);
    for at in 0..stored.len() {
        let mut flipped = stored.clone();
        flipped[at] ^= 1 << (at % 8);
        let (found, end) = decrypt(&flipped, &master(), &place(), &digest);
        assert!(end.is_some(), "byte {at}");
        let before = (at / SEGMENT * SEGMENT).saturating_sub(HEADER_BYTES);
        assert!(
            found == plain[..before.min(plain.len())],
            "only segments before that of byte {at} are released"
        );
        assert!(
            verified(&flipped, &master(), &place()).is_err(),
            "byte {at}, without digests"
        );
    }
}

#[test]
fn any_cut_is_rejected() {
    let (stored, digest) = encrypt(&sample(2 * SEGMENT), usize::MAX);
    for length in 0..stored.len() {
        let cut = &stored[..length];
        let (_, end) = decrypt(cut, &master(), &place(), &digest);
        let named = matches!(end, Some(ArtifactError::Short { index, .. }) if index == (length / SEGMENT) as u64);
        assert!(named, "cut to {length}: {end:?}");
        assert!(
            verified(cut, &master(), &place()).is_err(),
            "cut to {length}, without digests"
        );
        let believed = verify_segments(cut, stored.len() as u64, &master(), &place(), SEGMENT);
        assert!(matches!(
            fault(&believed.unwrap_err()),
            ArtifactError::Short { .. }
        ));
    }
}

#[test]
fn any_extension_is_rejected() {
    let (stored, digest) = encrypt(&sample(SEGMENT), usize::MAX);
    for extra in [1, 15, 16, 32, SEGMENT, 2 * SEGMENT] {
        let mut extended = stored.clone();
        extended.resize(stored.len() + extra, 0x0b);
        let (_, end) = decrypt(&extended, &master(), &place(), &digest);
        assert!(
            matches!(end, Some(ArtifactError::Long { .. })),
            "{extra}: {end:?}"
        );
        assert!(verified(&extended, &master(), &place()).is_err());
        let believed = verify_segments(
            &extended[..],
            stored.len() as u64,
            &master(),
            &place(),
            SEGMENT,
        );
        assert!(matches!(
            fault(&believed.unwrap_err()),
            ArtifactError::Long { .. }
        ));
    }
}

#[test]
fn swapped_segments_are_rejected() {
    let (mut stored, digest) = encrypt(&sample(4 * SEGMENT), usize::MAX);
    stored[SEGMENT..3 * SEGMENT].rotate_left(SEGMENT);
    let (found, end) = decrypt(&stored, &master(), &place(), &digest);
    assert_eq!(
        end,
        Some(ArtifactError::Segment {
            index: 1,
            segments: 5
        })
    );
    assert_eq!(found.len(), SEGMENT - HEADER_BYTES);
    assert!(matches!(
        verified(&stored, &master(), &place()),
        Err(ArtifactError::Mac { .. })
    ));
}

#[test]
fn a_wrong_key_is_called_that_and_not_damage() {
    let (stored, digest) = encrypt(b"x", 1);
    let wrong = MasterKey::new([0x4e; 32]);
    let expected = ArtifactError::WrongKey {
        repository: place().repository,
        key_epoch: 1,
    };
    assert_eq!(
        decrypt(&stored, &wrong, &place(), &digest).1,
        Some(expected.clone())
    );
    assert_eq!(verified(&stored, &wrong, &place()), Err(expected));
}

#[test]
fn an_artifact_that_was_moved_is_rejected() {
    let (stored, digest) = encrypt(b"x", 1);
    let moved = ArtifactPlace {
        object_key: "database/db_2_bb/dump.1.archive.gz.enc".parse().unwrap(),
        ..place()
    };
    let shorter = ArtifactPlace {
        object_key: "database".parse().unwrap(),
        ..place()
    };
    for elsewhere in [moved, shorter] {
        let (found, end) = decrypt(&stored, &master(), &elsewhere, &digest);
        assert!(
            found.is_empty() && matches!(end, Some(ArtifactError::Mac { .. })),
            "{end:?}"
        );
        assert!(matches!(
            verified(&stored, &master(), &elsewhere),
            Err(ArtifactError::Mac { .. })
        ));
    }
    let other = ArtifactPlace {
        repository: RepositoryId::new([1; 16]),
        ..place()
    };
    assert!(matches!(
        decrypt(&stored, &master(), &other, &digest).1,
        Some(ArtifactError::OtherRepository { .. })
    ));
    let other = ArtifactPlace {
        key_epoch: 2,
        ..place()
    };
    assert!(matches!(
        decrypt(&stored, &master(), &other, &digest).1,
        Some(ArtifactError::OtherEpoch { .. })
    ));
}

#[test]
fn lengths_that_no_artifact_has_are_rejected_unread() {
    let (_, digest) = encrypt(b"x", 1);
    for size_bytes in [0, 1024, 1071, 1073, 1087] {
        let digest = ArtifactDigest {
            size_bytes,
            ..digest.clone()
        };
        assert_eq!(
            decrypt(&[], &master(), &place(), &digest).1,
            Some(ArtifactError::Length { size_bytes })
        );
    }
}

#[test]
fn a_writer_that_was_dropped_leaves_nothing_valid() {
    let keys = master().artifact_keys(&[0x5a; 32]);
    let mut stored = Vec::new();
    let mut writer =
        EncryptWriter::new(&mut stored, &keys, &[0x17; 16], &place().repository, 1).unwrap();
    writer.write_all(&sample(300_000)).unwrap();
    writer.flush().unwrap();
    drop(writer);
    assert_eq!(
        stored.len(),
        HEADER_BYTES + 300_000,
        "whole blocks were flushed"
    );
    assert!(matches!(
        verified(&stored, &master(), &place()),
        Err(ArtifactError::Mac { .. })
    ));
}

#[test]
fn a_hole_that_an_error_left_is_never_closed() {
    /// Fails once, in the middle, and then works again.
    struct Stumbles(Vec<u8>, bool);
    impl Write for Stumbles {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() > 100_000 && !std::mem::replace(&mut self.1, true) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let keys = master().artifact_keys(&[0x5a; 32]);
    let mut writer = EncryptWriter::new(
        Stumbles(Vec::new(), false),
        &keys,
        &[0x17; 16],
        &place().repository,
        1,
    )
    .unwrap();
    let failures = (0..100)
        .filter(|_| writer.write_all(&sample(10_000)).is_err())
        .count();
    let (inner, _) = writer.finish_as(&place().object_key).unwrap();
    assert_eq!(failures, 1);
    assert!(verified(&inner.0, &master(), &place()).is_err());
}

#[test]
fn a_file_that_changes_between_the_passes_is_found_out() {
    let (mut stored, _) = encrypt(&sample(3 * SEGMENT), usize::MAX);
    let digest = verified(&stored, &master(), &place()).unwrap();
    stored[SEGMENT + 7] ^= 1;
    let (found, end) = decrypt(&stored, &master(), &place(), &digest);
    assert_eq!(
        (found.len(), end),
        (
            SEGMENT - HEADER_BYTES,
            Some(ArtifactError::Segment {
                index: 1,
                segments: 4
            })
        )
    );
}

#[test]
fn an_error_of_the_inner_reader_stays_what_it_is() {
    struct Resets<'a>(&'a [u8]);
    impl Read for Resets<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                length => Ok(length),
            }
        }
    }
    let (stored, digest) = encrypt(&sample(SEGMENT), usize::MAX);
    for length in [0, 1000, 1500, 2500, stored.len()] {
        let inner = Resets(&stored[..length]);
        let error =
            DecryptReader::open_segments(inner, &master(), &place(), digest.clone(), SEGMENT)
                .and_then(|mut reader| reader.read_to_end(&mut Vec::new()))
                .unwrap_err();
        assert!(
            ArtifactError::of(&error).is_none() && error.kind() == io::ErrorKind::ConnectionReset,
            "{length}"
        );
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(size in 0_usize..3 * SEGMENT, chunk in 1_usize..3000) {
        round_trips(&sample(size), chunk);
    }

    #[test]
    fn bytes_of_another_artifact_are_rejected(at in 1_usize..3, iv: [u8; 16], salt: [u8; 32]) {
        // A complete segment of an artifact of the same key, place and length.
        let (mut stored, digest) = encrypt(&sample(3 * SEGMENT), usize::MAX);
        let keys = master().artifact_keys(&salt);
        let mut writer = EncryptWriter::new(Vec::new(), &keys, &iv, &place().repository, 1).unwrap();
        writer.write_all(&sample(3 * SEGMENT)).unwrap();
        let (other, _) = writer.finish_as(&place().object_key).unwrap();
        let part = at * SEGMENT..(at + 1) * SEGMENT;
        stored[part.clone()].copy_from_slice(&other[part]);
        prop_assert_eq!(decrypt(&stored, &master(), &place(), &digest).1, Some(ArtifactError::Segment { index: at as u64, segments: 4 }));
        prop_assert!(verified(&stored, &master(), &place()).is_err());
    }
}
