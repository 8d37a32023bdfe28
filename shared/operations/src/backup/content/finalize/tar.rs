//! Writes a tar stream (POSIX ustar, with pax records for long names), entry by entry. Only
//! [`TarWriter::finish`] writes the archive's end. A volume with a successor has no end.

use std::io::{self, Read, Write};

use holdfast_domain::Timestamp;
use tar::{EntryType, Header};

const BLOCK_BYTES: usize = 512;
const MODE: u32 = 0o644;

/// A writer of entries with one common time.
pub(super) struct TarWriter<W> {
    out: W,
    modified_s: u64,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn new(out: W, modified_at: Timestamp) -> Self {
        Self {
            out,
            modified_s: u64::try_from(modified_at.as_second()).unwrap_or_default(),
        }
    }

    /// Begins an entry. Exactly `size` bytes must follow, then [`TarWriter::end_entry`].
    pub(super) fn begin_entry(&mut self, name: &str, size: u64) -> io::Result<()> {
        let mut header = self.header(EntryType::Regular, size);
        if header.set_path(name).is_err() {
            self.pax_path(name)?;
            // Readers without support of pax records use this name. The others use the name of the
            // preceding record.
            header.set_path(
                name.rsplit('/')
                    .next()
                    .map_or(name, |last| &last[..last.len().min(BLOCK_BYTES / 6)]),
            )?;
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    /// Bytes of the current entry.
    pub(super) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Fills an entry of `size` bytes up to its last block.
    pub(super) fn end_entry(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK_BYTES as u64).unwrap_or_default();
        if over > 0 {
            self.out.write_all(&[0; BLOCK_BYTES][over..])?;
        }
        Ok(())
    }

    /// An entry from memory.
    pub(super) fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len() as u64;
        self.begin_entry(name, size)?;
        self.data(bytes)?;
        self.end_entry(size)
    }

    /// Ends the archive.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES])
    }

    fn header(&self, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(MODE);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.modified_s);
        header.set_size(size);
        header
    }

    fn pax_path(&mut self, name: &str) -> io::Result<()> {
        let record = pax_record("path", name);
        let mut header = self.header(EntryType::XHeader, record.len() as u64);
        header.set_path("pax-header")?;
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(record.as_bytes())?;
        self.end_entry(record.len() as u64)
    }
}

/// `<length> <key>=<value>\n`. The length includes its own digits.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

/// Reads up to `limit` bytes, and whether there may be more.
pub(super) fn read_up_to(reader: &mut impl Read, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    reader
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)?;
    let more = bytes.len() > limit;
    Ok((bytes, more))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new(), Timestamp::from_second(1_700_000_000).unwrap());
        for (name, bytes) in entries {
            tar.entry(name, bytes).unwrap();
        }
        tar.finish().unwrap();
        tar.out
    }

    fn read(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            assert_eq!(
                (
                    entry.header().mode().unwrap(),
                    entry.header().mtime().unwrap()
                ),
                (0o644, 1_700_000_000)
            );
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        });
        entries.collect()
    }

    #[test]
    fn a_record_counts_its_own_digits() {
        assert_eq!(pax_record("path", "a"), "9 path=a\n");
        assert_eq!(pax_record("path", "ab"), "11 path=ab\n");
        for length in 1..2000 {
            let record = pax_record("path", &"a".repeat(length));
            assert_eq!(
                record.split(' ').next().unwrap().parse::<usize>().unwrap(),
                record.len()
            );
        }
    }

    #[test]
    fn volumes_joined_are_one_archive() {
        let mut first = TarWriter::new(Vec::new(), Timestamp::UNIX_EPOCH);
        first.entry("id/a", b"one").unwrap();
        let mut second = TarWriter::new(Vec::new(), Timestamp::UNIX_EPOCH);
        second.entry("id/b", b"two").unwrap();
        second.finish().unwrap();
        let joined = [first.out, second.out].concat();
        let names: Vec<_> = tar::Archive::new(&joined[..])
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(
            names,
            [std::path::Path::new("id/a"), std::path::Path::new("id/b")]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(entries in proptest::collection::vec(
            ("content_[0-9]{13}_[0-9a-f]{8}/[a-zA-Z0-9_~]{1,200}", proptest::collection::vec(any::<u8>(), 0..1500)), 0..5)
        ) {
            prop_assert_eq!(read(&written(&entries)), entries);
        }
    }
}
