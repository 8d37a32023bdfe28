//! Stored retention policies: at most one row for each type of backup. A stored policy overrides
//! the settings.
//!
//! A rebuilt catalogue does not know whether a policy existed. It has a row for this state, until
//! an operator stores a policy or removes the row. An older version cannot read this row as a
//! policy, and deletes nothing.

use bson::doc;
use holdfast_domain::{BackupType, RetentionPolicy, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{POLICIES, attempt, call},
    error::is_duplicate,
    row,
};

/// A stored policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredPolicy {
    /// The policy.
    pub policy: RetentionPolicy,
    /// The user who stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// When.
    pub updated_at: Timestamp,
}

const UNCONFIRMED_SINCE: &str = "unconfirmedSince";

impl Catalog {
    /// Records that no policy is known for backups of this type, so an operator must confirm the
    /// settings. An existing row is not changed.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn await_confirmation_of_policy(
        &self,
        kind: BackupType,
        since: Timestamp,
    ) -> Result<(), CatalogError> {
        const DOING: &str = "record an unconfirmed policy";
        let collection = self.collection(POLICIES);
        let insert = doc! { "$setOnInsert": { UNCONFIRMED_SINCE: row::date(since) } };
        let update = collection
            .update_one(row::by_id(kind.as_str()), insert)
            .upsert(true);
        match attempt(DOING, update).await? {
            // Another run inserted it at the same moment.
            Err(error) if is_duplicate(&error) => Ok(()),
            done => done
                .map(drop)
                .map_err(|error| CatalogError::from_driver(DOING, &error)),
        }
    }

    /// The time since when the policy of this type waits for confirmation. `None` if it does not
    /// wait.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if the row has no time.
    pub async fn policy_unconfirmed_since(
        &self,
        kind: BackupType,
    ) -> Result<Option<Timestamp>, CatalogError> {
        let mut filter = row::by_id(kind.as_str());
        filter.insert(UNCONFIRMED_SINCE, doc! { "$exists": true });
        let Some(row) = call("read a policy", self.collection(POLICIES).find_one(filter)).await?
        else {
            return Ok(None);
        };
        let since = row.get_datetime(UNCONFIRMED_SINCE).ok();
        let since =
            since.and_then(|since| Timestamp::from_millisecond(since.timestamp_millis()).ok());
        since.map(Some).ok_or_else(|| CatalogError::Corrupt {
            collection: POLICIES,
            id: kind.to_string(),
            problem: format!("{UNCONFIRMED_SINCE} is not a time"),
        })
    }

    /// The stored policy for backups of this type. A row that waits for confirmation counts as no
    /// policy.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if the row is no valid policy. The policy is then unknown, and no
    /// other policy may delete anything.
    pub async fn policy(&self, kind: BackupType) -> Result<Option<StoredPolicy>, CatalogError> {
        let found = call(
            "read a policy",
            self.collection(POLICIES)
                .find_one(row::by_id(kind.as_str())),
        )
        .await?;
        let Some(stored) = found
            .map(|found| row::read::<StoredPolicy>(POLICIES, found))
            .transpose()?
        else {
            return Ok(None);
        };
        stored
            .policy
            .check()
            .map_err(|error| CatalogError::Corrupt {
                collection: POLICIES,
                id: kind.to_string(),
                problem: error.to_string(),
            })?;
        Ok(Some(stored))
    }

    /// Stores a policy for backups of this type, and replaces the previous one.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] if the policy is invalid.
    pub async fn set_policy(
        &self,
        kind: BackupType,
        stored: &StoredPolicy,
    ) -> Result<(), CatalogError> {
        stored
            .policy
            .check()
            .map_err(|error| CatalogError::Invalid {
                what: format!("the retention policy for {kind} backups"),
                problem: format!("cannot be meant: {error}"),
            })?;
        let collection = self.collection(POLICIES);
        let replace = collection
            .replace_one(row::by_id(kind.as_str()), row::of(stored)?)
            .upsert(true);
        call("store a policy", replace).await.map(drop)
    }

    /// Removes the stored policy, so that the settings apply again. Returns `false` if there was no
    /// policy.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn remove_policy(&self, kind: BackupType) -> Result<bool, CatalogError> {
        let collection = self.collection(POLICIES);
        let remove = collection.delete_one(row::by_id(kind.as_str()));
        Ok(call("remove a policy", remove).await?.deleted_count == 1)
    }
}
