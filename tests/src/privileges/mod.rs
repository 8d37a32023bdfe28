//! Each role has the permissions of its function, and no others.

mod policy;
mod roles;
mod table;

use holdfast_testing::stack;
use policy::{Request, permits, words};
use roles::{BUCKET, EVERYTHING, KEY, SECOND, roles, variables};
use serde_json::{Value, json};
use table::table;

use crate::{
    stage::{Aws, Deployment, element, elements},
    template::Template,
};

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

/// The table on the page is the contract of all roles.
#[tokio::test]
async fn the_table_of_privileges_equals_that_of_the_template() {
    let template = Template::deployed().await;
    let table = table(&roles(&template, &EVERYTHING));
    println!("{table}");
    let path = format!("{}/../docs/threat-model.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once("<!-- privileges -->\n\n").unwrap();
    let (documented, _) = rest.split_once("\n<!-- end of privileges -->").unwrap();
    assert!(
        documented == table,
        "docs/threat-model.md has another table than the template. The table of the template:\n{table}"
    );
}

#[tokio::test]
async fn the_api_and_the_downloads_have_no_key_material_and_no_source() {
    let template = Template::deployed().await;
    let roles = roles(&template, &EVERYTHING);
    let refused = |role: &str, action, resource: &str| {
        let request = Request {
            action,
            resource,
            context: &[("kms:EncryptionContext:holdfast:repository", "0a1b")],
        };
        assert!(
            !permits(&roles[role], request),
            "{role} may {action} on {resource}"
        );
    };
    for secret in ["secret:source", "secret:encryption-key", "secret:drills"] {
        refused("api", "secretsmanager:GetSecretValue", secret);
    }
    refused("api", "kms:Decrypt", KEY);
    for key in [
        "database/db_1_a/dump.1.archive",
        "content/content_1_a/items.1.ndjson.gz",
        "content/content_1_a/content_1_a.1.tar",
        "content/objects/ab/abcd",
        "content/dags/ab/abcd",
    ] {
        refused("api", "s3:GetObject", &format!("{BUCKET}/{key}"));
    }
    refused(
        "content-download",
        "secretsmanager:GetSecretValue",
        "secret:source",
    );
    for role in ["content-download", "content-finalize"] {
        refused(role, "kms:Encrypt", KEY);
        for file in ["repository.json", "repository.copy.json"] {
            refused(role, "s3:PutObject", &format!("{BUCKET}/{file}"));
        }
    }
    let secret = |value: &String| value.starts_with("secret:") || value == KEY;
    let of = |function: &str| {
        let all = variables(&template, &EVERYTHING, function).into_iter();
        all.filter(|(name, value)| secret(value) && !name.starts_with("STACK_"))
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("ApiFunction"), ["BACKUP_CATALOG_URI"]);
    assert_eq!(
        of("ContentDownloadFunction"),
        [
            "BACKUP_CATALOG_URI",
            "BACKUP_ENCRYPTION_KEY",
            "BACKUP_KMS_KEY_ID"
        ]
    );
}

/// Without an API the catalogue may be on the server of the source.
#[tokio::test]
async fn without_a_secret_of_the_catalogue_that_of_the_source_is_read() {
    let template = Template::deployed().await;
    let given = [("MongoUriSecretArn", "secret:source")];
    let download = variables(&template, &given, "ContentDownloadFunction");
    assert_eq!(download["MONGODB_URI"], "secret:source");
    let request = Request {
        action: "secretsmanager:GetSecretValue",
        resource: "secret:source",
        context: &[],
    };
    for (role, statements) in roles(&template, &given) {
        assert_eq!(permits(&statements, request), role != "scheduler", "{role}");
    }
}

#[tokio::test]
async fn the_keys_of_the_second_store_are_read_by_its_function_alone() {
    let template = Template::deployed().await;
    let mut given = EVERYTHING.to_vec();
    given.extend([
        ("CloudAccessKeySecretArn", "secret:access"),
        ("CloudSecretKeySecretArn", "secret:secret"),
    ]);
    for (role, statements) in roles(&template, &given) {
        let may = |action, resource| {
            let context = &[];
            permits(
                &statements,
                Request {
                    action,
                    resource,
                    context,
                },
            )
        };
        for secret in ["secret:access", "secret:secret"] {
            let reads = may("secretsmanager:GetSecretValue", secret);
            assert_eq!(reads, role == "replication", "{role}: {secret}");
        }
        let copy = format!("{SECOND}/holdfast/database/db_1_a/manifest.json");
        assert!(!may("s3:PutObject", &copy), "{role} has keys for it");
    }
}

#[tokio::test]
async fn downloads_have_security_groups_of_their_own() {
    let template = Template::deployed().await;
    let groups = |given: &[(&str, &str)]| {
        let resolved = template.under(given);
        let of = |function: &str| resolved.properties(function)["VpcConfig"].clone();
        (of("ContentDownloadFunction"), of("DatabaseBackupFunction"))
    };
    let (shared, other) = groups(&EVERYTHING);
    assert_eq!(
        (&shared, &shared["SecurityGroupIds"]),
        (&other, &json!("sg-1"))
    );
    let mut given = EVERYTHING.to_vec();
    given.push(("ContentDownloadSecurityGroupIds", "sg-2"));
    let (own, other) = groups(&given);
    assert_eq!(own["SecurityGroupIds"], "sg-2");
    assert_eq!(own["SubnetIds"], other["SubnetIds"]);
    assert_eq!(other["SecurityGroupIds"], "sg-1");
}

/// The functions run under their roles, and the local AWS evaluates the policies. So every other
/// scenario fails if a role lacks a permission.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_of_a_deployed_function_fails() {
    let variant = Deployment::named("denied").deploy().await;
    let id = variant.api.back_up().await["backupId"].clone();
    let roles = variant.aws.resources(&variant.name, "AWS::IAM::Role").await;
    let (_, role) = roles.iter().find(|(name, _)| *name == "ApiRole").unwrap();
    let list = "/api/backups/list";
    variant.api.get(list).await.expect(200);
    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*" },
    ] });
    let named = [("RoleName", role.as_str()), ("PolicyName", "denial")];
    let document = document.to_string();
    let put = [&named[..], &[("PolicyDocument", document.as_str())]].concat();
    variant.aws.query("iam", IAM, "PutRolePolicy", &put).await;
    let denied = variant.api.get(list).await;
    assert_ne!(denied.status, 200, "{denied:?}");
    variant
        .aws
        .query("iam", IAM, "DeleteRolePolicy", &named)
        .await;
    variant.api.get(list).await.expect(200);
    variant.finish(id.as_str().unwrap()).await;
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
    assert_eq!(wild.len(), 2, "a permission and a denial: lines {wild:?}");
    for at in wild {
        assert!(
            lines[at - 6..at]
                .iter()
                .all(|line| line.starts_with("- ec2:")),
            "line {at}"
        );
    }
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
