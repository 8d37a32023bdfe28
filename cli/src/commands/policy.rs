//! `holdfast policy show|set|unset`: the age and number limits of each type of backup.

use clap::{Args, Subcommand};
use holdfast_catalog::StoredPolicy;
use holdfast_domain::{
    BackupType, DEFAULT_MAX_COUNT, DEFAULT_MIN_COUNT, RetentionPolicy, Timestamp,
};
use serde::Serialize;

use crate::{
    environment,
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Show the policies in force
    Show,
    /// Store a policy for one type. Omitted options get their defaults
    Set(Set),
    /// Remove a stored policy, or confirm the settings after a rebuild. The settings apply again
    Unset {
        /// The type of the backups
        #[arg(value_name = "TYPE")]
        kind: Kind,
    },
}

/// A full backup has no policy: its job is deleted with its last part.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    Database,
    Content,
}

impl From<Kind> for BackupType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Database => Self::Database,
            Kind::Content => Self::Content,
        }
    }
}

#[derive(Debug, Args)]
struct Set {
    /// The type of the backups
    #[arg(value_name = "TYPE")]
    kind: Kind,
    /// Delete backups older than this many days
    #[arg(long, value_name = "DAYS", conflicts_with = "keep_all")]
    max_age_days: Option<u32>,
    /// Keep at most this many good backups
    #[arg(long, value_name = "N", conflicts_with = "keep_all", default_value_t = DEFAULT_MAX_COUNT)]
    max_count: u32,
    /// Always keep at least this many good backups
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MIN_COUNT)]
    min_count: u32,
    /// Keep the newest backup of each day, for this many days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// Keep the newest backup of each ISO week, for this many weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// Keep the newest backup of each month, for this many months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// Keep the newest backup of each year, for this many years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// Never delete backups, neither by age nor by number
    #[arg(long)]
    keep_all: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "type")]
    kind: BackupType,
    stored: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// When the catalogue was rebuilt, if the policy is not confirmed: retention is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfirmed_since: Option<Timestamp>,
    policy: RetentionPolicy,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    match &arguments.what {
        PolicyCommand::Show => {
            for kind in [Kind::Database, Kind::Content] {
                show(kind.into(), session, output).await?;
            }
        }
        PolicyCommand::Set(set) => {
            let stored = StoredPolicy {
                policy: policy(set, session),
                updated_by: environment::operator(),
                updated_at: Timestamp::now(),
            };
            stored
                .policy
                .check()
                .map_err(|error| Failure::usage(error.to_string()))?;
            session
                .catalog()
                .await?
                .set_policy(set.kind.into(), &stored)
                .await?;
            show(set.kind.into(), session, output).await?;
        }
        PolicyCommand::Unset { kind } => {
            session
                .catalog()
                .await?
                .remove_policy((*kind).into())
                .await?;
            show((*kind).into(), session, output).await?;
        }
    }
    Ok(Exit::Done)
}

fn policy(set: &Set, session: &Session) -> RetentionPolicy {
    let limit = |limit| (!set.keep_all).then_some(limit);
    RetentionPolicy {
        max_age_days: limit(
            set.max_age_days
                .unwrap_or_else(|| days(set.kind.into(), session)),
        ),
        max_count: limit(set.max_count),
        min_count: set.min_count,
        keep_daily: set.keep_daily,
        keep_weekly: set.keep_weekly,
        keep_monthly: set.keep_monthly,
        keep_yearly: set.keep_yearly,
    }
}

const fn days(kind: BackupType, session: &Session) -> u32 {
    match kind {
        BackupType::Database => session.settings.database.retention_days,
        BackupType::Content | BackupType::Full => session.settings.content.retention_days,
    }
}

async fn show(kind: BackupType, session: &Session, output: Output) -> Result<(), Failure> {
    let catalog = session.catalog().await?;
    let unconfirmed_since = catalog.policy_unconfirmed_since(kind).await?;
    let stored = if unconfirmed_since.is_none() {
        catalog.policy(kind).await?
    } else {
        None
    };
    let document = if let Some(StoredPolicy {
        policy,
        updated_by,
        updated_at,
    }) = stored
    {
        Document {
            kind,
            stored: true,
            updated_by,
            updated_at: Some(updated_at),
            unconfirmed_since,
            policy,
        }
    } else {
        let policy = RetentionPolicy::from_days(days(kind, session));
        Document {
            kind,
            stored: false,
            updated_by: None,
            updated_at: None,
            unconfirmed_since,
            policy,
        }
    };
    output.result(&document, || render(&document, session))
}

fn render(document: &Document, session: &Session) -> String {
    let Document { kind, policy, .. } = document;
    let origin = match (&document.updated_at, &document.updated_by) {
        (None, _) if document.unconfirmed_since.is_some() => format!(
            "from the settings and the defaults, and suspended until `holdfast policy set {kind}` or `holdfast policy \
             unset {kind}`: the catalogue was rebuilt"
        ),
        (Some(at), Some(by)) => format!("stored by {by}, {}", text::time(*at, &session.settings)),
        (Some(at), None) => format!("stored {}", text::time(*at, &session.settings)),
        (None, _) => "from the settings and the defaults".to_owned(),
    };
    let limit =
        |limit: Option<u32>, unit: &str| limit.map(|number| text::count(number.into(), unit));
    let lines = [
        ("delete when older than", limit(policy.max_age_days, "day")),
        (
            "keep at most",
            policy.max_count.map(|number| number.to_string()),
        ),
        ("always keep at least", Some(policy.min_count.to_string())),
        (
            "keep the newest of each of",
            limit(policy.keep_daily, "day"),
        ),
        (
            "keep the newest of each of",
            limit(policy.keep_weekly, "week"),
        ),
        (
            "keep the newest of each of",
            limit(policy.keep_monthly, "month"),
        ),
        (
            "keep the newest of each of",
            limit(policy.keep_yearly, "year"),
        ),
    ];
    let lines: Vec<(&str, String)> = lines
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    format!("{kind}: {origin}\n{}", text::fields(&lines))
}
