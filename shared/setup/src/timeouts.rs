//! Time limits of a small call: its connection, its response, and all its attempts. Without them
//! the SDK waits forever for a response. S3 has its own limits, which grow with the data.

use std::time::Duration;

use aws_config::{SdkConfig, timeout::TimeoutConfig};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The same configuration with a time limit for every call.
pub(crate) fn in_time(aws: &SdkConfig) -> SdkConfig {
    let limits = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ANSWER_TIMEOUT)
        .operation_attempt_timeout(CONNECT_TIMEOUT + ANSWER_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT);
    aws.to_builder().timeout_config(limits.build()).build()
}
