//! The remedy of each error.

use holdfast_database::DatabaseError;
use holdfast_domain::FailureCode;
use holdfast_storage::StoreError;

use super::{OperationError, StopReason};
use crate::{backup::database::engine_fault::EngineFault, replica::fault::WRONG_CLOCK};

impl OperationError {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Target(DatabaseError::Denied(_)) => {
                return Some(
                    "check user, password and authSource of the target's connection string, and that the user has the roles `restore` and `readAnyDatabase`",
                );
            }
            Self::Target(_) => {
                return Some(
                    "check that the target's server is running, and that the connection string is correct",
                );
            }
            Self::ManifestTooLarge { namespaces: 0, .. } | Self::ArchiveTooLarge { .. } => {
                return Some("set BACKUP_CONTENT_ARCHIVE=false");
            }
            Self::ManifestTooLarge { .. } => return Some(MANY_NAMESPACES),
            Self::Disabled(_) => return Some("set it to true"),
            Self::WrongStore(_) => return Some(WRONG_STORE),
            Self::Stopped(StopReason::CatalogSilent) => {
                return Some(
                    "check that the catalogue's server is running and reachable. The next run takes over this backup",
                );
            }
            Self::TooSlow => {
                return Some(
                    "run `holdfast run content` on a machine, which has no time limit, or set BACKUP_CONTENT_ARCHIVE=false",
                );
            }
            Self::TooManyFailures { .. } => {
                return Some(
                    "for the reason of each failed item, use holdfast show with --failed. Downloaded files stay \
                     stored, and the next run continues from there",
                );
            }
            _ => {}
        }
        match self {
            Self::Engine(EngineFault::Tool(_)) => return Some(NO_TOOL),
            Self::Engine(EngineFault::Unsuitable(_)) => return Some(NOT_FOR_THE_TOOL),
            Self::Copy(fault) => return fault.hint(),
            Self::Store(StoreError::Unsupported { .. }) => return Some(NO_CHECKSUMS),
            Self::Store(StoreError::WrongClock { .. }) => return Some(WRONG_CLOCK),
            _ => {}
        }
        Some(match self.code() {
            FailureCode::ConfigInvalid => {
                "correct the settings: GET /api/backups/config lists every fault"
            }
            FailureCode::SourceUnreachable => {
                "check that the server is running, that MONGODB_URI is correct, and that the function's subnets and \
                 security groups can reach it"
            }
            FailureCode::SourceDenied => {
                "check user, password and authSource in MONGODB_URI, and that the user has the role `backup` (`read` \
                 is enough if there are no time series)"
            }
            FailureCode::SourceLost => {
                "the next scheduled run retries. For the cause of the lost connection, see the server's log"
            }
            FailureCode::StoreDenied => {
                "check the function's role and the bucket's policy. For a directory, check its owner, and whether its \
                 disk is read-only"
            }
            FailureCode::StoreFull => {
                "free some space, or delete expired backups: `holdfast cleanup --dry-run` lists them. The next run \
                 reuses the files of a content backup that are already stored"
            }
            FailureCode::StoreUnavailable => {
                "check that the bucket exists and that its region is correct, or that the directory's disk is \
                 mounted. The next run retries"
            }
            FailureCode::Deadline => {
                "run `holdfast run database` on a machine, which has no time limit, or give the function more memory"
            }
            _ => return None,
        })
    }
}

/// Remedy for a store with the S3 API but without its checksums.
const NO_CHECKSUMS: &str = "open the store by its S3 calls alone: BACKUP_STORE=gs://bucket/prefix with \
                            BACKUP_CLOUD_PROVIDER=gcp, BACKUP_CLOUD_ENDPOINT, BACKUP_CLOUD_ACCESS_KEY and \
                            BACKUP_CLOUD_SECRET_KEY";

const WRONG_STORE: &str = "correct BACKUP_STORE, its prefix or the disk. If the store was emptied or replaced on purpose, \
                           give it a catalogue of its own, and run `holdfast catalog rebuild`";

const MANY_NAMESPACES: &str = "exclude collections by BACKUP_DATABASE_EXCLUDE_COLLECTIONS, or back up each database \
                               separately: name the database in MONGODB_URI, and use one repository per database";

const NO_TOOL: &str = "attach the mongodump layer of the function's architecture, set MONGODUMP to the path of the \
                       tool, or set BACKUP_DUMP_ENGINE to auto or native";

const NOT_FOR_THE_TOOL: &str =
    "set BACKUP_DUMP_ENGINE to auto or native, or change the selection to dump";
