//! The template under its parameters: what exists in which order, which values are refused, and
//! what remains of a failed or deleted stack.

mod bucket;
mod model;
mod parameters;

use model::Template;

const CLOUDFORMATION: &str = "2010-05-15";

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/0d3f1a52-77a4-4a0c-9d0c-2f6a1b0c9e11";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:holdfast/uri-a1B2c3";

/// The switches of conditional resources, each with the parameters that turn it on.
const SWITCHES: [&[(&str, &str)]; 6] = [
    &[("JwtIssuer", "https://issuer.example")],
    &[("CloudEnabled", "true"), ("CloudBucket", "copies")],
    &[("DrillUriSecretArn", SECRET)],
    &[("AlarmEmail", "ops@example.org")],
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
    let all: Vec<_> = combinations().collect();
    for (name, resource) in template.section("Resources") {
        let exists = |parameters: &Vec<(&str, &str)>| {
            template
                .under(parameters)
                .resources()
                .contains_key(name.as_str())
        };
        let count = all.iter().filter(|parameters| exists(parameters)).count();
        if resource.get("Condition").is_none() {
            assert_eq!(count, all.len(), "{name}");
        } else {
            assert!(
                count > 0 && count < all.len(),
                "{name} exists in {count} combinations: add its switch to SWITCHES"
            );
        }
    }
}

/// Parts of a run, without which it loses an event, a dead letter or a permission.
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

#[tokio::test]
async fn a_schedule_is_created_after_everything_that_its_runs_need() {
    let template = Template::deployed().await;
    for parameters in combinations() {
        let resolved = template.under(&parameters);
        let resources = resolved.resources();
        let has = |name: &str| resources.contains_key(name);
        let mut needed: Vec<&str> = ALWAYS.to_vec();
        needed.extend(WITH_COPIES.iter().filter(|name| has(name)));
        needed.extend(
            ["ApiStage", "BackupBucketPolicy"]
                .iter()
                .filter(|name| has(name)),
        );
        let is_schedule = |name: &&&str| resources[**name]["Type"] == "AWS::Scheduler::Schedule";
        let schedules: Vec<&&str> = resources.keys().filter(is_schedule).collect();
        assert_eq!(schedules.len(), if has("Copies") { 7 } else { 5 });
        for schedule in schedules {
            let before = resolved.before(schedule);
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
            "cron(0 2 * * ? *)",
            "cron(30 0 * * ? *)",
            "cron(30 3 * * ? *)"
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
    assert_eq!(with.resources().len() - without.resources().len(), 12);
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
