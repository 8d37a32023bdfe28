//! Which values and combinations of the parameters CloudFormation accepts, and their documentation.

use std::collections::BTreeSet;

use holdfast_testing::{stack, unique};

use super::{CLOUDFORMATION, KEY, SECRET, Template, model::names_in};
use crate::stage::Aws;

const PAGES: [&str; 5] = [
    include_str!("../../../docs/deploy.md"),
    include_str!("../../../docs/day-two.md"),
    include_str!("../../../docs/operations.md"),
    include_str!("../../../docs/second-copy.md"),
    include_str!("../../../docs/verification.md"),
];

/// The refusal of a stack with these parameters, or `None`. Nothing is deployed.
async fn refusal(given: &[(&str, &str)]) -> Option<String> {
    let (aws, name) = (Aws::new(), unique("values"));
    let mut fields = vec![
        ("StackName".to_owned(), name.clone()),
        ("ChangeSetName".to_owned(), "values".to_owned()),
        ("ChangeSetType".to_owned(), "CREATE".to_owned()),
        ("TemplateURL".to_owned(), stack().template.clone()),
        (
            "Capabilities.member.1".to_owned(),
            "CAPABILITY_IAM".to_owned(),
        ),
        (
            "Capabilities.member.2".to_owned(),
            "CAPABILITY_AUTO_EXPAND".to_owned(),
        ),
    ];
    let own = given.iter().any(|(name, _)| *name == "MongoUriSecretArn");
    let source = (!own).then_some(&("MongoUriSecretArn", SECRET));
    for (number, (parameter, value)) in (1..).zip(given.iter().chain(source)) {
        let member = format!("Parameters.member.{number}");
        fields.push((format!("{member}.ParameterKey"), (*parameter).to_owned()));
        fields.push((format!("{member}.ParameterValue"), (*value).to_owned()));
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = aws
        .try_query("cloudformation", CLOUDFORMATION, "CreateChangeSet", &fields)
        .await;
    if answer.is_ok() {
        let named = [("StackName", name.as_str())];
        aws.query("cloudformation", CLOUDFORMATION, "DeleteStack", &named)
            .await;
    }
    answer.err()
}

const NOT_SECRETS: &[&str] = &[
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:holdfast/uri",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:holdfast/*",
    "arn:aws:secretsmanager:eu-west-1:123456789012:resourcepolicy:holdfast-a1B2c3",
    "arn:aws:ssm:eu-west-1:123456789012:secret:holdfast-a1B2c3",
    "mongodb://ada:swordfish@db.example/platform",
];
const NOT_KEYS: &[&str] = &[
    "arn:aws:kms:eu-west-1:123456789012:alias/backups",
    "arn:aws:kms:eu-west-1:123456789012:key/*",
    "0d3f1a52-77a4-4a0c-9d0c-2f6a1b0c9e11",
    "alias/aws/sns",
];
const SECRETS: &[&str] = &[
    SECRET,
    "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a-Zz09xY",
];
const KEYS: &[&str] = &[
    KEY,
    "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0d3f1a5277a44a0c9d0c2f6a1b0c9e11",
];

/// Parameter, accepted values, refused values. The empty default of optional ones is accepted too.
const PATTERNS: &[(&str, &[&str], &[&str])] = &[
    ("MongoUriSecretArn", SECRETS, NOT_SECRETS),
    ("CatalogUriSecretArn", SECRETS, NOT_SECRETS),
    ("DrillUriSecretArn", SECRETS, NOT_SECRETS),
    ("EncryptionKeySecretArn", SECRETS, NOT_SECRETS),
    ("CloudAccessKeySecretArn", SECRETS, NOT_SECRETS),
    ("CloudSecretKeySecretArn", SECRETS, NOT_SECRETS),
    ("SecretsKmsKeyArn", KEYS, NOT_KEYS),
    ("KmsKeyArn", KEYS, NOT_KEYS),
    (
        "AlarmEmail",
        &["ops@example.org", "first.last+alarms@ops.example.org"],
        &[
            "ops",
            "ops@example",
            "ops @example.org",
            "a@example.org,b@example.org",
        ],
    ),
    (
        "JwtIssuer",
        &[
            "https://tenant.eu.auth0.com/",
            "http://127.0.0.1:4566/tokens",
        ],
        &[
            "http://issuer.example",
            "http://127.0.0.1.example/x",
            "issuer.example",
        ],
    ),
    (
        "AwsEndpointUrl",
        &["http://127.0.0.1:4566", "http://localhost:4566"],
        &[
            "https://collector.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@x.example",
        ],
    ),
];

#[tokio::test]
async fn values_outside_a_pattern_are_refused_by_parameter_and_all_others_accepted() {
    let with_api = [("JwtAudience", "holdfast")];
    for round in 0..2 {
        let accepted = PATTERNS
            .iter()
            .map(|(name, accepted, _)| (*name, accepted[round]));
        let given: Vec<_> = accepted.chain(with_api).collect();
        assert_eq!(refusal(&given).await, None, "{given:?}");
    }
    for (name, _, refused) in PATTERNS {
        for value in *refused {
            let message = refusal(&[(name, value)]).await;
            let message = message.unwrap_or_else(|| panic!("{name}={value} is accepted"));
            assert!(
                message.contains(&format!("'{name}'")),
                "{name}={value}: {message}"
            );
        }
    }
}

/// Every parameter for an ARN accepts a complete ARN only.
#[tokio::test]
async fn every_parameter_with_an_arn_is_in_the_table_of_patterns() {
    let template = Template::deployed().await;
    let names = template.section("Parameters").keys();
    for name in names.filter(|name| name.ends_with("Arn")) {
        assert!(
            PATTERNS.iter().any(|(listed, ..)| listed == name),
            "{name} is not in PATTERNS"
        );
    }
}

const ISSUER: (&str, &str) = ("JwtIssuer", "https://issuer.example");
const AUDIENCE: (&str, &str) = ("JwtAudience", "holdfast");
const CATALOGUE: (&str, &str) = ("CatalogUriSecretArn", SECRET);
const CLOUD: (&str, &str) = ("CloudEnabled", "true");
const BUCKET: (&str, &str) = ("CloudBucket", "copies");
const ACCESS: (&str, &str) = ("CloudAccessKeySecretArn", SECRET);
const SECRET_KEY: (&str, &str) = ("CloudSecretKeySecretArn", SECRET);
const SUBNETS: (&str, &str) = ("VpcSubnetIds", "subnet-1,subnet-2");
const GROUPS: (&str, &str) = ("VpcSecurityGroupIds", "sg-1");

/// Parameters, and the rule that refuses them.
const RULES: &[(&[(&str, &str)], Option<&str>)] = &[
    (&[], None),
    (&[ISSUER, AUDIENCE, CATALOGUE], None),
    (&[ISSUER, CATALOGUE], Some("ApiNeedsAudienceAndCatalogue")),
    (&[ISSUER, AUDIENCE], Some("ApiNeedsAudienceAndCatalogue")),
    (&[SUBNETS, GROUPS], None),
    (&[SUBNETS], Some("VpcNeedsSubnetsAndSecurityGroups")),
    (&[GROUPS], Some("VpcNeedsSubnetsAndSecurityGroups")),
    (&[("DatabaseCollections", "users")], None),
    (&[("DatabaseExcludeCollections", "logs")], None),
    (
        &[
            ("DatabaseCollections", "users"),
            ("DatabaseExcludeCollections", "logs"),
        ],
        Some("CollectionsAreIncludedOrExcluded"),
    ),
    (&[CLOUD, BUCKET], None),
    (&[CLOUD, BUCKET, ACCESS, SECRET_KEY], None),
    (&[CLOUD], Some("CloudNeedsABucket")),
    (&[CLOUD, BUCKET, ACCESS], Some("CloudKeysComeTogether")),
    (&[CLOUD, BUCKET, SECRET_KEY], Some("CloudKeysComeTogether")),
    (
        &[CLOUD, BUCKET, ("CloudProvider", "azure")],
        Some("OtherCloudsNeedKeys"),
    ),
    (&[("DatabaseEncryption", "true"), ("KmsKeyArn", KEY)], None),
    (
        &[("ContentEncryption", "true")],
        Some("EncryptionNeedsAKey"),
    ),
];

#[tokio::test]
async fn combinations_that_would_fail_later_are_refused_by_a_rule() {
    for (given, rule) in RULES {
        let message = refusal(given).await;
        match rule {
            None => assert_eq!(message, None, "{given:?}"),
            Some(rule) => {
                let message = message.unwrap_or_else(|| panic!("{given:?} is accepted"));
                assert!(
                    message.contains(&format!("rule {rule} failed")),
                    "{given:?}: {message}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_rule_refuses_a_combination_of_the_table() {
    let template = Template::deployed().await;
    let listed: BTreeSet<&str> = RULES.iter().filter_map(|(_, rule)| *rule).collect();
    let rules = template.section("Rules").keys().map(String::as_str);
    assert_eq!(rules.collect::<BTreeSet<_>>(), listed);
}

/// A parameter sets a variable of `docs/settings.md`, or a page about the stack names it.
#[tokio::test]
async fn every_parameter_has_a_group_a_description_and_a_place_in_the_documents() {
    let template = Template::deployed().await;
    let groups = &template.section("Metadata")["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let grouped: Vec<&str> = groups
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["Parameters"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    let settings = settings(&template);
    for (name, parameter) in template.section("Parameters") {
        let description = parameter["Description"].as_str();
        assert!(
            description.is_some_and(|text| text.ends_with('.')),
            "{name} has no description"
        );
        let groups = grouped.iter().filter(|one| *one == name).count();
        assert_eq!(groups, 1, "groups with {name}");
        let is_in_a_page = PAGES.iter().any(|page| page.contains(&format!("`{name}")));
        assert!(
            settings.contains(name) || is_in_a_page,
            "no document names {name}"
        );
    }
    assert_eq!(grouped.len(), template.section("Parameters").len());
}

/// The parameters in variables of the functions that `docs/settings.md` describes.
fn settings(template: &Template) -> BTreeSet<String> {
    let page = include_str!("../../../docs/settings.md");
    let resources = template.section("Resources").values();
    let variables = resources
        .filter_map(|one| one["Properties"]["Environment"]["Variables"].as_object())
        .flatten();
    let described = variables.filter(|(name, _)| page.contains(&format!("`{name}`")));
    described.flat_map(|(_, value)| names_in(value)).collect()
}
