//! Where the repository is: `s3://bucket/prefix`.

use std::fmt;

/// A repository's place in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLocation {
    /// The bucket's name.
    pub bucket: String,
    /// What every key starts with: empty, or ending in `/`.
    pub prefix: String,
}

impl StoreLocation {
    /// Reads `s3://bucket` or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// What is expected instead, as the second half of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "s3://bucket or s3://bucket/prefix; other stores are not built yet".to_owned();
        let rest = text.strip_prefix("s3://").ok_or_else(expected)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let segments_ok = prefix.is_empty() || prefix.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if !is_bucket_name(bucket)
            || !segments_ok
            || prefix.len() > 100
            || !prefix.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(expected());
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket: bucket.to_owned(), prefix })
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>, as far as a typing error is likely.
fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}
