//! The deployed API: permissions, refusals and correct results.

use aws_sdk_s3::types::ChecksumMode;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use holdfast_testing::{s3_client, stack};
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Answer, Api, Caller, Deployment, Variant, fill_from_golden};

fn deployed() -> Api {
    Api::new(&stack().api)
}

#[tokio::test]
async fn without_a_verified_token_the_gateway_refuses_by_itself() {
    let api = deployed();
    for path in [
        "/api/backups/status",
        "/api/backups/nothing",
        "/api/backups",
        "/",
    ] {
        for caller in [Caller::Nobody, Caller::Forger] {
            let refused = api.call(caller, Method::GET, path).await;
            assert_eq!(refused.status, 401, "{path}: {refused:?}");
            assert!(
                refused.body["message"].is_string() && refused.body.get("success").is_none(),
                "{path}: {refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_without_a_role_may_do_nothing_and_a_creator_may_read() {
    let api = deployed();
    for (method, path) in [
        (Method::GET, "/api/backups/status"),
        (Method::GET, "/api/backups/config"),
        (Method::GET, "/api/backups/openapi.json"),
        (Method::GET, "/api/backups/jobs/db_1_a"),
        (Method::POST, "/api/backups/database"),
        (Method::POST, "/api/backups/content"),
        (Method::POST, "/api/backups/full"),
        (Method::POST, "/api/backups/export"),
        (Method::GET, "/api/backups/nothing"),
    ] {
        api.call(Caller::Stranger, method, path)
            .await
            .expect_refusal(403, "FORBIDDEN");
    }
    for path in [
        "/api/backups/status",
        "/api/backups/jobs",
        "/api/backups/list",
        "/api/backups/config",
    ] {
        api.call(Caller::Creator, Method::GET, path)
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_value_out_of_form_is_refused_with_its_field() {
    let api = deployed();
    for (path, field) in [
        ("jobs?page=0", "page"),
        ("jobs?page=-1", "page"),
        ("jobs?page=two", "page"),
        ("jobs?limit=0", "limit"),
        ("jobs?limit=101", "limit"),
        ("jobs?limit=1e2", "limit"),
        ("jobs?type=databases", "type"),
        ("jobs?status=done", "status"),
        ("jobs?status=%24ne", "status"),
        ("jobs?sort=asc", "sort"),
        ("jobs?page=1&page=2", "page"),
        ("status?verbose=true", "verbose"),
        ("list?type=database", "type"),
        ("config?secrets=true", "secrets"),
        ("jobs/db_1_a?x=1", "x"),
        ("jobs/nonsense", "backupId"),
        ("jobs/db_1_", "backupId"),
        ("jobs/db_1_A", "backupId"),
        ("jobs/%24where", "backupId"),
        ("jobs/db_1_a%20b", "backupId"),
        ("jobs/db_1_a%0A", "backupId"),
    ] {
        let refused = api.get(&format!("/api/backups/{path}")).await;
        refused.expect_refusal(400, "INVALID_REQUEST");
        assert_eq!(refused.data()["field"], field, "{path}: {refused:?}");
        assert!(
            refused.body["error"].as_str().unwrap().starts_with(field),
            "{path}: {refused:?}"
        );
    }
    for (body, field) in [
        (r#"{"level":1}"#, "level"),
        ("[]", "body"),
        ("{", "body"),
        ("\"all\"", "body"),
    ] {
        let refused = api
            .post("/api/backups/database", "application/json", body)
            .await;
        refused.expect_refusal(400, "INVALID_REQUEST");
        assert_eq!(refused.data()["field"], field, "{body}: {refused:?}");
    }
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_wrong_bodies_are_distinguished() {
    let api = deployed();
    for path in [
        "/",
        "/api",
        "/api/backups",
        "/api/backups/",
        "/api/backups/nothing",
        "/api/backups/jobs/a/b",
    ] {
        api.get(path).await.expect_refusal(404, "NOT_FOUND");
    }
    api.get("/api/backups/jobs/db_1_a")
        .await
        .expect_refusal(404, "NOT_FOUND");
    for (method, path) in [
        (Method::GET, "database"),
        (Method::POST, "status"),
        (Method::PUT, "jobs"),
        (Method::DELETE, "jobs/db_1_a"),
        (Method::PATCH, "list"),
    ] {
        let refused = api
            .call(Caller::Admin, method, &format!("/api/backups/{path}"))
            .await;
        refused.expect_refusal(405, "METHOD_NOT_ALLOWED");
    }
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
    ] {
        api.post("/api/backups/database", media_type, "{}")
            .await
            .expect_refusal(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(20_000));
    let refused = api
        .post("/api/backups/database", "application/json", &large)
        .await;
    refused.expect_refusal(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn settings_are_shown_without_secrets() {
    let configuration = deployed()
        .get("/api/backups/config")
        .await
        .expect(200)
        .data()
        .clone();
    assert_eq!(
        configuration["validation"],
        json!({ "success": true, "errors": [], "warnings": [] })
    );
    assert_eq!(configuration["config"]["MONGODB_URI"], "***");
    assert_eq!(
        configuration["config"]["BACKUP_STORE"],
        format!("s3://{}", stack().bucket)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_reports_a_backup_as_stored() {
    let deployment = Deployment::named("reported").with("CreatorAccess", "read");
    // No hub has the golden items.
    let variant = deployment
        .with("ContentCollection", "pieces")
        .deploy()
        .await;
    fill_from_golden(&variant.source).await;
    let refused = variant
        .api
        .call(Caller::Creator, Method::POST, "/api/backups/database")
        .await;
    refused.expect_refusal(403, "FORBIDDEN");
    variant
        .api
        .call(Caller::Creator, Method::GET, "/api/backups/jobs")
        .await
        .expect(200);

    let job = variant.api.back_up().await;
    let id = job["backupId"].as_str().unwrap();
    the_list_is_what_s3_has(&variant, &job).await;
    the_job_is_in_lists_and_status(&variant.api, &job).await;
    every_path_of_the_contract_answers(&variant, id).await;
    variant.finish(id).await;
}

async fn the_list_is_what_s3_has(variant: &Variant, job: &Value) {
    let list = variant
        .api
        .get("/api/backups/list")
        .await
        .expect(200)
        .data()
        .clone();
    assert_eq!(
        (list["database"].as_array().unwrap().len(), &list["content"]),
        (1, &json!([])),
        "{list}"
    );
    let entry = &list["database"][0];
    for field in [
        "backupId",
        "key",
        "size",
        "checksum",
        "compressed",
        "encrypted",
        "originalSize",
    ] {
        assert_eq!(entry[field], job[field], "{field}");
    }
    assert!(
        entry["key"]
            .as_str()
            .unwrap()
            .ends_with(entry["filename"].as_str().unwrap()),
        "{entry}"
    );
    let head = s3_client()
        .head_object()
        .bucket(&variant.bucket)
        .key(entry["key"].as_str().unwrap());
    let head = head
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), entry["size"].as_i64());
    let sha256 = BASE64_STANDARD
        .decode(head.checksum_sha256().unwrap())
        .unwrap();
    assert_eq!(hex::encode(sha256), entry["checksum"].as_str().unwrap());
}

async fn the_job_is_in_lists_and_status(api: &Api, job: &Value) {
    // Lists leave the namespaces out. The job itself and its own call have them.
    let mut listed = job.clone();
    assert!(
        listed
            .as_object_mut()
            .unwrap()
            .remove("namespaces")
            .is_some(),
        "{job}"
    );
    let job = &listed;
    for query in [
        "",
        "?type=database",
        "?status=completed&limit=1",
        "?page=1&limit=100",
    ] {
        let page = api
            .get(&format!("/api/backups/jobs{query}"))
            .await
            .expect(200)
            .data()
            .clone();
        assert_eq!(
            (&page["jobs"], &page["pagination"]["total"]),
            (&json!([job]), &json!(1)),
            "{query}: {page}"
        );
    }
    for query in ["?status=failed", "?type=content", "?page=2"] {
        let page = api
            .get(&format!("/api/backups/jobs{query}"))
            .await
            .expect(200)
            .data()
            .clone();
        assert_eq!(page["jobs"], json!([]), "{query}: {page}");
    }
    let reported = api
        .get("/api/backups/status")
        .await
        .expect(200)
        .data()
        .clone();
    let (scheduler, database) = (
        &reported["status"]["scheduler"],
        &reported["status"]["database"],
    );
    assert_eq!(
        *scheduler,
        json!({ "running": true, "activeBackups": [], "maxConcurrent": 2 }),
        "{reported}"
    );
    assert_eq!(
        (&database["enabled"], &database["lastBackup"]),
        (&json!(true), job),
        "{reported}"
    );
    assert_eq!(
        (&database["totalBackups"], &database["failedBackups"]),
        (&json!(1), &json!(0)),
        "{reported}"
    );
    let statistics = &reported["statistics"];
    assert_eq!(
        (&statistics["storedBytes"], &statistics["originalBytes"]),
        (&job["size"], &job["originalSize"])
    );
    assert_eq!(statistics["successRatePercent"], 100.0, "{reported}");
}

/// Each call of the contract, by its method, responds as documented.
async fn every_path_of_the_contract_answers(variant: &Variant, id: &str) {
    let contract = variant
        .api
        .get("/api/backups/openapi.json")
        .await
        .expect(200)
        .body;
    assert!(
        contract["openapi"].as_str().unwrap().starts_with("3."),
        "{contract}"
    );
    assert!(
        contract["info"]["title"].is_string() && contract["info"]["version"].is_string(),
        "{contract}"
    );
    let mut calls = 0;
    for (path, operations) in contract["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let called = path.replace("{backupId}", id);
            let method: Method = method.to_uppercase().parse().unwrap();
            if method == Method::HEAD {
                // It has no body, and no schema of one.
                continue;
            }
            let Answer { status, body } = variant
                .api
                .call(Caller::Admin, method.clone(), &called)
                .await;
            let documented = &operation["responses"][status.to_string()];
            assert!(
                documented["content"]["application/json"]["schema"].is_object(),
                "{method} {path}: {status}"
            );
            let is_as_expected = if path.ends_with("/cancel") {
                status == 409
            } else {
                status < 300
            };
            assert!(is_as_expected, "{method} {path}: {status} {body}");
            // A cleanup is of no one backup, and a verification changes no job's status.
            if let Some(backup) = body["data"]["backupId"].as_str().filter(|_| status == 202) {
                variant.api.settled(backup).await;
            }
            calls += 1;
        }
    }
    assert_eq!(
        calls,
        14,
        "{:?}",
        contract["paths"].as_object().unwrap().keys()
    );
}
