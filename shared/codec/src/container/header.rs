//! The header: 1,024 bytes of ASCII. A line `HOLDFAST1`, six lines `name=value` in fixed order,
//! newlines to the end. A header has exactly one valid form.

use std::io::{self, Read};

use holdfast_domain::RepositoryId;
use subtle::ConstantTimeEq;

use crate::{ArtifactError, HeaderError, MasterKey};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 1024;

/// The only suite.
pub const SUITE: &str = "AES-256-CBC+HMAC-SHA256";

const MAGIC: &str = "HOLDFAST1";
const NAMES: [&str; 6] = ["suite", "repository", "key-epoch", "salt", "iv", "commit"];

/// The fields of an encrypted artifact's header. Untrusted until the artifact is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The artifact's repository.
    pub repository: RepositoryId,
    /// Epoch of the repository's master key.
    pub key_epoch: u32,
    /// Salt of the derivation of its keys.
    pub salt: [u8; 32],
    /// Initialization vector of its ciphertext.
    pub iv: [u8; 16],
    /// The commitment to its master key.
    pub commit: [u8; 32],
}

impl Header {
    /// Reads the header at the beginning of a file, for its repository and key epoch.
    ///
    /// # Errors
    /// The reader's errors. [`ArtifactError::Header`] for bytes of another form.
    pub fn read_from(reader: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        reader.take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes).map_err(ArtifactError::Header)?)
    }

    /// Reads a header.
    ///
    /// # Errors
    /// The broken rule of the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() != HEADER_BYTES {
            return Err(HeaderError::Length {
                expected: HEADER_BYTES,
                found: bytes.len(),
            });
        }
        let lines = bytes
            .strip_prefix(MAGIC.as_bytes())
            .ok_or(HeaderError::Magic)?;
        let lines = std::str::from_utf8(lines).map_err(|_| HeaderError::Form)?;
        let header = Self::from_values(values(lines)?)?;
        // Parsing accepts upper case, leading zeros and other padding. The comparison with the
        // rendered header refuses them.
        if header.render() == bytes {
            Ok(header)
        } else {
            Err(HeaderError::Form)
        }
    }

    fn from_values(
        [suite, repository, key_epoch, salt, iv, commit]: [&str; 6],
    ) -> Result<Self, HeaderError> {
        if suite != SUITE {
            return Err(HeaderError::Suite(suite.to_owned()));
        }
        Ok(Self {
            repository: repository
                .parse()
                .map_err(|_| HeaderError::Value("repository"))?,
            key_epoch: key_epoch
                .parse()
                .map_err(|_| HeaderError::Value("key-epoch"))?,
            salt: bytes_of("salt", salt)?,
            iv: bytes_of("iv", iv)?,
            commit: bytes_of("commit", commit)?,
        })
    }

    /// Whether the header was made under this master key. A header with a changed salt or
    /// commitment does not match.
    #[must_use]
    pub fn is_committed_to(&self, master: &MasterKey) -> bool {
        master
            .artifact_keys(&self.salt)
            .commit
            .ct_eq(&self.commit)
            .into()
    }

    /// The bytes of the header.
    pub(crate) fn render(&self) -> [u8; HEADER_BYTES] {
        let text = format!(
            "{MAGIC}\nsuite={SUITE}\nrepository={}\nkey-epoch={}\nsalt={}\niv={}\ncommit={}\n",
            self.repository,
            self.key_epoch,
            hex::encode(self.salt),
            hex::encode(self.iv),
            hex::encode(self.commit),
        );
        let mut bytes = [b'\n'; HEADER_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }
}

/// The value of each name. Each name must occur once, and in order.
fn values(lines: &str) -> Result<[&str; 6], HeaderError> {
    let lines = lines
        .strip_prefix('\n')
        .ok_or(HeaderError::Magic)?
        .trim_end_matches('\n');
    let fields = lines
        .split('\n')
        .map(|line| line.split_once('=').ok_or(HeaderError::Form))
        .collect::<Result<Vec<_>, _>>()?;
    let count = |name: &str| fields.iter().filter(|(found, _)| *found == name).count();
    if let Some((name, _)) = fields.iter().find(|(name, _)| !NAMES.contains(name)) {
        return Err(HeaderError::Unknown((*name).to_owned()));
    }
    if let Some(name) = NAMES.into_iter().find(|name| count(name) > 1) {
        return Err(HeaderError::Duplicate(name));
    }
    if let Some(name) = NAMES.into_iter().find(|name| count(name) == 0) {
        return Err(HeaderError::Missing(name));
    }
    if fields.iter().map(|(name, _)| *name).ne(NAMES) {
        return Err(HeaderError::Order);
    }
    let values: Vec<&str> = fields.into_iter().map(|(_, value)| value).collect();
    values.try_into().map_err(|_| HeaderError::Form)
}

fn bytes_of<const N: usize>(name: &'static str, text: &str) -> Result<[u8; N], HeaderError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| HeaderError::Value(name))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        let repository = RepositoryId::new([0xab; 16]);
        Header {
            repository,
            key_epoch: 3,
            salt: [0xcd; 32],
            iv: [0xef; 16],
            commit: [0x12; 32],
        }
    }

    /// The header with its text changed, and padded again.
    fn changed(change: impl FnOnce(String) -> String) -> Result<Header, HeaderError> {
        let text = String::from_utf8(header().render().to_vec()).unwrap();
        let mut bytes = change(text.trim_end().to_owned()).into_bytes();
        bytes.resize(HEADER_BYTES, b'\n');
        Header::parse(&bytes)
    }

    #[test]
    fn a_header_is_the_text_of_the_format() {
        let expected = [
            "HOLDFAST1",
            "suite=AES-256-CBC+HMAC-SHA256",
            "repository=abababababababababababababababab",
            "key-epoch=3",
            "salt=cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            "iv=efefefefefefefefefefefefefefefef",
            "commit=1212121212121212121212121212121212121212121212121212121212121212",
        ];
        let mut bytes = expected.join("\n").into_bytes();
        bytes.resize(HEADER_BYTES, b'\n');
        assert_eq!(header().render(), bytes.as_slice());
    }

    #[test]
    fn every_other_way_to_write_a_header_is_refused_by_name() {
        let swap = |text: String| {
            text.replace("iv=", "x=")
                .replace("salt=", "iv=")
                .replace("x=", "salt=")
        };
        let line = |name: &str| {
            format!(
                "{name}={}\n",
                if name == "iv" {
                    "ef".repeat(16)
                } else {
                    "3".to_owned()
                }
            )
        };
        assert_eq!(changed(|text| text), Ok(header()));
        assert_eq!(
            changed(|text| text.replace("HOLDFAST1", "HOLDFAST2")),
            Err(HeaderError::Magic)
        );
        assert_eq!(
            changed(|text| text.replace("HOLDFAST1", "HOLDFAST10")),
            Err(HeaderError::Magic)
        );
        assert_eq!(
            changed(|text| text.replace("CBC", "GCM")),
            Err(HeaderError::Suite("AES-256-GCM+HMAC-SHA256".into()))
        );
        assert_eq!(
            changed(|text| text + "\nnote=x"),
            Err(HeaderError::Unknown("note".into()))
        );
        assert_eq!(
            changed(|text| text + "\nkey-epoch=3"),
            Err(HeaderError::Duplicate("key-epoch"))
        );
        assert_eq!(
            changed(|text| text.replace(&line("iv"), "")),
            Err(HeaderError::Missing("iv"))
        );
        assert_eq!(
            changed(|text| text.replace(&line("key-epoch"), "")),
            Err(HeaderError::Missing("key-epoch"))
        );
        assert_eq!(changed(swap), Err(HeaderError::Order));
        assert_eq!(
            changed(|text| text.replace("=ef", "=")),
            Err(HeaderError::Value("iv"))
        );
        assert_eq!(
            changed(|text| text.replace("=ab", "=zz")),
            Err(HeaderError::Value("repository"))
        );
        assert_eq!(
            changed(|text| text.replace("epoch=3", "epoch=-3")),
            Err(HeaderError::Value("key-epoch"))
        );
        for (from, to) in [
            ("epoch=3", "epoch=+3"),
            ("epoch=3", "epoch=03"),
            ("cdcd", "CDcd"),
            ("\niv", "\n\niv"),
            ("\niv", " \niv"),
        ] {
            assert!(changed(|text| text.replace(from, to)).is_err(), "{to:?}");
        }
    }

    #[test]
    fn a_header_is_committed_to_the_one_key_and_salt_that_it_was_made_with() {
        let master = MasterKey::new([7; 32]);
        let made = |salt| Header {
            salt,
            commit: master.artifact_keys(&salt).commit,
            ..header()
        };
        assert!(made([1; 32]).is_committed_to(&master) && made([2; 32]).is_committed_to(&master));
        assert!(!made([1; 32]).is_committed_to(&MasterKey::new([8; 32])));
        assert!(
            !Header {
                salt: [2; 32],
                ..made([1; 32])
            }
            .is_committed_to(&master)
        );
    }

    #[test]
    fn a_header_of_another_length_is_refused() {
        for length in [0, 9, HEADER_BYTES - 1, HEADER_BYTES + 1] {
            let mut bytes = header().render().to_vec();
            bytes.resize(length, b'\n');
            assert_eq!(
                Header::parse(&bytes),
                Err(HeaderError::Length {
                    expected: HEADER_BYTES,
                    found: length
                })
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id: [u8; 16], key_epoch: u32, salt: [u8; 32], iv: [u8; 16], commit: [u8; 32]) {
            let header = Header { repository: RepositoryId::new(id), key_epoch, salt, iv, commit };
            prop_assert_eq!(Header::parse(&header.render()), Ok(header.clone()));
            prop_assert_eq!(Header::read_from(&[header.render(), [0; HEADER_BYTES]].concat()[..]).unwrap(), header);
        }

        #[test]
        fn a_flip_never_reads_as_the_same_header(at in 0..HEADER_BYTES, flip in 1_u8..) {
            let mut bytes = header().render();
            bytes[at] ^= flip;
            prop_assert_ne!(Header::parse(&bytes), Ok(header()));
        }
    }
}
