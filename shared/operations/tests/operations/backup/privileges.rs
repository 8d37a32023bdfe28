//! Whole runs as users with exactly the roles of docs/privileges.md, and what happens with one
//! action less.

use std::{future::pending, time::Duration};

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::{
    BackupId, BackupType, FailureCode, JobStatus, Secret, Timestamp, VerificationLevel,
    VerificationStatus,
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Finding, Health, Holdfast, OperationError, RunLimits,
    back_up_content_in_process, examine, rebuild_catalog, retain, status, sweep, trigger,
    verify_on_request,
};
use holdfast_recovery::{Verification, drill};
use holdfast_testing::{MongoServer, Origin, Role, documented_role, origin::Answer};
use mongodb::bson::{Bson, Document, doc};

use crate::support::database::{Fixture, completed, failed, run};

const PLATFORM: &str = "web3platform";

/// A server that enforces these roles. Each has a user of its name.
struct Roles(MongoServer);

impl Roles {
    async fn new(documented: &[Role], built_in: &[(&str, Vec<Bson>)]) -> Self {
        let server = MongoServer::start(&[]).await;
        let client = mongodb::Client::with_uri_str(server.uri("", ""))
            .await
            .unwrap();
        let admin = client.database("admin");
        let mut users = vec![("root".to_owned(), vec!["root".into()])];
        for role in documented {
            admin.run_command(role.creation()).await.unwrap();
            users.push((role.name.clone(), vec![role.name.as_str().into()]));
        }
        users.extend(
            built_in
                .iter()
                .map(|(user, roles)| ((*user).to_owned(), roles.clone())),
        );
        for (user, roles) in users {
            admin
                .run_command(doc! { "createUser": user, "pwd": "hunter2", "roles": roles })
                .await
                .unwrap();
        }
        let platform = client.database(PLATFORM);
        let documents = (0..20).map(|id| doc! { "_id": id, "name": format!("user {id}") });
        platform
            .collection("users")
            .insert_many(documents)
            .await
            .unwrap();
        for command in [
            doc! { "createIndexes": "users", "indexes": [{ "key": { "name": 1 }, "name": "name_1" }] },
            doc! { "create": "named", "viewOn": "users", "pipeline": [{ "$limit": 2 }] },
            doc! { "create": "log", "capped": true, "size": 100_000 },
            doc! { "create": "checked", "validator": { "_id": { "$gte": 0 } } },
        ] {
            platform.run_command(command).await.unwrap();
        }
        for name in ["log", "checked"] {
            platform
                .collection(name)
                .insert_one(doc! { "_id": 1 })
                .await
                .unwrap();
        }
        Self(server.with_arguments(&["--auth"]).await)
    }

    fn uri(&self, user: &str, database: &str) -> String {
        self.0
            .uri(&format!("{user}:hunter2@"), database)
            .replace('?', "?authSource=admin&")
    }

    async fn databases(&self) -> Vec<String> {
        let client = mongodb::Client::with_uri_str(self.uri("root", ""))
            .await
            .unwrap();
        client.list_database_names().await.unwrap()
    }

    /// Backups by one user, with the catalogue of another, drills by a third.
    async fn fixture(&self, dump: &str, catalog: &str, drill: &str) -> Fixture {
        Fixture::new(&[
            ("MONGODB_URI", &self.uri(dump, PLATFORM)),
            ("BACKUP_CATALOG_URI", &self.uri(catalog, "holdfast")),
            ("BACKUP_DRILL_URI", &self.uri(drill, "")),
        ])
        .await
    }
}

async fn drilled(f: &Fixture, server: &str, id: &BackupId) -> Result<Verification, OperationError> {
    Ok(drill(
        &f.holdfast.repository,
        id,
        &Secret::new(server),
        Timestamp::now(),
        pending(),
        &|_| {},
    )
    .await?)
}

/// Content backup of one item, by a user who may read the items alone.
async fn back_up_content(
    f: &Fixture,
    roles: &Roles,
    user: &str,
) -> Result<BackupOutcome, OperationError> {
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::ok("a file")]);
    let root = mongodb::Client::with_uri_str(roles.uri("root", ""))
        .await
        .unwrap();
    let item = doc! {
        "contentId": 1, "title": "One", "url": origin.url("/file"), "storageType": "gaia", "creator": "ada",
        "isRemoved": false,
    };
    root.database(PLATFORM)
        .collection("contents")
        .insert_one(item)
        .await
        .unwrap();
    let h = f.with(|settings| {
        settings.mongodb_uri = Secret::new(roles.uri(user, PLATFORM));
        settings.content.allowed_origins = vec![origin.url("/").parse().unwrap()];
    });
    let id = trigger(&h, BackupType::Content, None, Timestamp::now())
        .await?
        .backup_id;
    let ended = back_up_content_in_process(
        &h,
        BackupRequest::Triggered { backup_id: id },
        RunLimits::none(),
    )
    .await;
    root.database(PLATFORM)
        .collection::<Document>("contents")
        .drop()
        .await
        .unwrap();
    ended
}

/// The findings about MongoDB that are not good.
async fn found_by_doctor(h: &Holdfast) -> Vec<Finding> {
    let mut findings = Box::pin(examine(
        &h.settings,
        Ok(h.repository.clone()),
        None,
        Timestamp::now(),
    ))
    .await;
    findings.retain(|finding| ["database", "catalogue", "drill server"].contains(&finding.part));
    assert!(findings.len() >= 3, "{findings:?}");
    findings.retain(|finding| finding.health != Health::Good);
    findings
}

/// Everything that uses the catalogue.
async fn use_catalogue(f: &Fixture, roles: &Roles, items: &str) {
    let id = f.back_up().await.backup_id;
    let content = back_up_content(f, roles, items).await.unwrap();
    let BackupOutcome::Completed(content) = content else {
        panic!("{content:?}")
    };
    assert_eq!(content.items.map(|items| items.done), Some(1));
    let now = Timestamp::now();
    verify_on_request(
        &f.holdfast,
        &id,
        VerificationLevel::Checksum,
        RunLimits::none(),
        now,
    )
    .await
    .unwrap();
    assert_eq!(
        f.job(&id).await.verification.unwrap().status,
        VerificationStatus::Passed
    );
    let swept = Box::pin(sweep(&f.holdfast, None, now)).await.unwrap();
    assert!(swept.problems.is_empty(), "{swept:?}");
    let retained = Box::pin(retain(&f.holdfast, RunLimits::none(), now))
        .await
        .unwrap();
    assert_eq!(retained.all_problems().count(), 0, "{retained:?}");
    status(&f.holdfast, now).await.unwrap();
    let rebuilt = rebuild_catalog(&f.holdfast, &|_| {}).await.unwrap();
    assert!(rebuilt.is_whole() && rebuilt.stood == 2, "{rebuilt:?}");
    assert_eq!(
        f.holdfast.catalog.get(&id).await.unwrap().status,
        JobStatus::Completed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_roles_suffice_for_backups_catalogue_drills_and_doctor() {
    let documented = [
        "holdfastDump",
        "holdfastDiscover",
        "holdfastCatalog",
        "holdfastDrill",
    ]
    .map(documented_role);
    let built_in = [
        ("dumper", vec!["backup".into()]),
        (
            "cataloguer",
            vec![doc! { "role": "readWrite", "db": "holdfast" }.into()],
        ),
        (
            "driller",
            vec!["readWriteAnyDatabase".into(), "dbAdminAnyDatabase".into()],
        ),
    ];
    let roles = Roles::new(&documented, &built_in).await;
    for [dump, items, catalog, drill] in [
        [
            "holdfastDump",
            "holdfastDiscover",
            "holdfastCatalog",
            "holdfastDrill",
        ],
        ["dumper", "dumper", "cataloguer", "driller"],
    ] {
        let f = roles.fixture(dump, catalog, drill).await;
        use_catalogue(&f, &roles, items).await;
        let id = f.back_up().await.backup_id;
        let found = drilled(&f, &roles.uri(drill, ""), &id).await.unwrap();
        assert_eq!(
            (found.status, found.problems.len()),
            (VerificationStatus::Passed, 0),
            "{drill}: {found:?}"
        );
        assert!(
            !roles
                .databases()
                .await
                .iter()
                .any(|name| name.starts_with("holdfast_drill_")),
            "{drill}"
        );
        assert_eq!(
            found_by_doctor(&f.holdfast).await,
            [],
            "{dump}, {catalog}, {drill}"
        );
        let root = mongodb::Client::with_uri_str(roles.uri("root", ""))
            .await
            .unwrap();
        root.database("holdfast").drop().await.unwrap();
        f.remove().await;
    }
}

/// What a catalogue's user may not do.
async fn denied(catalog: &Catalog, unique: &str) -> String {
    match catalog.try_access(unique).await.unwrap_err() {
        error @ CatalogError::Denied { .. } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_on_the_catalogue_is_needed_and_the_error_names_the_role() {
    let role = documented_role("holdfastCatalog");
    let lesser = role.each_without_one();
    let mut all: Vec<Role> = lesser.iter().map(|(role, ..)| role.clone()).collect();
    all.extend([
        role,
        documented_role("holdfastDump"),
        documented_role("holdfastDrill"),
    ]);
    let roles = Roles::new(&all, &[]).await;
    for (without, action, _) in lesser {
        let f = roles
            .fixture("holdfastDump", &without.name, "holdfastDrill")
            .await;
        let text = denied(&f.holdfast.catalog, &action).await;
        assert!(
            text.contains("readWrite") && text.contains("docs/privileges.md"),
            "{action}: {text}"
        );
        let found = found_by_doctor(&f.holdfast).await;
        assert!(
            found.len() == 1 && found[0].part == "catalogue" && found[0].health == Health::Bad,
            "{found:?}"
        );
        if action == "createIndex" {
            completed(run(&f.holdfast, f.trigger().await).await);
        }
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_of_a_drill_is_needed_and_its_lack_fails_no_backup() {
    let role = documented_role("holdfastDrill");
    let lesser = role.each_without_one();
    let mut all: Vec<Role> = lesser.iter().map(|(role, ..)| role.clone()).collect();
    all.extend([
        role,
        documented_role("holdfastDump"),
        documented_role("holdfastCatalog"),
    ]);
    let roles = Roles::new(&all, &[]).await;
    let f = roles
        .fixture("holdfastDump", "holdfastCatalog", "holdfastDrill")
        .await;
    let id = f.back_up().await.backup_id;
    for (without, action, resource) in lesser {
        let ended = drilled(&f, &roles.uri(&without.name, ""), &id).await;
        let text = match ended {
            Err(OperationError::Drill {
                reason,
                is_transient: false,
            }) => reason,
            // The scratch databases stay, and a note has the reason.
            Ok(found) if action == "dropDatabase" => found.notes.join("; "),
            other => panic!("{action} on {resource}: {other:?}"),
        };
        assert!(
            text.contains(&format!("`{action}`")) && text.contains("docs/privileges.md"),
            "{action}: {text}"
        );
    }
    // A drill with the whole role drops what is left.
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(
        drilled(&f, &roles.uri("holdfastDrill", ""), &id)
            .await
            .unwrap()
            .status,
        VerificationStatus::Passed
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_a_privilege_fails_and_names_it() {
    let role = documented_role("holdfastDump");
    let lesser = role.each_without_one();
    let mut all: Vec<Role> = lesser
        .iter()
        .take(3)
        .map(|(role, ..)| role.clone())
        .collect();
    all.extend([
        documented_role("holdfastCatalog"),
        documented_role("holdfastDrill"),
    ]);
    let roles = Roles::new(&all, &[]).await;
    for (without, action, _) in lesser.into_iter().take(3) {
        let f = roles
            .fixture(&without.name, "holdfastCatalog", "holdfastDrill")
            .await;
        let error = failed(run(&f.holdfast, f.trigger().await).await)
            .error
            .unwrap();
        assert_eq!(error.code, FailureCode::SourceDenied, "{error:?}");
        assert!(
            error.message.contains(&format!("`{action}`")),
            "{}",
            error.message
        );
        let found = found_by_doctor(&f.holdfast).await;
        assert!(
            found
                .iter()
                .any(|finding| finding.found.contains(&format!("`{action}`"))),
            "{action}: {found:?}"
        );
        f.remove().await;
    }
}
