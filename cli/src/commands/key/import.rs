//! `holdfast key import`: lost repository files, made again from exported master keys.

use std::path::PathBuf;

use clap::Args;
use holdfast_domain::Timestamp;

use crate::{
    failure::{Exit, Failure},
    opening,
    output::Output,
    session::Session,
    text,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file with the output of `holdfast key export`
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let exported = opening::read_exported(&arguments.file)?;
    let repository = session.repository()?;
    let report = repository.import(&exported, Timestamp::now()).await?;
    let keys = text::count(exported.len() as u64, "master key");
    output.result(&report, || {
        format!(
            "recreated repository {} in {}, with {keys}",
            report.repository_id,
            repository.location()
        )
    })?;
    Ok(Exit::Done)
}
