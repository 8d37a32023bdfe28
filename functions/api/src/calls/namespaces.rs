//! `GET /jobs/{backupId}/namespaces`: what a database backup holds, page by page, from its manifest in the store.

use std::sync::Arc;

use axum::extract::State;
use holdfast_domain::NamespaceManifest;
use holdfast_lambda::Function;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Pagination, page_of};
use crate::{
    answer::{Answer, Failure},
    request::{BackupPath, PageQuery},
};

/// One page of the namespaces of a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespacesPage {
    /// In the order of the dump.
    namespaces: Vec<ListedNamespace>,
    /// Which page it is.
    pagination: Pagination,
}

/// One collection, view or time series.
#[derive(Debug, Serialize, ToSchema)]
struct ListedNamespace {
    /// `database.collection`.
    namespace: String,
    /// `collection`, `view` or `timeseries`.
    kind: String,
    /// Documents; of a time series, its buckets.
    documents: u64,
    /// Bytes of BSON.
    bytes: u64,
    /// How many indexes it has.
    indexes: usize,
}

/// The namespaces of a database backup. The manifest's authenticity is checked when the backup is verified or restored.
#[utoipa::path(
    get,
    path = "/api/backups/jobs/{backupId}/namespaces",
    operation_id = "listNamespaces",
    params(
        (
            "backupId" = String, Path, max_length = 64, pattern = "^(db|content|full)_[0-9]+_[0-9a-z]+$",
            description = "The backup's id"
        ),
        ("page" = Option<u32>, Query, minimum = 1, description = "Counted from 1, which is the default"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Namespaces on a page; 100 by default")
    ),
    responses(
        (status = 200, description = "One page of namespaces", body = Answer<NamespacesPage>),
        (status = 404, description = "The store has no such backup", body = crate::schema::Failure)
    )
)]
pub(crate) async fn list(
    State(function): State<Arc<Function>>,
    BackupPath(id): BackupPath,
    PageQuery { page, limit }: PageQuery<100, 1000>,
) -> Result<Answer<NamespacesPage>, Failure> {
    let all = function.repository().await?.namespaces(&id).await?;
    let (namespaces, pagination) = page_of(all, page, limit);
    Ok(Answer::new(NamespacesPage {
        namespaces: namespaces.into_iter().map(ListedNamespace::from).collect(),
        pagination,
    }))
}

impl From<NamespaceManifest> for ListedNamespace {
    fn from(found: NamespaceManifest) -> Self {
        Self {
            namespace: format!("{}.{}", found.db, found.collection),
            kind: found.kind,
            documents: found.documents,
            bytes: found.bytes,
            indexes: found.indexes.len(),
        }
    }
}
