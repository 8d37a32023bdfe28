//! As much of an ELF file as tells which processor it is for and which shared libraries it links:
//! the header, the program headers, the dynamic section (System V ABI, chapters 4 and 5). 64-bit
//! and little-endian only, as Lambda is.

use std::ops::Range;

/// What a program asks of the system it runs on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// `e_machine`: the processor.
    pub(crate) machine: u16,
    /// Names of shared libraries, in the order in which they are loaded.
    pub(crate) libraries: Vec<String>,
}

const MAGIC: [u8; 6] = [0x7f, b'E', b'L', b'F', CLASS_64, LITTLE_ENDIAN];
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
/// `e_type` of programs with fixed and with free addresses.
const PROGRAM_TYPES: [u16; 2] = [2, 3];
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DYNAMIC_ENTRY_BYTES: usize = 16;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// Reads a program; nothing, if that is no whole 64-bit ELF program.
pub(crate) fn read(file: &[u8]) -> Option<Program> {
    let is_program = file.starts_with(&MAGIC) && PROGRAM_TYPES.contains(&u16_at(file, 16)?);
    if !is_program {
        return None;
    }
    let segments = segments(file)?;
    let libraries = match segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        Some(dynamic) => libraries(file, file.get(dynamic.file.clone())?, &segments)?,
        None => Vec::new(),
    };
    Some(Program {
        machine: u16_at(file, 18)?,
        libraries,
    })
}

/// A stretch of the file, and where it is loaded.
struct Segment {
    kind: u32,
    file: Range<usize>,
    address: u64,
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let table = usize_at(file, 32)?;
    let (size, count) = (
        usize::from(u16_at(file, 54)?),
        usize::from(u16_at(file, 56)?),
    );
    let segment = |index: usize| {
        let header = file.get(table.checked_add(index * size)?..)?.get(..size)?;
        let start = usize_at(header, 8)?;
        let end = start.checked_add(usize_at(header, 32)?)?;
        Some(Segment {
            kind: u32_at(header, 0)?,
            file: start..end,
            address: u64_at(header, 16)?,
        })
    };
    (0..count).map(segment).collect()
}

fn libraries(file: &[u8], dynamic: &[u8], segments: &[Segment]) -> Option<Vec<String>> {
    let entries = dynamic
        .chunks_exact(DYNAMIC_ENTRY_BYTES)
        .map_while(|entry| {
            let tag = u64_at(entry, 0)?;
            (tag != DT_NULL).then_some((tag, u64_at(entry, 8)?))
        });
    let entries: Vec<_> = entries.collect();
    let needed: Vec<_> = entries
        .iter()
        .filter(|(tag, _)| *tag == DT_NEEDED)
        .map(|(_, name)| *name)
        .collect();
    if needed.is_empty() {
        return Some(Vec::new());
    }
    let (_, names) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB)?;
    let names = file.get(offset(*names, segments)?..)?;
    needed
        .into_iter()
        .map(|name| text(names.get(usize::try_from(name).ok()?..)?))
        .collect()
}

/// Where in the file an address is loaded from.
fn offset(address: u64, segments: &[Segment]) -> Option<usize> {
    segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let into = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            (into < segment.file.len()).then(|| segment.file.start + into)
        })
}

/// Text up to its NUL.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    String::from_utf8(bytes[..end].to_vec()).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64_at(bytes, at)?).ok()
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_linker_wrote_is_read() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let program = read(&this).unwrap();
        assert!(
            program
                .libraries
                .iter()
                .any(|library| library.starts_with("libc.")),
            "{program:?}"
        );
    }

    #[test]
    fn a_program_cut_anywhere_within_what_is_read_is_refused_or_read_alike() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let program = read(&whole).unwrap();
        for end in (0..4096).chain((4096..whole.len()).step_by(whole.len() / 64)) {
            assert!(
                read(&whole[..end]).is_none_or(|read| read == program),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"#!/bin/sh\nexec mongodump"), None);
        assert_eq!(read(&MAGIC), None);
    }
}
