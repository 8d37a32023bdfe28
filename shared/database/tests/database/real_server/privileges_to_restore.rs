//! The roles of docs/privileges.md for restores. A user without the right to rename is refused
//! `--drop` before anything is written, and can still restore by `--drop-first`.

use bson::{Bson, Document, doc};
use holdfast_database::{
    Connection, Existing, NamespaceMap, RestoreError, RestoreFault, RestoreOptions, RestoreReport,
};
use holdfast_testing::{MongoProxy, Role, Rule, documented_role};

use super::{
    privileges::{PLATFORM, Users, as_user, as_user_uri, assert_named, fill_platform, server_of},
    support::{Namespace, Server, archive_of, connect, dumped, restored},
};

const ON_COLLECTIONS: [&str; 8] = [
    "find",
    "insert",
    "createCollection",
    "dropCollection",
    "createIndex",
    "listIndexes",
    "collStats",
    "bypassDocumentValidation",
];

/// A server whose platform's database is in the archive, and gone.
async fn server_to_restore_into(users: Users) -> (Server, Vec<u8>) {
    let mut archive = Vec::new();
    let server = server_of(users, async |admin| {
        fill_platform(admin).await;
        archive = dumped(admin).await.0;
        admin.drop_database(PLATFORM).await.unwrap();
    })
    .await;
    (server, archive)
}

fn over(existing: Existing) -> RestoreOptions {
    RestoreOptions {
        existing,
        ..RestoreOptions::default()
    }
}

/// Why a restore did not restore everything. Empty if it did.
fn reason_of(ended: &Result<RestoreReport, RestoreError>) -> String {
    match ended {
        Err(error) => error.to_string(),
        Ok(report) => {
            let of_one = |one: &holdfast_database::RestoredNamespace| {
                [one.failures.clone(), one.structure.clone()].concat()
            };
            report
                .namespaces
                .iter()
                .flat_map(of_one)
                .collect::<Vec<_>>()
                .join("\n")
        }
    }
}

/// What a dry run finds missing on a server that lists the privileges of the user. The stand-in
/// lists none.
async fn planned_by(server: &Server, role: &Role, archive: &[u8], existing: Existing) -> String {
    let listed = doc! { "authInfo": { "authenticatedUserPrivileges": role.privileges.clone() } };
    let uri = as_user_uri(server, &role.name, "");
    let host = uri
        .split_once('@')
        .unwrap()
        .1
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let proxy = MongoProxy::before(&host, move |command| {
        if command.contains_key("connectionStatus") {
            Rule::Change(listed.clone())
        } else {
            Rule::Pass
        }
    })
    .await;
    let connection = connect(&uri.replace(&host, proxy.address())).await;
    let options = RestoreOptions {
        dry_run: true,
        ..over(existing)
    };
    reason_of(&restored(&connection, archive.to_vec(), &options).await)
}

async fn restored_by(server: &Server, user: &str, archive: &[u8], existing: Existing) -> String {
    let connection = as_user(server, user, "").await;
    let ended = restored(&connection, archive.to_vec(), &over(existing)).await;
    let text = reason_of(&ended);
    assert_eq!(
        ended.is_ok_and(|report| report.is_faithful()),
        text.is_empty(),
        "{user}: {text}"
    );
    text
}

#[tokio::test]
async fn the_documented_role_suffices_to_restore_and_to_merge_and_each_action_is_needed() {
    let role = documented_role("holdfastRestore");
    let (server, archive) = server_to_restore_into(Users::default().of_documented(&role)).await;
    let root = as_user(&server, "root", "").await;
    for (without, action, resource) in role.each_without_one() {
        for text in [
            planned_by(&server, &without, &archive, Existing::Refuse).await,
            restored_by(&server, &without.name, &archive, Existing::Refuse).await,
        ] {
            assert_named(&text, &without, &action, &resource);
        }
        root.drop_database(PLATFORM).await.unwrap();
    }
    for existing in [Existing::Refuse, Existing::Merge] {
        assert_eq!(
            planned_by(&server, &role, &archive, existing).await,
            "",
            "{existing:?}"
        );
        assert_eq!(
            restored_by(&server, &role.name, &archive, existing).await,
            "",
            "{existing:?}"
        );
    }
    let text = restored_by(&server, &role.name, &archive, Existing::Drop).await;
    assert!(
        text.contains("`dropCollection`") && text.contains("--drop-first"),
        "{text}"
    );
}

#[tokio::test]
async fn the_documented_role_suffices_to_replace_and_each_action_is_needed() {
    let role = documented_role("holdfastReplace");
    let (server, archive) = server_to_restore_into(Users::default().of_documented(&role)).await;
    let root = as_user(&server, "root", "").await;
    let before = async || {
        root.drop_database(PLATFORM).await.unwrap();
        fill_platform(&root).await;
        let platform = root.client().database(PLATFORM);
        platform
            .collection("things")
            .insert_one(doc! { "_id": 100, "from": "target" })
            .await
            .unwrap();
        let another = doc! { "collMod": "seen", "viewOn": "things", "pipeline": [{ "$limit": 3 }] };
        platform.run_command(another).await.unwrap();
    };
    for (without, action, resource) in role.each_without_one() {
        before().await;
        for text in [
            planned_by(&server, &without, &archive, Existing::Drop).await,
            restored_by(&server, &without.name, &archive, Existing::Drop).await,
        ] {
            assert_named(&text, &without, &action, &resource);
        }
        let documents = count(&root, PLATFORM).await;
        assert!(
            [5, 6].contains(&documents),
            "without {action}: the archive's or the target's, not {documents}"
        );
    }
    for existing in [Existing::Drop, Existing::DropFirst] {
        before().await;
        assert_eq!(
            planned_by(&server, &role, &archive, existing).await,
            "",
            "{existing:?}"
        );
        assert_eq!(
            restored_by(&server, &role.name, &archive, existing).await,
            "",
            "{existing:?}"
        );
        assert_eq!(count(&root, PLATFORM).await, 5, "{existing:?}");
    }
}

/// A server with a collection `shop.things` of 8 documents.
async fn server_with_shop(users: Users) -> Server {
    server_of(users, async |admin| {
        // Without `find` on what a rename drops, and without `renameCollectionSameDB`.
        let actions: Vec<&str> = ON_COLLECTIONS
            .into_iter()
            .filter(|action| *action != "createIndex")
            .collect();
        let privileges = vec![
            doc! { "resource": { "db": "shop", "collection": "" }, "actions": actions },
            doc! { "resource": { "db": "shop", "collection": "" }, "actions": ["listCollections"] },
        ];
        let commands = admin.client().database("admin");
        commands
            .run_command(doc! { "createRole": "noRename", "privileges": privileges, "roles": [] })
            .await
            .unwrap();
        commands
            .run_command(doc! { "createUser": "ada", "pwd": "hunter2", "roles": ["noRename"] })
            .await
            .unwrap();
        let things = admin.client().database("shop").collection("things");
        things
            .insert_many((100..108).map(|id| doc! { "_id": id }))
            .await
            .unwrap();
    })
    .await
}

fn replacing() -> RestoreOptions {
    let map = NamespaceMap::parse(&["archived.*".to_owned()], &["shop.*".to_owned()]).unwrap();
    RestoreOptions {
        map,
        existing: Existing::Drop,
        ..RestoreOptions::default()
    }
}

async fn count(connection: &Connection, database: &str) -> u64 {
    let things = connection
        .client()
        .database(database)
        .collection::<Document>("things");
    things.count_documents(doc! {}).await.unwrap()
}

#[tokio::test]
async fn a_user_who_may_not_rename_is_refused_in_the_dry_run_and_in_the_restore() {
    let server = server_with_shop(Users::default()).await;
    let connection = as_user(&server, "ada", "shop").await;
    let archive = archive_of(&[Namespace::of_ids("things", 0..5)]);
    for dry_run in [true, false] {
        let options = RestoreOptions {
            dry_run,
            ..replacing()
        };
        let error = restored(&connection, archive.clone(), &options)
            .await
            .unwrap_err();
        assert!(
            matches!(&error.cause, RestoreFault::Invalid(text) if text.contains("--drop-first")),
            "{error}"
        );
        assert!(
            error.incomplete.is_empty() && error.to_string().contains("may not rename"),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("`renameCollectionSameDB` and `dropCollection`"),
            "{error}"
        );
        assert_eq!(count(&connection, "shop").await, 8);
    }
    let options = RestoreOptions {
        existing: Existing::DropFirst,
        ..replacing()
    };
    let report = restored(&connection, archive, &options).await.unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(count(&connection, "shop").await, 5);
}

#[tokio::test]
async fn the_documented_roles_suffice_to_replace() {
    let on_shop = |role: &str| Bson::from(doc! { "role": role, "db": "shop" });
    let users = Users::default()
        .with_roles("restorer", vec!["restore".into(), "readAnyDatabase".into()])
        .with_roles("owner", vec![on_shop("readWrite"), on_shop("dbAdmin")]);
    let server = server_with_shop(users).await;
    let validated = Namespace::of_ids("things", 0..5)
        .with_options(doc! { "validator": { "_id": { "$gte": 0 } } })
        .with_index(doc! { "v": 2, "key": { "from": 1 }, "name": "from_1" });
    let archive = archive_of(&[
        validated,
        Namespace::view("seen", "things", vec![doc! { "$limit": 2 }]),
    ]);
    for user in ["restorer", "owner"] {
        let connection = as_user(&server, user, "shop").await;
        let report = restored(&connection, archive.clone(), &replacing())
            .await
            .unwrap();
        assert!(report.is_faithful(), "{user}: {report:#?}");
        assert_eq!(count(&connection, "shop").await, 5);
    }
}
