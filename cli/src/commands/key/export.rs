//! `holdfast key export`: prints the master keys, to be kept offline. They open encrypted backups
//! without the settings and without KMS.

use std::io::{self, IsTerminal};

use clap::Args;
use holdfast_domain::{RepositoryFile, WrappedKey};
use holdfast_repository::{ExportedKey, export_keys};
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    session::Session,
    text,
};

const WARNING: &str = "A master key opens every backup of its epoch, and allows anyone to forge others. Keep it \
                       offline, on paper or on a separate medium, and not with the backups.";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) opening: Opening,
    /// Print the keys even if stdout is not a terminal
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    if !arguments.yes && !io::stdout().is_terminal() {
        return Err(Failure::refused(
            "not confirmed: stdout is not a terminal, and it would receive master keys",
        )
        .hint("pass --yes to print them anyway"));
    }
    let repository = session.repository()?;
    let file = repository.open().await?;
    let keys = export_keys(&repository).await?;
    if keys.is_empty() {
        return Err(Failure::not_found(format!(
            "{} has no master key: nothing in it is encrypted",
            repository.location()
        ))
        .hint(
            "set BACKUP_DATABASE_ENCRYPTION or BACKUP_CONTENT_ENCRYPTION to true, and a key, then run `holdfast init`",
        ));
    }
    output.note(WARNING);
    output.result(&document(&file, &keys), || {
        text(&repository.location().to_string(), &file, &keys)
    })?;
    Ok(Exit::Done)
}

fn wrapped(file: &RepositoryFile, epoch: u32) -> &[WrappedKey] {
    file.epochs
        .iter()
        .find(|listed| listed.epoch == epoch)
        .map_or(&[], |listed| &listed.keys)
}

/// The fingerprint of the key, for a comparison with the store.
fn fingerprint(key: &ExportedKey) -> Option<String> {
    key.master()
        .ok()
        .map(|master| master.fingerprint().to_string())
}

fn document(file: &RepositoryFile, keys: &[ExportedKey]) -> Value {
    let epochs: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "epoch": key.epoch,
                "masterKey": key.master_key.expose(),
                "fingerprint": fingerprint(key),
                "wrapped": wrapped(file, key.epoch),
            })
        })
        .collect();
    json!({ "repository": file.id, "warning": WARNING, "epochs": epochs })
}

fn text(store: &str, file: &RepositoryFile, keys: &[ExportedKey]) -> String {
    let mut fields = vec![
        ("repository", file.id.to_string()),
        ("store", store.to_owned()),
    ];
    for key in keys {
        fields.push(("epoch", key.epoch.to_string()));
        fields.push(("master key", key.master_key.expose().to_owned()));
        fields.extend(fingerprint(key).map(|fingerprint| ("fingerprint", fingerprint)));
        fields.extend(
            wrapped(file, key.epoch)
                .iter()
                .map(|wrapped| ("wrapped", json!(wrapped).to_string())),
        );
    }
    text::fields(&fields)
}
