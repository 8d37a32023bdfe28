//! The demonstration as an operator: verifies and restores by the command line, with nothing but the stack's variables.

use std::{ffi::OsStr, path::Path};

use anyhow::Result;
use tokio::process::Command;

use crate::{files, stack::Stack};

/// Verifies a backup as deep as reading can.
pub(crate) async fn verify(stack: &Stack, id: &str) -> Result<()> {
    holdfast(stack, ["verify", id, "--level", "structure"]).await
}

/// Restores a backup of the database beside the original.
pub(crate) async fn restore_database(stack: &Stack, id: &str) -> Result<()> {
    let databases = stack.databases();
    let (from, to) = (format!("{}.*", databases.source), format!("{}.*", databases.restored));
    holdfast(stack, ["restore", "database", id, "--ns-from", &from, "--ns-to", &to, "--yes"]).await
}

/// Restores a backup of the database under this name, by the rules that the documentation hands out.
pub(crate) async fn restore_anonymised(stack: &Stack, id: &str, copy: &str) -> Result<()> {
    let (from, to) = (format!("{}.*", stack.databases().source), format!("{copy}.*"));
    let rules = files::workspace().join("docs/anonymize-platform.yaml");
    let mut command = program(stack)?;
    command.args(["restore", "database", id, "--ns-from", &from, "--ns-to", &to, "--yes", "--anonymize"]).arg(rules);
    command.env("HOLDFAST_ANONYMIZE_SECRET", "a secret for demonstrations alone");
    stack.supervisor().output(&mut command).await.map(drop)
}

/// Restores the files of a backup of the content into a folder.
pub(crate) async fn restore_content(stack: &Stack, id: &str, folder: &Path) -> Result<()> {
    holdfast(stack, ["restore".as_ref(), "content".as_ref(), id.as_ref(), "--to".as_ref(), folder.as_os_str()]).await
}

/// Writes the IPFS blocks of a backup of the content into a CAR.
pub(crate) async fn export_car(stack: &Stack, id: &str, car: &Path) -> Result<()> {
    holdfast(stack, ["restore".as_ref(), "content".as_ref(), id.as_ref(), "--to-car".as_ref(), car.as_os_str()]).await
}

async fn holdfast(stack: &Stack, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<()> {
    let mut command = program(stack)?;
    command.args(arguments);
    stack.supervisor().output(&mut command).await.map(drop)
}

fn program(stack: &Stack) -> Result<Command> {
    let mut command = Command::new(files::built_programs(files::Build::Light)?.join("holdfast"));
    command.envs(&stack.description().env);
    Ok(command)
}
