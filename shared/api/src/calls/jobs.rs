//! `GET /jobs`, `GET /jobs/{backupId}`: jobs from the catalogue.

use std::sync::Arc;

use axum::extract::State;
use holdfast_domain::{Job, Timestamp};
use holdfast_operations::{OperationError, job_in_detail};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::Pagination;
use crate::{
    answer::{Answer, Failure},
    host::Host,
    request::{BackupPath, JobsQuery, NoQuery},
    schema,
};

/// One page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobsPage {
    /// Jobs, newest first, without `namespaces`. `GET /jobs/{backupId}` and its `/namespaces`
    /// return those.
    #[schema(value_type = Vec<schema::Job>)]
    jobs: Vec<Job>,
    /// Position of this page.
    pagination: Pagination,
}

/// Lists jobs, newest first.
#[utoipa::path(
    get,
    path = "/api/backups/jobs",
    operation_id = "listJobs",
    params(
        (
            "page" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647,
            description = "Page number, counted from 1. Default 1"
        ),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Jobs per page. Default 20"),
        ("type" = Option<schema::BackupType>, Query, description = "Only jobs of this type"),
        ("status" = Option<schema::JobStatus>, Query, description = "Only jobs in this state")
    ),
    responses((status = 200, description = "One page of jobs", body = Answer<JobsPage>))
)]
pub(crate) async fn list(
    State(host): State<Arc<dyn Host>>,
    query: JobsQuery,
) -> Result<Answer<JobsPage>, Failure> {
    let JobsQuery {
        page,
        limit,
        filter,
    } = query;
    let catalog = &host.holdfast().await?.catalog;
    let (jobs, total) = catalog
        .list(filter, page.into(), limit)
        .await
        .map_err(OperationError::from)?;
    Ok(Answer::new(JobsPage {
        jobs,
        pagination: Pagination::new(page, limit, total),
    }))
}

/// Returns one job. For a running content backup, includes its item counts so far.
#[utoipa::path(
    get,
    path = "/api/backups/jobs/{backupId}",
    operation_id = "showJob",
    params((
        "backupId" = String, Path, max_length = 64, pattern = "^(db|content|full)_[0-9]+_[0-9a-z]+$",
        description = "ID of the backup"
    )),
    responses(
        (status = 200, description = "The job", body = Answer<schema::Job>),
        (status = 404, description = "The backup does not exist", body = schema::Failure)
    )
)]
pub(crate) async fn show(
    State(host): State<Arc<dyn Host>>,
    BackupPath(id): BackupPath,
    _: NoQuery,
) -> Result<Answer<Job>, Failure> {
    let catalog = &host.holdfast().await?.catalog;
    Ok(Answer::new(
        job_in_detail(catalog, &id, Timestamp::now()).await?,
    ))
}
