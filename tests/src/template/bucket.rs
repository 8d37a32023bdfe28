//! The bucket: its life beyond the stack, the denials of its policy, and its options.

use serde_json::{Value, json};

use super::{KEY, ROLE, Template, model::Resolved};

#[tokio::test]
async fn the_bucket_and_its_policy_outlive_the_stack_but_not_a_failed_creation() {
    let template = Template::deployed().await;
    for name in ["BackupBucket", "BackupBucketPolicy"] {
        let resource = &template.section("Resources")[name];
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
}

#[tokio::test]
async fn a_bucket_of_the_account_replaces_the_bucket_of_the_stack_everywhere() {
    let template = Template::deployed().await;
    let resolved = template.under(&[("ExistingBucketName", "old-backups")]);
    assert!(resolved.dangling().is_empty(), "{:?}", resolved.dangling());
    for name in ["BackupBucket", "BackupBucketPolicy"] {
        assert!(!resolved.resources().contains_key(name), "{name} exists");
    }
    let output = resolved.chosen(&template.section("Outputs")["BucketName"]["Value"]);
    assert_eq!(output, Some(json!("old-backups")));
    let mut places = 0;
    for name in resolved.resources().keys() {
        for sub in subs(&resolved.properties(name)) {
            let [text, names] = &sub[..] else { continue };
            let text = text.as_str().unwrap();
            if text.starts_with("s3://") || text.contains(":s3:::${Bucket}") {
                assert_eq!(names["Bucket"], "old-backups", "{name}: {text}");
                places += 1;
            }
        }
    }
    assert!(places > 20, "the store and the roles: {places}");
}

/// The arguments of every `Fn::Sub` with own names.
fn subs(node: &Value) -> Vec<Vec<Value>> {
    match node {
        Value::Array(all) => all.iter().flat_map(subs).collect(),
        Value::Object(fields) => match fields.get("Fn::Sub").and_then(Value::as_array) {
            Some(arguments) => vec![arguments.clone()],
            None => fields.values().flat_map(subs).collect(),
        },
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn lock_key_and_access_log_of_the_bucket_follow_their_parameters() {
    let template = Template::deployed().await;
    let plain = template.under(&[]).properties("BackupBucket");
    for absent in [
        "ObjectLockEnabled",
        "ObjectLockConfiguration",
        "LoggingConfiguration",
    ] {
        assert_eq!(plain.get(absent), None, "{plain}");
    }
    let encryption =
        |bucket: &Value| bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0].clone();
    let by_default = json!({ "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } });
    assert_eq!(encryption(&plain), by_default);

    let resolved = template.under(&[
        ("ObjectLockDays", "14"),
        ("ObjectLockMode", "COMPLIANCE"),
        ("BucketKmsKeyArn", KEY),
        ("AccessLogBucketName", "logs"),
    ]);
    let bucket = resolved.properties("BackupBucket");
    assert_eq!(bucket["ObjectLockEnabled"], true);
    assert_eq!(
        bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"],
        json!({ "Mode": "COMPLIANCE", "Days": "14" })
    );
    assert_eq!(
        bucket["LoggingConfiguration"]["DestinationBucketName"],
        "logs"
    );
    let own_key = json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY });
    assert_eq!(
        encryption(&bucket)["ServerSideEncryptionByDefault"],
        own_key
    );
    assert_eq!(encryption(&bucket)["BucketKeyEnabled"], true);
    let roles = resolved.properties("BucketKeyPolicy")["Roles"].clone();
    let readers = resolved.resources();
    let readers = readers
        .keys()
        .filter(|name| name.ends_with("Role") && **name != "SchedulerRole");
    assert_eq!(roles.as_array().unwrap().len(), readers.count(), "{roles}");
}

#[tokio::test]
async fn deleted_versions_of_files_on_their_way_stay_for_one_day() {
    let template = Template::deployed().await;
    let bucket = template.under(&[]).properties("BackupBucket");
    let rules = bucket["LifecycleConfiguration"]["Rules"]
        .as_array()
        .unwrap();
    let incoming = rules
        .iter()
        .find(|rule| rule["Prefix"] == "content/incoming/")
        .unwrap();
    assert_eq!(
        incoming["NoncurrentVersionExpiration"],
        json!({ "NoncurrentDays": 1 })
    );
}

const MANIFEST: &str = "database/db_1_a/manifest.json";
const HOLDFAST: &str = "arn:aws:iam::123456789012:role/holdfast-DatabaseBackupRole-1";
const ADMIN: &str = "arn:aws:iam::123456789012:role/admin";

/// A request to the bucket: caller, action, key, its condition keys.
type Request = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Creates an object, if none exists.
const IF_ABSENT: &[(&str, &str)] = &[
    ("s3:ObjectCreationOperation", "true"),
    ("s3:if-none-match", "*"),
];
const IF_UNCHANGED: &[(&str, &str)] =
    &[("s3:ObjectCreationOperation", "true"), ("s3:if-match", "x")];
const REPLACE: &[(&str, &str)] = &[("s3:ObjectCreationOperation", "true")];
/// `CreateMultipartUpload`, `UploadPart` and `UploadPartCopy`.
const PART: &[(&str, &str)] = &[("s3:ObjectCreationOperation", "false")];

/// Every kind of request of Holdfast.
const OWN: &[Request] = &[
    (HOLDFAST, "s3:PutObject", MANIFEST, IF_ABSENT),
    (HOLDFAST, "s3:PutObject", MANIFEST, PART),
    (
        HOLDFAST,
        "s3:PutObject",
        "content/content_1_a/manifest.json",
        IF_ABSENT,
    ),
    (
        HOLDFAST,
        "s3:PutObject",
        "database/db_1_a/RESTORE.md",
        REPLACE,
    ),
    (
        HOLDFAST,
        "s3:PutObject",
        "database/db_1_a/dump.1.archive",
        PART,
    ),
    (
        HOLDFAST,
        "s3:PutObject",
        "database/db_1_a/dump.1.archive",
        IF_ABSENT,
    ),
    (HOLDFAST, "s3:PutObject", "repository.json", IF_ABSENT),
    (HOLDFAST, "s3:PutObject", "repository.json", IF_UNCHANGED),
    (HOLDFAST, "s3:DeleteObject", MANIFEST, &[]),
    (HOLDFAST, "s3:DeleteObject", "content/incoming/a", &[]),
    (HOLDFAST, "s3:AbortMultipartUpload", MANIFEST, &[]),
    (HOLDFAST, "s3:GetObject", MANIFEST, &[]),
    (HOLDFAST, "s3:GetObjectRetention", MANIFEST, &[]),
    (HOLDFAST, "s3:ListBucket", "", &[]),
];
/// Destructive requests, also of an administrator.
const DESTRUCTIVE: &[Request] = &[
    (ADMIN, "s3:PutObject", MANIFEST, REPLACE),
    (ADMIN, "s3:PutObject", MANIFEST, IF_UNCHANGED),
    (ADMIN, "s3:DeleteObjectVersion", MANIFEST, &[]),
    (
        ADMIN,
        "s3:DeleteObjectVersion",
        "content/objects/ab/abcd",
        &[],
    ),
    (HOLDFAST, "s3:PutObject", MANIFEST, REPLACE),
    (HOLDFAST, "s3:DeleteObjectVersion", "repository.json", &[]),
];
/// Denied only if another role may do it.
const SETTINGS: &[Request] = &[
    (ADMIN, "s3:PutLifecycleConfiguration", "", &[]),
    (ADMIN, "s3:PutBucketVersioning", "", &[]),
    (ADMIN, "s3:PutBucketObjectLockConfiguration", "", &[]),
    (ADMIN, "s3:BypassGovernanceRetention", MANIFEST, &[]),
];

#[tokio::test]
async fn the_policy_denies_destruction_but_no_request_of_holdfast() {
    let template = Template::deployed().await;
    for (parameters, protects_settings) in
        [(vec![], false), (vec![("BreakGlassRoleArn", ROLE)], true)]
    {
        let resolved = template.under(&parameters);
        for request in OWN {
            assert!(
                !is_denied(&resolved, request),
                "{request:?} under {parameters:?}"
            );
        }
        for request in DESTRUCTIVE {
            assert!(
                is_denied(&resolved, request),
                "{request:?} under {parameters:?}"
            );
        }
        for request in SETTINGS {
            assert_eq!(
                is_denied(&resolved, request),
                protects_settings,
                "{request:?}"
            );
        }
        for (_, action, key, context) in DESTRUCTIVE.iter().chain(SETTINGS) {
            let request = (ROLE, *action, *key, *context);
            let is_exempt = !parameters.is_empty();
            let denied = is_denied(&resolved, &request);
            assert!(!(is_exempt && denied), "{request:?} of the exempt role");
        }
    }
}

/// Whether a statement of the bucket's policy denies the request.
fn is_denied(resolved: &Resolved<'_>, request: &Request) -> bool {
    let policy = resolved.properties("BackupBucketPolicy");
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    statements.iter().any(|statement| {
        assert_eq!(
            (&statement["Effect"], &statement["Principal"]),
            (&json!("Deny"), &json!("*"))
        );
        let actions = texts(&statement["Action"]);
        let resources = texts(&statement["Resource"]);
        let of_a_key = |pattern: &str| match pattern.strip_prefix("${BackupBucket.Arn}/") {
            Some("*") => !request.2.is_empty(),
            Some(pattern) => request.2.ends_with(pattern.trim_start_matches('*')),
            None => request.2.is_empty(),
        };
        (actions
            .iter()
            .any(|action| action == "s3:*" || action == request.1))
            && resources.iter().any(|resource| of_a_key(resource))
            && statement
                .get("Condition")
                .is_none_or(|all| holds(all, request))
    })
}

/// Whether every test of a condition holds, by the rules of IAM for absent keys.
fn holds(condition: &Value, (caller, _, _, context): &Request) -> bool {
    let value = |key: &str| match key {
        "aws:SecureTransport" => Some("true"),
        "aws:PrincipalArn" => Some(*caller),
        _ => context
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value),
    };
    condition
        .as_object()
        .unwrap()
        .iter()
        .all(|(operator, tests)| {
            tests.as_object().unwrap().iter().all(|(key, expected)| {
                let expected = expected.as_str().unwrap();
                match operator.as_str() {
                    "Null" => value(key).is_none() == (expected == "true"),
                    "Bool" => value(key) == Some(expected),
                    "ArnNotEquals" => value(key) != Some(expected),
                    other => panic!("the test does not know {other}"),
                }
            })
        })
}

/// The texts of one value or of a list: literals, `Fn::Sub`, and `Fn::GetAtt` of the bucket.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Object(fields) if fields.contains_key("Fn::Sub") => texts(&fields["Fn::Sub"]),
        other => vec![other.to_string()],
    }
}
