//! CRC-64/XZ, named ECMA in Go's standard library. It ends each namespace of an archive.

use crc_fast::{CrcAlgorithm, Digest};

/// The running checksum of one namespace's documents.
#[derive(Debug, Clone)]
pub(crate) struct Crc64(Digest);

impl Crc64 {
    pub(crate) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Xz))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue_is_met() {
        let mut crc = Crc64::new();
        assert_eq!(crc.value(), 0);
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0x995d_c9bb_df19_39fa);
    }
}
