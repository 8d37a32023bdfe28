//! The vendor's archive: a gzipped tar of one folder, with the programs under `bin/` and the
//! licences beside it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path},
};

use flate2::read::GzDecoder;

use crate::error::Error;

/// Lambda takes no more than 250 MB; all the tools together are smaller than this.
const LIMIT_BYTES: u64 = 2 << 30;

/// What the layer needs of it.
#[derive(Default)]
pub(crate) struct Tools {
    pub(crate) mongodump: Vec<u8>,
    /// Name and text of each.
    pub(crate) licences: Vec<(String, Vec<u8>)>,
}

/// Reads it; in faults it goes by the name of where it came from.
pub(crate) fn unpack(path: &Path, name: &str) -> Result<Tools, Error> {
    let file = File::open(path).map_err(Error::at("read", path))?;
    let fault = |fault: String| Error::NotTheTools {
        archive: name.into(),
        fault,
    };
    let tools = read(file).map_err(|error| fault(format!("cannot be unpacked ({error})")))?;
    if tools.mongodump.is_empty() {
        return Err(fault("holds no bin/mongodump".into()));
    }
    if tools.licences.is_empty() {
        return Err(fault("holds no licence".into()));
    }
    Ok(tools)
}

#[expect(
    clippy::disallowed_methods,
    reason = "its digest was checked, it is one member, and it is capped here"
)]
fn read(file: File) -> io::Result<Tools> {
    let mut archive = tar::Archive::new(GzDecoder::new(file).take(LIMIT_BYTES));
    let mut tools = Tools::default();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = below_its_folder(&entry.path()?);
        if path == "bin/mongodump" {
            entry.read_to_end(&mut tools.mongodump)?;
        } else if ["LICENSE", "THIRD-PARTY-NOTICES"]
            .iter()
            .any(|name| path.starts_with(name))
            && !path.contains('/')
        {
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            tools.licences.push((path, text));
        }
    }
    Ok(tools)
}

/// `tools-1.2.3/bin/mongodump` is `bin/mongodump`; a path that is not plain is nothing that is
/// looked for.
fn below_its_folder(path: &Path) -> String {
    let names: Option<Vec<_>> = path
        .components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    names
        .unwrap_or_default()
        .get(1..)
        .unwrap_or_default()
        .join("/")
}
