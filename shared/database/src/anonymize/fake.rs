//! The action `fake`: an invented text of the same sort. Identifying values (an e-mail, a user
//! name, a wallet address) are drawn from a large range, so no two become equal. Names and places
//! are few, and repeat.
//!
//! Invented values lead nowhere: e-mail and URLs are in `example.invalid` (RFC 6761), telephone
//! numbers under the unassigned +999, IP addresses in the ranges for documentation (RFC 5737, RFC
//! 3849).

use super::{
    key::{Draw, Key},
    value::{Outcome, Unsupported, Value, string},
    words::{CITIES, FIRST_NAMES, LAST_NAMES, STREETS, WORDS},
};

const DOMAIN: &str = "example.invalid";
const DIGITS: &[u8] = b"0123456789";
const HEX: &[u8] = b"0123456789abcdef";
/// Crockford's alphabet, used by Stacks' addresses.
const C32: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Characters of [`BASE32`]. They make an invented name unique to its value.
const DISTINCTION_CHARACTERS: usize = 12;

/// The sort of an invented text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fake {
    Name,
    FirstName,
    LastName,
    UserName,
    Email,
    Phone,
    Street,
    City,
    WalletAddress,
    TransactionId,
    IpAddress,
    Url,
    Text,
}

impl Fake {
    const ALL: [Self; 13] = [
        Self::Name,
        Self::FirstName,
        Self::LastName,
        Self::UserName,
        Self::Email,
        Self::Phone,
        Self::Street,
        Self::City,
        Self::WalletAddress,
        Self::TransactionId,
        Self::IpAddress,
        Self::Url,
        Self::Text,
    ];

    /// Its word in the rules.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::FirstName => "first-name",
            Self::LastName => "last-name",
            Self::UserName => "user-name",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Street => "street",
            Self::City => "city",
            Self::WalletAddress => "wallet-address",
            Self::TransactionId => "transaction-id",
            Self::IpAddress => "ip-address",
            Self::Url => "url",
            Self::Text => "text",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fake| fake.word() == word)
    }

    /// All words, for a message.
    pub(super) fn words() -> String {
        Self::ALL.map(Self::word).join(", ")
    }

    /// Only texts are replaced. An empty text stays empty.
    pub(super) fn apply(self, key: &Key, value: Value<'_>) -> Outcome {
        let text = value.text().ok_or(Unsupported)?;
        if text.is_empty() {
            return Ok(value.bytes.to_vec());
        }
        Ok(string(&self.made_up(
            &mut key.draw(self.word(), text.as_bytes()),
            text,
        )))
    }

    fn made_up(self, draw: &mut Draw, text: &str) -> String {
        match self {
            Self::Name => format!("{} {}", draw.pick(&FIRST_NAMES), draw.pick(&LAST_NAMES)),
            Self::FirstName => draw.pick(&FIRST_NAMES).to_owned(),
            Self::LastName => draw.pick(&LAST_NAMES).to_owned(),
            Self::UserName => format!(
                "{}_{}",
                draw.pick(&FIRST_NAMES).to_lowercase(),
                distinction(draw)
            ),
            Self::Email => format!(
                "{}.{}@{DOMAIN}",
                draw.pick(&FIRST_NAMES).to_lowercase(),
                distinction(draw)
            ),
            Self::Phone => format!("+999{}", draw.text(DIGITS, 11)),
            Self::Street => format!("{} {}", 1 + draw.number() % 199, draw.pick(&STREETS)),
            Self::City => draw.pick(&CITIES).to_owned(),
            Self::WalletAddress | Self::TransactionId => same_shape(draw, text),
            Self::IpAddress => ip_address(draw, text),
            Self::Url => url(draw, text),
            Self::Text => prose(draw, text.chars().count()),
        }
    }
}

fn distinction(draw: &mut Draw) -> String {
    draw.text(BASE32, DISTINCTION_CHARACTERS)
}

/// A text of the same length, prefix and alphabet. A checksum inside it is wrong.
fn same_shape(draw: &mut Draw, text: &str) -> String {
    const CHARACTERS: std::ops::RangeInclusive<usize> = 24..=100;
    let (prefix, alphabet) = shape(text);
    let characters = text[prefix..].chars().count();
    // A short one could collide with another.
    let characters = characters.clamp(*CHARACTERS.start(), *CHARACTERS.end());
    format!("{}{}", &text[..prefix], draw.text(alphabet, characters))
}

/// The length of the prefix, and the alphabet after it.
fn shape(text: &str) -> (usize, &'static [u8]) {
    const PREFIXES: [(&str, &[u8]); 7] = [
        ("0x", HEX),
        ("SP", C32),
        ("ST", C32),
        ("SM", C32),
        ("SN", C32),
        ("bc1", BECH32),
        ("tb1", BECH32),
    ];
    let known = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix));
    match known {
        Some((prefix, alphabet)) => (prefix.len(), alphabet),
        None if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => (0, HEX),
        None => (0, BASE58),
    }
}

fn ip_address(draw: &mut Draw, text: &str) -> String {
    if text.contains(':') {
        let groups: [u16; 6] = std::array::from_fn(|_| u16::from_le_bytes(draw.bytes()));
        return format!(
            "2001:db8:{}",
            groups.map(|group| format!("{group:x}")).join(":")
        );
    }
    format!(
        "{}.{}",
        draw.pick(&["192.0.2", "198.51.100", "203.0.113"]),
        1 + draw.number() % 254
    )
}

/// A URL of the same scheme: a content identifier without content, or an address without a server,
/// with the file's extension.
fn url(draw: &mut Draw, text: &str) -> String {
    if text.starts_with("ipfs://") {
        return format!("ipfs://{}", content_identifier(draw.bytes()));
    }
    let extension = extension(text)
        .map(|extension| format!(".{extension}"))
        .unwrap_or_default();
    format!("https://{DOMAIN}/{}{extension}", draw.text(HEX, 32))
}

/// The extension of the last name in the path, if it has the form of one.
fn extension(url: &str) -> Option<&str> {
    let (place, _) = url.split_once(['?', '#']).unwrap_or((url, ""));
    let (_, path) = place
        .split_once("://")
        .map_or(place, |(_, rest)| rest)
        .split_once('/')?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    let is_one = (1..=5).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_one.then_some(extension)
}

/// A CID, version 1, of a raw block: multibase base32, codec 0x55, multihash SHA-256
/// (<https://github.com/multiformats/cid>).
fn content_identifier(hash: [u8; 32]) -> String {
    let bytes = [&[0x01, 0x55, 0x12, 0x20][..], &hash].concat();
    let mut text = String::from("b");
    let (mut bits, mut held) = (0_u32, 0);
    for byte in bytes {
        (bits, held) = (bits << 8 | u32::from(byte), held + 8);
        while held >= 5 {
            held -= 5;
            text.push(char::from(BASE32[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(BASE32[(bits << (5 - held) & 31) as usize]));
    }
    text
}

/// Words, cut to this many characters.
fn prose(draw: &mut Draw, characters: usize) -> String {
    let mut text = String::with_capacity(characters);
    while text.len() < characters {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(draw.pick(&WORDS));
    }
    text.truncate(characters);
    // A cut after a blank would leave the blank at the end.
    if text.ends_with(' ') {
        text.pop();
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn made_up(fake: Fake, text: &str) -> String {
        fake.made_up(
            &mut Key::for_test(1).draw(fake.word(), text.as_bytes()),
            text,
        )
    }

    #[test]
    fn every_sort_has_its_word_and_is_ascii() {
        for fake in Fake::ALL {
            assert_eq!(Fake::from_word(fake.word()), Some(fake));
            let text = made_up(fake, "Zoë Müller, +41 44 123 45 67");
            assert!(text.is_ascii() && !text.is_empty(), "{text}");
        }
        assert_eq!(Fake::from_word("names"), None);
    }

    #[test]
    fn an_identifying_value_belongs_to_one_original_only() {
        let identifying = [
            Fake::UserName,
            Fake::Email,
            Fake::WalletAddress,
            Fake::TransactionId,
            Fake::Url,
        ];
        for fake in identifying {
            let outcomes: HashSet<String> = (0..5_000)
                .map(|number| made_up(fake, &number.to_string()))
                .collect();
            assert_eq!(outcomes.len(), 5_000, "{}", fake.word());
        }
    }

    #[test]
    fn an_address_keeps_its_shape() {
        for (text, alphabet) in [
            (
                "0x094b24efc37858206070a17908c2e0d097dc2b41f69123587ebda0794d451706",
                HEX,
            ),
            ("ST68ZS9W6CVM3Z68RA922J7KBEYFJV54XT76QY6Y", C32),
            ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", BECH32),
        ] {
            let outcome = made_up(Fake::WalletAddress, text);
            let prefix = shape(text).0;
            assert_eq!(
                (outcome.len(), &outcome[..prefix]),
                (text.len(), &text[..prefix])
            );
            assert!(
                outcome[prefix..]
                    .bytes()
                    .all(|byte| alphabet.contains(&byte)),
                "{outcome}"
            );
            assert_ne!(outcome, text);
        }
        assert_eq!(made_up(Fake::WalletAddress, "0xab").len(), 26);
    }

    #[test]
    fn urls_lead_nowhere_and_keep_scheme_and_extension() {
        let gaia = made_up(
            Fake::Url,
            "https://gaia.example.org/hub/ST68/1.json?x=a.b/c",
        );
        assert!(gaia.starts_with("https://example.invalid/"), "{gaia}");
        assert_eq!(std::path::Path::new(&gaia).extension().unwrap(), "json");
        assert_eq!(extension("http://ada.net"), None);
        assert_eq!(extension("http://host/ada.lovelace"), None);
        let ipfs = made_up(
            Fake::Url,
            "ipfs://Qm7313446df8128ae84affd5e6d822f8990951a3b9904fa1d41f/a.png",
        );
        assert!(
            ipfs.starts_with("ipfs://bafkrei") && ipfs.len() == 66,
            "{ipfs}"
        );
    }

    #[test]
    fn a_content_identifier_is_well_formed() {
        let hash = hex::decode("b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")
            .unwrap();
        let expected = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        assert_eq!(content_identifier(hash.try_into().unwrap()), expected);
    }

    #[test]
    fn prose_is_as_long_as_what_it_replaces() {
        for characters in 1..200 {
            let text = prose(&mut Key::for_test(1).draw("text", b"x"), characters);
            assert_eq!(text.len(), characters);
            assert_eq!(text.trim(), text);
        }
    }

    #[test]
    fn addresses_of_machines_are_those_of_documentation() {
        assert!(
            made_up(Fake::IpAddress, "2a02::1")
                .parse::<std::net::Ipv6Addr>()
                .is_ok()
        );
        let fourth = made_up(Fake::IpAddress, "81.4.100.2")
            .parse::<std::net::Ipv4Addr>()
            .unwrap();
        assert!(fourth.is_documentation(), "{fourth}");
    }
}
