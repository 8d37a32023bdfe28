//! `holdfast key rotate`, `add-recipient`, `remove-recipient`: change the wrapping of the master
//! keys, never the keys themselves or the data under them.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use holdfast_codec::AgeRecipient;
use holdfast_domain::Secret;
use holdfast_repository::{KeyChange, Repository, RewrapReport, RewrappedEpoch, WrappedUnder};

use crate::{
    confirm::{self, Confirmation},
    connection::secret,
    failure::{Exit, Failure},
    opening::{self, Opening},
    output::Output,
    session::Session,
    text::printable,
};

const OLD_VERSIONS: &str = "If the bucket keeps versions, older versions of repository.json and repository.copy.json \
                            still open with the previous keys, until they expire or are deleted. Give the functions \
                            the new keys before their next run.";

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(super) opening: Opening,
    /// The file with the previous key, instead of `BACKUP_ENCRYPTION_KEY_PREVIOUS`.
    /// `BACKUP_ENCRYPTION_KEY` is the new key
    #[arg(long, value_name = "FILE")]
    old_key_file: Option<PathBuf>,
    /// Change the keys without confirmation
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Recipient {
    /// An age recipient, `age1…`, as printed by `age-keygen`. A recipient is not secret
    #[arg(value_name = "RECIPIENT", value_parser = secret)]
    text: Secret,
    #[command(flatten)]
    pub(super) opening: Opening,
    /// Change the keys without confirmation
    #[arg(long)]
    yes: bool,
}

pub(super) async fn rotate(
    what: &Rotate,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let previous = what
        .old_key_file
        .as_deref()
        .map(opening::read_key)
        .transpose()?;
    let repository = session.repository_opened_also_by(previous)?;
    let report = change(&repository, &KeyChange::Rotate, what.yes.into(), output)
        .await
        .map_err(with_old_key)?;
    output.result(&report, || {
        format!("the master keys are wrapped again\n{}", in_text(&report))
    })?;
    output.note(OLD_VERSIONS);
    Ok(Exit::Done)
}

pub(super) async fn add(
    what: &Recipient,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    // An invalid recipient may be an identity, so it is not repeated.
    let recipient = AgeRecipient::parse(what.text.expose())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let repository = session.repository_opened_also_by(None)?;
    let report = change(
        &repository,
        &KeyChange::AddRecipient(recipient.clone()),
        what.yes.into(),
        output,
    )
    .await?;
    output.result(&report, || {
        format!(
            "the identity of {recipient} opens the master keys now\n{}",
            in_text(&report)
        )
    })?;
    Ok(Exit::Done)
}

pub(super) async fn remove(
    what: &Recipient,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let repository = session.repository_opened_also_by(None)?;
    let removed = KeyChange::RemoveRecipient(what.text.expose().to_owned());
    let report = change(&repository, &removed, what.yes.into(), output).await?;
    output.result(&report, || {
        format!("the recipient is removed\n{}", in_text(&report))
    })?;
    output.note(OLD_VERSIONS);
    Ok(Exit::Done)
}

fn with_old_key(failure: Failure) -> Failure {
    if failure.exit != Exit::Settings {
        return failure;
    }
    failure.hint(
        "set the new key in BACKUP_ENCRYPTION_KEY or BACKUP_KMS_KEY_ID, and the previous one in \
         BACKUP_ENCRYPTION_KEY_PREVIOUS or --old-key-file. Or open the repository by --identity or --exported",
    )
}

/// Plans the change, shows it, asks for confirmation, then writes it.
async fn change(
    repository: &Repository,
    change: &KeyChange,
    confirmation: Confirmation,
    output: Output,
) -> Result<RewrapReport, Failure> {
    if confirmation == Confirmation::Required && !confirm::can_ask() {
        return Err(confirm::cannot_ask("--yes"));
    }
    let prepared = repository.prepare_rewrap(change).await?;
    if confirmation == Confirmation::Required {
        Output::question(&in_text(prepared.report()));
        confirm::ask("Change the keys that open the backups?").await?;
    }
    let report = repository.rewrap(prepared).await;
    if report
        .as_ref()
        .is_err_and(holdfast_repository::RepositoryError::is_transient)
    {
        output.note(
            "The change may be written or not. Check with `holdfast key show`. It is safe to repeat the command.",
        );
    }
    Ok(report?)
}

/// The keys that open the master keys, and those that no longer do.
fn in_text(report: &RewrapReport) -> String {
    report.epochs.iter().fold(String::new(), |mut text, epoch| {
        let RewrappedEpoch {
            epoch,
            before,
            after,
        } = epoch;
        let names = |keys: &mut dyn Iterator<Item = &WrappedUnder>| {
            keys.map(named).collect::<Vec<_>>().join(", ")
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "epoch {epoch} is opened by {}",
            names(&mut after.iter())
        );
        let gone = names(&mut before.iter().filter(|key| !after.contains(key)));
        if !gone.is_empty() {
            let _ = writeln!(text, "  and no longer by {gone}");
        }
        text
    })
}

/// The wrapping of a master key, as text. Text from the file is escaped.
pub(super) fn named(key: &WrappedUnder) -> String {
    let of = printable(key.of.as_deref().unwrap_or_default()).replace('\n', "\\n");
    match key.method {
        "key" => "BACKUP_ENCRYPTION_KEY".to_owned(),
        "passphrase" => "the passphrase in BACKUP_ENCRYPTION_KEY".to_owned(),
        "kms" => format!("KMS key {of}"),
        _ => format!("the age identity of {of}"),
    }
}
