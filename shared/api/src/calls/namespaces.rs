//! `GET /jobs/{backupId}/namespaces`: namespaces of a database backup, in pages, from its manifest
//! in the store.

use std::sync::Arc;

use axum::extract::State;
use holdfast_domain::NamespaceManifest;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Pagination, page_of};
use crate::{
    answer::{Answer, Failure},
    host::Host,
    request::{BackupPath, PageQuery},
};

/// One page of the namespaces of a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespacesPage {
    /// Namespaces in the order of the dump.
    namespaces: Vec<ListedNamespace>,
    /// Whether the manifest was authenticated. Always `false`: this call has no key. Verification
    /// and restore authenticate the manifest of an encrypted backup.
    authenticated: bool,
    /// Position of this page.
    pagination: Pagination,
}

/// One collection, view or time series.
#[derive(Debug, Serialize, ToSchema)]
struct ListedNamespace {
    /// `database.collection`.
    namespace: String,
    /// `collection`, `view` or `timeseries`.
    kind: String,
    /// Number of documents. For a time series, the number of buckets.
    documents: u64,
    /// Bytes of BSON.
    bytes: u64,
    /// Number of indexes.
    indexes: usize,
}

/// Lists the namespaces of a database backup from its manifest. This call does not authenticate the
/// manifest. Verification and restore do.
#[utoipa::path(
    get,
    path = "/api/backups/jobs/{backupId}/namespaces",
    operation_id = "listNamespaces",
    params(
        (
            "backupId" = String, Path, max_length = 64, pattern = "^(db|content|full)_[0-9]+_[0-9a-z]+$",
            description = "ID of the backup"
        ),
        ("page" = Option<u32>, Query, minimum = 1, description = "Page number, counted from 1. Default 1"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Namespaces per page. Default 100")
    ),
    responses(
        (status = 200, description = "One page of namespaces", body = Answer<NamespacesPage>),
        (status = 404, description = "The store does not contain the backup", body = crate::schema::Failure)
    )
)]
pub(crate) async fn list(
    State(host): State<Arc<dyn Host>>,
    BackupPath(id): BackupPath,
    PageQuery { page, limit }: PageQuery<100, 1000>,
) -> Result<Answer<NamespacesPage>, Failure> {
    let all = host.repository().await?.namespaces(&id).await?;
    let (namespaces, pagination) = page_of(all, page, limit);
    Ok(Answer::new(NamespacesPage {
        namespaces: namespaces.into_iter().map(ListedNamespace::from).collect(),
        authenticated: false,
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
