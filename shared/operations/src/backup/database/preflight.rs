//! Whether the official mongodump is installed and runs. The first backup of a process checks it
//! once.

use std::{path::Path, sync::Arc};

use holdfast_database::{Tool, ToolFault};
use holdfast_domain::settings::DumpEngine;
use tokio::sync::OnceCell;

use crate::Holdfast;

/// The result of the check. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Preflight(Arc<OnceCell<Result<Tool, ToolFault>>>);

impl Preflight {
    /// The tool at this path. The first caller checks it.
    pub(crate) async fn tool(&self, path: &Path) -> Result<&Tool, &ToolFault> {
        self.0.get_or_init(|| Tool::find(path)).await.as_ref()
    }
}

impl Holdfast {
    /// The reason for the native engine despite an installed mongodump: it does not run. `None`
    /// before the first backup, without an installation, or with a configured engine.
    #[must_use]
    pub fn engine_fallback(&self) -> Option<&ToolFault> {
        let is_chosen = self.settings.database.engine != DumpEngine::Auto;
        let fault = self.preflight.0.get()?.as_ref().err()?;
        (!is_chosen && !fault.is_absent()).then_some(fault)
    }
}
