//! The selection of an archive's namespaces, and their targets.

use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_archive::{Metadata, NamespaceKind, Prelude, PreludeNamespace};
use mongodb::{Database, options::ReadPreference};

use super::{
    Adjustment, Expected, LeftOut, NamespaceMap, RestoreFault, RestoreOptions, TargetState,
    adjust::adjusted,
    name::{refuse_reserved, unusable},
};
use crate::{
    Connection,
    connection::SERVER_DATABASES,
    dump::is_servers_own,
    listing::{BUCKETS_PREFIX, Listed, Lister},
    scratch_name::is_scratch,
};

/// Prefix of the collections with a database's users and roles in a dump with
/// `--dumpDbUsersAndRoles`.
const USERS_AND_ROLES: &str = "$admin.";

/// One namespace to restore.
#[derive(Debug)]
pub(super) struct Target {
    /// Its number in the prelude.
    pub(super) number: usize,
    /// `database.collection` in the archive.
    pub(super) from: String,
    pub(super) database: Database,
    pub(super) collection: String,
    /// Its new definition. For a view, `viewOn` is renamed too.
    pub(super) metadata: Metadata,
    /// The differences from the archive's metadata.
    pub(super) adjustments: Vec<Adjustment>,
    /// Reason why it cannot be restored. The other targets are.
    pub(super) refusal: Option<String>,
    pub(super) state: TargetState,
    /// The existing collection, to be replaced or dropped.
    pub(super) existing: Option<Listed>,
    /// The filled collection, until it replaces the target.
    pub(super) scratch: Option<String>,
    /// A validator could refuse documents accepted earlier.
    pub(super) has_validator: bool,
    /// For a time series: its server refuses buckets.
    takes_measurements: AtomicBool,
}

impl Target {
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.database.name(), self.collection)
    }

    /// The created and filled collection: the scratch collection, or the target itself.
    pub(super) fn filled(&self) -> &str {
        self.scratch.as_deref().unwrap_or(&self.collection)
    }

    /// The collection with the documents of a collection of its kind.
    pub(super) fn data_collection(&self, collection: &str) -> String {
        match self.metadata.kind {
            NamespaceKind::Timeseries => format!("{BUCKETS_PREFIX}{collection}"),
            _ => collection.to_owned(),
        }
    }

    pub(super) fn is_series(&self) -> bool {
        self.metadata.kind == NamespaceKind::Timeseries
    }

    pub(super) fn is_view(&self) -> bool {
        self.metadata.kind == NamespaceKind::View
    }

    /// The documents' natural order must be kept.
    pub(super) fn is_capped(&self) -> bool {
        self.metadata.options.get_bool("capped").unwrap_or(false)
    }

    pub(super) fn is_merged(&self) -> bool {
        matches!(self.state, TargetState::Merged(_))
    }

    /// Whether it must be created.
    pub(super) fn is_new(&self) -> bool {
        matches!(
            self.state,
            TargetState::Absent | TargetState::Dropped(_) | TargetState::Replaced(_)
        )
    }

    /// Whether a copy is made first, and then replaces it.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self.state, TargetState::Replaced(_))
    }

    /// Whether its proved copy is copied again: a time series cannot be renamed.
    pub(super) fn is_copied(&self) -> bool {
        self.is_series() && self.is_replaced()
    }

    pub(super) fn takes_measurements(&self) -> bool {
        self.takes_measurements.load(Ordering::Relaxed)
    }

    pub(super) fn set_takes_measurements(&self) {
        self.takes_measurements.store(true, Ordering::Relaxed);
    }

    /// The metadata field of a time series.
    pub(super) fn meta_field(&self) -> Option<&str> {
        self.metadata
            .options
            .get_document("timeseries")
            .ok()?
            .get_str("metaField")
            .ok()
    }

    pub(super) fn lister(&self) -> Lister {
        lister(self.database.clone())
    }
}

pub(super) fn lister(database: Database) -> Lister {
    Lister {
        database,
        selection: ReadPreference::Primary.into(),
    }
}

/// Decides the target of each part of the archive.
pub(super) fn choose(
    connection: &Connection,
    prelude: &Prelude,
    options: &RestoreOptions,
) -> Result<(Vec<Target>, Vec<LeftOut>), RestoreFault> {
    refuse_unknown_names(prelude, options)?;
    let mut left_out = Vec::new();
    let mut taken = Vec::new();
    for (number, namespace) in prelude.namespaces.iter().enumerate() {
        match reason_to_leave_out(namespace, options) {
            Some(reason) => left_out.push(LeftOut {
                namespace: namespace.to_string(),
                reason: reason.to_owned(),
            }),
            None => taken.push((number, namespace)),
        }
    }
    let names = taken
        .iter()
        .map(|(_, namespace)| (namespace.db.as_str(), namespace.collection.as_str()));
    let places = options.map.apply_to_all(names).map_err(invalid)?;
    let mut targets = Vec::new();
    for ((number, namespace), (db, collection)) in taken.into_iter().zip(places) {
        if options
            .exclude
            .iter()
            .any(|excluded| excluded.covers(&db, &collection))
        {
            return Err(RestoreFault::Invalid(format!(
                "{namespace} would be restored over Holdfast's own catalogue, {db}.{collection}"
            )));
        }
        refuse_reserved(&db, &collection)?;
        let (mut metadata, unreadable) = readable(namespace);
        rename_view_source(&mut metadata, &options.map, &namespace.db, &db)?;
        let (metadata, adjustments) = adjusted(metadata, options.unknown_options);
        let has_validator = metadata.options.contains_key("validator")
            || metadata.kind == NamespaceKind::Timeseries;
        targets.push(Target {
            number,
            from: namespace.to_string(),
            database: connection.client().database(&db),
            refusal: unusable(&db, &collection).or(unreadable),
            collection,
            metadata,
            adjustments,
            state: TargetState::Absent,
            existing: None,
            scratch: None,
            has_validator,
            takes_measurements: AtomicBool::new(false),
        });
    }
    Ok((targets, left_out))
}

/// A namespace's metadata, or the reason why they are unreadable.
fn readable(namespace: &PreludeNamespace) -> (Metadata, Option<String>) {
    match namespace.parsed_metadata() {
        Ok(metadata) => (metadata, None),
        Err(error) => {
            let nothing = Metadata {
                kind: namespace.kind,
                ..Metadata::default()
            };
            (
                nothing,
                Some(format!("its metadata cannot be read: {error}")),
            )
        }
    }
}

/// The archive must be the one of this manifest.
pub(super) fn refuse_other_archive(
    prelude: &Prelude,
    expected: &Expected<'_>,
) -> Result<(), RestoreFault> {
    let declared = |db: &str, collection: &str| {
        prelude
            .namespaces
            .iter()
            .any(|namespace| namespace.db == db && namespace.collection == collection)
    };
    let missing = expected
        .namespaces
        .iter()
        .find(|wanted| !declared(&wanted.db, &wanted.collection));
    if let Some(missing) = missing {
        let name = format!("{}.{}", missing.db, missing.collection);
        return Err(RestoreFault::Invalid(format!(
            "the manifest lists {name}, but the archive does not contain it"
        )));
    }
    let is_expected = |namespace: &PreludeNamespace| {
        let mut wanted = expected.namespaces.iter();
        wanted.any(|wanted| wanted.db == namespace.db && wanted.collection == namespace.collection)
    };
    match prelude
        .namespaces
        .iter()
        .find(|namespace| !namespace.is_oplog() && !is_expected(namespace))
    {
        Some(extra) => Err(RestoreFault::Invalid(format!(
            "the archive contains {extra}, but the manifest does not list it"
        ))),
        None => Ok(()),
    }
}

fn reason_to_leave_out(
    namespace: &PreludeNamespace,
    options: &RestoreOptions,
) -> Option<&'static str> {
    let (db, collection) = (namespace.db.as_str(), namespace.collection.as_str());
    if namespace.is_oplog() {
        Some("oplog entries are not replayed: each collection is restored as dumped")
    } else if namespace.kind == NamespaceKind::Other {
        Some("neither a collection, a view nor a time series")
    } else if collection.starts_with(USERS_AND_ROLES) {
        Some(
            "users and roles of the database: restore them with mongorestore --restoreDbUsersAndRoles",
        )
    } else if SERVER_DATABASES.contains(&db) {
        Some("a database of the server")
    } else if is_servers_own(collection) {
        Some("a collection of the server")
    } else if is_scratch(collection) {
        Some("a scratch collection of a restore")
    } else if options
        .exclude
        .iter()
        .any(|excluded| excluded.covers(db, collection))
    {
        Some("Holdfast's own catalogue")
    } else if options.database.as_ref().is_some_and(|wanted| wanted != db) {
        Some("of another database than the requested one")
    } else if options
        .only
        .as_ref()
        .is_some_and(|names| !names.iter().any(|name| is_called(namespace, name)))
    {
        Some("not among the requested collections")
    } else {
        None
    }
}

fn is_called(namespace: &PreludeNamespace, name: &str) -> bool {
    namespace.collection == name
        || name
            .strip_prefix(namespace.db.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            == Some(namespace.collection.as_str())
}

/// A typo must not restore less than was meant.
fn refuse_unknown_names(prelude: &Prelude, options: &RestoreOptions) -> Result<(), RestoreFault> {
    if let Some(database) = &options.database
        && !prelude
            .namespaces
            .iter()
            .any(|namespace| namespace.db == *database)
    {
        return Err(RestoreFault::Absent(format!(
            "the archive has no database {database}"
        )));
    }
    let names = options.only.iter().flatten();
    let is_there = |name: &String| {
        prelude
            .namespaces
            .iter()
            .any(|namespace| is_called(namespace, name))
    };
    let missing: Vec<_> = names
        .filter(|name| !is_there(name))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(RestoreFault::Absent(format!(
        "the archive has no {}",
        missing.join(", ")
    )))
}

/// A view's source is renamed too if it stays in the view's database. Other names inside its
/// pipeline stay unchanged.
fn rename_view_source(
    metadata: &mut Metadata,
    map: &NamespaceMap,
    from_db: &str,
    to_db: &str,
) -> Result<(), RestoreFault> {
    let Ok(source) = metadata.options.get_str("viewOn") else {
        return Ok(());
    };
    let (db, renamed) = map.apply(from_db, source).map_err(invalid)?;
    if db == to_db {
        metadata.options.insert("viewOn", renamed);
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn invalid(error: super::MapError) -> RestoreFault {
    RestoreFault::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn namespace(db: &str, collection: &str, options: Document) -> PreludeNamespace {
        let kind = if options.contains_key("viewOn") {
            NamespaceKind::View
        } else {
            NamespaceKind::Collection
        };
        let metadata = Metadata {
            options,
            collection_name: collection.to_owned(),
            kind,
            ..Metadata::default()
        };
        PreludeNamespace::new(db, &metadata)
    }

    #[test]
    fn what_is_not_the_users_is_left_out_with_a_reason() {
        let own = crate::Exclusion {
            database: "shop".to_owned(),
            collections: vec!["backup_jobs".to_owned()],
        };
        let options = RestoreOptions {
            exclude: vec![own],
            ..RestoreOptions::default()
        };
        for (db, collection) in [
            ("admin", "system.version"),
            ("shop", "system.profile"),
            ("shop", "backup_jobs"),
        ] {
            assert!(
                reason_to_leave_out(&namespace(db, collection, doc! {}), &options).is_some(),
                "{db}.{collection}"
            );
        }
        assert_eq!(
            reason_to_leave_out(&namespace("shop", "system.js", doc! {}), &options),
            None
        );
        assert_eq!(
            reason_to_leave_out(&namespace("shop", "contents", doc! {}), &options),
            None
        );
    }

    #[test]
    fn names_asked_for_must_be_in_the_archive() {
        let prelude = Prelude {
            namespaces: vec![namespace("shop", "a.b", doc! {})],
            ..Prelude::default()
        };
        let asked = |only: &str| RestoreOptions {
            only: Some(vec![only.to_owned()]),
            ..RestoreOptions::default()
        };
        assert!(refuse_unknown_names(&prelude, &asked("a.b")).is_ok());
        assert!(refuse_unknown_names(&prelude, &asked("shop.a.b")).is_ok());
        assert!(refuse_unknown_names(&prelude, &asked("shop.a")).is_err());
        let database = RestoreOptions {
            database: Some("shops".to_owned()),
            ..RestoreOptions::default()
        };
        assert!(refuse_unknown_names(&prelude, &database).is_err());
    }

    #[test]
    fn what_is_no_collection_is_left_out() {
        let options = RestoreOptions::default();
        for name in [
            "$admin.system.users",
            "$admin.system.roles",
            "$admin.system.version",
        ] {
            let reason = reason_to_leave_out(&namespace("shop", name, doc! {}), &options).unwrap();
            assert!(reason.contains("--restoreDbUsersAndRoles"), "{reason}");
        }
        let mut stream = namespace("shop", "events", doc! {});
        stream.kind = NamespaceKind::Other;
        assert!(reason_to_leave_out(&stream, &options).is_some());
    }

    #[test]
    fn a_view_follows_its_source() {
        let map = NamespaceMap::parse(&["a.old".to_owned()], &["a.new".to_owned()]).unwrap();
        let mut metadata = Metadata {
            options: doc! { "viewOn": "old", "pipeline": [] },
            ..Metadata::default()
        };
        rename_view_source(&mut metadata, &map, "a", "a").unwrap();
        assert_eq!(metadata.options.get_str("viewOn").unwrap(), "new");
    }
}
