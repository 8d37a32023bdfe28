//! Settings, parsed once from name-value pairs and validated together. All faults are reported at
//! the same time.
//!
//! `docs/settings.md` describes names, defaults and meaning. This module does not read the
//! environment.

#[macro_use]
mod choice;
mod cloud;
mod content;
mod exposure;
mod location;
mod reader;
mod reading;

use std::path::PathBuf;

use jiff::tz::TimeZone;

pub use cloud::{CloudKeys, CloudProvider, CloudSettings};
pub use content::{ContentSettings, Gateway};
pub use location::{Directories, StoreLocation};
pub use reading::{Reading, SettingError, SettingWarning, SettingsError};

use self::reader::Reader;
use crate::{RetentionPolicy, Secret};

/// All settings, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `BACKUP_SYSTEM_ENABLED`: if `false`, schedules do nothing and triggers answer 503.
    pub enabled: bool,
    /// `BACKUP_TIMEZONE`: IANA time zone of displayed dates.
    pub timezone: TimeZone,
    /// `BACKUP_LOG_LEVEL`.
    pub log_level: LogLevel,
    /// `BACKUP_MAX_CONCURRENT`: number of backups that may run at the same time.
    pub max_concurrent: u32,
    /// Settings of database backups.
    pub database: DatabaseSettings,
    /// Settings of content backups.
    pub content: ContentSettings,
    /// `BACKUP_ENCRYPTION_KEY`.
    pub encryption_key: Option<Secret>,
    /// `BACKUP_ENCRYPTION_KEY_PREVIOUS`: opens master keys that are not wrapped under the current
    /// key. Wraps nothing.
    pub encryption_key_previous: Option<Secret>,
    /// `BACKUP_KMS_KEY_ID`.
    pub kms_key_id: Option<String>,
    /// `BACKUP_BREAK_GLASS_RECIPIENT`: the age recipient whose identity is kept offline.
    pub break_glass_recipient: Option<String>,
    /// Settings of restore drills.
    pub drill: DrillSettings,
    /// `MONGODB_URI`: the database to back up.
    pub mongodb_uri: Secret,
    /// `BACKUP_CATALOG_URI`: the catalogue of job rows, if it is not on the server that is backed
    /// up.
    pub catalog_uri: Option<Secret>,
    /// `BACKUP_STORE`: the store of the backups.
    pub store: Option<StoreLocation>,
    /// Settings of the second store.
    pub cloud: CloudSettings,
    /// Settings of API access.
    pub access: AccessSettings,
    /// `BACKUP_EVENT_BUS`: the EventBridge bus of triggers and state changes.
    pub event_bus: String,
    /// `BACKUP_METRICS_NAMESPACE`: the CloudWatch namespace of Holdfast's metrics.
    pub metrics_namespace: String,
    /// Memory in MiB, inside a Lambda function. Lambda sets the variable, so it is neither
    /// documented nor shown.
    pub function_memory_mib: Option<u32>,
    /// Settings that have no effect.
    pub warnings: Vec<SettingWarning>,
}

impl Settings {
    /// The connection string of the source, unless it is the default. A process without
    /// `MONGODB_URI` does not know the source.
    #[must_use]
    pub fn known_source(&self) -> Option<&Secret> {
        Some(&self.mongodb_uri).filter(|uri| uri.expose() != DEFAULT_MONGODB_URI)
    }

    /// The values of [`SECRET_VARIABLES`], in another order.
    #[must_use]
    pub fn secrets(&self) -> [Option<&Secret>; 7] {
        let cloud = self.cloud.keys.as_ref();
        [
            Some(&self.mongodb_uri),
            self.catalog_uri.as_ref(),
            self.drill.uri.as_ref(),
            self.encryption_key.as_ref(),
            self.encryption_key_previous.as_ref(),
            cloud.map(|keys| &keys.access),
            cloud.map(|keys| &keys.secret),
        ]
    }
}

/// Settings of database backups.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `BACKUP_DATABASE_ENABLED`.
    pub enabled: bool,
    /// `BACKUP_DATABASE_INTERVAL_HOURS`: a backup is due this long after the last good backup.
    pub interval_hours: u32,
    /// `BACKUP_DATABASE_RETENTION_DAYS`: age limit of retention if no policy is stored.
    pub retention_days: u32,
    /// `BACKUP_DATABASE_COMPRESSION`: gzip.
    pub compression: bool,
    /// `BACKUP_COMPRESSION_LEVEL`, 1–9.
    pub compression_level: u8,
    /// `BACKUP_DATABASE_ENCRYPTION`.
    pub encryption: bool,
    /// `BACKUP_DUMP_ENGINE`.
    pub engine: DumpEngine,
    /// `MONGODUMP`: path of the official tool.
    pub mongodump: PathBuf,
    /// `BACKUP_DATABASE_COLLECTIONS` or `BACKUP_DATABASE_EXCLUDE_COLLECTIONS`.
    pub collections: CollectionFilter,
    /// `BACKUP_DATABASE_PARALLEL_COLLECTIONS`, 1–32.
    pub parallel_collections: u32,
    /// `BACKUP_DATABASE_READ_PREFERENCE`: if unset, the read preference of `MONGODB_URI` applies.
    pub read_preference: Option<ReadPreference>,
}

/// Settings of restore drills.
#[derive(Debug, Clone)]
pub struct DrillSettings {
    /// `BACKUP_DRILL_URI`: the server of the scratch databases. If unset, no scheduled drills run.
    pub uri: Option<Secret>,
    /// `BACKUP_DRILL_INTERVAL_HOURS`: a drill is due this long after the last drill.
    pub interval_hours: u32,
}

/// Settings of API access.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// `BACKUP_ROLE_CLAIM`: the token's claim that contains the role.
    pub role_claim: String,
    /// `BACKUP_CREATOR_ACCESS`: permissions of the role creator.
    pub creator: CreatorAccess,
}

/// The collections to dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectionFilter {
    /// All collections.
    All,
    /// Only these collections.
    Only(Vec<String>),
    /// All collections except these.
    Except(Vec<String>),
}

impl CollectionFilter {
    /// Whether to dump the collection with this name.
    #[must_use]
    pub fn takes(&self, collection: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == collection),
            Self::Except(names) => names.iter().all(|name| name != collection),
        }
    }
}

choice!(
    /// Log level.
    LogLevel {
        /// Failures only.
        Error = "error",
        /// In addition, faults that did not stop an operation.
        Warn = "warn",
        /// In addition, one line per operation.
        Info = "info",
        /// In addition, each step.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
);

choice!(
    /// Engine that dumps the database.
    DumpEngine {
        /// The official tool if it is installed, runs, and supports the settings. Otherwise the
        /// native engine.
        Auto = "auto",
        /// Only the official tool.
        Mongodump = "mongodump",
        /// Holdfast's own engine.
        Native = "native",
    }
);

choice!(
    /// Read preference, with the names of MongoDB connection strings.
    ReadPreference {
        /// Only the primary.
        Primary = "primary",
        /// The primary, or a secondary if there is no primary.
        PrimaryPreferred = "primaryPreferred",
        /// Only secondaries.
        Secondary = "secondary",
        /// A secondary, or the primary if there is no secondary.
        SecondaryPreferred = "secondaryPreferred",
        /// The member with the lowest latency.
        Nearest = "nearest",
    }
);

choice!(
    /// Permissions of the role creator.
    CreatorAccess {
        /// All permissions of the role admin.
        Full = "full",
        /// Read-only access.
        Read = "read",
        /// No access.
        None = "none",
    }
);

/// Variables with secret values. Each may contain the ARN of a Secrets Manager secret instead.
pub const SECRET_VARIABLES: [&str; 7] = [
    "BACKUP_CLOUD_ACCESS_KEY",
    "BACKUP_CLOUD_SECRET_KEY",
    "BACKUP_ENCRYPTION_KEY",
    "BACKUP_ENCRYPTION_KEY_PREVIOUS",
    "BACKUP_CATALOG_URI",
    "BACKUP_DRILL_URI",
    "MONGODB_URI",
];

/// Reads the settings from variables. Variables of other programs are ignored. An empty value
/// counts as unset.
#[must_use]
pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Reading {
    let mut reader = Reader::new(variables);
    let settings = Settings {
        enabled: reader.boolean("BACKUP_SYSTEM_ENABLED", true),
        timezone: timezone(&mut reader),
        log_level: reader.choice("BACKUP_LOG_LEVEL", LogLevel::Info, LogLevel::WORDS),
        max_concurrent: reader.number("BACKUP_MAX_CONCURRENT", 2, 1..=64),
        database: DatabaseSettings {
            enabled: reader.boolean("BACKUP_DATABASE_ENABLED", true),
            interval_hours: reader.number("BACKUP_DATABASE_INTERVAL_HOURS", 24, 1..=8760),
            retention_days: reader.number(
                "BACKUP_DATABASE_RETENTION_DAYS",
                30,
                1..=RetentionPolicy::MAX_DAYS,
            ),
            compression: reader.boolean("BACKUP_DATABASE_COMPRESSION", true),
            compression_level: reader.number("BACKUP_COMPRESSION_LEVEL", 6, 1..=9),
            encryption: reader.boolean("BACKUP_DATABASE_ENCRYPTION", false),
            engine: reader.choice("BACKUP_DUMP_ENGINE", DumpEngine::Auto, DumpEngine::WORDS),
            mongodump: mongodump(&mut reader),
            collections: collections(&mut reader),
            parallel_collections: reader.number("BACKUP_DATABASE_PARALLEL_COLLECTIONS", 4, 1..=32),
            read_preference: read_preference(&mut reader),
        },
        content: content::read(&mut reader),
        encryption_key: reader.secret("BACKUP_ENCRYPTION_KEY"),
        encryption_key_previous: reader.secret("BACKUP_ENCRYPTION_KEY_PREVIOUS"),
        kms_key_id: reader.text("BACKUP_KMS_KEY_ID"),
        break_glass_recipient: recipient(&mut reader),
        drill: DrillSettings {
            uri: reader.mongodb_uri("BACKUP_DRILL_URI"),
            interval_hours: reader.number("BACKUP_DRILL_INTERVAL_HOURS", 168, 1..=8760),
        },
        mongodb_uri: reader.mongodb_uri("MONGODB_URI").unwrap_or_else(|| {
            reader.show_default("MONGODB_URI", DEFAULT_MONGODB_URI);
            Secret::new(DEFAULT_MONGODB_URI)
        }),
        catalog_uri: reader.mongodb_uri("BACKUP_CATALOG_URI"),
        store: store(&mut reader),
        cloud: cloud::read(&mut reader),
        access: AccessSettings {
            role_claim: reader.text_or("BACKUP_ROLE_CLAIM", "role"),
            creator: reader.choice(
                "BACKUP_CREATOR_ACCESS",
                CreatorAccess::Full,
                CreatorAccess::WORDS,
            ),
        },
        event_bus: reader.text_or("BACKUP_EVENT_BUS", "default"),
        metrics_namespace: reader.text_or("BACKUP_METRICS_NAMESPACE", "Holdfast"),
        function_memory_mib: reader.ambient("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        warnings: Vec::new(),
    };
    if settings.cloud.enabled
        && settings.store.is_some()
        && settings.cloud.location == settings.store
    {
        reader.reject(
            "BACKUP_CLOUD_BUCKET",
            "is the same place as BACKUP_STORE: set it to another bucket or prefix",
        );
    }
    let encrypting = [
        ("BACKUP_DATABASE_ENCRYPTION", settings.database.encryption),
        ("BACKUP_CONTENT_ENCRYPTION", settings.content.encryption),
    ];
    let encrypting = encrypting
        .into_iter()
        .find(|(_, on)| *on)
        .map(|(name, _)| name);
    if let Some(name) = encrypting
        && settings.encryption_key.is_none()
        && settings.kms_key_id.is_none()
    {
        let problem = format!("is not set, but {name} is true: set it, or set BACKUP_KMS_KEY_ID");
        reader.reject("BACKUP_ENCRYPTION_KEY", problem);
    }
    if settings.database.engine == DumpEngine::Mongodump
        && matches!(&settings.database.collections, CollectionFilter::Only(names) if names.len() > 1)
    {
        reader.reject(
            "BACKUP_DATABASE_COLLECTIONS",
            "names several collections, but BACKUP_DUMP_ENGINE is mongodump, and it accepts one: set the engine to \
             auto or native, or list the collections to exclude in BACKUP_DATABASE_EXCLUDE_COLLECTIONS",
        );
    }
    reader.finish(settings)
}

/// If unset, the connection string may contain a read preference. The connection string is not
/// shown.
fn read_preference(reader: &mut Reader) -> Option<ReadPreference> {
    const NAME: &str = "BACKUP_DATABASE_READ_PREFERENCE";
    let given = reader.optional_choice(NAME, ReadPreference::WORDS);
    reader.show_default(NAME, "as in MONGODB_URI, or secondaryPreferred");
    given
}

const DEFAULT_MONGODB_URI: &str = "mongodb://localhost:27017/web3platform";

/// The path at which the Lambda layer installs mongodump.
const DEFAULT_MONGODUMP: &str = "/opt/bin/mongodump";

fn mongodump(reader: &mut Reader) -> PathBuf {
    reader.optional("MONGODUMP", absolute).unwrap_or_else(|| {
        reader.show_default("MONGODUMP", DEFAULT_MONGODUMP);
        PathBuf::from(DEFAULT_MONGODUMP)
    })
}

/// A recipient is public and shown. An identity passed by mistake is secret and masked. The codec
/// crate validates the rest.
fn recipient(reader: &mut Reader) -> Option<String> {
    const NAME: &str = "BACKUP_BREAK_GLASS_RECIPIENT";
    if reader
        .peek(NAME)?
        .to_ascii_lowercase()
        .contains("age-secret-key-")
    {
        reader.secret(NAME);
        reader.reject(
            NAME,
            "invalid value: expected an age recipient (age1…), got a secret age identity",
        );
        return None;
    }
    reader.text(NAME)
}

/// Reads the store, and the directories that replace parts of a directory store. The platform's
/// guide sets relative directories for every kind of store.
fn store(reader: &mut Reader) -> Option<StoreLocation> {
    let mut store = reader.optional("BACKUP_STORE", StoreLocation::parse);
    for name in ["BACKUP_DATABASE_DIR", "BACKUP_CONTENT_DIR"] {
        let Some(given) = reader.optional(name, |text| Ok(PathBuf::from(text))) else {
            continue;
        };
        match &mut store {
            Some(StoreLocation::Directory(directories)) => match directories.resolve(&given) {
                Some(directory) if name == "BACKUP_DATABASE_DIR" => {
                    directories.database = Some(directory);
                }
                Some(directory) => directories.content = Some(directory),
                None => reader.reject(
                    name,
                    format!(
                        "invalid value {:?}: expected a directory other than the repository's own",
                        given.display()
                    ),
                ),
            },
            _ if given.is_relative() => {
                reader.warn(
                    name,
                    "has no effect, because BACKUP_STORE is not a directory (file:///…)",
                );
            }
            _ => reader.reject(
                name,
                "is set, and BACKUP_STORE is not a directory (file:///…): unset it",
            ),
        }
    }
    store
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    Some(PathBuf::from(text))
        .filter(|path| path.is_absolute())
        .ok_or_else(|| "an absolute path".to_owned())
}

fn timezone(reader: &mut Reader) -> TimeZone {
    let parse = |name: &str| {
        TimeZone::get(name).map_err(|_| "an IANA time zone, for example Europe/Zurich".to_owned())
    };
    reader
        .optional("BACKUP_TIMEZONE", parse)
        .unwrap_or_else(|| {
            reader.show_default("BACKUP_TIMEZONE", "UTC");
            TimeZone::UTC
        })
}

fn collections(reader: &mut Reader) -> CollectionFilter {
    let only = reader.names("BACKUP_DATABASE_COLLECTIONS");
    let except = reader.names("BACKUP_DATABASE_EXCLUDE_COLLECTIONS");
    match (only, except) {
        (None, None) => CollectionFilter::All,
        (Some(only), None) => CollectionFilter::Only(only),
        (None, Some(except)) => CollectionFilter::Except(except),
        (Some(_), Some(_)) => {
            reader.reject(
                "BACKUP_DATABASE_EXCLUDE_COLLECTIONS",
                "cannot be combined with BACKUP_DATABASE_COLLECTIONS: set at most one of them",
            );
            CollectionFilter::All
        }
    }
}

#[cfg(test)]
mod tests;
