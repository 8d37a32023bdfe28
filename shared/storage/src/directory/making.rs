//! Prepares a place for a repository: only on an operator's request, never for a backup. Existing
//! content stays. A part in another place is not created a second time.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::{
    errors::{invalid, translate},
    files::{create, create_directory, sync_directory},
    place::{Area, MARK, Places, is_marked, record, recorded},
};
use crate::StoreError;

/// The key in errors about the complete place.
const KEY: &str = "repository.json";

pub(super) fn prepare(places: &Places) -> Result<(), StoreError> {
    places.check_distinct(KEY)?;
    let root = places.root();
    for area in places.aside() {
        check_aside(root, area)?;
    }
    for area in places.all() {
        make(root, area)?;
    }
    for area in places.aside() {
        note(root, area)
            .map_err(|error| translate(KEY, "note the place in", root.directory, &error))?;
    }
    Ok(())
}

/// Refuses a part elsewhere if its first place contains objects, or if its directory has lost the
/// mark.
fn check_aside(root: Area<'_>, area: Area<'_>) -> Result<(), StoreError> {
    let (directory, setting) = (area.directory.display(), area.setting);
    let first = root.directory.join(area.prefix);
    let holds_something = first != area.directory
        && fs::read_dir(&first).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something {
        let first = first.display();
        return Err(invalid(
            KEY,
            format!(
                "{setting} names {directory}, but {first} contains backups: move its content there, or unset {setting}"
            ),
        ));
    }
    let was_here =
        recorded(root.directory, setting).is_some_and(|path| Path::new(&path) == area.directory);
    if was_here && !is_marked(area.directory) {
        let record = record(root.directory, setting);
        let record = record.display();
        return Err(invalid(
            KEY,
            format!(
                "{directory} ({setting}) contained backups of this repository, but has no {MARK} now: mount its disk. If the disk is lost, delete {record} first"
            ),
        ));
    }
    Ok(())
}

fn make(root: Area<'_>, area: Area<'_>) -> Result<(), StoreError> {
    let directory = area.directory;
    let (shown, setting) = (directory.display(), area.setting);
    match create_between(root.directory, directory).and_then(|()| create_in_parent(directory)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = directory.parent().unwrap_or(directory).display();
            Err(invalid(
                KEY,
                format!(
                    "cannot make {shown} ({setting}), because {parent} does not exist: mount its disk, or run `mkdir -p {parent}`"
                ),
            ))
        }
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::AlreadyExists | ErrorKind::NotADirectory
            ) =>
        {
            Err(invalid(
                KEY,
                format!("{shown} ({setting}) is not a directory"),
            ))
        }
        Err(error) => Err(translate(KEY, "make", directory, &error)),
    }
}

/// Makes the missing directories between the repository, on a present disk, and a part below it.
fn create_between(root: &Path, directory: &Path) -> io::Result<()> {
    let between: Vec<&Path> = directory
        .ancestors()
        .skip(1)
        .take_while(|above| *above != root)
        .collect();
    if !directory.starts_with(root) {
        return Ok(());
    }
    for missing in between
        .into_iter()
        .rev()
        .filter(|above| above.starts_with(root) && !above.is_dir())
    {
        create_directory(missing)?;
    }
    Ok(())
}

/// Makes the last directory of the path, or accepts a link to one. It never makes the directories
/// above: they may be mount points.
fn create_in_parent(directory: &Path) -> io::Result<()> {
    if !fs::metadata(directory).is_ok_and(|found| found.is_dir()) {
        create_directory(directory)?;
    }
    create_directory(&directory.join(MARK)).map(drop)
}

/// Records the part's place. A run without the setting then does not search elsewhere.
fn note(root: Area<'_>, area: Area<'_>) -> io::Result<()> {
    let path = record(root.directory, area.setting);
    let is_noted = recorded(root.directory, area.setting)
        .is_some_and(|noted| Path::new(&noted) == area.directory);
    if is_noted {
        return Ok(());
    }
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = create(&fresh)?;
    file.write_all(area.directory.as_os_str().as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    sync_directory(&root.directory.join(MARK))
}
