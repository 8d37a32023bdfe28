//! The store at an address, opened by what the settings have for it. Nothing is sent yet.

use std::sync::Arc;

use aws_config::SdkConfig;
use holdfast_domain::settings::{CloudSettings, StoreLocation};
use holdfast_operations::OperationError;
use holdfast_storage::{S3Store, Store, s3_client};

use crate::clients::fault;

/// S3 is opened by the AWS SDK's own chain of credentials; what belongs to the second copy by the settings of that.
pub(crate) fn open(
    aws: &SdkConfig,
    _cloud: &CloudSettings,
    location: &StoreLocation,
) -> Result<Arc<dyn Store>, OperationError> {
    match location {
        StoreLocation::S3 { bucket, prefix } => {
            // A local stand-in has no name for each bucket.
            let client = s3_client(aws, aws.endpoint_url().is_some());
            Ok(Arc::new(S3Store::new(client, bucket, prefix)))
        }
        StoreLocation::Gcs { .. } | StoreLocation::Azure { .. } | StoreLocation::Directory(_) => {
            Err(fault("BACKUP_STORE", format!("{location} is of a kind that this version does not open")))
        }
    }
}
