//! The demonstration as an operator: verifies and restores by the command line, with nothing but the stack's variables.

use anyhow::Result;
use tokio::process::Command;

use crate::{files, stack::Stack};

/// Verifies a backup as deep as reading can.
pub(crate) async fn verify(stack: &Stack, id: &str) -> Result<()> {
    holdfast(stack, &["verify", id, "--level", "structure"]).await
}

/// Restores a backup beside the original.
pub(crate) async fn restore(stack: &Stack, id: &str) -> Result<()> {
    let databases = stack.databases();
    let (from, to) = (format!("{}.*", databases.source), format!("{}.*", databases.restored));
    holdfast(stack, &["restore", "database", id, "--ns-from", &from, "--ns-to", &to, "--yes"]).await
}

async fn holdfast(stack: &Stack, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(files::built_programs(files::Build::Light)?.join("holdfast"));
    command.args(arguments).envs(&stack.description().env);
    stack.supervisor().output(&mut command).await.map(drop)
}
