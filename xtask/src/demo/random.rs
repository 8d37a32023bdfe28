//! Random numbers, the same at every run: `SplitMix64` (Steele, Lea and Flood, 2014).

/// A generator of numbers, determined by its seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit. The limit is not 0.
    pub(crate) fn below(&mut self, limit: i32) -> i32 {
        let limit = u64::from(limit.unsigned_abs().max(1));
        i32::try_from(self.next() % limit).unwrap_or_default()
    }

    /// True in this percentage of calls.
    pub(crate) fn percent(&mut self, often: i32) -> bool {
        self.below(100) < often
    }

    pub(crate) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.next() % words.len().max(1) as u64).unwrap_or_default();
        words.get(index).copied().unwrap_or_default()
    }

    /// Incompressible bytes.
    pub(crate) fn bytes_of(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }
}
