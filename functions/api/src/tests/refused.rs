//! Refusals before any request to MongoDB or the store, and the responses while these are
//! unreachable.

use holdfast_testing::{EXPOSED_SECRETS, EXPOSING_SETTINGS};
use serde_json::json;

use super::{AWAY, alone, call, event, get, request, with_body, with_role};

#[tokio::test]
async fn values_out_of_form_are_400_with_the_field() {
    let function = alone(&AWAY);
    for (path, field) in [
        ("jobs?page=0", "page"),
        ("jobs?page=x", "page"),
        ("jobs?page=2147483648", "page"),
        ("jobs?limit=101", "limit"),
        ("jobs?limit=", "limit"),
        ("jobs?type=Database", "type"),
        ("jobs?status=done", "status"),
        ("jobs?sort=asc", "sort"),
        ("jobs?limit=1&limit=2", "limit"),
        ("jobs/nonsense", "backupId"),
        ("jobs/db_1_A", "backupId"),
        ("jobs/db_1_a%20", "backupId"),
        ("jobs/%C3%A9\u{0}", "backupId"),
        ("jobs/db_1_a?x=1", "x"),
        ("status?verbose=1", "verbose"),
        ("list?x", "x"),
        ("list?limit=1001", "limit"),
        ("jobs/db_1_a/namespaces?limit=1001", "limit"),
        ("jobs/nonsense/namespaces", "backupId"),
        ("config?x", "x"),
        ("openapi.json?x", "x"),
    ] {
        let answered = call(&function, &get(&format!("/api/backups/{path}"))).await;
        assert_eq!(
            (answered.status, answered.code()),
            (400, "INVALID_REQUEST"),
            "{path}"
        );
        assert_eq!(answered.body["data"]["field"], field, "{path}");
        assert!(
            answered.body["error"].as_str().unwrap().starts_with(field),
            "{path}: {}",
            answered.body
        );
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_have_the_json_shape() {
    let function = alone(&AWAY);
    for path in [
        "/",
        "/api/backups",
        "/api/backups/",
        "/api/backups/nonsense",
        "/api/backups/jobs/a/b",
        "/status",
        "//",
    ] {
        let answered = call(&function, &get(path)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (404, "NOT_FOUND"),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("POST", "/api/backups/status", "GET,HEAD"),
        ("GET", "/api/backups/database", "POST"),
        ("DELETE", "/api/backups/jobs/db_1_a", "GET,HEAD"),
        ("OPTIONS", "/api/backups/jobs", "GET,HEAD"),
    ] {
        let answered = call(&function, &request(method, path)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (405, "METHOD_NOT_ALLOWED"),
            "{method} {path}"
        );
        assert_eq!(answered.headers["allow"], allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_has_to_be_an_empty_json_object() {
    let function = alone(&AWAY);
    for kind in ["content", "full"] {
        let post = request("POST", &format!("/api/backups/{kind}"));
        for (body, status) in [("{\"type\":\"full\"}", 400), ("{}", 503)] {
            let answered = call(
                &function,
                &with_body(post.clone(), "application/json", body),
            )
            .await;
            assert_eq!(answered.status, status, "{kind} {body}: {}", answered.body);
        }
    }
    let post = || request("POST", "/api/backups/database");
    for (content_type, body, status) in [
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "a=b", 415),
        ("application/jsonp", "{}", 415),
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        (
            "application/json; charset=utf-8",
            "{\"type\":\"full\"}",
            400,
        ),
        (
            "application/json",
            &format!("\"{}\"", "x".repeat(20_000)),
            413,
        ),
        // These get as far as the unreachable catalogue.
        ("Application/JSON", " {} ", 503),
        ("application/json", "null", 503),
        ("application/json", "{\"a\":1,\"a\":1}", 400),
        ("text/plain", "", 503),
    ] {
        let answered = call(&function, &with_body(post(), content_type, body)).await;
        assert_eq!(answered.status, status, "{content_type} {}", answered.body);
    }
    let mut without_type = post();
    without_type["body"] = json!("e30=");
    without_type["isBase64Encoded"] = json!(true);
    assert_eq!(call(&function, &without_type).await.status, 415);
}

#[tokio::test]
async fn a_verification_takes_a_level_or_nothing() {
    let function = alone(&AWAY);
    let post = |path: &str, body: &str| {
        with_body(
            request("POST", &format!("/api/backups/jobs/{path}/verify")),
            "application/json",
            body,
        )
    };
    for (path, body, field) in [
        ("db_1_a", "{\"level\":\"deep\"}", "level"),
        ("db_1_a", "{\"level\":1}", "level"),
        ("db_1_a", "{\"Level\":\"drill\"}", "Level"),
        ("db_1_a", "[]", "body"),
        (
            "db_1_a",
            "{\"level\":\"exists\",\"level\":\"drill\"}",
            "level",
        ),
        ("db_1_A", "{}", "backupId"),
        ("full_1_a", "{}", "backupId"),
        ("content_1_a", "{\"level\":\"drill\"}", "level"),
    ] {
        let answered = call(&function, &post(path, body)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (400, "INVALID_REQUEST"),
            "{path} {body}: {}",
            answered.body
        );
        assert_eq!(answered.body["data"]["field"], field, "{path} {body}");
    }
    assert_eq!(
        call(&function, &get("/api/backups/jobs/db_1_a/verify"))
            .await
            .status,
        405
    );
    // As the contract allows. The catalogue is unreachable.
    assert_eq!(
        call(&function, &post("db_1_a", "{\"level\":null}"))
            .await
            .status,
        503
    );
}

#[tokio::test]
async fn a_cancellation_takes_an_id_and_no_fields() {
    let function = alone(&AWAY);
    let post = |path: &str, body: &str| {
        with_body(
            request("POST", &format!("/api/backups/jobs/{path}/cancel")),
            "application/json",
            body,
        )
    };
    for (path, body, field) in [
        ("db_1_A", "{}", "backupId"),
        ("db_1_a", "{\"force\":true}", "force"),
        ("db_1_a", "[]", "body"),
    ] {
        let answered = call(&function, &post(path, body)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (400, "INVALID_REQUEST"),
            "{path} {body}: {}",
            answered.body
        );
        assert_eq!(answered.body["data"]["field"], field, "{path} {body}");
    }
    assert_eq!(
        call(&function, &get("/api/backups/jobs/db_1_a/cancel"))
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn each_call_by_get_answers_head_without_a_body() {
    let function = alone(&AWAY);
    for (path, status) in [
        ("config", 200),
        ("openapi.json", 200),
        ("status", 503),
        ("jobs?page=0", 400),
    ] {
        let answered = call(&function, &request("HEAD", &format!("/api/backups/{path}"))).await;
        assert_eq!(answered.status, status, "{path}");
    }
}

#[tokio::test]
async fn only_the_roles_of_a_verified_token_count() {
    let function = alone(&AWAY);
    let mut unverified = event("api-get-config");
    unverified["headers"]["role"] = json!("admin");
    unverified["requestContext"]["authorizer"] = json!(null);
    let answered = call(&function, &unverified).await;
    assert_eq!((answered.status, answered.code()), (401, "UNAUTHORIZED"));
    for role in ["", "viewer", "[]", "[viewer user]", "ADMIN"] {
        let answered = call(&function, &with_role(event("api-get-config"), role)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (403, "FORBIDDEN"),
            "{role}"
        );
    }
    for role in ["admin", "creator", "[viewer creator]"] {
        assert_eq!(
            call(&function, &with_role(event("api-get-config"), role))
                .await
                .status,
            200,
            "{role}"
        );
    }
}

#[tokio::test]
async fn a_creator_with_read_permission_triggers_nothing() {
    let [uri, store] = AWAY;
    let function = alone(&[
        uri,
        store,
        ("BACKUP_CREATOR_ACCESS", "read"),
        ("BACKUP_ROLE_CLAIM", "groups"),
    ]);
    let as_creator = |mut event: serde_json::Value| {
        event["requestContext"]["authorizer"]["jwt"]["claims"] =
            json!({ "groups": ["x", "creator"], "n": 1 });
        event
    };
    assert_eq!(
        call(&function, &as_creator(event("api-get-config")))
            .await
            .status,
        200
    );
    for name in [
        "api-post-database",
        "api-post-content",
        "api-post-full",
        "api-post-cancel",
    ] {
        assert_eq!(
            call(&function, &as_creator(event(name))).await.status,
            403,
            "{name}"
        );
    }
}

#[tokio::test]
async fn wrong_settings_are_shown_by_config_and_stop_every_other_call() {
    let function = alone(&[
        ("MONGODB_URI", "mongodb://ada:hunter2@127.0.0.1:9/x"),
        ("BACKUP_ENCRYPTION_KEY", "hunter2"),
        ("BACKUP_MAX_CONCURRENT", "none"),
        ("BACKUP_CLOUD_ENABLED", "true"),
        ("BACKUP_FROBNICATE", "1"),
    ]);
    for name in [
        "api-get-status",
        "api-post-database",
        "api-post-content",
        "api-post-full",
        "api-post-cleanup",
        "api-post-export",
        "api-post-cancel",
        "api-get-jobs",
        "api-get-job",
        "api-get-list",
        "api-get-openapi",
    ] {
        let answered = call(&function, &event(name)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (503, "CONFIG_INVALID"),
            "{name}"
        );
    }
    let answered = call(&function, &event("api-get-config")).await;
    assert_eq!(answered.status, 200);
    let data = &answered.body["data"];
    assert_eq!(data["config"]["MONGODB_URI"], "***");
    assert_eq!(data["config"]["BACKUP_TIMEZONE"], "UTC");
    assert_eq!(data["validation"]["success"], false);
    let named: Vec<_> = data["validation"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| &fault["name"])
        .collect();
    for name in [
        "BACKUP_ENCRYPTION_KEY",
        "BACKUP_MAX_CONCURRENT",
        "BACKUP_CLOUD_BUCKET",
        "BACKUP_FROBNICATE",
        "BACKUP_STORE",
    ] {
        assert!(named.contains(&&json!(name)), "{name} is not in {named:?}");
    }
}

#[tokio::test]
async fn a_secret_in_a_setting_that_is_shown_is_refused_and_not_shown() {
    for (name, value) in EXPOSING_SETTINGS {
        let function = alone(&[AWAY[0], ("BACKUP_STORE", "s3://backups"), (name, value)]);
        assert_eq!(
            call(&function, &event("api-get-status")).await.code(),
            "CONFIG_INVALID",
            "{name}"
        );
        let answered = call(&function, &event("api-get-config")).await;
        let text = answered.body.to_string();
        assert!(
            EXPOSED_SECRETS.iter().all(|secret| !text.contains(secret)),
            "{name}: {text}"
        );
        assert_eq!(answered.body["data"]["config"][name], "***", "{name}");
        assert_eq!(
            answered.body["data"]["validation"]["errors"][0]["name"],
            name
        );
    }
}

#[tokio::test]
async fn the_settings_shown_are_those_of_the_stack() {
    let [uri, store] = AWAY;
    let function = alone(&[
        uri,
        store,
        ("STACK_BACKUP_CLOUD_ENABLED", "true"),
        ("STACK_BACKUP_CLOUD_BUCKET", "second/holdfast"),
        ("STACK_BACKUP_CLOUD_SECRET_KEY", "hunter2"),
        ("STACK_BACKUP_CLOUD_ENDPOINT", ""),
        ("STACK_MONGODB_URI", "mongodb://ada:hunter2@h/x"),
        ("STACK_BACKUP_DATABASE_ENCRYPTION", "true"),
        ("STACK_NAME", "prod"),
    ]);
    let data = call(&function, &event("api-get-config")).await.body["data"].clone();
    assert_eq!(
        data["validation"]["success"], true,
        "this function needs none of them: {data}"
    );
    let config = &data["config"];
    assert_eq!(
        (
            &config["BACKUP_CLOUD_ENABLED"],
            &config["BACKUP_CLOUD_BUCKET"]
        ),
        (&json!("true"), &json!("second/holdfast"))
    );
    for secret in ["BACKUP_CLOUD_SECRET_KEY", "MONGODB_URI"] {
        assert_eq!(config[secret], "***", "{config}");
    }
    assert_eq!(
        config["BACKUP_DATABASE_ENCRYPTION"], "true",
        "this function has no key, so the setting itself would be invalid: {config}"
    );
    assert!(
        config["BACKUP_CLOUD_ENDPOINT"].is_null() && config["NAME"].is_null(),
        "{config}"
    );
}

#[tokio::test]
async fn a_function_without_a_catalogue_reports_the_missing_setting() {
    let [_, store] = AWAY;
    let function = alone(&[store, ("MONGODB_URI", " ")]);
    let data = call(&function, &event("api-get-config")).await.body["data"].clone();
    let errors = &data["validation"]["errors"];
    assert_eq!(errors[0]["name"], "BACKUP_CATALOG_URI", "{data}");
    assert_eq!(
        call(&function, &event("api-get-status")).await.code(),
        "CONFIG_INVALID"
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_fault_that_config_shows() {
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:uri-AbCdEf";
    let function = alone(&[("MONGODB_URI", arn), ("BACKUP_STORE", "s3://backups")]);
    assert_eq!(
        call(&function, &event("api-get-status")).await.code(),
        "CONFIG_INVALID"
    );
    let errors =
        call(&function, &event("api-get-config")).await.body["data"]["validation"]["errors"]
            .clone();
    assert_eq!(errors[0]["name"], "MONGODB_URI");
    assert!(
        errors[0]["message"].as_str().unwrap().contains(arn),
        "{errors}"
    );
}

#[tokio::test]
async fn parts_that_are_away_are_503_and_no_text_of_theirs_is_sent() {
    let function = alone(&AWAY);
    let calls = [
        "api-get-status",
        "api-get-jobs",
        "api-get-job",
        "api-post-database",
        "api-post-content",
        "api-post-full",
        "api-post-cancel",
    ];
    for name in calls {
        let answered = call(&function, &event(name)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (503, "CATALOG_UNAVAILABLE"),
            "{name}"
        );
        assert!(
            !answered.body.to_string().contains("127.0.0.1"),
            "{}",
            answered.body
        );
    }
    assert_eq!(call(&function, &event("api-get-openapi")).await.status, 200);
}

#[tokio::test]
async fn every_response_is_json_without_caching() {
    let function = alone(&AWAY);
    for event in [
        event("api-get-config"),
        get("/nonsense"),
        with_role(event("api-get-config"), "nobody"),
    ] {
        let answered = call(&function, &event).await;
        assert_eq!(answered.headers["content-type"], "application/json");
        assert_eq!(answered.headers["cache-control"], "no-store");
        assert_eq!(answered.headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_setting_without_effect_is_a_warning_that_config_shows() {
    let uri = "mongodb://ada:hunter2@h/platform?useNewUrlParser=true";
    let function = alone(&[
        ("MONGODB_URI", uri),
        ("BACKUP_STORE", "s3://backups"),
        ("BACKUP_CONTENT_DIR", "./content"),
    ]);
    let answered = call(&function, &event("api-get-config")).await;
    let validation = &answered.body["data"]["validation"];
    assert_eq!(validation["success"], true, "{validation}");
    let warnings = validation["warnings"].as_array().unwrap();
    let names: Vec<_> = warnings
        .iter()
        .map(|warning| warning["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["MONGODB_URI", "BACKUP_CONTENT_DIR"]);
    assert!(
        warnings[0]["message"]
            .as_str()
            .unwrap()
            .contains("useNewUrlParser"),
        "{validation}"
    );
    assert!(!answered.body.to_string().contains("hunter2"));
}
