//! The selection of replica set members for reads, from the setting and the connection string, with
//! a bound on a member's staleness.

use std::{collections::HashMap, time::Duration};

use holdfast_domain::settings;
use mongodb::options::{ClientOptions, ReadPreference, ReadPreferenceOptions, SelectionCriteria};

/// Staleness bound, unless the connection string sets one.
const MAX_STALENESS: Duration = Duration::from_mins(2);

/// The driver's own interval between checks of members. The bound must exceed it:
/// <https://github.com/mongodb/specifications/blob/master/source/max-staleness/max-staleness.md>.
const HEARTBEAT: Duration = Duration::from_secs(10);
const ABOVE_HEARTBEAT: Duration = Duration::from_secs(10);

/// The selection of members, and the source of that selection.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) preference: ReadPreference,
    /// Whether the bound on their staleness is Holdfast's own.
    pub(crate) has_default_bound: bool,
}

impl Reading {
    /// Combines the setting's mode with the connection string `uri`, parsed to `options`. Without a
    /// setting, the string's mode applies, or else secondaries preferred. Tags and a bound of
    /// the string apply only to its own mode.
    pub(crate) fn new(
        asked: Option<settings::ReadPreference>,
        uri: &str,
        options: &ClientOptions,
    ) -> Self {
        let given = match &options.selection_criteria {
            Some(SelectionCriteria::ReadPreference(given)) => Some(given),
            _ => None,
        };
        let preferred = || driver_preference(settings::ReadPreference::SecondaryPreferred);
        let wanted = asked.map_or_else(
            || given.cloned().unwrap_or_else(preferred),
            driver_preference,
        );
        let (preference, unused) = match given {
            Some(given) if mode(given) == mode(&wanted) => (given.clone(), false),
            Some(given) => (wanted, has_options(given)),
            None => (wanted, false),
        };
        if unused {
            tracing::warn!(
                mode = mode(&preference),
                "the tags and maxStalenessSeconds of the connection string are not used, because \
                 BACKUP_DATABASE_READ_PREFERENCE names another mode than it"
            );
        }
        let is_one_server =
            options.direct_connection == Some(true) || options.load_balanced == Some(true);
        if is_one_server || declines_a_bound(uri) {
            return Self {
                preference,
                has_default_bound: false,
            };
        }
        let heartbeat = options.heartbeat_freq.unwrap_or(HEARTBEAT);
        let (preference, has_default_bound) =
            bounded(preference, MAX_STALENESS.max(heartbeat + ABOVE_HEARTBEAT));
        Self {
            preference,
            has_default_bound,
        }
    }

    /// The same members without a bound.
    pub(crate) fn unbounded(self) -> Self {
        let preference = with_options(self.preference, |options| options.max_staleness = None);
        Self {
            preference,
            has_default_bound: false,
        }
    }

    /// In the form of mongodump's `--readPreference`: the mode, or a document with its options. It
    /// contains no secret.
    pub(crate) fn for_mongodump(&self) -> String {
        let mode = mode(&self.preference);
        let Some(options) = options_of(&self.preference) else {
            return mode.to_owned();
        };
        let mut document = serde_json::Map::from_iter([("mode".to_owned(), mode.into())]);
        if let Some(tag_sets) = &options.tag_sets {
            let sets: Vec<&HashMap<String, String>> = tag_sets.iter().collect();
            document.insert("tagSets".to_owned(), serde_json::json!(sets));
        }
        if let Some(bound) = options.max_staleness {
            document.insert("maxStalenessSeconds".to_owned(), bound.as_secs().into());
        }
        if document.len() == 1 {
            mode.to_owned()
        } else {
            serde_json::Value::Object(document).to_string()
        }
    }
}

/// `maxStalenessSeconds=-1`. The driver's parser treats it as absent.
fn declines_a_bound(uri: &str) -> bool {
    uri.to_ascii_lowercase()
        .split(['?', '&'])
        .any(|option| option == "maxstalenessseconds=-1")
}

/// With this bound if there is no other. A primary is never behind.
fn bounded(preference: ReadPreference, bound: Duration) -> (ReadPreference, bool) {
    let is_open = options_of(&preference).is_none_or(|options| options.max_staleness.is_none());
    if matches!(preference, ReadPreference::Primary) || !is_open {
        return (preference, false);
    }
    (
        with_options(preference, |options| options.max_staleness = Some(bound)),
        true,
    )
}

fn has_options(preference: &ReadPreference) -> bool {
    options_of(preference)
        .is_some_and(|options| options.tag_sets.is_some() || options.max_staleness.is_some())
}

fn options_of(preference: &ReadPreference) -> Option<&ReadPreferenceOptions> {
    match preference {
        ReadPreference::PrimaryPreferred { options }
        | ReadPreference::Secondary { options }
        | ReadPreference::SecondaryPreferred { options }
        | ReadPreference::Nearest { options } => options.as_ref(),
        _ => None,
    }
}

fn with_options(
    mut preference: ReadPreference,
    change: impl FnOnce(&mut ReadPreferenceOptions),
) -> ReadPreference {
    match &mut preference {
        ReadPreference::PrimaryPreferred { options }
        | ReadPreference::Secondary { options }
        | ReadPreference::SecondaryPreferred { options }
        | ReadPreference::Nearest { options } => change(options.get_or_insert_default()),
        _ => {}
    }
    preference
}

const fn mode(preference: &ReadPreference) -> &'static str {
    match preference {
        ReadPreference::PrimaryPreferred { .. } => "primaryPreferred",
        ReadPreference::Secondary { .. } => "secondary",
        ReadPreference::SecondaryPreferred { .. } => "secondaryPreferred",
        ReadPreference::Nearest { .. } => "nearest",
        _ => "primary",
    }
}

const fn driver_preference(preference: settings::ReadPreference) -> ReadPreference {
    let options = None;
    match preference {
        settings::ReadPreference::Primary => ReadPreference::Primary,
        settings::ReadPreference::PrimaryPreferred => ReadPreference::PrimaryPreferred { options },
        settings::ReadPreference::Secondary => ReadPreference::Secondary { options },
        settings::ReadPreference::SecondaryPreferred => {
            ReadPreference::SecondaryPreferred { options }
        }
        settings::ReadPreference::Nearest => ReadPreference::Nearest { options },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGGED: &str =
        "readPreference=secondary&readPreferenceTags=role:analytics&readPreferenceTags=";

    async fn reading(asked: Option<settings::ReadPreference>, options: &str) -> Reading {
        let uri = format!("mongodb://a,b/?{options}");
        Reading::new(asked, &uri, &ClientOptions::parse(&uri).await.unwrap())
    }

    fn bound(reading: &Reading) -> Option<u64> {
        options_of(&reading.preference)
            .and_then(|options| options.max_staleness)
            .map(|bound| bound.as_secs())
    }

    fn tags(reading: &Reading) -> usize {
        options_of(&reading.preference)
            .and_then(|options| options.tag_sets.as_ref())
            .map_or(0, Vec::len)
    }

    #[tokio::test]
    async fn without_a_setting_the_connection_string_decides() {
        let own = reading(None, &format!("{TAGGED}&maxStalenessSeconds=300")).await;
        assert_eq!(
            (mode(&own.preference), tags(&own), bound(&own)),
            ("secondary", 2, Some(300))
        );
        assert!(!own.has_default_bound);
        let nothing = reading(None, "").await;
        assert_eq!(
            (mode(&nothing.preference), bound(&nothing)),
            ("secondaryPreferred", Some(120))
        );
        assert!(nothing.has_default_bound);
        let primary = reading(None, "readPreference=primary").await;
        assert_eq!(
            (mode(&primary.preference), bound(&primary)),
            ("primary", None)
        );
    }

    #[tokio::test]
    async fn a_setting_takes_tags_and_bound_of_the_string_where_the_modes_agree() {
        use settings::ReadPreference::{Nearest, Primary, Secondary};
        let string = format!("{TAGGED}&maxStalenessSeconds=90");
        let same = reading(Some(Secondary), &string).await;
        assert_eq!((tags(&same), bound(&same)), (2, Some(90)));
        let other = reading(Some(Nearest), &string).await;
        assert_eq!(
            (mode(&other.preference), tags(&other), bound(&other)),
            ("nearest", 0, Some(120))
        );
        let primary = reading(Some(Primary), &string).await;
        assert_eq!(
            (primary.preference.clone(), primary.has_default_bound),
            (ReadPreference::Primary, false)
        );
    }

    #[tokio::test]
    async fn a_bound_is_never_smaller_than_the_driver_takes_and_can_be_declined() {
        assert_eq!(
            bound(&reading(None, "heartbeatFrequencyMS=300000").await),
            Some(310)
        );
        for none in [
            "readPreference=nearest&maxStalenessSeconds=-1",
            "directConnection=true",
            "loadBalanced=true",
        ] {
            let uri = format!("mongodb://a/?{none}");
            let reading = Reading::new(None, &uri, &ClientOptions::parse(&uri).await.unwrap());
            assert_eq!(
                (bound(&reading), reading.has_default_bound),
                (None, false),
                "{none}"
            );
        }
        assert_eq!(bound(&reading(None, "").await.unbounded()), None);
    }

    #[tokio::test]
    async fn mongodump_reads_the_same_members() {
        let word = reading(Some(settings::ReadPreference::Primary), "").await;
        assert_eq!(word.for_mongodump(), "primary");
        let unbounded = reading(None, "readPreference=secondary&maxStalenessSeconds=-1").await;
        assert_eq!(unbounded.for_mongodump(), "secondary");
        let tagged = reading(
            None,
            "readPreference=secondary&readPreferenceTags=role:%22x",
        )
        .await;
        assert_eq!(
            tagged.for_mongodump(),
            r#"{"mode":"secondary","tagSets":[{"role":"\"x"}],"maxStalenessSeconds":120}"#
        );
    }
}
