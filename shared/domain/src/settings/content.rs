//! Settings of content backups.

use std::time::Duration;

use url::Url;

use super::reader::Reader;
use crate::RetentionPolicy;

/// Settings of content backups.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, named after its variable"
)]
pub struct ContentSettings {
    /// `BACKUP_CONTENT_ENABLED`.
    pub enabled: bool,
    /// `BACKUP_CONTENT_INTERVAL_HOURS`: a backup is due this long after the last good backup.
    pub interval_hours: u32,
    /// `BACKUP_CONTENT_RETENTION_DAYS`: age limit of retention if no policy is stored.
    pub retention_days: u32,
    /// `BACKUP_CONTENT_COMPRESSION`: gzip, if that makes the file smaller.
    pub compression: bool,
    /// `BACKUP_CONTENT_ENCRYPTION`.
    pub encryption: bool,
    /// `BACKUP_CONTENT_CONCURRENCY`: number of simultaneous downloads.
    pub concurrency: u32,
    /// `BACKUP_CONTENT_TIMEOUT_MS`: time without progress after which a request fails.
    pub timeout: Duration,
    /// `BACKUP_CONTENT_RETRY_ATTEMPTS`: total number of download attempts per item.
    pub retry_attempts: u32,
    /// `BACKUP_MAX_FILE_SIZE`: maximum size of a backed-up file in bytes.
    pub max_file_size: u64,
    /// `BACKUP_CONTENT_ARCHIVE`: also store each backup as one archive.
    pub archive: bool,
    /// `BACKUP_CONTENT_MAX_FAILURE_PERCENT`: percentage of failed items above which a backup
    /// fails.
    pub max_failure_percent: u32,
    /// `BACKUP_CONTENT_ALLOWED_ORIGINS`: origins that are exempt from the address rules, without
    /// path, query or user.
    pub allowed_origins: Vec<Url>,
    /// `BACKUP_CONTENT_COLLECTION`: the collection of the content items.
    pub collection: String,
    /// `BACKUP_CONTENT_QUEUE`: URL of the SQS queue of files to download. The template sets it.
    /// The command line needs no queue.
    pub queue: Option<String>,
    /// `BACKUP_IPFS_GATEWAYS`: gateways in the order in which they are tried.
    pub gateways: Vec<Gateway>,
}

/// An IPFS gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The origin, without path, query or user.
    pub url: Url,
    /// Whether the gateway serves self-verifying blocks. A gateway without blocks serves plain
    /// files and is tried last.
    pub trustless: bool,
}

/// Public gateways that serve blocks.
const DEFAULT_GATEWAYS: &str = "https://trustless-gateway.link,https://ipfs.io,https://dweb.link";

/// Maximum size of one S3 copy, minus the header, padding and trailer of an encrypted file.
const LARGEST_FILE_BYTES: u64 = 4 << 30;

/// Prefix of a gateway with plain files only.
const PLAIN: &str = "plain+";

pub(super) fn read(reader: &mut Reader) -> ContentSettings {
    ContentSettings {
        enabled: reader.boolean("BACKUP_CONTENT_ENABLED", true),
        interval_hours: reader.number("BACKUP_CONTENT_INTERVAL_HOURS", 24, 1..=8760),
        retention_days: reader.number(
            "BACKUP_CONTENT_RETENTION_DAYS",
            30,
            1..=RetentionPolicy::MAX_DAYS,
        ),
        compression: reader.boolean("BACKUP_CONTENT_COMPRESSION", true),
        encryption: reader.boolean("BACKUP_CONTENT_ENCRYPTION", false),
        concurrency: reader.number("BACKUP_CONTENT_CONCURRENCY", 3, 1..=1000),
        timeout: Duration::from_millis(reader.number(
            "BACKUP_CONTENT_TIMEOUT_MS",
            30_000,
            100..=600_000,
        )),
        retry_attempts: reader.number("BACKUP_CONTENT_RETRY_ATTEMPTS", 3, 1..=10),
        max_file_size: reader.number("BACKUP_MAX_FILE_SIZE", 104_857_600, 1..=LARGEST_FILE_BYTES),
        archive: reader.boolean("BACKUP_CONTENT_ARCHIVE", true),
        max_failure_percent: reader.number("BACKUP_CONTENT_MAX_FAILURE_PERCENT", 10, 0..=100),
        allowed_origins: reader
            .optional("BACKUP_CONTENT_ALLOWED_ORIGINS", origins)
            .unwrap_or_default(),
        collection: reader.text_or("BACKUP_CONTENT_COLLECTION", "contents"),
        queue: reader.text("BACKUP_CONTENT_QUEUE"),
        gateways: gateways(reader),
    }
}

fn gateways(reader: &mut Reader) -> Vec<Gateway> {
    let given = reader.optional("BACKUP_IPFS_GATEWAYS", parse_gateways);
    given.unwrap_or_else(|| {
        reader.show_default("BACKUP_IPFS_GATEWAYS", DEFAULT_GATEWAYS);
        parse_gateways(DEFAULT_GATEWAYS).unwrap_or_default()
    })
}

fn parse_gateways(text: &str) -> Result<Vec<Gateway>, String> {
    let gateway = |text: &str| {
        let (trustless, address) = text
            .strip_prefix(PLAIN)
            .map_or((true, text), |address| (false, address));
        origin(address).map(|url| Gateway { url, trustless })
    };
    text.split(',').map(|text| gateway(text.trim())).collect::<Option<_>>().ok_or_else(|| {
        format!(
            "origins separated by commas, for example https://gateway.example, with {PLAIN} before one without blocks"
        )
    })
}

fn origins(text: &str) -> Result<Vec<Url>, String> {
    let expected = || {
        "origins separated by commas, for example https://hub.example or http://10.0.0.7:8080"
            .to_owned()
    };
    text.split(',')
        .map(|text| origin(text.trim()))
        .collect::<Option<_>>()
        .ok_or_else(expected)
}

/// Parses an origin: scheme, host and port only.
fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then_some(url)
}
