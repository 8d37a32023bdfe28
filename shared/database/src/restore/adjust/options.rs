//! The options of collections, by name.

use bson::{Bson, Document, doc};

use super::{super::UnknownOptions, Change, Report, is_true, keep_known_engines, number};

/// Options passed to `create` unchanged.
const KNOWN: [&str; 14] = [
    "capped",
    "size",
    "max",
    "validator",
    "validationLevel",
    "validationAction",
    "viewOn",
    "pipeline",
    "collation",
    "timeseries",
    "clusteredIndex",
    "expireAfterSeconds",
    "changeStreamPreAndPostImages",
    "encryptedFields",
];

/// Options never restored, each with the reason.
const LEFT_OUT: [(&str, &str); 24] = [
    ("create", OLD_COMMAND),
    ("autoIndexId", "the server always creates the index on _id"),
    ("idIndex", "the server always creates the index on _id"),
    (
        "temp",
        "the server deletes temporary collections when it starts",
    ),
    ("uuid", "the server assigns a UUID"),
    ("flags", MMAPV1),
    ("usePowerOf2Sizes", MMAPV1),
    ("paddingFactor", MMAPV1),
    ("nExtents", MMAPV1),
    ("$nExtents", MMAPV1),
    ("recordIdsReplicated", STORAGE),
    ("timeseriesBucketsMayHaveMixedSchemaData", STORAGE),
    ("timeseriesBucketingParametersHaveChanged", STORAGE),
    ("timeseriesBucketingParametersMayHaveChanged", STORAGE),
    ("writeConcern", ARGUMENT),
    ("readConcern", ARGUMENT),
    ("comment", ARGUMENT),
    ("maxTimeMS", ARGUMENT),
    ("lsid", ARGUMENT),
    ("txnNumber", ARGUMENT),
    ("apiVersion", ARGUMENT),
    ("apiStrict", ARGUMENT),
    ("apiDeprecationErrors", ARGUMENT),
    ("mayBypassWriteBlocking", ARGUMENT),
];

const OLD_COMMAND: &str = "servers up to 2.4 stored the creating command";
const MMAPV1: &str = "it describes the storage engine MMAPv1";
const STORAGE: &str = "it describes how the source stored the collection";
const ARGUMENT: &str = "it is an argument of a command, not an option";

/// The options in the form of `create`.
pub(super) fn adjusted(
    options: Document,
    unknown: UnknownOptions,
    report: &mut Report,
) -> Document {
    // Servers up to 2.4 stored `create`, and any unknown option.
    let is_of_old_server = options.contains_key("create");
    let is_capped = options.get("capped").is_some_and(is_true);
    let mut kept = Document::new();
    for (name, value) in options {
        match name.as_str() {
            "capped" => capped(&mut kept, &value, report),
            "size" | "max" if !is_capped || number(&value).is_none() => {
                report.option(
                    &name,
                    Change::LeftOut,
                    "only capped collections have it, as a number",
                );
            }
            "recordPreImages" => pre_images(&mut kept, &value, report),
            "storageEngine" | "indexOptionDefaults" => engines(&mut kept, &name, value, report),
            known if KNOWN.contains(&known) => _ = kept.insert(name, value),
            other => match reason_to_leave_out(other)
                .or_else(|| is_of_old_server.then_some(OLD_COMMAND))
            {
                Some(reason) => report.option(&name, Change::LeftOut, reason),
                None => not_known(&mut kept, name, value, unknown, report),
            },
        }
    }
    kept
}

/// For servers of any version.
fn reason_to_leave_out(name: &str) -> Option<&'static str> {
    let listed = LEFT_OUT
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, reason)| *reason);
    listed.or_else(|| name.starts_with('$').then_some(ARGUMENT))
}

fn capped(kept: &mut Document, value: &Bson, report: &mut Report) {
    if !is_true(value) {
        return report.option("capped", Change::LeftOut, "it is false");
    }
    if value.as_bool().is_none() {
        report.option("capped", Change::Converted, format!("{value} means true"));
    }
    kept.insert("capped", true);
}

/// The name of change stream images before server 6.0.
fn pre_images(kept: &mut Document, value: &Bson, report: &mut Report) {
    const NEW_NAME: &str = "changeStreamPreAndPostImages";
    if !is_true(value) {
        return report.option("recordPreImages", Change::LeftOut, "it is false");
    }
    report.option(
        "recordPreImages",
        Change::Converted,
        format!("servers since 6.0 call it {NEW_NAME}"),
    );
    kept.insert(NEW_NAME, doc! { "enabled": true });
}

fn engines(kept: &mut Document, name: &str, mut value: Bson, report: &mut Report) {
    let engines = match &mut value {
        Bson::Document(defaults) if name == "indexOptionDefaults" => {
            defaults.get_mut("storageEngine")
        }
        storage_engine => Some(storage_engine),
    };
    let (any_is_left, foreign) = engines.map_or_else(|| (true, Vec::new()), keep_known_engines);
    for engine in foreign {
        report.option(
            name,
            Change::LeftOut,
            format!("current servers do not have the storage engine {engine}"),
        );
    }
    if any_is_left {
        kept.insert(name, value);
    }
}

fn not_known(
    kept: &mut Document,
    name: String,
    value: Bson,
    unknown: UnknownOptions,
    report: &mut Report,
) {
    match unknown {
        UnknownOptions::LeaveOut => {
            report.option(&name, Change::LeftOut, "Holdfast does not support it");
        }
        UnknownOptions::Pass => {
            let reason = "Holdfast does not support it. If the server refuses the collection because of it, restore without it: \
                          --skip-unknown-options";
            report.option(&name, Change::PassedOn, reason);
            kept.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adjusted_to(options: Document) -> (Document, Vec<String>) {
        adjusted_with(options, UnknownOptions::Pass)
    }

    fn adjusted_with(options: Document, unknown: UnknownOptions) -> (Document, Vec<String>) {
        let mut report = Report::default();
        let kept = adjusted(options, unknown, &mut report);
        let changes = report
            .adjustments
            .iter()
            .map(|change| format!("{} {:?}", change.name, change.change));
        (kept, changes.collect())
    }

    #[test]
    fn options_of_the_storage_are_left_out_and_reported() {
        let options = doc! {
            "autoIndexId": false, "usePowerOf2Sizes": true, "flags": 1, "recordIdsReplicated": true, "temp": true,
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_", "ns": "a.b" }, "$db": "a", "writeConcern": {},
        };
        let (kept, changes) = adjusted_to(options.clone());
        assert_eq!(kept, doc! {});
        assert_eq!(
            changes,
            options
                .keys()
                .map(|name| format!("{name} LeftOut"))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_renamed_option_is_translated() {
        let (kept, changes) = adjusted_to(doc! { "recordPreImages": true });
        assert_eq!(
            kept,
            doc! { "changeStreamPreAndPostImages": { "enabled": true } }
        );
        assert_eq!(changes, ["recordPreImages Converted"]);
        assert_eq!(adjusted_to(doc! { "recordPreImages": false }).0, doc! {});
    }

    #[test]
    fn an_archive_cannot_name_the_collection_that_is_created() {
        let options =
            doc! { "create": "names", "capped": 1.0, "size": 1_048_576, "max": 5000, "madeUp": 1 };
        let (kept, changes) = adjusted_to(options);
        assert_eq!(
            kept,
            doc! { "capped": true, "size": 1_048_576, "max": 5000 }
        );
        assert_eq!(
            changes,
            ["create LeftOut", "capped Converted", "madeUp LeftOut"]
        );
    }

    #[test]
    fn a_flag_means_what_servers_take_as_true() {
        for value in [
            Bson::Boolean(true),
            Bson::Int32(1),
            Bson::Double(1.0),
            Bson::Int64(2),
        ] {
            assert_eq!(
                adjusted_to(doc! { "capped": value, "size": 1 }).0,
                doc! { "capped": true, "size": 1 }
            );
        }
        for value in [Bson::Boolean(false), Bson::Int32(0), Bson::Null] {
            let (kept, changes) = adjusted_to(doc! { "capped": value, "size": 1, "max": 2 });
            assert_eq!((kept, changes.len()), (doc! {}, 3));
        }
    }

    #[test]
    fn an_unknown_option_is_passed_on_or_left_out_as_asked() {
        let options = doc! { "madeUp": 1, "validationLevel": "off" };
        let (kept, changes) = adjusted_with(options.clone(), UnknownOptions::Pass);
        assert_eq!(
            (kept, changes),
            (options.clone(), vec!["madeUp PassedOn".to_owned()])
        );
        let (kept, changes) = adjusted_with(options, UnknownOptions::LeaveOut);
        assert_eq!(
            (kept, changes),
            (
                doc! { "validationLevel": "off" },
                vec!["madeUp LeftOut".to_owned()]
            )
        );
    }

    #[test]
    fn what_another_storage_engine_was_configured_with_is_left_out() {
        let wired = doc! { "wiredTiger": { "configString": "block_compressor=zstd" } };
        let mut both = wired.clone();
        both.insert("mmapv1", doc! {});
        let (kept, changes) = adjusted_to(
            doc! { "storageEngine": both, "indexOptionDefaults": { "storageEngine": { "rocksdb": {} } } },
        );
        assert_eq!(kept, doc! { "storageEngine": wired });
        assert_eq!(
            changes,
            ["storageEngine LeftOut", "indexOptionDefaults LeftOut"]
        );
    }
}
