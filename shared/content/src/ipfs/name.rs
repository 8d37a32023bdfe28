//! What a URL names on IPFS. A `#` or a `?` ends the path of a URL, and is also a letter of a file's name: the directory
//! decides, which has the longer name or has it not.

use super::IpfsPath;

/// The paths that one URL may mean, the longest names first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpfsName {
    longer: Vec<IpfsPath>,
    cut: IpfsPath,
    /// What was cut off the shortest path, with its `#` or `?`; empty where nothing was.
    rest: String,
}

impl IpfsName {
    /// A URL whose path ends before `rest`, and `longer` paths that have more of it in their names, the longest first.
    pub(crate) fn new(cut: IpfsPath, rest: &str, longer: Vec<IpfsPath>) -> Self {
        let rest = if longer.is_empty() { String::new() } else { rest.to_owned() };
        Self { longer, cut, rest }
    }

    /// The path up to the first `#` or `?`.
    #[must_use]
    pub fn path(&self) -> &IpfsPath {
        &self.cut
    }

    /// All paths in the order in which they are looked for; the last is [`Self::path`].
    pub fn paths(&self) -> impl Iterator<Item = &IpfsPath> {
        self.longer.iter().chain([&self.cut])
    }

    /// Whether what was cut off may be a part of the name.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        !self.longer.is_empty()
    }

    /// One text for what is named: the path, and behind it as written what may be a part of the name. No path is written
    /// with a bare `#` or `?`, so that the text is never another path's.
    #[must_use]
    pub fn locator(&self) -> String {
        format!("{}{}", self.cut, self.rest)
    }

    /// The last name as it would be in full, to be shown.
    pub(crate) fn full_name(&self) -> &str {
        self.longer.first().and_then(|path| path.path.last()).map_or("", String::as_str)
    }
}

impl From<IpfsPath> for IpfsName {
    fn from(path: IpfsPath) -> Self {
        Self { longer: Vec::new(), cut: path, rest: String::new() }
    }
}
