//! The configuration of Holdfast's S3 clients.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{
        Builder, ConfigBag, Intercept, RequestChecksumCalculation, ResponseChecksumValidation,
        RuntimeComponents, StalledStreamProtectionConfig,
        interceptors::BeforeTransmitInterceptorContextMut, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::BoxError,
};

/// Long enough for a slow resolver, short compared with the limit of an attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection without progress for this time counts as dead.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// An S3 client for [`super::S3Store`]. Stores other than AWS have an endpoint, and no host name
/// for each bucket.
///
/// The SDK's retries are off: the store's own retries handle parts, and log each attempt. The store
/// also has the time limits for calls, because they grow with the sent bytes. The client has only
/// the limits for connecting and for a stalled stream.
#[must_use]
pub fn s3_client(config: &aws_config::SdkConfig) -> Client {
    Client::from_conf(settings(config).build())
}

/// A client for [`super::S3Store::interoperable`]: path style, without AWS's own checksums.
#[must_use]
pub fn interoperable_client(config: &aws_config::SdkConfig) -> Client {
    let settings = settings(config)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .interceptor(UnsignedEncoding);
    Client::from_conf(settings.build())
}

fn settings(config: &aws_config::SdkConfig) -> Builder {
    Builder::from(config)
        .force_path_style(config.endpoint_url().is_some())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .build(),
        )
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(STALLED_AFTER)
                .build(),
        )
}

/// Google's front ends change `Accept-Encoding`, so a signature over it never matches.
#[derive(Debug)]
struct UnsignedEncoding;

impl Intercept for UnsignedEncoding {
    fn name(&self) -> &'static str {
        "unsigned encoding"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context
            .request_mut()
            .headers_mut()
            .remove("accept-encoding");
        Ok(())
    }
}
