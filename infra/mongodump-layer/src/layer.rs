//! The folder that becomes the layer. It is made aside and put in place by one rename, so that a
//! build that fails leaves what was there.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use crate::{
    elf::{self, Program},
    error::Error,
    note::{self, Note, Origin},
    platform::Architecture,
};

/// What tells a layer from another folder.
const NOTE: &str = "MONGODUMP-LAYER.txt";

/// A layer in memory.
pub(crate) struct Layer {
    files: Vec<LayerFile>,
    summary: String,
}

struct LayerFile {
    path: String,
    mode: u32,
    bytes: Vec<u8>,
}

impl Layer {
    /// With a mongodump, if it is a program for that processor; in faults it goes by `name`.
    pub(crate) fn with_mongodump(
        name: &str,
        mongodump: Vec<u8>,
        licences: Vec<(String, Vec<u8>)>,
        origin: &Origin,
        architecture: Architecture,
    ) -> Result<Self, Error> {
        let program = checked(name, &mongodump, architecture)?;
        let note = note::on(origin, architecture, &program, &mongodump);
        let mut layer = Self::with_note(note);
        layer.files.push(LayerFile {
            path: "bin/mongodump".into(),
            mode: 0o755,
            bytes: mongodump,
        });
        for (name, bytes) in licences {
            layer.files.push(LayerFile {
                path: format!("licenses/mongodump/{name}"),
                mode: 0o644,
                bytes,
            });
        }
        Ok(layer)
    }

    /// The note alone: AWS refuses an empty layer.
    pub(crate) fn without_mongodump() -> Self {
        Self::with_note(note::on_its_absence())
    }

    fn with_note(Note { text, summary }: Note) -> Self {
        Self {
            files: vec![LayerFile {
                path: NOTE.into(),
                mode: 0o644,
                bytes: text.into_bytes(),
            }],
            summary,
        }
    }

    /// One sentence on what is in it.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// Puts it into a folder that is new, empty, or an older layer.
    pub(crate) fn place(&self, out: &Path) -> Result<(), Error> {
        let before = what_is_in(out)?;
        let parent = out
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(Error::at("make", parent))?;
        let aside = tempfile::Builder::new()
            .prefix(".mongodump-layer-")
            .tempdir_in(parent);
        let aside = aside.map_err(Error::at("write in", parent))?;
        self.write(aside.path())
            .map_err(Error::at("write in", aside.path()))?;
        if before == Before::Layer {
            fs::remove_dir_all(out).map_err(Error::at("replace", out))?;
        }
        fs::rename(aside.path(), out).map_err(Error::at("write", out))
    }

    /// Modes are set, not left to the umask: the function runs as a user of its own.
    fn write(&self, folder: &Path) -> io::Result<()> {
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        for file in &self.files {
            let path = folder.join(&file.path);
            for within in folders_between(folder, &path) {
                fs::create_dir_all(within)?;
                fs::set_permissions(within, Permissions::from_mode(0o755))?;
            }
            fs::write(&path, &file.bytes)?;
            fs::set_permissions(&path, Permissions::from_mode(file.mode))?;
        }
        Ok(())
    }
}

/// From the outermost to the innermost.
fn folders_between<'a>(folder: &Path, file: &'a Path) -> Vec<&'a Path> {
    let mut folders: Vec<_> = file
        .ancestors()
        .skip(1)
        .take_while(|one| *one != folder)
        .collect();
    folders.reverse();
    folders
}

/// Reads a program, and refuses one for another processor.
pub(crate) fn checked(
    name: &str,
    mongodump: &[u8],
    architecture: Architecture,
) -> Result<Program, Error> {
    let program = elf::read(mongodump).ok_or_else(|| Error::NotAProgram { file: name.into() })?;
    if program.machine == architecture.elf_machine() {
        return Ok(program);
    }
    let known = [Architecture::X8664, Architecture::Arm64]
        .into_iter()
        .find(|one| one.elf_machine() == program.machine);
    let found = known.map_or_else(
        || format!("ELF machine {}", program.machine),
        |one| one.to_string(),
    );
    Err(Error::WrongArchitecture {
        file: name.into(),
        found,
        wanted: architecture,
    })
}

/// What stands where the layer is to be.
#[derive(PartialEq, Eq)]
enum Before {
    Nothing,
    Layer,
}

fn what_is_in(out: &Path) -> Result<Before, Error> {
    let mut entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Before::Nothing),
        Err(error) => return Err(Error::at("read", out)(error)),
    };
    if out.join(NOTE).exists() {
        return Ok(Before::Layer);
    }
    match entries.next() {
        None => Ok(Before::Nothing),
        Some(_) => Err(Error::Occupied {
            folder: out.display().to_string(),
        }),
    }
}
