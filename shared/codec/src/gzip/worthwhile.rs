//! Whether compression helps, by a sample. A file is stored compressed only if that makes it
//! smaller.

use libdeflater::{CompressionLvl, Compressor};

/// Size of the sample.
const LOOK_BYTES: usize = 64 * 1024;

/// libdeflate's lowest level, 0, does not compress.
const FASTEST: i32 = 1;

/// Limit for the compressed size, in percent.
const AT_MOST_OF_100: usize = 95;

/// Whether gzip makes the first 64 KiB of a file smaller by at least 5%. It uses the fastest level,
/// because compressed photographs, films and archives are recognized at any level. `false` for an
/// empty sample.
#[must_use]
pub fn is_worthwhile(sample: &[u8]) -> bool {
    let look = &sample[..sample.len().min(LOOK_BYTES)];
    // The size limit is the buffer's length. The exact compressed size does not matter.
    let mut room = vec![0; look.len() * AT_MOST_OF_100 / 100];
    CompressionLvl::new(FASTEST).is_ok_and(|level| {
        Compressor::new(level)
            .gzip_compress(look, &mut room)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Write, num::NonZeroUsize};

    use proptest::prelude::*;

    use super::*;
    use crate::GzipWriter;

    fn text(size: usize) -> Vec<u8> {
        (0_u32..)
            .flat_map(|n| format!("line {n} of a text\n").into_bytes())
            .take(size)
            .collect()
    }

    /// Incompressible bytes.
    fn noise(size: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut word = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..size.div_ceil(8))
            .flat_map(|_| word())
            .take(size)
            .collect()
    }

    fn gzipped(plain: &[u8]) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), 1, NonZeroUsize::MIN).unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap().0
    }

    #[test]
    fn text_is_worthwhile_and_what_is_compressed_already_is_not() {
        assert!(
            is_worthwhile(&text(1000))
                && is_worthwhile(&text(LOOK_BYTES))
                && is_worthwhile(&[0; 100])
        );
        assert!(!is_worthwhile(&noise(1000)) && !is_worthwhile(&noise(LOOK_BYTES)));
        let digits = hex::encode(noise(100_000));
        assert!(is_worthwhile(digits.as_bytes()) && !is_worthwhile(&gzipped(digits.as_bytes())));
    }

    #[test]
    fn what_is_nothing_or_next_to_nothing_is_not_worthwhile() {
        for size in 0..19 {
            assert!(
                !is_worthwhile(&vec![0; size]),
                "{size} bytes: gzip's own frame is larger"
            );
        }
    }

    #[test]
    fn only_the_first_64_kib_are_examined() {
        assert!(!is_worthwhile(
            &[noise(LOOK_BYTES), vec![0; 10 * LOOK_BYTES]].concat()
        ));
        assert!(is_worthwhile(
            &[text(LOOK_BYTES), noise(LOOK_BYTES)].concat()
        ));
    }

    proptest! {
        #[test]
        fn it_is_worthwhile_where_gzip_saves_five_percent(zeros in 0_usize..4000, noisy in 0_usize..LOOK_BYTES - 4000) {
            let sample = [noise(noisy), vec![0; zeros]].concat();
            prop_assert_eq!(is_worthwhile(&sample), gzipped(&sample).len() * 100 <= sample.len() * 95);
        }
    }
}
