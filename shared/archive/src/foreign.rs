//! Recognizes other kinds of files by their first bytes, and describes how to get an archive from
//! each.

use std::fmt;

use crate::{MAGIC, MAX_DOCUMENT_BYTES, MIN_DOCUMENT_BYTES};

/// Number of bytes searched for an archive.
const SEARCHED_BYTES: usize = 64 * 1024;

/// A kind of file often mistaken for an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignFile {
    /// Text, such as a log, before an archive.
    TextBeforeArchive {
        /// Length of the text.
        bytes: usize,
    },
    /// An archive damaged by a conversion for text files.
    ConvertedToText,
    /// Compressed, by this program.
    Compressed(&'static str),
    /// A tar file.
    Tar,
    /// A zip file.
    Zip,
    /// Encrypted by `openssl enc`.
    OpensslSalted,
    /// Encrypted by Holdfast.
    HoldfastEncrypted,
    /// Encrypted by age or PGP.
    Encrypted(&'static str),
    /// BSON documents without an archive around them.
    Bson,
    /// JSON.
    Json,
    /// Other text.
    Text,
    /// An unknown kind. At most its first four bytes.
    Unknown(Vec<u8>),
}

/// Magic numbers at a file's first byte.
const SIGNATURES: [(&[u8], ForeignFile); 13] = [
    (b"\x1f\x8b", ForeignFile::Compressed("gzip")),
    (b"\x28\xb5\x2f\xfd", ForeignFile::Compressed("zstd")),
    (b"\x04\x22\x4d\x18", ForeignFile::Compressed("lz4")),
    (b"\xfd7zXZ\0", ForeignFile::Compressed("xz")),
    (b"BZh", ForeignFile::Compressed("bzip2")),
    (b"7z\xbc\xaf\x27\x1c", ForeignFile::Compressed("7z")),
    (b"PK\x03\x04", ForeignFile::Zip),
    (b"PK\x05\x06", ForeignFile::Zip),
    (b"Salted__", ForeignFile::OpensslSalted),
    (b"HOLDFAST1\n", ForeignFile::HoldfastEncrypted),
    (b"age-encryption.org/", ForeignFile::Encrypted("age")),
    (
        b"-----BEGIN AGE ENCRYPTED FILE-----",
        ForeignFile::Encrypted("age"),
    ),
    (
        b"-----BEGIN PGP MESSAGE-----",
        ForeignFile::Encrypted("gpg"),
    ),
];

/// The magic number after a conversion to UTF-16, or after the replacement of bytes invalid in
/// UTF-8.
const CONVERTED: [&[u8]; 3] = [b"\xff\xfe", b"\xfe\xff", b"m\xef\xbf\xbd"];

impl ForeignFile {
    /// The kind of a file with this beginning. More than four bytes make the answer more precise.
    #[must_use]
    pub fn from_head(head: &[u8]) -> Self {
        let head = &head[..head.len().min(SEARCHED_BYTES)];
        let signature = SIGNATURES
            .into_iter()
            .find(|(signature, _)| head.starts_with(signature));
        if let Some((_, file)) = signature {
            return file;
        }
        if CONVERTED
            .iter()
            .any(|converted| head.starts_with(converted))
        {
            return Self::ConvertedToText;
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        if let Some(bytes) = head.windows(MAGIC.len()).position(|window| window == MAGIC)
            && is_text(&head[..bytes])
        {
            return Self::TextBeforeArchive { bytes };
        }
        if is_bson(head) {
            return Self::Bson;
        }
        match head.trim_ascii_start().first() {
            Some(b'{' | b'[') if is_text(head) => Self::Json,
            Some(_) if is_text(head) => Self::Text,
            _ => Self::Unknown(head[..head.len().min(MAGIC.len())].to_vec()),
        }
    }
}

/// UTF-8 without control characters. The end may be cut inside a character.
fn is_text(bytes: &[u8]) -> bool {
    let is_utf8 =
        std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8
        && bytes
            .iter()
            .all(|byte| *byte >= b' ' || byte.is_ascii_whitespace() || *byte == 0x1b)
}

/// A document's length, and its first field: a type and a name.
fn is_bson(head: &[u8]) -> bool {
    let Some((length, fields)) = head.split_first_chunk() else {
        return false;
    };
    let length = usize::try_from(i32::from_le_bytes(*length)).unwrap_or(0);
    let is_type = |kind: &u8| matches!(kind, 0x01..=0x13 | 0x7f | 0xff);
    let is_field = fields.first().is_some_and(is_type)
        && fields
            .iter()
            .take(256)
            .skip(1)
            .position(|byte| *byte == 0)
            .is_some_and(|end| is_text(&fields[1..=end]));
    (MIN_DOCUMENT_BYTES..=MAX_DOCUMENT_BYTES).contains(&length) && (is_field || fields == [0])
}

impl fmt::Display for ForeignFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextBeforeArchive { bytes } => write!(
                f,
                "{bytes} bytes of text precede the archive, such as a log redirected into the same file. \
                 Remove them: tail -c +{} FILE > clean.archive",
                bytes + 1
            ),
            Self::ConvertedToText => f.write_str(
                "a program converted the archive as if it were text, as `>` does in PowerShell. It cannot be repaired. \
                 Dump again with --archive=FILE",
            ),
            Self::Compressed(program) => {
                write!(f, "it is compressed with {program}. Decompress it first, and pass the result")
            }
            Self::Tar => f.write_str(
                "it is a tar file. Extract it: tar -xf FILE. If an .archive file is inside, restore that file. \
                 Restore a dump directory (.bson files) with mongorestore --dir DIRECTORY",
            ),
            Self::Zip => f.write_str(
                "it is a zip file. Extract it. If an .archive file is inside, restore that file. Restore a dump \
                 directory (.bson files) with mongorestore --dir DIRECTORY",
            ),
            Self::OpensslSalted => f.write_str(
                "it is encrypted by `openssl enc`. Decrypt it first with the same cipher and options, as in: \
                 openssl enc -d -aes-256-cbc -pbkdf2 -in FILE -out dump.archive",
            ),
            Self::HoldfastEncrypted => f.write_str(
                "it is an encrypted object of a Holdfast repository. Restore its backup, as `holdfast list` shows it, or \
                 decrypt it with `holdfast decrypt FILE --key-of KEY --output dump.archive.gz`",
            ),
            Self::Encrypted(program) => write!(f, "it is encrypted by {program}. Decrypt it first, and pass the result"),
            Self::Bson => f.write_str(
                "it holds BSON documents, as the files of a dump directory do. Restore it with mongorestore --db \
                 DATABASE --collection COLLECTION FILE",
            ),
            Self::Json => f.write_str("it is JSON. Import it with mongoimport"),
            Self::Text => f.write_str(
                "it is text. If a log precedes the archive, remove the log. If the dump wrote an error instead, dump \
                 again",
            ),
            Self::Unknown(first) => write!(f, "it begins with the bytes {}", hex::encode(first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_is_recognised_by_its_first_bytes() {
        let tar = [&b"dump/"[..], &[0; 252], b"ustar\0"].concat();
        let log = [
            &b"2024-05-24T19:36:24.433+0000\twriting\n"[..],
            &MAGIC,
            b"\x65\0\0\0",
        ]
        .concat();
        let document = bson::doc! { "_id": 1 }.to_vec().unwrap();
        for (head, file) in [
            (&b"\x1f\x8b\x08\0"[..], ForeignFile::Compressed("gzip")),
            (b"BZh91AY&SY", ForeignFile::Compressed("bzip2")),
            (b"PK\x03\x04\x14\0", ForeignFile::Zip),
            (b"Salted__12345678", ForeignFile::OpensslSalted),
            (b"HOLDFAST1\nsuite=", ForeignFile::HoldfastEncrypted),
            (
                b"-----BEGIN PGP MESSAGE-----\n",
                ForeignFile::Encrypted("gpg"),
            ),
            (b"\xff\xfem\0", ForeignFile::ConvertedToText),
            (
                "m\u{fffd}\u{fffd}\u{fffd}e".as_bytes(),
                ForeignFile::ConvertedToText,
            ),
            (&tar, ForeignFile::Tar),
            (&log, ForeignFile::TextBeforeArchive { bytes: 37 }),
            (&document, ForeignFile::Bson),
            (b"\x05\0\0\0\0", ForeignFile::Bson),
            (b"\n [{\"a\": 1}]", ForeignFile::Json),
            (
                "Failed: can't create session: ü".as_bytes(),
                ForeignFile::Text,
            ),
            (
                b"\x81\x99\xe2\x6d\0",
                ForeignFile::Unknown(b"\x81\x99\xe2\x6d".to_vec()),
            ),
            (b"\0", ForeignFile::Unknown(b"\0".to_vec())),
        ] {
            assert_eq!(ForeignFile::from_head(head), file, "{}", hex::encode(head));
        }
    }

    #[test]
    fn text_before_an_archive_is_removed_by_the_command_of_the_message() {
        let text = ForeignFile::TextBeforeArchive { bytes: 64 }.to_string();
        assert!(
            text.contains("64 bytes of text") && text.contains("tail -c +65 FILE"),
            "{text}"
        );
    }
}
