//! How Holdfast's S3 client is set up, in one place.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
};

/// Long enough for a slow resolver, short against a try's own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which nothing moves for this long is taken for dead.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// An S3 client for [`super::S3Store`]. `force_path_style` is for stores that are not AWS.
///
/// The SDK's retries are off: the store's own know about parts and log each time. Time limits grow with what is sent,
/// so they are the store's own too; here are only those for connecting and for a stream that stands still.
#[must_use]
pub fn s3_client(config: &aws_config::SdkConfig, force_path_style: bool) -> Client {
    let settings = Builder::from(config)
        .force_path_style(force_path_style)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALLED_AFTER).build());
    Client::from_conf(settings.build())
}
