//! The roles of the transformed template, with symbolic names for its resources.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::template::{Resolved, Template};

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const BUCKET: &str = "arn:aws:s3:::backups";
pub(super) const SECOND: &str = "arn:aws:s3:::copies";
pub(super) const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/wrapping";

/// Every optional part of a stack on the real AWS. The second store is opened by the role.
pub(super) const EVERYTHING: [(&str, &str); 14] = [
    ("MongoUriSecretArn", "secret:source"),
    ("CatalogUriSecretArn", "secret:catalogue"),
    ("EncryptionKeySecretArn", "secret:encryption-key"),
    ("DrillUriSecretArn", "secret:drills"),
    ("CloudEnabled", "true"),
    ("CloudBucket", "copies/holdfast"),
    ("KmsKeyArn", KEY),
    (
        "SecretsKmsKeyArn",
        "arn:aws:kms:eu-west-1:123456789012:key/secrets",
    ),
    ("JwtIssuer", "https://issuer.example"),
    ("VpcSubnetIds", "subnet-1"),
    ("VpcSecurityGroupIds", "sg-1"),
    ("DatabaseEncryption", "true"),
    ("ContentEncryption", "true"),
    ("AwsEndpointUrl", ""),
];

/// The statements of each role, by the role's name: `content-backup`, `scheduler`.
pub(super) fn roles(template: &Template, given: &[(&str, &str)]) -> BTreeMap<String, Vec<Value>> {
    let resolved = template.under(given);
    let resources = resolved.resources();
    let roles = resources
        .iter()
        .filter(|(_, one)| one["Type"] == "AWS::IAM::Role");
    roles
        .map(|(logical, _)| (kebab(logical), statements(&resolved, logical)))
        .collect()
}

/// The variables of a function.
pub(super) fn variables(
    template: &Template,
    given: &[(&str, &str)],
    function: &str,
) -> BTreeMap<String, String> {
    let resolved = template.under(given);
    let properties = resolved.properties(function);
    let all = properties["Environment"]["Variables"].as_object().unwrap();
    all.iter()
        .map(|(name, value)| (name.clone(), text(&resolved, value)))
        .collect()
}

fn statements(resolved: &Resolved<'_>, role: &str) -> Vec<Value> {
    let properties = resolved.properties(role);
    let mut documents: Vec<Value> = Vec::new();
    for policy in list(&properties["Policies"]) {
        documents.push(policy["PolicyDocument"].clone());
    }
    for policy in list(&properties["ManagedPolicyArns"]) {
        let name = policy["Ref"].as_str().unwrap();
        documents.push(resolved.properties(name)["PolicyDocument"].clone());
    }
    documents
        .iter()
        .flat_map(|document| list(&document["Statement"]))
        .map(|statement| with_names(resolved, statement))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A value with texts for all functions of CloudFormation.
fn with_names(resolved: &Resolved<'_>, value: &Value) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|one| with_names(resolved, one)).collect(),
        Value::Object(fields) if is_call(fields) => Value::String(text(resolved, value)),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, one)| (name.clone(), with_names(resolved, one)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn is_call(fields: &Map<String, Value>) -> bool {
    fields.len() == 1
        && fields
            .keys()
            .all(|name| name == "Ref" || name.starts_with("Fn::"))
}

fn text(resolved: &Resolved<'_>, value: &Value) -> String {
    let Value::Object(fields) = value else {
        return value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
    };
    let (name, argument) = fields.iter().next().unwrap();
    let of = |one: &Value| text(resolved, one);
    match (name.as_str(), argument) {
        ("Ref", one) => named(resolved, one.as_str().unwrap()),
        ("Fn::GetAtt", Value::Array(path)) => {
            let path: Vec<&str> = path.iter().map(|part| part.as_str().unwrap()).collect();
            named(resolved, &path.join("."))
        }
        ("Fn::GetAtt", path) => named(resolved, path.as_str().unwrap()),
        ("Fn::Sub", Value::Array(parts)) => {
            substituted(resolved, parts[0].as_str().unwrap(), &parts[1])
        }
        ("Fn::Sub", template) => substituted(resolved, template.as_str().unwrap(), &Value::Null),
        ("Fn::Join", parts) => {
            let all: Vec<String> = list(&parts[1]).iter().map(of).collect();
            all.join(parts[0].as_str().unwrap())
        }
        ("Fn::Select", parts) => {
            let place = usize::try_from(parts[0].as_u64().unwrap()).unwrap();
            let split = &parts[1]["Fn::Split"];
            let separator = split[0].as_str().unwrap();
            of(&split[1])
                .split(separator)
                .nth(place)
                .unwrap()
                .to_owned()
        }
        (other, _) => panic!("a value by {other}"),
    }
}

/// A text with the values of its names. Those of `values` come first.
fn substituted(resolved: &Resolved<'_>, template: &str, values: &Value) -> String {
    let mut parts = template.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once('}').unwrap();
        let value = values.get(name);
        whole.push_str(&value.map_or_else(|| named(resolved, name), |value| text(resolved, value)));
        whole.push_str(after);
    }
    whole
}

/// The value of a parameter, or a symbolic name of a resource: `arn:ContentQueue`.
fn named(resolved: &Resolved<'_>, name: &str) -> String {
    match name {
        "AWS::Partition" => "aws".to_owned(),
        "AWS::Region" => "eu-west-1".to_owned(),
        "AWS::AccountId" => ACCOUNT.to_owned(),
        "AWS::URLSuffix" => "amazonaws.com".to_owned(),
        "AWS::StackName" => "holdfast".to_owned(),
        "BackupBucket" => "backups".to_owned(),
        "BackupBucket.Arn" => BUCKET.to_owned(),
        _ => resolved
            .parameter(name)
            .unwrap_or_else(|| format!("arn:{}", name.trim_end_matches(".Arn"))),
    }
}

/// `ContentBackupRole` is `content-backup`.
fn kebab(logical: &str) -> String {
    let mut name = String::new();
    for letter in logical.trim_end_matches("Role").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
