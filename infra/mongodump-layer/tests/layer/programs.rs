//! Programs to put into layers: for any processor as bytes made here, and for this machine by its
//! compiler.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// `e_machine` by AWS's name of the processor.
pub(crate) const MACHINES: [(&str, u16); 2] = [("x86_64", 62), ("arm64", 183)];

/// What this machine is to AWS.
pub(crate) fn here() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    }
}

/// What it is not.
pub(crate) fn elsewhere() -> &'static str {
    if here() == "arm64" { "x86_64" } else { "arm64" }
}

const LOADED_AT: u64 = 0x0040_0000;
const HEADER_BYTES: u64 = 64;
const SEGMENT_BYTES: u64 = 56;
const DYNAMIC_AT: u64 = HEADER_BYTES + 2 * SEGMENT_BYTES;

/// The smallest ELF program for that processor that links these libraries: a header, two segments
/// (all of it, loaded; the dynamic section), the dynamic section, its names.
pub(crate) fn program(architecture: &str, libraries: &[&str]) -> Vec<u8> {
    let machine = MACHINES
        .into_iter()
        .find(|(name, _)| *name == architecture)
        .unwrap()
        .1;
    let dynamic_bytes = 16 * (libraries.len() as u64 + 2);
    let names_at = DYNAMIC_AT + dynamic_bytes;
    let (mut dynamic, mut names) = (Vec::new(), vec![0]);
    for library in libraries {
        dynamic.extend([1, names.len() as u64]);
        names.extend(library.bytes().chain([0]));
    }
    dynamic.extend([5, LOADED_AT + names_at, 0, 0]);
    let mut file = header(machine);
    file.extend(segment(1, 0, names_at + names.len() as u64));
    file.extend(segment(2, DYNAMIC_AT, dynamic_bytes));
    file.extend(dynamic.into_iter().flat_map(u64::to_le_bytes));
    file.extend(names);
    file
}

fn header(machine: u16) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend([2_u16, machine].into_iter().flat_map(u16::to_le_bytes));
    header.extend(1_u32.to_le_bytes());
    header.extend(
        [LOADED_AT, HEADER_BYTES, 0]
            .into_iter()
            .flat_map(u64::to_le_bytes),
    );
    header.extend(0_u32.to_le_bytes());
    header.extend(
        [64_u16, 56, 2, 0, 0, 0]
            .into_iter()
            .flat_map(u16::to_le_bytes),
    );
    header
}

fn segment(kind: u32, at: u64, bytes: u64) -> Vec<u8> {
    let mut segment: Vec<u8> = [kind, 4].into_iter().flat_map(u32::to_le_bytes).collect();
    let numbers = [at, LOADED_AT + at, LOADED_AT + at, bytes, bytes, 8];
    segment.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
    segment
}

/// A program for this machine that prints `said` and `complained`, and exits with `code`.
pub(crate) fn compiled(folder: &Path, said: &str, complained: &str, code: u8) -> PathBuf {
    let path = folder.join("mongodump-at-hand");
    let source = format!(
        "#include <stdio.h>\nint main(void) {{ puts({said:?}); fputs({complained:?}, stderr); return {code}; }}\n"
    );
    let mut compiler = Command::new("cc")
        .args(["-x", "c", "-", "-o"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    compiler
        .stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    assert!(compiler.wait().unwrap().success());
    path
}
