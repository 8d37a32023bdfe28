//! The stages in the order of a backup and the readers in the order of a restore, on segments of
//! real size.

use std::{
    io::{self, Read, Write},
    num::NonZeroUsize,
};

use holdfast_codec::{
    ArtifactDigest, ArtifactError, ArtifactPlace, ArtifactSecrets, DecryptReader, DigestWriter,
    EncryptWriter, GunzipReader, GzipWriter, MasterKey, SegmentHasher, SegmentReader, verify,
};
use holdfast_domain::{RepositoryId, SEGMENT_BYTES};

const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Incompressible bytes, enough for three segments.
fn sample() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..SEGMENT_BYTES / 8 * 2 + 1000)
        .flat_map(|_| word())
        .collect()
}

fn place() -> io::Result<ArtifactPlace> {
    let object_key = "database/db_1_aa/dump.1.archive.gz.enc"
        .parse()
        .map_err(io::Error::other)?;
    Ok(ArtifactPlace {
        repository: RepositoryId::new([0xab; 16]),
        key_epoch: 1,
        object_key,
    })
}

fn encrypted(plain: &[u8], master: &MasterKey) -> io::Result<(Vec<u8>, ArtifactDigest)> {
    let (place, secrets) = (
        place()?,
        ArtifactSecrets::random().map_err(io::Error::other)?,
    );
    let keys = master.artifact_keys(&secrets.salt);
    let digest = DigestWriter::new(Vec::new(), keys.segment_hasher());
    let encrypt = EncryptWriter::new(
        digest,
        &keys,
        &secrets.iv,
        &place.repository,
        place.key_epoch,
    )?;
    let mut gzip = GzipWriter::new(encrypt, 1, THREADS)?;
    gzip.write_all(plain)?;
    let (encrypt, _) = gzip.finish()?;
    let (digest, _) = encrypt.finish_as(&place.object_key)?;
    digest.finish()
}

fn read_all(reader: io::Result<impl Read>) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GunzipReader::new(reader?).read_to_end(&mut plain)?;
    Ok(plain)
}

fn marks(stored: &[u8]) -> impl Iterator<Item = usize> {
    (0..stored.len()).step_by(usize::try_from(SEGMENT_BYTES).unwrap_or(usize::MAX))
}

#[test]
fn an_encrypted_artifact_is_read_whole_or_refused() -> io::Result<()> {
    let (plain, master, place) = (sample(), MasterKey::new([7; 32]), place()?);
    let (mut stored, digest) = encrypted(&plain, &master)?;
    assert_eq!(digest.segments.len(), 3);
    let open =
        |stored: &[u8]| read_all(DecryptReader::open(stored, &master, &place, digest.clone()));
    assert!(open(&stored[..])? == plain);
    assert_eq!(
        verify(&stored[..], stored.len() as u64, &master, &place)?,
        digest
    );

    for (index, mark) in (0..).zip(marks(&stored)) {
        let error = open(&stored[..mark]).unwrap_err();
        let named = matches!(ArtifactError::of(&error), Some(ArtifactError::Short { index: i, .. }) if *i == index);
        assert!(named, "cut at {mark}: {error}");
        assert!(
            verify(&stored[..mark], mark as u64, &master, &place).is_err(),
            "cut at {mark}, without a manifest"
        );
    }
    let middle = stored.len() / 2;
    stored[middle] ^= 1;
    let error = open(&stored[..]).unwrap_err();
    assert!(
        matches!(
            ArtifactError::of(&error),
            Some(ArtifactError::Segment {
                index: 1,
                segments: 3
            })
        ),
        "{error}"
    );
    Ok(())
}

#[test]
fn an_unencrypted_artifact_is_read_whole_or_refused() -> io::Result<()> {
    let plain = sample();
    let mut gzip = GzipWriter::new(
        DigestWriter::new(Vec::new(), SegmentHasher::plain()),
        1,
        THREADS,
    )?;
    gzip.write_all(&plain)?;
    let (stored, digest) = gzip.finish()?.0.finish()?;
    let open = |stored: &[u8]| {
        read_all(SegmentReader::new(stored, digest.clone()).map_err(io::Error::from))
    };
    assert!(open(&stored[..])? == plain);
    for mark in marks(&stored) {
        let error = open(&stored[..mark]).unwrap_err();
        assert!(
            matches!(ArtifactError::of(&error), Some(ArtifactError::Short { .. })),
            "cut at {mark}: {error}"
        );
    }
    Ok(())
}
