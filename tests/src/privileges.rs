//! Each role has the permissions of its function, and no others.

use holdfast_testing::stack;
use serde_json::Value;

use crate::stage::{Aws, element, elements};

const IAM: &str = "2010-05-08";
/// One permission with a second name in a local AWS.
const SENDING: &str = "sqs:SendMessage*";

#[tokio::test]
async fn no_deployed_role_may_do_everything_or_anything_on_everything() {
    let aws = Aws::new();
    let roles = aws.resources(&stack().stack, "AWS::IAM::Role").await;
    assert_eq!(
        roles.len(),
        8,
        "seven functions and the scheduler: {roles:?}"
    );
    for (logical, role) in &roles {
        let statements = aws.statements(role).await;
        assert!(!statements.is_empty(), "{logical} may do nothing");
        for statement in &statements {
            assert_eq!(statement["Effect"], "Allow", "{logical}: {statement}");
            for action in words(&statement["Action"]) {
                let is_one = !action.contains('*') && action.contains(':');
                assert!(is_one || action == SENDING, "{logical} may {action}");
            }
            for resource in words(&statement["Resource"]) {
                assert!(
                    is_bounded(&resource),
                    "{logical} may {} on {resource}",
                    statement["Action"]
                );
            }
        }
    }
}

#[tokio::test]
async fn each_place_has_few_who_may_change_it() {
    let aws = Aws::new();
    let roles = aws.resources(&stack().stack, "AWS::IAM::Role").await;
    let mut statements = Vec::new();
    for (logical, role) in &roles {
        statements.push((logical.trim_end_matches("Role"), aws.statements(role).await));
    }
    let file = "content/objects/ab/abcd.gz";
    for (action, place, may) in [
        (
            "s3:PutObject",
            "database/db_1_a/manifest.json",
            &["DatabaseBackup"][..],
        ),
        (
            "s3:DeleteObject",
            "database/db_1_a/manifest.json",
            &["DatabaseBackup", "Retention"],
        ),
        (
            "s3:GetObject",
            "database/db_1_a/dump.1.archive",
            &["Api", "DatabaseBackup", "Retention", "Verification"],
        ),
        (
            "s3:PutObject",
            "content/content_1_a/manifest.json",
            &["ContentFinalize"],
        ),
        (
            "s3:DeleteObject",
            "content/content_1_a/manifest.json",
            &["ContentFinalize", "Retention"],
        ),
        ("s3:PutObject", file, &["ContentDownload"]),
        ("s3:DeleteObject", file, &["Retention"]),
        (
            "s3:GetObject",
            file,
            &[
                "Api",
                "ContentBackup",
                "ContentDownload",
                "ContentFinalize",
                "Retention",
                "Verification",
            ],
        ),
        ("s3:DeleteObject", "content/dags/ab/abcd", &["Retention"]),
        (
            "s3:DeleteObject",
            "content/incoming/ab",
            &["ContentDownload", "Retention"],
        ),
        ("s3:DeleteObject", "repository.json", &[]),
        (
            "s3:PutObject",
            "repository.json",
            &["ContentBackup", "DatabaseBackup"],
        ),
        ("s3:PutObject", "exports/backup_metadata_1.json", &["Api"]),
        ("s3:GetObject", "exports/backup_metadata_1.json", &["Api"]),
        ("s3:DeleteObject", "exports/backup_metadata_1.json", &[]),
    ] {
        let arn = format!("arn:aws:s3:::{}/{place}", stack().bucket);
        assert_eq!(
            those_who_may(&statements, action, &arn),
            may,
            "{action} on {place}"
        );
    }
    for (action, may) in [
        (
            "sqs:ReceiveMessage",
            &["ContentDownload", "ContentFinalize"][..],
        ),
        ("lambda:InvokeFunction", &["Scheduler"]),
    ] {
        assert_eq!(
            those_who_may(&statements, action, "*"),
            may,
            "{action} on anything"
        );
    }
    let queue = stack().outputs["ContentQueueUrl"]
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let queue = format!("arn:aws:sqs:{}:000000000000:{queue}", stack().region);
    assert_eq!(
        those_who_may(&statements, "sqs:SendMessage", &queue),
        ["ContentBackup", "Retention"]
    );
    assert_eq!(
        those_who_may(&statements, "sqs:ReceiveMessage", &queue),
        ["ContentDownload"]
    );
}

/// The roles with a statement that allows this. `*` means any resource.
fn those_who_may<'a>(
    statements: &[(&'a str, Vec<Value>)],
    action: &str,
    resource: &str,
) -> Vec<&'a str> {
    let allows = |one: &Value| {
        let fits = |pattern: String| resource == "*" || covers(&pattern, resource);
        words(&one["Action"])
            .iter()
            .any(|word| covers(word, action))
            && words(&one["Resource"]).into_iter().any(fits)
    };
    statements
        .iter()
        .filter(|(_, statements)| statements.iter().any(allows))
        .map(|(role, _)| *role)
        .collect()
}

/// Whether a resource fits a pattern with `*` for any text.
fn covers(pattern: &str, resource: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == resource,
        Some((before, after)) => resource.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.map(|at| &rest[at..]).any(|rest| covers(after, rest))
        }),
    }
}

/// Permissions of deployments in a VPC are only in the text, because network interfaces have no
/// names.
#[test]
fn the_template_names_no_other_wildcard_than_for_network_interfaces() {
    let path = format!("{}/../template.yaml", env!("CARGO_MANIFEST_DIR"));
    let template = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = template.lines().map(str::trim).collect();
    let wild: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at] == "Resource: '*'")
        .collect();
    assert_eq!(wild.len(), 1, "lines {wild:?}");
    assert!(
        lines[wild[0] - 6..wild[0]]
            .iter()
            .all(|line| line.starts_with("- ec2:")),
        "{:?}",
        &lines[wild[0]]
    );
    let actions = lines
        .iter()
        .filter(|line| line.starts_with("Action:") && line.contains('*'));
    // The bucket's denials for everyone.
    let sending = format!("Action: {SENDING}");
    assert_eq!(
        actions
            .copied()
            .filter(|line| *line != sending)
            .collect::<Vec<_>>(),
        ["Action: s3:*"]
    );
}

/// A named resource, or the contents of a named bucket or of a named prefix in it.
fn is_bounded(resource: &str) -> bool {
    let named = resource
        .split_once('*')
        .map_or(resource, |(before, _)| before);
    let parts: Vec<&str> = named.splitn(6, ':').collect();
    parts.len() == 6 && parts[0] == "arn" && !parts[2].is_empty() && !parts[5].is_empty()
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

impl Aws {
    /// Every statement of a role's own policies and of those attached to it.
    async fn statements(&self, role: &str) -> Vec<Value> {
        let role = ("RoleName", role);
        let mut statements = Vec::new();
        for policy in elements(
            &self.query("iam", IAM, "ListRolePolicies", &[role]).await,
            "member",
        ) {
            let xml = self
                .query(
                    "iam",
                    IAM,
                    "GetRolePolicy",
                    &[role, ("PolicyName", &policy)],
                )
                .await;
            statements.extend(document(&xml, "PolicyDocument"));
        }
        for arn in elements(
            &self
                .query("iam", IAM, "ListAttachedRolePolicies", &[role])
                .await,
            "PolicyArn",
        ) {
            let policy = self
                .query("iam", IAM, "GetPolicy", &[("PolicyArn", &arn)])
                .await;
            let version = element(&policy, "DefaultVersionId");
            let named = [("PolicyArn", arn.as_str()), ("VersionId", version.as_str())];
            let xml = self.query("iam", IAM, "GetPolicyVersion", &named).await;
            statements.extend(document(&xml, "Document"));
        }
        statements
    }
}

/// The statements of a policy, percent-encoded in its element.
fn document(xml: &str, name: &str) -> Vec<Value> {
    let text = decoded(&element(xml, name));
    let policy: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match &policy["Statement"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escape: Option<[u8; 2]> =
            (byte == b'%').then(|| [rest.next().unwrap(), rest.next().unwrap()]);
        bytes.push(match escape {
            Some(digits) => hex::decode(digits).unwrap()[0],
            None => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
