//! The template under its parameters: existence and order of resources, refused values, and the
//! remains of a failed or deleted stack.

mod bucket;
mod deployed;
mod model;
mod parameters;

use std::collections::BTreeMap;

pub(crate) use model::{Resolved, Template};

const CLOUDFORMATION: &str = "2010-05-15";

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/0d3f1a52-77a4-4a0c-9d0c-2f6a1b0c9e11";
const ROLE: &str = "arn:aws:iam::123456789012:role/security/break-glass";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:holdfast/uri-a1B2c3";

/// The switches of conditional resources, each with its parameters.
const SWITCHES: [&[(&str, &str)]; 10] = [
    &[("JwtIssuer", "https://issuer.example")],
    &[
        ("JwtIssuer", "https://issuer.example"),
        ("CorsAllowOrigin", "https://admin.example.com"),
    ],
    &[
        ("CloudEnabled", "true"),
        ("CloudBucket", "copies"),
        ("CloudKmsKeyArn", KEY),
    ],
    &[("ExistingBucketName", "backups")],
    &[("BucketKmsKeyArn", KEY), ("KmsKeyArn", KEY)],
    &[("DrillUriSecretArn", SECRET)],
    &[("KmsKeyArn", KEY)],
    &[
        ("AlarmEmail", "ops@example.org"),
        ("AlarmDetailsEmail", "ops@example.org"),
    ],
    &[("AwsEndpointUrl", "http://127.0.0.1:4566")],
    &[("DumpEngine", "native")],
];

/// Every combination of the switches.
fn combinations() -> impl Iterator<Item = Vec<(&'static str, &'static str)>> {
    (0..1_u32 << SWITCHES.len()).map(|bits| {
        let on = (0..)
            .zip(SWITCHES)
            .filter(|(place, _)| bits & (1 << place) != 0);
        on.flat_map(|(_, parameters)| parameters.to_vec()).collect()
    })
}

#[tokio::test]
async fn every_reference_resolves_in_every_combination_of_conditions() {
    let template = Template::deployed().await;
    for parameters in combinations() {
        let dangling = template.under(&parameters).dangling();
        assert!(dangling.is_empty(), "{parameters:?}: {dangling:?}");
    }
}

#[tokio::test]
async fn every_conditional_resource_exists_in_some_combinations_and_not_in_others() {
    let template = Template::deployed().await;
    let (mut counts, mut all) = (BTreeMap::<String, usize>::new(), 0);
    for parameters in combinations() {
        all += 1;
        for name in template.under(&parameters).resources().into_keys() {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    for (name, resource) in template.section("Resources") {
        let count = counts.get(name).copied().unwrap_or_default();
        if resource.get("Condition").is_none() {
            assert_eq!(count, all, "{name}");
        } else {
            assert!(
                count > 0 && count < all,
                "{name} exists in {count} combinations: add its switch to SWITCHES"
            );
        }
    }
}

/// Parts of every run. Without them it loses events, dead letters or permissions.
const ALWAYS: [&str; 12] = [
    "CleanupRequestedPermission",
    "ContentBackupFunctionEventInvokeConfig",
    "ContentDiscoveryPermission",
    "ContentDownloads",
    "ContentFinalizeFunctionEventInvokeConfig",
    "ContentFinalizePermission",
    "ContentUndelivered",
    "DatabaseBackupFunctionEventInvokeConfig",
    "InvocationDeadLettersPolicy",
    "RetentionFunctionEventInvokeConfig",
    "VerificationFunctionEventInvokeConfig",
    "VerificationRequestedPermission",
];
const WITH_COPIES: [&str; 3] = [
    "Copies",
    "CopyQueuePolicy",
    "ReplicationFunctionEventInvokeConfig",
];
const IF_PRESENT: [&str; 4] = [
    "ApiStage",
    "BackupBucketPolicy",
    "BucketKeyPolicy",
    "CloudKeyPolicy",
];

#[tokio::test]
async fn a_schedule_is_created_after_everything_that_its_runs_need() {
    let template = Template::deployed().await;
    for parameters in combinations() {
        let resolved = template.under(&parameters);
        let resources = resolved.resources();
        let has = |name: &str| resources.contains_key(name);
        let mut needed: Vec<&str> = ALWAYS.to_vec();
        needed.extend(WITH_COPIES.iter().filter(|name| has(name)));
        needed.extend(IF_PRESENT.iter().filter(|name| has(name)));
        let is_schedule = |name: &&&str| resources[**name]["Type"] == "AWS::Scheduler::Schedule";
        let schedules: Vec<&&str> = resources.keys().filter(is_schedule).collect();
        assert_eq!(schedules.len(), if has("Copies") { 7 } else { 5 });
        let order = resolved.order();
        for schedule in schedules {
            let before = &order[*schedule];
            let missing: Vec<_> = needed.iter().filter(|it| !before.contains(**it)).collect();
            assert!(
                missing.is_empty(),
                "{schedule} does not wait for {missing:?}"
            );
        }
    }
}

/// Rules and event sources invoke functions. A new one must be in the lists above.
#[tokio::test]
async fn the_lists_of_needed_parts_have_every_event_source_and_dead_letter_configuration() {
    let template = Template::deployed().await;
    let on_request = [
        "BackupRequestedPermission",
        "ContentRequestedPermission",
        "ApiPermission",
    ];
    let kinds = [
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::SQS::QueuePolicy",
    ];
    for (name, resource) in template.section("Resources") {
        let name = name.as_str();
        if kinds.iter().any(|kind| resource["Type"] == *kind) && !on_request.contains(&name) {
            let is_listed = ALWAYS.contains(&name) || WITH_COPIES.contains(&name);
            assert!(is_listed, "{name} is not in the lists of needed parts");
        }
    }
}

#[tokio::test]
async fn a_daily_backup_runs_at_night_and_away_from_the_other_type_and_from_retention() {
    let template = Template::deployed().await;
    let expression = |given: &[(&str, &str)], name: &str| {
        template.under(given).properties(name)["ScheduleExpression"].clone()
    };
    let names = [
        "DatabaseBackupSchedule",
        "ContentBackupSchedule",
        "RetentionDailySchedule",
    ];
    let daily = names.map(|name| expression(&[], name));
    assert_eq!(
        daily,
        [
            "cron(30 4 * * ? *)",
            "cron(30 22 * * ? *)",
            "cron(30 5 * * ? *)"
        ]
    );
    for (name, interval, schedule) in [
        (names[0], "DatabaseIntervalHours", "DatabaseSchedule"),
        (names[1], "ContentIntervalHours", "ContentSchedule"),
    ] {
        let rate = expression(&[(interval, "6")], name);
        assert_eq!(rate["Fn::Sub"], format!("rate(${{{interval}}} hours)"));
        let own = expression(&[(schedule, "cron(0 5 ? * SUN *)")], name);
        assert_eq!(own, "cron(0 5 ? * SUN *)", "a schedule of its own decides");
    }
}

#[tokio::test]
async fn without_an_issuer_nothing_of_the_api_exists() {
    let template = Template::deployed().await;
    let without = template.under(&[]);
    for (name, resource) in without.resources() {
        let is_api = resource["Type"].as_str().unwrap().contains("ApiGateway");
        assert!(
            !is_api && !name.starts_with("Api"),
            "{name} exists without an issuer"
        );
    }
    assert!(!without.resources().contains_key("AccessLogs"));
    let with = template.under(&[("JwtIssuer", "https://issuer.example")]);
    assert!(with.resources().len() - without.resources().len() >= 12);
}

/// The longest names of functions and schedules have 64 characters.
#[tokio::test]
async fn a_stack_name_of_47_characters_fits_into_every_name() {
    let template = Template::deployed().await;
    let everything: Vec<_> = SWITCHES.iter().flat_map(|on| on.iter().copied()).collect();
    let resolved = template.under(&everything);
    let mut suffixes = Vec::new();
    for name in resolved.resources().keys() {
        let properties = resolved.properties(name);
        for field in ["FunctionName", "Name"] {
            let text = properties[field]["Fn::Sub"].as_str();
            suffixes.extend(
                text.and_then(|text| text.strip_prefix("${AWS::StackName}"))
                    .map(str::len),
            );
        }
    }
    assert!(suffixes.len() > 8, "{suffixes:?}");
    assert_eq!(
        suffixes.iter().max(),
        Some(&17),
        "docs/deploy.md names 47 characters"
    );
}

/// Every role has the boundary, every log group and the topic its key.
#[tokio::test]
async fn boundary_and_keys_reach_every_role_log_group_and_topic() {
    let template = Template::deployed().await;
    let boundary = "arn:aws:iam::123456789012:policy/boundary";
    let everything: Vec<_> = SWITCHES.iter().flat_map(|on| on.iter().copied()).collect();
    let keys = [
        ("PermissionsBoundaryArn", boundary),
        ("LogsKmsKeyArn", KEY),
        ("TopicKmsKeyArn", KEY),
    ];
    let resolved = template.under(&[everything, keys.to_vec()].concat());
    let mut seen = BTreeMap::<String, usize>::new();
    for (name, resource) in resolved.resources() {
        let properties = resolved.properties(name);
        let kind = resource["Type"].as_str().unwrap();
        let (field, value) = match kind {
            "AWS::IAM::Role" => ("PermissionsBoundary", boundary),
            "AWS::Logs::LogGroup" => ("KmsKeyId", KEY),
            "AWS::SNS::Topic" => ("KmsMasterKeyId", KEY),
            _ => continue,
        };
        assert_eq!(properties[field], value, "{name}");
        *seen.entry(kind.to_owned()).or_default() += 1;
    }
    assert_eq!(seen["AWS::IAM::Role"], 9);
    assert_eq!(seen["AWS::Logs::LogGroup"], 9);
    assert!(seen["AWS::SNS::Topic"] >= 1);
}

#[tokio::test]
async fn every_accepted_finding_of_the_security_checker_has_a_reason() {
    let template = Template::deployed().await;
    let mut accepted = 0;
    for (name, resource) in template.section("Resources") {
        let skips = resource["Metadata"]["checkov"]["skip"].as_array();
        for skip in skips.into_iter().flatten() {
            assert!(
                skip["id"].as_str().unwrap().starts_with("CKV_"),
                "{name}: {skip}"
            );
            let reason = skip["comment"].as_str().unwrap_or_default();
            assert!(reason.len() > 30 && reason.ends_with('.'), "{name}: {skip}");
            accepted += 1;
        }
    }
    assert!(accepted >= 7, "the bucket and six queues: {accepted}");
}
