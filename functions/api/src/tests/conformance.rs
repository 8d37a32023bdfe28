//! Compares every sent response with the contract. An undocumented or wrongly documented part is a
//! fault.

use holdfast_domain::{
    BackupId, BackupType, Consistency, CopyStatus, DeletionCause, Encoding, EngineInfo,
    FailureCode, ItemCounts, Job, JobCopy, JobDeletion, JobFailure, JobStatus, JobVerification,
    NamespaceCount, ObjectKey, Progress, Sha256Digest, Timestamp, Trigger, TriggerKind,
    VerificationLevel, VerificationStatus,
};
use serde_json::{Value, json};

use super::{AWAY, Answered, alone, call, request};

fn document() -> Value {
    serde_json::to_value(holdfast_api::document()).unwrap()
}

/// Compares an answer with the contract.
pub(super) fn check(event: &Value, answered: &Answered) {
    let document = document();
    let path = event["rawPath"].as_str().unwrap();
    let method = event["requestContext"]["http"]["method"]
        .as_str()
        .unwrap()
        .to_lowercase();
    let shown = format!("{method} {path} {}: {}", answered.status, answered.body);
    let schema = documented(&document, path, &method, answered.status);
    if method == "head" {
        assert_eq!(answered.body, Value::Null, "{shown}");
        return;
    }
    // Responses without an operation have the common shape of failures.
    let schema = schema.unwrap_or_else(|| {
        assert!(
            matches!(answered.status, 401 | 403 | 404 | 405 | 503),
            "not in the contract: {shown}"
        );
        json!({ "$ref": "#/components/schemas/Failure" })
    });
    let faults = faults(&document, &schema, &answered.body, "");
    assert!(faults.is_empty(), "{shown}\n{faults:#?}");
}

fn documented(document: &Value, path: &str, method: &str, status: i64) -> Option<Value> {
    let template = match path.strip_prefix("/api/backups/jobs/") {
        Some(rest) if rest.ends_with("/verify") => "/api/backups/jobs/{backupId}/verify",
        Some(rest) if rest.ends_with("/cancel") => "/api/backups/jobs/{backupId}/cancel",
        Some(rest) if rest.ends_with("/namespaces") => "/api/backups/jobs/{backupId}/namespaces",
        Some(_) => "/api/backups/jobs/{backupId}",
        None => path,
    };
    let response =
        document["paths"].get(template)?.get(method)?["responses"].get(status.to_string())?;
    Some(response["content"]["application/json"]["schema"].clone())
}

fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#'));
        return faults(
            document,
            target.unwrap_or_else(|| panic!("{reference} is not there")),
            value,
            at,
        );
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema.get(choice).and_then(Value::as_array) {
            let all: Vec<_> = schemas
                .iter()
                .map(|schema| faults(document, schema, value, at))
                .collect();
            return all.into_iter().min_by_key(Vec::len).unwrap_or_default();
        }
    }
    if let Some(schemas) = schema.get("allOf").and_then(Value::as_array) {
        let known = |fault: &String| !fault.ends_with("is not documented");
        return schemas
            .iter()
            .flat_map(|schema| faults(document, schema, value, at))
            .filter(known)
            .collect();
    }
    let mut found = Vec::new();
    if !is_of_type(&schema["type"], value) {
        found.push(format!("{at}: {value} is not of type {}", schema["type"]));
    }
    if schema
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|values| !values.contains(value))
    {
        found.push(format!("{at}: {value} is not one of {}", schema["enum"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(
            document,
            &schema["items"],
            item,
            &format!("{at}/{index}"),
        ));
    }
    found.extend(object_faults(document, schema, value, at));
    found
}

fn object_faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let (Some(fields), true) = (
        value.as_object(),
        schema.get("properties").is_some() || schema["type"] == "object",
    ) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, field) in fields {
        let at = format!("{at}/{name}");
        match (
            schema["properties"].get(name),
            schema.get("additionalProperties"),
        ) {
            (Some(property), _) => found.extend(faults(document, property, field, &at)),
            (None, Some(others)) if others.is_object() => {
                found.extend(faults(document, others, field, &at));
            }
            (None, None) if schema.get("properties").is_none() => {}
            _ => found.push(format!("{at} is not documented")),
        }
    }
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    found.extend(
        required
            .filter(|name| !fields.contains_key(*name))
            .map(|name| format!("{at}/{name} is missing")),
    );
    found
}

fn is_of_type(expected: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match expected {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// A job with every field.
fn full_job() -> Job {
    let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
    let id = BackupId::new(BackupType::Database, at, [1; 4]);
    let mut job = Job::pending(
        id.clone(),
        Trigger {
            kind: TriggerKind::Manual,
            by: Some("ada".to_owned()),
        },
        at,
    );
    job.parent_id = Some(BackupId::new(BackupType::Full, at, [2; 4]));
    job.engine = Some(EngineInfo {
        name: "native".to_owned(),
        version: "0.1.0".to_owned(),
    });
    job.consistency = Some(Consistency::PerCollection);
    job.started_at = Some(at);
    job.completed_at = Some(at);
    job.duration_ms = Some(1);
    job.original_size = Some(2);
    job.size = Some(1);
    job.checksum = Some(Sha256Digest::new([7; 32]));
    job.key = Some(ObjectKey::database_dump(&id, 1, Encoding::GZIP_ENCRYPTED));
    job.namespaces = Some(vec![NamespaceCount {
        namespace: "a.b".to_owned(),
        documents: 1,
    }]);
    (job.namespace_count, job.document_count) = (Some(1), Some(1));
    (job.last_write_at, job.lag_seconds) = (Some(at), Some(0));
    job.items = Some(ItemCounts {
        expected: 4,
        done: 1,
        unchanged: 1,
        failed: 1,
        bytes: 2,
        per_minute: Some(60),
    });
    job.progress = Some(Progress {
        bytes_read: 1,
        bytes_expected: 2,
        bytes_stored: 1,
    });
    let (level, status) = (VerificationLevel::Checksum, VerificationStatus::Passed);
    job.verification = Some(JobVerification { level, status, at });
    let hint = Some("wait".to_owned());
    job.error = Some(JobFailure {
        code: FailureCode::Stalled,
        message: "it died".to_owned(),
        hint,
    });
    let (store, error) = ("s3://second/".to_owned(), job.error.clone());
    job.copy = Some(JobCopy {
        status: CopyStatus::Failed,
        at,
        store,
        bytes: Some(1),
        error,
    });
    job.message = Some("it is well".to_owned());
    job.warnings = vec!["the data are old".to_owned()];
    job.lost_at = Some(at);
    job.deletion = Some(JobDeletion {
        cause: DeletionCause::AcceptedLoss,
        decided_at: at,
        by: Some("ada".to_owned()),
    });
    job
}

/// Documented and never sent would be as wrong as sent and not documented.
fn unsent(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return unsent(
            document,
            document.pointer(reference.trim_start_matches('#')).unwrap(),
            value,
            at,
        );
    }
    if let Some(schemas) = schema.get("oneOf").and_then(Value::as_array) {
        return schemas
            .iter()
            .filter(|schema| schema["type"] != "null")
            .flat_map(|s| unsent(document, s, value, at))
            .collect();
    }
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match value.get(name) {
            Some(field) => found.extend(unsent(document, property, field, &at)),
            None => found.push(at),
        }
    }
    found
}

#[test]
fn a_job_is_sent_as_the_contract_says_field_by_field() {
    let (document, schema) = (document(), json!({ "$ref": "#/components/schemas/Job" }));
    let job = json!(full_job());
    assert_eq!(faults(&document, &schema, &job, ""), [""; 0]);
    assert_eq!(unsent(&document, &schema, &job, ""), [""; 0]);
    for status in JobStatus::ALL {
        let mut job = full_job();
        job.status = status;
        assert_eq!(faults(&document, &schema, &json!(job), ""), [""; 0]);
    }
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let (document, schema) = (document(), json!({ "$ref": "#/components/schemas/Job" }));
    let wrong = |pointer: &str, value: Value| {
        let mut job = json!(full_job());
        job[pointer] = value;
        faults(&document, &schema, &job, "")
    };
    assert_eq!(wrong("secret", json!(1)), ["/secret is not documented"]);
    assert_eq!(wrong("size", json!("1")).len(), 1);
    assert_eq!(wrong("status", json!("done")).len(), 1);
    assert!(!wrong("trigger", json!({})).is_empty());
    assert!(!wrong("error", json!({ "code": 1 })).is_empty());
}

#[test]
fn the_document_is_openapi_3_1_with_a_token_for_every_call() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["security"], json!([{ "jwt": [] }]));
    assert_eq!(
        document["components"]["securitySchemes"]["jwt"]["scheme"],
        "bearer"
    );
    let text = document.to_string();
    for reference in text
        .split("\"$ref\":\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            document.pointer(reference).is_some(),
            "{reference} is not there"
        );
    }
}

#[tokio::test]
async fn every_documented_call_is_there_and_no_other() {
    let function = alone(&AWAY);
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 14);
    for (path, operations) in paths {
        let path = path.replace("{backupId}", "db_1_a");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
            let status = call(&function, &request(method, &path)).await.status;
            let is_documented = operations.get(method.to_lowercase()).is_some();
            assert_eq!(status != 405, is_documented, "{method} {path}: {status}");
            assert_ne!(status, 404, "{method} {path}");
        }
    }
}
