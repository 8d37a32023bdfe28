//! The roles of docs/privileges.md suffice, each action of them is needed, and an error names the
//! missing action. A user who may not rename is refused `--drop` before anything is written, and
//! can still restore by `--drop-first`.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use holdfast_database::{
    Connection, ContentItems, Existing, NamespaceMap, RestoreError, RestoreFault, RestoreOptions,
    RestoreReport,
};
use holdfast_testing::{MongoProxy, Role, Rule, documented_role, documented_roles};

use super::support::{
    Namespace, Server, archive_of, connect, documents_of, dump_of, dumped, everything, restored,
    summary_of,
};

/// The database of the documented roles.
const PLATFORM: &str = "web3platform";

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

/// Users with one role each, named like it.
#[derive(Default)]
struct Users(Vec<(String, Vec<Bson>, Vec<Document>)>);

impl Users {
    fn with_roles(mut self, user: &str, roles: Vec<Bson>) -> Self {
        self.0.push((user.to_owned(), roles, Vec::new()));
        self
    }

    /// The role, and the same without each one of its actions.
    fn of_documented(mut self, role: &Role) -> Self {
        let lesser = role.each_without_one().into_iter().map(|(role, ..)| role);
        for role in [role.clone()].into_iter().chain(lesser) {
            self.0.push((
                role.name.clone(),
                vec![role.name.as_str().into()],
                vec![role.creation()],
            ));
        }
        self
    }

    async fn create(&self, admin: &Connection) {
        let commands = admin.client().database("admin");
        for (user, roles, creations) in &self.0 {
            for creation in creations {
                commands.run_command(creation.clone()).await.unwrap();
            }
            let user = doc! { "createUser": user, "pwd": "hunter2", "roles": roles.clone() };
            commands.run_command(user).await.unwrap();
        }
    }
}

/// A server that enforces the roles of these users. `fill` runs before. The user `root` may do
/// everything.
async fn server_of(users: Users, fill: impl AsyncFnOnce(&Connection)) -> Server {
    let server = Server::start(&[]).await;
    let admin = connect(&server.uri("", "")).await;
    users
        .with_roles("root", vec!["root".into()])
        .create(&admin)
        .await;
    fill(&admin).await;
    drop(admin);
    server.with_arguments(&["--auth"]).await
}

fn as_user_uri(server: &Server, user: &str, database: &str) -> String {
    server
        .uri(&format!("{user}:hunter2@"), database)
        .replace('?', "?authSource=admin&")
}

async fn as_user(server: &Server, user: &str, database: &str) -> Connection {
    connect(&as_user_uri(server, user, database)).await
}

/// Something of everything that takes a privilege of its own, but time series: the stand-in does
/// not apply the resource `system_buckets`.
async fn fill_platform(admin: &Connection) {
    let platform = admin.client().database(PLATFORM);
    for create in [
        doc! { "create": "things", "validator": { "_id": { "$gte": 0 } } },
        doc! { "create": "log", "capped": true, "size": 100_000 },
        doc! { "create": "sessions", "clusteredIndex": { "key": { "_id": 1 }, "unique": true }, "expireAfterSeconds": 86_400 },
        doc! { "create": "seen", "viewOn": "things", "pipeline": [{ "$limit": 2 }] },
        doc! { "createIndexes": "things", "indexes": [{ "key": { "from": 1 }, "name": "from_1" }] },
    ] {
        platform.run_command(create).await.unwrap();
    }
    for name in ["things", "log"] {
        let documents = (0..5).map(|id| doc! { "_id": id, "from": "platform" });
        platform
            .collection(name)
            .insert_many(documents)
            .await
            .unwrap();
    }
    platform
        .collection("sessions")
        .insert_one(doc! { "_id": bson::DateTime::now() })
        .await
        .unwrap();
}

/// The place in an error about a resource of a role.
fn place_of(resource: &Document) -> String {
    let database = resource.get_str("db").unwrap();
    let collection = resource.get_str("collection").unwrap_or_default();
    format!("{database}.{collection}")
        .trim_end_matches('.')
        .to_owned()
}

/// That a text names the missing action, where it is missing, and what to do.
#[track_caller]
fn assert_named(text: &str, role: &Role, action: &str, resource: &Document) {
    assert!(
        !text.is_empty(),
        "{action} on {resource} is not needed: {:?}",
        role.privileges
    );
    let place = place_of(resource);
    assert!(
        text.contains(&format!("`{action}`")) && text.contains(&place),
        "{action} on {place}: {text}"
    );
    assert!(
        text.contains("docs/privileges.md"),
        "{action} on {place}: {text}"
    );
}

#[test]
fn every_documented_role_is_tried() {
    let documented: BTreeSet<String> = documented_roles()
        .into_iter()
        .map(|role| role.name)
        .collect();
    let here = [
        "holdfastDiscover",
        "holdfastDump",
        "holdfastReplace",
        "holdfastRestore",
    ];
    // By whole backups and drills, in the tests of holdfast-operations.
    let elsewhere = ["holdfastCatalog", "holdfastDrill"];
    assert_eq!(
        documented,
        here.into_iter()
            .chain(elsewhere)
            .map(str::to_owned)
            .collect()
    );
}

#[tokio::test]
async fn the_documented_roles_suffice_to_dump_and_each_action_is_needed() {
    let role = documented_role("holdfastDump");
    let users = Users::default()
        .of_documented(&role)
        .with_roles("dumper", vec!["backup".into()]);
    let server = server_of(users, async |admin| {
        fill_platform(admin).await;
        let functions = admin.client().database(PLATFORM).collection("system.js");
        functions
            .insert_one(doc! { "_id": "one", "value": "1" })
            .await
            .unwrap();
    })
    .await;
    let whole = dumped(&as_user(&server, "root", PLATFORM).await).await.0;
    for user in [&role.name, "dumper"] {
        let archive = dumped(&as_user(&server, user, PLATFORM).await).await.0;
        assert_eq!(
            summary_of(&archive).namespaces,
            summary_of(&whole).namespaces,
            "{user}"
        );
        assert_eq!(documents_of(&archive, "things").len(), 5);
    }
    for (without, action, resource) in role.each_without_one() {
        let connection = as_user(&server, &without.name, PLATFORM).await;
        let error = dump_of(&connection, &everything())
            .await
            .err()
            .map(|error| error.to_string());
        assert_named(&error.unwrap_or_default(), &without, &action, &resource);
    }
}

#[tokio::test]
async fn read_on_one_database_dumps_it_unless_it_has_a_time_series() {
    let on_platform = doc! { "role": "read", "db": PLATFORM };
    let server = server_of(
        Users::default().with_roles("reader", vec![on_platform.into()]),
        async |admin| {
            fill_platform(admin).await;
            let series = doc! { "create": "measured", "timeseries": { "timeField": "at" } };
            admin
                .client()
                .database(PLATFORM)
                .run_command(series)
                .await
                .unwrap();
        },
    )
    .await;
    let connection = as_user(&server, "reader", PLATFORM).await;
    let error = dump_of(&connection, &everything())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("`find` on web3platform.system.buckets.measured"),
        "{error}"
    );
    let root = as_user(&server, "root", PLATFORM).await;
    root.client()
        .database(PLATFORM)
        .collection::<Document>("measured")
        .drop()
        .await
        .unwrap();
    let archive = dumped(&connection).await.0;
    assert_eq!(
        summary_of(&archive).namespaces,
        summary_of(&dumped(&root).await.0).namespaces
    );
}

#[tokio::test]
async fn the_documented_role_suffices_to_find_content_items() {
    let role = documented_role("holdfastDiscover");
    let server = server_of(Users::default().of_documented(&role), async |admin| {
        let items = admin.client().database(PLATFORM).collection("contents");
        items
            .insert_one(doc! { "contentId": 7, "storageType": "ipfs" })
            .await
            .unwrap();
    })
    .await;
    let connection = as_user(&server, &role.name, PLATFORM).await;
    let found = ContentItems::new(&connection, PLATFORM, "contents", None)
        .unwrap()
        .next_page(10)
        .await
        .unwrap();
    assert_eq!(found[0].item.content_id, "7");
    for (without, action, resource) in role.each_without_one() {
        let connection = as_user(&server, &without.name, PLATFORM).await;
        let mut items = ContentItems::new(&connection, PLATFORM, "contents", None).unwrap();
        assert_named(
            &items.next_page(10).await.unwrap_err().to_string(),
            &without,
            &action,
            &resource,
        );
    }
}

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
fn told(ended: &Result<RestoreReport, RestoreError>) -> String {
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
    told(&restored(&connection, archive.to_vec(), &options).await)
}

async fn restored_by(server: &Server, user: &str, archive: &[u8], existing: Existing) -> String {
    let connection = as_user(server, user, "").await;
    let ended = restored(&connection, archive.to_vec(), &over(existing)).await;
    let text = told(&ended);
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
