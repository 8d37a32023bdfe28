//! Each role may do what its function needs, and on nothing else.

use std::collections::BTreeMap;

use holdfast_testing::stack;
use serde_json::Value;

use crate::stage::{Aws, element, elements};

const IAM: &str = "2010-05-08";

#[tokio::test]
async fn no_deployed_role_may_do_everything_or_anything_on_everything() {
    let aws = Aws::new();
    let roles = aws.resources(&stack().stack, "AWS::IAM::Role").await;
    assert_eq!(roles.len(), 4, "three functions and the scheduler: {roles:?}");
    for (logical, role) in &roles {
        let statements = aws.statements(role).await;
        assert!(!statements.is_empty(), "{logical} may do nothing");
        for statement in &statements {
            assert_eq!(statement["Effect"], "Allow", "{logical}: {statement}");
            for action in words(&statement["Action"]) {
                assert!(!action.contains('*') && action.contains(':'), "{logical} may {action}");
            }
            for resource in words(&statement["Resource"]) {
                assert!(is_bounded(&resource), "{logical} may {} on {resource}", statement["Action"]);
            }
        }
    }
}

#[tokio::test]
async fn only_the_worker_writes_to_the_store_and_only_the_scheduler_invokes() {
    let aws = Aws::new();
    let roles = aws.resources(&stack().stack, "AWS::IAM::Role").await;
    for (action, may) in [
        ("s3:PutObject", vec!["DatabaseBackupRole"]),
        ("s3:DeleteObject", vec!["DatabaseBackupRole", "RetentionRole"]),
        ("s3:AbortMultipartUpload", vec!["DatabaseBackupRole", "RetentionRole"]),
        ("lambda:InvokeFunction", vec!["SchedulerRole"]),
    ] {
        let mut found = Vec::new();
        for (logical, role) in &roles {
            let allowed =
                aws.statements(role).await.iter().any(|one| words(&one["Action"]).contains(&action.to_owned()));
            found.extend(allowed.then_some(logical.as_str()));
        }
        assert_eq!(found, may, "{action}");
    }
}

/// What only deployments in a VPC have is in the text alone: network interfaces have no names to be bound to.
#[test]
fn the_template_names_no_other_wildcard_than_for_network_interfaces() {
    let path = format!("{}/../template.yaml", env!("CARGO_MANIFEST_DIR"));
    let template = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = template.lines().map(str::trim).collect();
    let wild: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == "Resource: '*'").collect();
    assert_eq!(wild.len(), 1, "lines {wild:?}");
    assert!(lines[wild[0] - 6..wild[0]].iter().all(|line| line.starts_with("- ec2:")), "{:?}", &lines[wild[0]]);
    let actions = lines.iter().filter(|line| line.starts_with("Action:") && line.contains('*'));
    // Of what the bucket denies to everybody.
    assert_eq!(actions.collect::<Vec<_>>(), [&"Action: s3:*"]);
}

/// A named thing; what is in a named bucket, or under a named prefix of it.
fn is_bounded(resource: &str) -> bool {
    let named = resource.split_once('*').map_or(resource, |(before, _)| before);
    let parts: Vec<&str> = named.splitn(6, ':').collect();
    parts.len() == 6 && parts[0] == "arn" && !parts[2].is_empty() && !parts[5].is_empty()
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

impl Aws {
    /// The physical names of a stack's resources of one type, by their names in the template.
    async fn resources(&self, stack: &str, kind: &str) -> BTreeMap<String, String> {
        let xml = self.query("cloudformation", "2010-05-15", "DescribeStackResources", &[("StackName", stack)]).await;
        let members = xml.split("<member>").skip(1).filter(|member| element(member, "ResourceType") == kind);
        members.map(|member| (element(member, "LogicalResourceId"), element(member, "PhysicalResourceId"))).collect()
    }

    /// Every statement of a role's own policies and of those attached to it.
    async fn statements(&self, role: &str) -> Vec<Value> {
        let role = ("RoleName", role);
        let mut statements = Vec::new();
        for policy in elements(&self.query("iam", IAM, "ListRolePolicies", &[role]).await, "member") {
            let xml = self.query("iam", IAM, "GetRolePolicy", &[role, ("PolicyName", &policy)]).await;
            statements.extend(document(&xml, "PolicyDocument"));
        }
        for arn in elements(&self.query("iam", IAM, "ListAttachedRolePolicies", &[role]).await, "PolicyArn") {
            let policy = self.query("iam", IAM, "GetPolicy", &[("PolicyArn", &arn)]).await;
            let version = element(&policy, "DefaultVersionId");
            let named = [("PolicyArn", arn.as_str()), ("VersionId", version.as_str())];
            let xml = self.query("iam", IAM, "GetPolicyVersion", &named).await;
            statements.extend(document(&xml, "Document"));
        }
        statements
    }
}

/// The statements of a policy, which stands percent-encoded in its element.
fn document(xml: &str, name: &str) -> Vec<Value> {
    let text = decoded(&element(xml, name));
    let policy: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match &policy["Statement"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escape: Option<[u8; 2]> = (byte == b'%').then(|| [rest.next().unwrap(), rest.next().unwrap()]);
        bytes.push(match escape {
            Some(digits) => hex::decode(digits).unwrap()[0],
            None => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
