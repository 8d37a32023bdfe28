//! The target machine of a program, from its ELF header (`e_machine`, two bytes at offset 18).

use std::{fs::File, io::Read, path::Path};

const MAGIC: [u8; 4] = *b"\x7fELF";

/// Rust's name of an architecture, and its `e_machine`. All of these have little-endian files.
const MACHINES: [(&str, u16); 5] = [
    ("x86_64", 62),
    ("aarch64", 183),
    ("x86", 3),
    ("arm", 40),
    ("riscv64", 243),
];

/// The architecture of a program, if it differs from this machine's.
pub(super) fn other_architecture(program: &Path) -> Option<String> {
    let mut header = [0; 20];
    File::open(program).ok()?.read_exact(&mut header).ok()?;
    other(header, std::env::consts::ARCH)
}

fn other(header: [u8; 20], ours: &str) -> Option<String> {
    if header[..4] != MAGIC {
        return None;
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    let name = MACHINES
        .iter()
        .find(|(_, number)| *number == machine)
        .map(|(name, _)| *name);
    (name != Some(ours))
        .then(|| name.map_or_else(|| format!("ELF machine {machine}"), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(machine: u16) -> [u8; 20] {
        let mut header = [0; 20];
        header[..4].copy_from_slice(&MAGIC);
        header[18..].copy_from_slice(&machine.to_le_bytes());
        header
    }

    #[test]
    fn only_a_program_of_another_machine_is_of_another_machine() {
        assert_eq!(other(header(62), "x86_64"), None);
        assert_eq!(other(header(183), "x86_64").as_deref(), Some("aarch64"));
        assert_eq!(other(header(62), "aarch64").as_deref(), Some("x86_64"));
        assert_eq!(other(header(2), "x86_64").as_deref(), Some("ELF machine 2"));
        assert_eq!(other(*b"#!/bin/sh\nexit 0\n   ", "x86_64"), None);
        assert_eq!(other_architecture(&std::env::current_exe().unwrap()), None);
    }
}
