//! The demonstration as an operator: verifies and restores by the command line, with only the
//! stack's variables, or with only the variables of the second store.

use std::{ffi::OsStr, path::Path};

use anyhow::Result;
use tokio::process::Command;

use crate::{files, stack::Stack};

/// An unreachable catalogue.
const NOWHERE: &str = "mongodb://127.0.0.1:1/gone?serverSelectionTimeoutMS=1000";

/// The variables of an operator.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    /// The variables of `holdfast` for the stack.
    Stack,
    /// The second store, its keys, and a MongoDB to restore into. There are no variables of AWS,
    /// and no catalogue.
    CopyAlone,
}

/// Verifies a backup at the deepest level without a drill.
pub(crate) async fn verify(stack: &Stack, id: &str) -> Result<()> {
    holdfast(stack, ["verify", id, "--level", "structure"]).await
}

/// Restores a backup of the database under this name.
pub(crate) async fn restore_database(
    stack: &Stack,
    given: Given,
    id: &str,
    to: &str,
) -> Result<()> {
    let (from, to) = (format!("{}.*", stack.databases().source), format!("{to}.*"));
    let mut command = program(stack, given)?;
    command.args([
        "restore",
        "database",
        id,
        "--ns-from",
        &from,
        "--ns-to",
        &to,
        "--yes",
    ]);
    stack.supervisor().output(&mut command).await.map(drop)
}

/// Restores a backup of the database under this name, by the example rules of the documentation.
pub(crate) async fn restore_anonymised(stack: &Stack, id: &str, copy: &str) -> Result<()> {
    let (from, to) = (
        format!("{}.*", stack.databases().source),
        format!("{copy}.*"),
    );
    let rules = files::workspace().join("docs/anonymize-platform.yaml");
    let mut command = program(stack, Given::Stack)?;
    command
        .args([
            "restore",
            "database",
            id,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
            "--anonymize",
        ])
        .arg(rules);
    command.env(
        "HOLDFAST_ANONYMIZE_SECRET",
        "a secret for demonstrations alone",
    );
    stack.supervisor().output(&mut command).await.map(drop)
}

/// Restores the files of a backup of the content into a folder.
pub(crate) async fn restore_content(
    stack: &Stack,
    given: Given,
    id: &str,
    folder: &Path,
) -> Result<()> {
    let mut command = program(stack, given)?;
    command.args(["restore", "content", id, "--to"]).arg(folder);
    stack.supervisor().output(&mut command).await.map(drop)
}

/// Writes the IPFS blocks of a backup of the content into a CAR.
pub(crate) async fn export_car(stack: &Stack, id: &str, car: &Path) -> Result<()> {
    holdfast(
        stack,
        [
            "restore".as_ref(),
            "content".as_ref(),
            id.as_ref(),
            "--to-car".as_ref(),
            car.as_os_str(),
        ],
    )
    .await
}

async fn holdfast(
    stack: &Stack,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<()> {
    let mut command = program(stack, Given::Stack)?;
    command.args(arguments);
    stack.supervisor().output(&mut command).await.map(drop)
}

fn program(stack: &Stack, given: Given) -> Result<Command> {
    let mut command = Command::new(files::built_programs(files::Build::Light)?.join("holdfast"));
    let (description, second) = (stack.description(), &stack.description().second);
    match given {
        Given::Stack => command.envs(&description.env),
        Given::CopyAlone => {
            // No home either: credentials of AWS may be there.
            command
                .env_clear()
                .env("HOME", stack.supervisor().run_directory())
                .envs(second.azure_settings());
            command
                .env("MONGODB_URI", &description.mongodb_uri)
                .env("BACKUP_CATALOG_URI", NOWHERE);
            command.args(["--store", &second.azure_address()])
        }
    };
    Ok(command)
}
