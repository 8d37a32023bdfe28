//! Restores the jobs of full backups. A full backup has no manifest, so it is known only from its
//! parts, if all of them exist. If one part is missing, it may have failed, been disabled or been
//! deleted. Then the full backup gets no row.

use std::collections::BTreeSet;

use holdfast_catalog::CatalogError;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus};

use super::{Mode, Rebuild, RebuiltBackup, UnreadCause, row};
use crate::{
    OperationError,
    job::{finish, full, late_parents},
};

impl Rebuild<'_> {
    /// Adds the full backups named by jobs, including jobs of a killed rebuild.
    pub(super) async fn parents(&mut self) -> Result<(), OperationError> {
        if self.mode == Mode::Write {
            self.late_parents().await?;
        }
        let mut named: BTreeSet<BackupId> =
            self.h.catalog.named_parents().await?.into_iter().collect();
        named.extend(self.parts.iter().filter_map(|part| part.parent_id.clone()));
        let named: Vec<BackupId> = named
            .into_iter()
            .filter(|id| id.backup_type() == BackupType::Full)
            .collect();
        for page in named.chunks(super::PAGE) {
            let standings = self.h.catalog.standings(page).await?;
            for id in page.iter().filter(|id| !standings.contains_key(*id)) {
                self.parent(id).await?;
            }
        }
        Ok(())
    }

    /// Settles existing full backups by their parts. An unreadable row of a part is reported.
    async fn late_parents(&mut self) -> Result<(), OperationError> {
        let late = late_parents::finish_late(self.h, self.h.catalog.now().await?).await?;
        self.report.completed.extend(late.completed);
        self.report.brought_back = late.brought_back;
        for (id, error) in late.problems {
            match error {
                OperationError::Catalog(CatalogError::Corrupt { .. }) => {
                    self.unread(&id, UnreadCause::Row, error.to_string());
                }
                error => return Err(error),
            }
        }
        Ok(())
    }

    async fn parent(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let children = match self.children(id).await {
            Ok(children) => children,
            Err(error @ CatalogError::Corrupt { .. }) => {
                self.unread(id, UnreadCause::Row, error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(parent) = parent_from(id, &children) else {
            self.report.parents_unknown.push(id.clone());
            return Ok(());
        };
        if self.insert(&parent).await? {
            self.report.added.push(RebuiltBackup {
                backup_id: id.clone(),
                items: 0,
            });
        }
        Ok(())
    }

    async fn children(&self, id: &BackupId) -> Result<Vec<Job>, CatalogError> {
        let mut children = self.h.catalog.children(id).await?;
        if self.mode == Mode::Plan {
            children.extend(
                self.parts
                    .iter()
                    .filter(|part| part.parent_id.as_ref() == Some(id))
                    .cloned(),
            );
        }
        Ok(children)
    }
}

/// The full backup of these parts, if they are complete and all completed.
fn parent_from(id: &BackupId, children: &[Job]) -> Option<Job> {
    let is_whole = full::PARTS
        .iter()
        .all(|kind| children.iter().any(|child| child.backup_type == *kind));
    if !is_whole
        || children
            .iter()
            .any(|child| child.status != JobStatus::Completed)
    {
        return None;
    }
    // One trigger creates all parts, at one moment.
    let first = children.iter().min_by_key(|child| child.created_at)?;
    let parent = Job {
        started_at: Some(first.created_at),
        ..Job::pending(id.clone(), first.trigger.clone(), first.created_at)
    };
    let change = finish::parent::job_change_from_parts(&parent, children, first.created_at);
    Some(row::completed(parent, change))
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Timestamp, Trigger, TriggerKind};

    use super::*;

    fn child(kind: BackupType, status: JobStatus) -> Job {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: Some("ada".to_owned()),
        };
        let id = BackupId::new(kind, at, [1; 4]);
        Job {
            status,
            size: Some(3),
            completed_at: Some(at),
            ..Job::pending(id, trigger, at)
        }
    }

    #[test]
    fn a_full_backup_is_known_only_if_both_its_parts_exist_and_are_good() {
        use BackupType::{Content, Database};
        use JobStatus::{Completed, Deleted, Failed, Running};
        let id = "full_1700000000000_01010101".parse().unwrap();
        for (children, known) in [
            (&[][..], false),
            (&[(Database, Completed)], false),
            (&[(Content, Completed)], false),
            (&[(Database, Completed), (Content, Completed)], true),
            (&[(Database, Completed), (Database, Completed)], false),
            (&[(Database, Completed), (Content, Failed)], false),
            (&[(Database, Deleted), (Content, Completed)], false),
            (&[(Database, Running), (Content, Completed)], false),
        ] {
            let children: Vec<Job> = children
                .iter()
                .map(|(kind, status)| child(*kind, *status))
                .collect();
            let parent = parent_from(&id, &children);
            assert_eq!(parent.is_some(), known, "{children:?}");
            if let Some(parent) = parent {
                assert_eq!(
                    (parent.status, parent.size, parent.trigger.by.as_deref()),
                    (Completed, Some(6), Some("ada"))
                );
            }
        }
    }
}
