//! The processors that Lambda offers, by each of the names they go by.

use std::fmt;

use clap::ValueEnum;

/// A processor of Lambda functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    /// Intel's and AMD's.
    #[value(name = "x86_64")]
    X8664,
    /// Graviton.
    Arm64,
}

impl Architecture {
    /// AWS's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X8664 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// Whether the vendor's feed means this one; it says `aarch64` for some systems and `arm64` for
    /// others.
    pub(crate) fn is_called(self, name: &str) -> bool {
        match self {
            Self::X8664 => name == "x86_64",
            Self::Arm64 => matches!(name, "aarch64" | "arm64"),
        }
    }

    /// `e_machine` of its ELF files (System V ABI: `EM_X86_64`, `EM_AARCH64`).
    pub(crate) const fn elf_machine(self) -> u16 {
        match self {
            Self::X8664 => 62,
            Self::Arm64 => 183,
        }
    }

    /// Whether this machine runs its Linux programs.
    pub(crate) fn runs_here(self) -> bool {
        let here = std::env::consts::ARCH;
        cfg!(target_os = "linux") && (here == self.name() || self.is_called(here))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
