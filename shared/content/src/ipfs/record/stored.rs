//! The stored form of a record: a line with the format, root, path, file, numbers, entries, and the
//! SHA-256 of all that. Reading allocates no more than the given bytes.

use sha2::{Digest as _, Sha256};

use super::{
    super::{Cid, IpfsPath, cid::read_whole, varint},
    DagRecord, RecordError,
    entries::{Entries, take_number, take_text},
};

/// The beginning of every record of this version.
const MAGIC: &[u8] = b"HOLDFAST-DAG-1\n";

/// The beginning of records of all versions.
const FAMILY: &[u8] = b"HOLDFAST-DAG-";

const CHECKSUM_BYTES: usize = 32;

/// No walk reaches the depth of longer paths.
const MAX_NAMES: u64 = 1024;

impl DagRecord {
    /// The stored form of the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() + 512);
        bytes.extend_from_slice(MAGIC);
        put_text(&mut bytes, &self.path.cid.to_bytes());
        varint::write(&mut bytes, self.path.path.len() as u64);
        for name in &self.path.path {
            put_text(&mut bytes, name.as_bytes());
        }
        put_text(&mut bytes, &self.file_cid.to_bytes());
        varint::write(&mut bytes, self.size);
        varint::write(&mut bytes, self.blocks);
        bytes.extend_from_slice(&self.entries);
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Reads a record. Its contents are proved only when its blocks are rebuilt.
    ///
    /// # Errors
    /// [`RecordError`] if the bytes are not a record, or were changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if !bytes.starts_with(MAGIC) {
            return Err(if bytes.starts_with(FAMILY) {
                RecordError::Later
            } else {
                RecordError::Magic
            });
        }
        let (said, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(RecordError::Checksum)?;
        if Sha256::digest(said).as_slice() != checksum {
            return Err(RecordError::Checksum);
        }
        let record = read(said.get(MAGIC.len()..).ok_or(RecordError::Checksum)?)?;
        record.check()?;
        Ok(record)
    }

    /// Checks that the number of entries is right, and that they do not exceed the file.
    fn check(&self) -> Result<(), RecordError> {
        let (mut blocks, mut of_file) = (0_u64, 0_u64);
        for entry in Entries(&self.entries) {
            blocks += 1;
            of_file = of_file.saturating_add(entry?.of_file as u64);
        }
        if blocks != self.blocks || of_file > self.size {
            return Err(RecordError::Malformed("its entries do not match its file"));
        }
        Ok(())
    }
}

fn read(mut rest: &[u8]) -> Result<DagRecord, RecordError> {
    let cid = take_cid(&mut rest)?;
    let (names, mut path) = (take_number(&mut rest)?, Vec::new());
    if names > MAX_NAMES {
        return Err(RecordError::Malformed("its path is too long"));
    }
    for _ in 0..names {
        let name = str::from_utf8(take_text(&mut rest)?)
            .map_err(|_| RecordError::Malformed("a name is not UTF-8"))?;
        path.push(name.to_owned());
    }
    let file_cid = take_cid(&mut rest)?;
    let size = take_number(&mut rest)?;
    let blocks = take_number(&mut rest)?;
    Ok(DagRecord {
        path: IpfsPath { cid, path },
        file_cid,
        size,
        blocks,
        entries: rest.to_vec(),
    })
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    varint::write(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

fn take_cid(rest: &mut &[u8]) -> Result<Cid, RecordError> {
    read_whole(take_text(rest)?).ok_or(RecordError::Malformed("a CID is invalid"))
}
