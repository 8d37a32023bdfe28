//! `holdfast show full_…`: the job of a full backup, and the results of its parts.

use std::collections::BTreeMap;

use holdfast_domain::{BackupId, Job, JobStatus};
use holdfast_operations::OperationError;
use serde::Serialize;

use super::{
    job_fields::{find_job, job_fields},
    kind,
};
use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text::{self, Side},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    backup_id: BackupId,
    job: Option<Job>,
    parts: Vec<Part>,
    /// Why the catalogue was not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    backup_id: BackupId,
    /// As the catalogue has it.
    status: Option<JobStatus>,
    /// Whether its manifest is in the store.
    stored: bool,
}

pub(super) async fn run(id: &BackupId, session: &Session, output: Output) -> Result<Exit, Failure> {
    let stored = kind::parts_in_store(id, session).await?;
    let (job, children, problem) = match known(id, session).await {
        Ok((job, children)) => (job, children, None),
        Err(failure) => (None, Vec::new(), Some(failure)),
    };
    if job.is_none() && stored.is_empty() {
        return Err(problem.unwrap_or_else(|| OperationError::NotFound(id.clone()).into()));
    }
    let catalog_problem = problem.map(|failure| failure.message().to_owned());
    let document = Document {
        backup_id: id.clone(),
        job,
        parts: parts(stored, &children),
        catalog_problem,
    };
    output.result(&document, || text(&document, session))?;
    Ok(Exit::Done)
}

async fn known(id: &BackupId, session: &Session) -> Result<(Option<Job>, Vec<Job>), Failure> {
    let job = find_job(id, session).await?;
    Ok((job, session.catalog().await?.children(id).await?))
}

fn parts(stored: Vec<BackupId>, children: &[Job]) -> Vec<Part> {
    let mut parts: BTreeMap<BackupId, (Option<JobStatus>, bool)> = children
        .iter()
        .map(|child| (child.backup_id.clone(), (Some(child.status), false)))
        .collect();
    for id in stored {
        parts.entry(id).or_default().1 = true;
    }
    parts
        .into_iter()
        .map(|(backup_id, (status, stored))| Part {
            backup_id,
            status,
            stored,
        })
        .collect()
}

fn text(document: &Document, session: &Session) -> String {
    let mut fields = vec![("backup", document.backup_id.to_string())];
    fields.extend(
        document
            .job
            .iter()
            .flat_map(|job| job_fields(job, &session.settings)),
    );
    let mut lines = vec![text::fields(&fields)];
    let columns = [
        ("PART", Side::Left),
        ("JOB", Side::Left),
        ("IN THE STORE", Side::Left),
    ];
    let rows: Vec<Vec<String>> = document.parts.iter().map(row).collect();
    lines.push(text::table(&columns, &rows));
    if let Some(problem) = &document.catalog_problem {
        lines.push(format!("the job is unknown: {problem}"));
    }
    lines.join("\n")
}

fn row(part: &Part) -> Vec<String> {
    let status = part
        .status
        .map_or_else(|| "not known".to_owned(), |status| status.to_string());
    vec![
        part.backup_id.to_string(),
        status,
        if part.stored { "yes" } else { "no" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Timestamp, Trigger, TriggerKind};

    use super::*;

    #[test]
    fn a_part_is_known_by_its_job_or_by_its_manifest() {
        let (database, content): (BackupId, BackupId) =
            ("db_1_aa".parse().unwrap(), "content_1_aa".parse().unwrap());
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: None,
        };
        let running = Job::pending(content.clone(), trigger, Timestamp::UNIX_EPOCH);
        let parts = parts(vec![database.clone()], &[running]);
        let shown: Vec<_> = parts
            .into_iter()
            .map(|part| (part.backup_id, part.status, part.stored))
            .collect();
        assert_eq!(
            shown,
            [
                (content, Some(JobStatus::Pending), false),
                (database, None, true)
            ]
        );
    }
}
