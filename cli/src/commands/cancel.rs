//! `holdfast cancel <id>`: the job becomes `cancelled`. Its run stops at its next beat, on any
//! machine.

use std::sync::Arc;

use clap::Args;
use holdfast_domain::{BackupId, Timestamp};
use holdfast_operations::Silent;

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The backup ID, as shown by `holdfast run`, the API or the catalogue
    #[arg(value_name = "BACKUP_ID")]
    id: BackupId,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let holdfast = session.holdfast(Arc::new(Silent)).await?;
    let job = holdfast_operations::cancel(&holdfast, &arguments.id, Timestamp::now()).await?;
    output.result(&job, || {
        format!(
            "{} is {}. A run of it stops at its next beat, within 10 seconds",
            job.backup_id, job.status
        )
    })?;
    Ok(Exit::Done)
}
