//! Every replacement is drawn from the operator's secret and the original value. Equal values have
//! equal results, in every field and every restore. Without the secret, a result reveals nothing
//! about its original.

use hmac::{Hmac, KeyInit, Mac};
use holdfast_domain::Secret;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Shorter secrets could be found by trial.
const MIN_SECRET_CHARACTERS: usize = 16;

/// Slows down an attack: testing secrets against known values.
const ROUNDS: u32 = 600_000;
const SALT: &[u8] = b"holdfast/v1/anonymize";

const BLOCK_BYTES: usize = 32;

/// The secret is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret for anonymising has {0} characters: expected at least {MIN_SECRET_CHARACTERS}")]
pub struct SecretTooShort(usize);

/// The key for drawing replacements. It cannot print itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Key([u8; BLOCK_BYTES]);

impl Key {
    /// Derived from the secret by PBKDF2-HMAC-SHA256.
    pub(super) fn derive(secret: &Secret) -> Result<Self, SecretTooShort> {
        let characters = secret.expose().chars().count();
        if characters < MIN_SECRET_CHARACTERS {
            return Err(SecretTooShort(characters));
        }
        Ok(Self(pbkdf2::pbkdf2_hmac_array::<Sha256, BLOCK_BYTES>(
            secret.expose().as_bytes(),
            SALT,
            ROUNDS,
        )))
    }

    #[cfg(test)]
    pub(super) fn for_test(number: u8) -> Self {
        Self([number; BLOCK_BYTES])
    }

    /// The source of a value's replacement. Draws with different names are independent.
    pub(super) fn draw(&self, name: &str, value: &[u8]) -> Draw {
        // Every length is valid for a key.
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes this key");
        let mac = mac
            .chain_update(name.as_bytes())
            .chain_update([0])
            .chain_update(value)
            .chain_update([0]);
        Draw {
            mac,
            blocks: 0,
            block: [0; BLOCK_BYTES],
            used: BLOCK_BYTES,
        }
    }

    /// Another number of the same `2 × half_bits` bits, one to one. A balanced Feistel network of
    /// eight rounds.
    pub(super) fn permute(&self, name: &str, number: u64, half_bits: u32) -> u64 {
        const ROUNDS: u8 = 8;
        let mask = (1 << half_bits) - 1;
        let (mut left, mut right) = (number >> half_bits & mask, number & mask);
        for round in 0..ROUNDS {
            let mut value = [round; 9];
            value[1..].copy_from_slice(&right.to_le_bytes());
            (left, right) = (right, left ^ (self.draw(name, &value).number() & mask));
        }
        left << half_bits | right
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Bytes without end: block `n` is `HMAC(key, name ‖ 0 ‖ value ‖ 0 ‖ n)`.
pub(super) struct Draw {
    mac: Hmac<Sha256>,
    blocks: u32,
    block: [u8; BLOCK_BYTES],
    used: usize,
}

impl Draw {
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == BLOCK_BYTES {
                let mac = self.mac.clone().chain_update(self.blocks.to_le_bytes());
                self.block = mac.finalize().into_bytes().into();
                self.blocks = self.blocks.wrapping_add(1);
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(super) fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// One of them. The list is short, so all are practically equally likely.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let number = u32::from_le_bytes(self.bytes());
        from[number as usize % from.len()]
    }

    /// This many characters of an alphabet.
    pub(super) fn text(&mut self, alphabet: &[u8], characters: usize) -> String {
        (0..characters)
            .map(|_| char::from(self.pick(alphabet)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_secret_is_refused_without_showing_it() {
        let error = Key::derive(&Secret::new("hunter2"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("has 7 characters") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn the_derivation_is_the_documented_one() {
        let key = Key::derive(&Secret::new("0123456789abcdef")).unwrap();
        assert_eq!(
            hex::encode(key.0),
            "e454e772ceeb5a963621610f80189e09e9fb69d54e2b126d563873f441808787"
        );
        assert_eq!(format!("{key:?}"), "***");
    }

    #[test]
    fn uses_of_different_names_have_nothing_in_common() {
        let drawn: HashSet<[u8; 16]> = [("a", "b"), ("a", "c"), ("ab", ""), ("b", "a")]
            .map(|(name, value)| Key::for_test(1).draw(name, value.as_bytes()).bytes())
            .into();
        assert_eq!(drawn.len(), 4);
        assert_ne!(
            Key::for_test(1).draw("a", b"b").bytes::<16>(),
            Key::for_test(2).draw("a", b"b").bytes()
        );
    }

    #[test]
    fn a_permutation_is_one_to_one() {
        let outcomes: HashSet<u64> = (0..1 << 10)
            .map(|number| Key::for_test(1).permute("n", number, 5))
            .collect();
        assert_eq!(outcomes.len(), 1 << 10);
        assert!(outcomes.iter().all(|outcome| *outcome < 1 << 10));
    }

    proptest! {
        #[test]
        fn a_draw_does_not_depend_on_how_it_is_cut(cuts in prop::collection::vec(0_usize..50, 0..6)) {
            let whole: [u8; 300] = Key::for_test(1).draw("a", b"b").bytes();
            let mut draw = Key::for_test(1).draw("a", b"b");
            let mut pieces = Vec::new();
            for cut in cuts {
                let mut piece = vec![0; cut];
                draw.fill(&mut piece);
                pieces.extend(piece);
            }
            prop_assert_eq!(&whole[..pieces.len()], &pieces[..]);
        }
    }
}
