//! The reasons why a backup cannot use mongodump.

use holdfast_database::{ToolFault, Unsuitable};

/// Why mongodump cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineFault {
    /// It is missing, or does not run.
    #[error(transparent)]
    Tool(#[from] ToolFault),
    /// It does not support the settings.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
}
