//! Without the privilege to rename, `--drop` is refused before the first write. `--drop-first` still works.

use bson::{Bson, doc};
use holdfast_database::{Connection, Existing, NamespaceMap, RestoreFault, RestoreOptions};

use crate::support::{Namespace, Server, archive_of, connect, restored};

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

/// A server with a collection `shop.things` of 8 documents, and a user of each of these roles.
async fn server_with(users: &[(&str, Vec<Bson>)]) -> Server {
    let server = Server::start(&[]).await;
    let admin = connect(&server.uri("", "")).await;
    let commands = admin.client().database("admin");
    // Without `find` on the collections dropped by a rename, and without `renameCollectionSameDB`.
    let actions: Vec<&str> = ON_COLLECTIONS.into_iter().filter(|action| *action != "createIndex").collect();
    let privileges = vec![
        doc! { "resource": { "db": "shop", "collection": "" }, "actions": actions },
        doc! { "resource": { "db": "shop", "collection": "" }, "actions": ["listCollections"] },
    ];
    commands.run_command(doc! { "createRole": "noRename", "privileges": privileges, "roles": [] }).await.unwrap();
    for (user, roles) in users {
        commands.run_command(doc! { "createUser": user, "pwd": "hunter2", "roles": roles.clone() }).await.unwrap();
    }
    let things = admin.client().database("shop").collection("things");
    things.insert_many((100..108).map(|id| doc! { "_id": id })).await.unwrap();
    drop(admin);
    server.with_arguments(&["--auth"]).await
}

async fn as_user(server: &Server, user: &str) -> Connection {
    connect(&server.uri(&format!("{user}:hunter2@"), "shop").replace('?', "?authSource=admin&")).await
}

fn replacing() -> RestoreOptions {
    let map = NamespaceMap::parse(&["archived.*".to_owned()], &["shop.*".to_owned()]).unwrap();
    RestoreOptions { map, existing: Existing::Drop, ..RestoreOptions::default() }
}

async fn count(connection: &Connection) -> u64 {
    let things = connection.client().database("shop").collection::<bson::Document>("things");
    things.count_documents(doc! {}).await.unwrap()
}

#[tokio::test]
async fn a_user_who_may_not_rename_is_refused_in_the_dry_run_and_in_the_restore() {
    let server = server_with(&[("ada", vec!["noRename".into()])]).await;
    let connection = as_user(&server, "ada").await;
    let archive = archive_of(&[Namespace::of_ids("things", 0..5)]);
    for dry_run in [true, false] {
        let options = RestoreOptions { dry_run, ..replacing() };
        let error = restored(&connection, archive.clone(), &options).await.unwrap_err();
        assert!(matches!(&error.cause, RestoreFault::Invalid(text) if text.contains("--drop-first")), "{error}");
        assert!(error.incomplete.is_empty() && error.to_string().contains("may not rename"), "{error}");
        assert_eq!(count(&connection).await, 8);
    }
    let options = RestoreOptions { existing: Existing::DropFirst, ..replacing() };
    let report = restored(&connection, archive, &options).await.unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(count(&connection).await, 5);
}

#[tokio::test]
async fn the_documented_roles_suffice_to_replace() {
    let on_shop = |role: &str| Bson::from(doc! { "role": role, "db": "shop" });
    let users = [
        ("restorer", vec!["restore".into(), "readAnyDatabase".into()]),
        ("owner", vec![on_shop("readWrite"), on_shop("dbAdmin")]),
    ];
    let server = server_with(&users).await;
    let validated = Namespace::of_ids("things", 0..5)
        .with_options(doc! { "validator": { "_id": { "$gte": 0 } } })
        .with_index(doc! { "v": 2, "key": { "from": 1 }, "name": "from_1" });
    let archive = archive_of(&[validated, Namespace::view("seen", "things", vec![doc! { "$limit": 2 }])]);
    for (user, _) in users {
        let connection = as_user(&server, user).await;
        let report = restored(&connection, archive.clone(), &replacing()).await.unwrap();
        assert!(report.is_faithful(), "{user}: {report:#?}");
        assert_eq!(count(&connection).await, 5);
    }
}
