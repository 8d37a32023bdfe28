//! The operator's key, and the master key wrapped under it (RFC 3394), as `repository.json` keeps
//! it. The openssl command undoes both.

use std::fmt;

use aes_kw::{KeyInit as _, KwAes256, cipher::consts::U32};
use base64::{
    Engine, alphabet, engine::DecodePaddingMode, engine::GeneralPurpose,
    engine::GeneralPurposeConfig,
};
use holdfast_domain::Secret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{KeyError, MasterKey};

/// Rounds of PBKDF2-HMAC-SHA256 for deriving a key from a passphrase.
const PASSPHRASE_ROUNDS: u32 = 600_000;

/// Upper limit of rounds. A higher number is a fault of the file, and would only waste time.
const MAX_ROUNDS: u32 = 10_000_000;

const PASSPHRASE_PREFIX: &str = "passphrase:";
const MIN_PASSPHRASE_CHARACTERS: usize = 16;

/// The output of `openssl rand -base64 32`, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A wrapped master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedMasterKey {
    /// Kind of the wrapping.
    #[serde(flatten)]
    pub method: WrapMethod,
    /// RFC 3394's result for 32 bytes.
    #[serde(with = "hex::serde")]
    pub bytes: [u8; 40],
}

/// Kind of wrapping of a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum WrapMethod {
    /// A key of 32 bytes.
    Raw,
    /// A key derived from a passphrase by PBKDF2-HMAC-SHA256.
    Pbkdf2 {
        /// Random, only for this wrapping.
        #[serde(with = "hex::serde")]
        salt: [u8; 32],
        /// Rounds.
        rounds: u32,
    },
}

impl WrapMethod {
    const fn name(&self) -> &'static str {
        match self {
            Self::Raw => "key of 32 bytes",
            Self::Pbkdf2 { .. } => "passphrase",
        }
    }
}

/// The key for wrapping master keys: the value of `BACKUP_ENCRYPTION_KEY`.
pub struct KeyEncryptionKey(Form);

enum Form {
    Raw(Zeroizing<[u8; 32]>),
    Passphrase(Secret),
}

impl KeyEncryptionKey {
    /// Reads the setting: 64 hex digits, 32 bytes in base64 (white space around either is ignored),
    /// or `passphrase:` and at least 16 characters. It is cheap, because it derives no key.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for everything else, with the broken rule and without the value.
    pub fn parse(setting: &Secret) -> Result<Self, KeyError> {
        if let Some(passphrase) = setting.expose().strip_prefix(PASSPHRASE_PREFIX) {
            return parse_passphrase(passphrase).map(Self);
        }
        parse_raw(setting.expose().trim_ascii()).map(Self)
    }

    /// Wraps the master key. `salt` must be random and new. A key of 32 bytes does not use it.
    #[must_use]
    pub fn wrap(&self, master: &MasterKey, salt: [u8; 32]) -> WrappedMasterKey {
        let method = match &self.0 {
            Form::Raw(_) => WrapMethod::Raw,
            Form::Passphrase(_) => WrapMethod::Pbkdf2 {
                salt,
                rounds: PASSPHRASE_ROUNDS,
            },
        };
        let key = match &self.0 {
            Form::Raw(key) => key.clone(),
            Form::Passphrase(passphrase) => derive(passphrase, &salt, PASSPHRASE_ROUNDS),
        };
        WrappedMasterKey {
            method,
            bytes: wrap(&key, master),
        }
    }

    /// Unwraps the master key. With a passphrase, the derivation takes tenths of a second.
    ///
    /// # Errors
    /// [`KeyError::WrongKey`] or [`KeyError::WrongMethod`] for another key. [`KeyError::Corrupt`]
    /// for an impossible number of rounds.
    pub fn unwrap(&self, wrapped: &WrappedMasterKey) -> Result<MasterKey, KeyError> {
        let key = match (&self.0, &wrapped.method) {
            (Form::Raw(key), WrapMethod::Raw) => key.clone(),
            (Form::Passphrase(passphrase), WrapMethod::Pbkdf2 { salt, rounds }) => {
                check_rounds(*rounds)?;
                derive(passphrase, salt, *rounds)
            }
            (form, method) => {
                return Err(KeyError::WrongMethod {
                    expected: method.name(),
                    found: form.name(),
                });
            }
        };
        unwrap(&key, &wrapped.bytes)
    }
}

impl Form {
    const fn name(&self) -> &'static str {
        match self {
            Self::Raw(_) => WrapMethod::Raw.name(),
            Self::Passphrase(_) => "passphrase",
        }
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey(***)")
    }
}

fn parse_passphrase(passphrase: &str) -> Result<Form, KeyError> {
    let invalid = |reason| Err(KeyError::Invalid { reason });
    if passphrase.chars().count() < MIN_PASSPHRASE_CHARACTERS {
        return invalid("its passphrase has fewer than 16 characters");
    }
    // A line end copied from a file would be part of the passphrase here, but not on openssl's
    // command line.
    if passphrase.trim() != passphrase || passphrase.chars().any(char::is_control) {
        return invalid(
            "its passphrase begins or ends in white space, or holds control characters",
        );
    }
    Ok(Form::Passphrase(Secret::new(passphrase)))
}

fn parse_raw(text: &str) -> Result<Form, KeyError> {
    let mut key = Zeroizing::new([0; 32]);
    if hex::decode_to_slice(text, key.as_mut()).is_ok() {
        return Ok(Form::Raw(key));
    }
    let reason = match BASE64.decode(text).map(Zeroizing::new) {
        Ok(bytes) if bytes.len() == key.len() => {
            key.copy_from_slice(&bytes);
            return Ok(Form::Raw(key));
        }
        _ if text.is_empty() => "it is empty",
        _ if text.bytes().all(|b| b.is_ascii_hexdigit()) => "it is in hex, but not of 32 bytes",
        Ok(_) => "it is in base64, but not of 32 bytes",
        Err(_) => "it is neither hex nor base64",
    };
    Err(KeyError::Invalid { reason })
}

/// A number below the fixed rounds means that the file was changed.
fn check_rounds(rounds: u32) -> Result<(), KeyError> {
    if (PASSPHRASE_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
        return Ok(());
    }
    let reason = format!("{rounds} rounds of PBKDF2: expected {PASSPHRASE_ROUNDS} to {MAX_ROUNDS}");
    Err(KeyError::Corrupt { reason })
}

fn derive(passphrase: &Secret, salt: &[u8; 32], rounds: u32) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(
        passphrase.expose().as_bytes(),
        salt,
        rounds,
    ))
}

fn wrap(key: &[u8; 32], master: &MasterKey) -> [u8; 40] {
    KwAes256::new(key.into())
        .wrap_fixed_key::<U32>(master.expose().into())
        .into()
}

fn unwrap(key: &[u8; 32], wrapped: &[u8; 40]) -> Result<MasterKey, KeyError> {
    let mut master = Zeroizing::new([0; 32]);
    KwAes256::new(key.into())
        .unwrap_key(wrapped, master.as_mut())
        .map_err(|_| KeyError::WrongKey)?;
    Ok(MasterKey::new(*master))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn parse(text: &str) -> Result<KeyEncryptionKey, KeyError> {
        KeyEncryptionKey::parse(&Secret::new(text))
    }

    #[test]
    fn wrapping_is_that_of_rfc_3394() {
        // Section 4.6: 256 bits of key data under a 256-bit key.
        let master =
            hex::decode("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
                .unwrap()
                .try_into()
                .unwrap();
        let wrapped = parse(HEX).unwrap().wrap(&MasterKey::new(master), [0; 32]);
        assert_eq!(
            hex::encode(wrapped.bytes),
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
        );
        assert_eq!(
            parse(HEX).unwrap().unwrap(&wrapped).unwrap().expose(),
            &master
        );
    }

    #[test]
    fn passphrase_derivation_is_pbkdf2_hmac_sha256() {
        // RFC 7914, section 11.
        let mut key = [0; 64];
        pbkdf2::pbkdf2_hmac::<Sha256>(b"Password", b"NaCl", 80_000, &mut key);
        assert_eq!(
            hex::encode(&key[..32]),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        let wrapped = parse(HEX).unwrap().wrap(&MasterKey::new([9; 32]), [0; 32]);
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for form in [
            HEX.to_uppercase(),
            format!(" {HEX}\n"),
            base64.to_owned(),
            base64.trim_end_matches('=').to_owned(),
        ] {
            assert_eq!(
                parse(&form).unwrap().unwrap(&wrapped).unwrap().expose(),
                &[9; 32],
                "{form}"
            );
        }
    }

    #[test]
    fn a_key_of_another_form_is_refused_without_being_shown() {
        let lengths = [
            HEX[2..].to_owned(),
            format!("{HEX}00"),
            BASE64.encode([7; 31]),
            BASE64.encode([7; 33]),
        ];
        let others = [
            "",
            "  ",
            "hunter2",
            "passphrase:",
            "passphrase:fifteen letters",
            "Passphrase:sixteen letters!",
        ];
        for form in lengths.iter().map(String::as_str).chain(others) {
            let error = parse(form).unwrap_err();
            assert!(matches!(error, KeyError::Invalid { .. }), "{form}");
            let value = form.trim_start_matches("passphrase:").trim();
            assert!(
                value.is_empty() || !error.to_string().contains(value),
                "{error}"
            );
        }
        assert!(parse("passphrase:sixteen letters!").is_ok());
        assert!(parse("passphrase:sixteen letters!\n").is_err());
        assert!(parse("passphrase: sixteen letters!").is_err());
        assert!(!format!("{:?}", parse(HEX).unwrap()).contains("0001"));
    }

    #[test]
    fn only_the_key_that_wrapped_opens() {
        let raw = parse(HEX).unwrap();
        let passphrase = parse("passphrase:correct horse battery").unwrap();
        let master = MasterKey::new([3; 32]);
        let (by_raw, by_passphrase) = (
            raw.wrap(&master, [1; 32]),
            passphrase.wrap(&master, [1; 32]),
        );
        assert_eq!(
            passphrase.unwrap(&by_passphrase).unwrap().expose(),
            master.expose()
        );
        let refused =
            |key: &KeyEncryptionKey, wrapped: &WrappedMasterKey| key.unwrap(wrapped).unwrap_err();
        assert_eq!(
            refused(&parse(&"ff".repeat(32)).unwrap(), &by_raw),
            KeyError::WrongKey
        );
        assert_eq!(
            refused(
                &parse("passphrase:incorrect horse battery").unwrap(),
                &by_passphrase
            ),
            KeyError::WrongKey
        );
        assert!(matches!(
            refused(&raw, &by_passphrase),
            KeyError::WrongMethod { .. }
        ));
        assert!(matches!(
            refused(&passphrase, &by_raw),
            KeyError::WrongMethod { .. }
        ));
    }

    #[test]
    fn a_wrapped_key_that_was_changed_is_refused() {
        let key = parse(HEX).unwrap();
        let wrapped = key.wrap(&MasterKey::new([3; 32]), [1; 32]);
        for at in 0..wrapped.bytes.len() {
            let mut changed = wrapped.clone();
            changed.bytes[at] ^= 1;
            assert_eq!(key.unwrap(&changed).unwrap_err(), KeyError::WrongKey);
        }
        let few = WrappedMasterKey {
            method: WrapMethod::Pbkdf2 {
                salt: [1; 32],
                rounds: 1,
            },
            ..wrapped
        };
        let passphrase = parse("passphrase:correct horse battery").unwrap();
        assert!(matches!(
            passphrase.unwrap(&few),
            Err(KeyError::Corrupt { .. })
        ));
    }

    #[test]
    fn a_wrapped_key_is_read_as_it_is_written() {
        let salted = WrapMethod::Pbkdf2 {
            salt: [0xab; 32],
            rounds: PASSPHRASE_ROUNDS,
        };
        for method in [WrapMethod::Raw, salted] {
            let wrapped = WrappedMasterKey {
                method,
                bytes: [0xcd; 40],
            };
            let text = serde_json::to_string(&wrapped).unwrap();
            assert_eq!(
                serde_json::from_str::<WrappedMasterKey>(&text).unwrap(),
                wrapped,
                "{text}"
            );
        }
        let raw = format!(r#"{{"method":"raw","bytes":"{}"}}"#, "cd".repeat(40));
        assert!(serde_json::from_str::<WrappedMasterKey>(&raw).is_ok());
        assert!(serde_json::from_str::<WrappedMasterKey>(&raw.replace("cdcd\"", "\"")).is_err());
    }
}
