//! The names that a URL may mean on IPFS. A `#` or a `?` ends the path of a URL, but is also legal
//! in a file's name: the directory decides.

use super::IpfsPath;

/// The possible paths of one URL, the longest names first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpfsName {
    longer: Vec<IpfsPath>,
    cut: IpfsPath,
    /// The text after the shortest path, with its `#` or `?`. Empty if nothing was cut.
    rest: String,
}

impl IpfsName {
    /// A URL with its path before `rest`, and `longer` paths with more of it in their names, the
    /// longest first.
    pub(crate) fn new(cut: IpfsPath, rest: &str, longer: Vec<IpfsPath>) -> Self {
        let rest = if longer.is_empty() {
            String::new()
        } else {
            rest.to_owned()
        };
        Self { longer, cut, rest }
    }

    /// The path up to the first `#` or `?`.
    #[must_use]
    pub fn path(&self) -> &IpfsPath {
        &self.cut
    }

    /// All paths in the order of their attempts. The last one is [`Self::path`].
    pub fn paths(&self) -> impl Iterator<Item = &IpfsPath> {
        self.longer.iter().chain([&self.cut])
    }

    /// Whether the text after the path may be a part of the name.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        !self.longer.is_empty()
    }

    /// One text for the name: the path, followed by the unchanged text that may be a part of the
    /// name. No path contains a bare `#` or `?`, so the text never equals another path.
    #[must_use]
    pub fn locator(&self) -> String {
        format!("{}{}", self.cut, self.rest)
    }

    /// The complete last name, for display.
    pub(crate) fn full_name(&self) -> &str {
        self.longer
            .first()
            .and_then(|path| path.path.last())
            .map_or("", String::as_str)
    }
}

impl From<IpfsPath> for IpfsName {
    fn from(path: IpfsPath) -> Self {
        Self {
            longer: Vec::new(),
            cut: path,
            rest: String::new(),
        }
    }
}
