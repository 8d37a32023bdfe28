//! The identity of a file: a CID, and a path through the directories under it.

use std::fmt;

use super::Cid;

/// A file on IPFS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IpfsPath {
    /// The root.
    pub cid: Cid,
    /// Decoded names of entries, from the root. Empty if the root is the file itself.
    pub path: Vec<String>,
}

/// `<cid>/<name>/<name>`. All characters of the names except `A-Z a-z 0-9 - . _ ~` are
/// percent-encoded, so each path has one text. The text follows `/ipfs/` in a gateway's URL.
impl fmt::Display for IpfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cid)?;
        self.path.iter().try_for_each(|name| {
            f.write_str("/")?;
            name.bytes().try_for_each(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(f, "{}", char::from(byte))
                }
                _ => write!(f, "%{byte:02X}"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_paths_have_one_text() {
        let cid: Cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
            .parse()
            .unwrap();
        let text = |names: &[&str]| {
            IpfsPath {
                cid,
                path: names.iter().map(|name| (*name).to_owned()).collect(),
            }
            .to_string()
        };
        assert_eq!(text(&[]), cid.to_string());
        assert_eq!(text(&["a", "b c.png"]), format!("{cid}/a/b%20c.png"));
        assert_eq!(
            text(&["a/b", "50%", "ä?#"]),
            format!("{cid}/a%2Fb/50%25/%C3%A4%3F%23")
        );
    }
}
