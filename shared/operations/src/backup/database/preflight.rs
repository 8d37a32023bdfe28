//! Whether the official mongodump is there and runs: asked once, by the first backup of a process.

use std::{path::Path, sync::Arc};

use holdfast_database::{Tool, ToolFault};
use holdfast_domain::settings::DumpEngine;
use tokio::sync::OnceCell;

use crate::Holdfast;

/// What was found. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Preflight(Arc<OnceCell<Result<Tool, ToolFault>>>);

impl Preflight {
    /// The tool at this path; looked for by the first who asks.
    pub(crate) async fn tool(&self, path: &Path) -> Result<&Tool, &ToolFault> {
        self.0.get_or_init(|| Tool::find(path)).await.as_ref()
    }
}

impl Holdfast {
    /// Why backups go by the native engine though a mongodump is there: it does not run. Nothing before the first
    /// backup, where there is simply none, and where the settings choose the engine.
    #[must_use]
    pub fn engine_fallback(&self) -> Option<&ToolFault> {
        let is_chosen = self.settings.database.engine != DumpEngine::Auto;
        let fault = self.preflight.0.get()?.as_ref().err()?;
        (!is_chosen && !fault.is_absent()).then_some(fault)
    }
}
