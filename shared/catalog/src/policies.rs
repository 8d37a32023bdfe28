//! Retention policies: a row for each type of backup, where somebody stored one. It beats the settings.

use holdfast_domain::{BackupType, RetentionPolicy, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{POLICIES, call},
    row,
};

/// A policy that somebody stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredPolicy {
    /// What it says.
    pub policy: RetentionPolicy,
    /// Who stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// When.
    pub updated_at: Timestamp,
}

impl Catalog {
    /// The stored policy for backups of this type.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] where the row is not a policy, or one that cannot be meant: then none is known, and
    /// nothing may be deleted by another.
    pub async fn policy(&self, kind: BackupType) -> Result<Option<StoredPolicy>, CatalogError> {
        let found = call("read a policy", self.collection(POLICIES).find_one(row::by_id(kind.as_str()))).await?;
        let Some(stored) = found.map(|found| row::read::<StoredPolicy>(POLICIES, found)).transpose()? else {
            return Ok(None);
        };
        stored.policy.check().map_err(|error| CatalogError::Corrupt {
            collection: POLICIES,
            id: kind.to_string(),
            problem: error.to_string(),
        })?;
        Ok(Some(stored))
    }

    /// Stores a policy for backups of this type, in place of what was stored.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] where it cannot be meant.
    pub async fn set_policy(&self, kind: BackupType, stored: &StoredPolicy) -> Result<(), CatalogError> {
        stored.policy.check().map_err(|error| CatalogError::Invalid {
            what: format!("the retention policy for {kind} backups"),
            problem: format!("cannot be meant: {error}"),
        })?;
        let collection = self.collection(POLICIES);
        let replace = collection.replace_one(row::by_id(kind.as_str()), row::of(stored)?).upsert(true);
        call("store a policy", replace).await.map(drop)
    }

    /// Removes the stored policy, so that the settings hold again; `false` where there was none.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn remove_policy(&self, kind: BackupType) -> Result<bool, CatalogError> {
        let collection = self.collection(POLICIES);
        let remove = collection.delete_one(row::by_id(kind.as_str()));
        Ok(call("remove a policy", remove).await?.deleted_count == 1)
    }
}
