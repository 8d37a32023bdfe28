//! The roles of docs/privileges.md suffice, each action of them is needed, and an error names the
//! missing action.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use holdfast_database::{Connection, ContentItems};
use holdfast_testing::{Role, documented_role, documented_roles};

use super::support::{Server, connect, documents_of, dump_of, dumped, everything, summary_of};

/// The database of the documented roles.
pub(super) const PLATFORM: &str = "web3platform";

/// Users with one role each, named like it.
#[derive(Default)]
pub(super) struct Users(Vec<(String, Vec<Bson>, Vec<Document>)>);

impl Users {
    pub(super) fn with_roles(mut self, user: &str, roles: Vec<Bson>) -> Self {
        self.0.push((user.to_owned(), roles, Vec::new()));
        self
    }

    /// The role, and the same without each one of its actions.
    pub(super) fn of_documented(mut self, role: &Role) -> Self {
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

    pub(super) async fn create(&self, admin: &Connection) {
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
pub(super) async fn server_of(users: Users, fill: impl AsyncFnOnce(&Connection)) -> Server {
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

pub(super) fn as_user_uri(server: &Server, user: &str, database: &str) -> String {
    server
        .uri(&format!("{user}:hunter2@"), database)
        .replace('?', "?authSource=admin&")
}

pub(super) async fn as_user(server: &Server, user: &str, database: &str) -> Connection {
    connect(&as_user_uri(server, user, database)).await
}

/// Something of everything that takes a privilege of its own, but time series: the stand-in does
/// not apply the resource `system_buckets`.
pub(super) async fn fill_platform(admin: &Connection) {
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
pub(super) fn assert_named(text: &str, role: &Role, action: &str, resource: &Document) {
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
