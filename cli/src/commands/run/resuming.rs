//! An earlier backup that blocks a new one: an interrupted one is resumed, a running one causes a
//! refusal.

use holdfast_catalog::CatalogError;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus};
use holdfast_operations::{BackupOutcome, Holdfast, OperationError, is_interrupted};

use super::{Begun, begin, screen::Screen, to_its_end};

/// Maximum number of rounds with a blocking backup before the command fails.
const MAX_ROUNDS: u32 = 5;

/// Begins a backup of this type. An interrupted content backup is resumed, and is then the backup
/// of this command. A full backup begins after it.
pub(super) async fn begin_or_resume(
    h: &Holdfast,
    kind: BackupType,
    screen: &Screen,
) -> Result<Begun, OperationError> {
    let mut rounds = 0;
    loop {
        rounds += 1;
        match begin(h, kind).await {
            // A database backup cannot resume. The next one begins after the death of this run.
            Err(OperationError::AlreadyRunning { backup_id })
                if kind != BackupType::Database && rounds < MAX_ROUNDS =>
            {
                if let Some(begun) = resume(h, kind, backup_id, screen).await? {
                    return Ok(begun);
                }
            }
            begun => return begun,
        }
    }
}

/// Resumes or refuses a backup that blocks a new one. Returns `None` if a new one may begin.
async fn resume(
    h: &Holdfast,
    kind: BackupType,
    id: BackupId,
    screen: &Screen,
) -> Result<Option<Begun>, OperationError> {
    let meter = screen.meter(id.backup_type());
    meter.set_message(format!(
        "{id} is not finished: checking for up to a minute whether its run is alive"
    ));
    if !is_interrupted(h, &id).await? {
        return Err(OperationError::AlreadyRunning { backup_id: id });
    }
    let job = match h.catalog.get(&id).await {
        Ok(job) if job.status.is_active() => job,
        // A lease without a job. The next run that begins releases it.
        Ok(_) | Err(CatalogError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !has_work_to_resume(&job) {
        return Ok(None);
    }
    meter.set_message(format!("resuming the interrupted backup {id}"));
    if kind == BackupType::Content {
        return Ok(Some(Begun {
            id,
            parts: vec![job],
            left_out: Vec::new(),
        }));
    }
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    match Box::pin(to_its_end(h, &job, screen)).await? {
        BackupOutcome::Skipped { .. } => Err(OperationError::AlreadyRunning { backup_id: id }),
        _ => Ok(None),
    }
}

/// Whether the job has work to resume. A content backup keeps its files, and a request without a
/// run is still pending. A dead database backup is settled by the next one, which dumps from the
/// beginning.
fn has_work_to_resume(job: &Job) -> bool {
    job.backup_type == BackupType::Content || (job.status == JobStatus::Pending && job.fence == 0)
}
