//! `Content-Encoding`: the decodable codings of a body, and the words to ignore.
//!
//! A coding is a word of IANA's HTTP Content Coding Registry. Stores replay other words from an
//! uploader (`aws-chunked`, a charset). They change no byte, and HTTP clients ignore them.

/// A removable coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
}

/// Registered but unsupported codings: <https://www.iana.org/assignments/http-parameters>.
const NOT_UNDONE: [&str; 9] = [
    "aes128gcm",
    "br",
    "compress",
    "dcb",
    "dcz",
    "exi",
    "pack200-gzip",
    "x-compress",
    "zstd",
];

impl Coding {
    /// The registered word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The only coding in the values of `Content-Encoding`, in the order of its headers.
    ///
    /// # Errors
    /// The words, if one of them is unsupported, or there are several.
    pub(super) fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Self>, String> {
        let text: Vec<_> = values.map(String::from_utf8_lossy).collect();
        let words: Vec<String> = text
            .iter()
            .flat_map(|value| value.split(','))
            .map(|word| word.trim().to_ascii_lowercase())
            .collect();
        let codings: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| is_coding(word))
            .collect();
        match codings.as_slice() {
            [] => Ok(None),
            ["gzip" | "x-gzip"] => Ok(Some(Self::Gzip)),
            ["deflate"] => Ok(Some(Self::Deflate)),
            several => Err(several.join(", ").chars().take(80).collect()),
        }
    }
}

fn is_coding(word: &str) -> bool {
    matches!(word, "gzip" | "x-gzip" | "deflate") || NOT_UNDONE.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Coding>, String> {
        Coding::read(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn words_that_name_no_coding_change_nothing() {
        for value in [
            "",
            "identity",
            "none",
            "aws-chunked",
            "UTF-8",
            "utf8",
            "iso-8859-1",
            "base64",
            "x, y",
            "\u{fffd}",
        ] {
            assert_eq!(read(&[value]), Ok(None), "{value}");
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn one_coding_is_undone_in_whatever_case_and_company() {
        for value in [
            "gzip",
            "GZip",
            "x-gzip",
            "gzip,aws-chunked",
            "aws-chunked , gzip",
            "gzip,",
        ] {
            assert_eq!(read(&[value]), Ok(Some(Coding::Gzip)), "{value}");
        }
        assert_eq!(read(&["aws-chunked", "deflate"]), Ok(Some(Coding::Deflate)));
    }

    #[test]
    fn other_codings_and_several_are_refused_by_their_names() {
        for value in NOT_UNDONE {
            assert_eq!(read(&[value]), Err(value.to_owned()));
        }
        assert_eq!(read(&["gzip", "Gzip"]), Err("gzip, gzip".to_owned()));
        assert_eq!(read(&["deflate, br"]), Err("deflate, br".to_owned()));
    }
}
