//! Each deployed alarm sends a message at its beginning and its end. All alarms together send one
//! page.
//!
//! The local CloudWatch ignores dimensions and missing values, and it knows no expressions. So each
//! alarm reads a namespace of its own here, and values are fed by hand. A value at the beginning of
//! the alarm's window leaves the window after a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use holdfast_domain::Timestamp;
use holdfast_testing::unique;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{
    alarms::CLOUDWATCH,
    stage::{Deployment, Inbox, Variant, until},
};

/// For how long a breaching value stays in the window of its alarm.
const IN_WINDOW: Duration = Duration::from_secs(45);
const TEMPLATE: &str = include_str!("../../template.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn each_alarm_fires_and_clears_with_a_message_each_and_all_together_are_one_page() {
    let deployment = Deployment::named("each-alarm")
        .drilled()
        .with("CloudEnabled", "true")
        .with("CloudBucket", &unique("second"));
    let variant = deployment.deploy().await;
    let stage = Stage::new(&variant).await;
    stage.feed(|_| 0.0, Duration::ZERO).await;
    stage.expect_all("OK").await;
    let page = stage.put_page().await;
    let all: BTreeSet<String> = stage.alarms.keys().cloned().collect();
    let (each, once) = (
        Inbox::of(&variant, "AlarmDetailsTopicArn").await,
        Inbox::of(&variant, "AlarmTopicArn").await,
    );

    let leaves = Instant::now() + IN_WINDOW;
    let breaching = |alarm: &Value| alarm["Threshold"].as_f64().unwrap() + 1.0;
    stage.feed(breaching, IN_WINDOW).await;
    stage.expect_all("ALARM").await;
    each.expect("ALARM", &all).await;
    once.expect("ALARM", &BTreeSet::from([page.clone()])).await;

    sleep_until(leaves).await;
    stage.feed(|_| 0.0, Duration::ZERO).await;
    stage.expect_all("OK").await;
    each.expect("OK", &all).await;
    once.expect("OK", &BTreeSet::from([page.clone()])).await;

    the_dashboard_is_deployed(&variant, &all).await;
    stage
        .call("DeleteAlarms", json!({ "AlarmNames": [page] }))
        .await;
    each.remove().await;
    once.remove().await;
    variant.remove().await;
}

/// The deployed alarms by their names in CloudWatch.
struct Stage<'a> {
    variant: &'a Variant,
    alarms: BTreeMap<String, Value>,
    /// Names in CloudWatch by those in the template.
    deployed: BTreeMap<String, String>,
}

impl<'a> Stage<'a> {
    /// Gives each alarm a namespace of its own.
    async fn new(variant: &'a Variant) -> Self {
        let kind = "AWS::CloudWatch::Alarm";
        let deployed = variant.aws.resources(&variant.name, kind).await;
        let in_template = TEMPLATE.matches(&format!("    Type: {kind}\n")).count();
        assert_eq!(deployed.len(), in_template, "{deployed:?}");
        let mut stage = Self {
            variant,
            alarms: BTreeMap::new(),
            deployed,
        };
        for mut alarm in stage.described().await {
            assert_eq!(alarm["ActionsEnabled"], true, "{alarm}");
            let name = alarm["AlarmName"].as_str().unwrap().to_owned();
            alarm["Namespace"] = json!(format!("Tests/{name}"));
            stage.call("PutMetricAlarm", alarm.clone()).await;
            stage.alarms.insert(name, alarm);
        }
        stage
    }

    async fn call(&self, action: &str, input: Value) -> Value {
        let target = format!("{CLOUDWATCH}.{action}");
        self.variant.aws.json("monitoring", &target, &input).await
    }

    async fn described(&self) -> Vec<Value> {
        let names: Vec<&String> = self.deployed.values().collect();
        let described = self
            .call("DescribeAlarms", json!({ "AlarmNames": names }))
            .await;
        described["MetricAlarms"].as_array().unwrap().clone()
    }

    /// Feeds each alarm a value. The value leaves its window after this time. Zero is the present.
    async fn feed(&self, value: impl Fn(&Value) -> f64, leaves_after: Duration) {
        for alarm in self.alarms.values() {
            let number = |name: &str| alarm[name].as_u64().unwrap();
            let window = Duration::from_secs(number("Period") * number("EvaluationPeriods"));
            let at = if leaves_after.is_zero() {
                Timestamp::now()
            } else {
                Timestamp::now() - window + leaves_after
            };
            let datum = json!({
                "MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"],
                "Value": value(alarm), "Timestamp": at.as_second(),
            });
            let input = json!({ "Namespace": alarm["Namespace"], "MetricData": [datum] });
            self.call("PutMetricData", input).await;
        }
    }

    async fn expect_all(&self, state: &str) {
        let what = format!("the state {state} of every alarm");
        until(&what, Duration::from_secs(5), || async {
            let alarms = self.described().await;
            let all = alarms.iter().all(|alarm| alarm["StateValue"] == state);
            (alarms.len() == self.alarms.len() && all).then_some(())
        })
        .await;
    }

    /// Creates the composite alarm of the template, because the local `CloudFormation` cannot.
    async fn put_page(&self) -> String {
        let is_it = |block: &&str| block.contains("Type: AWS::CloudWatch::CompositeAlarm\n");
        let block = TEMPLATE.split("\n\n").find(is_it).unwrap();
        let named = block.split("ALARM(\"${").skip(1);
        let terms: Vec<String> = named
            .map(|rest| rest.split_once('}').unwrap().0)
            .map(|name| format!("ALARM(\"{}\")", self.deployed[name]))
            .collect();
        assert!(terms.len() > 25, "{terms:?}");
        let (name, topic) = (
            format!("{}-BackupsAlarm", self.variant.name),
            &self.variant.outputs["AlarmTopicArn"],
        );
        let input = json!({
            "AlarmName": name, "AlarmRule": terms.join(" OR "),
            "AlarmActions": [topic], "OKActions": [topic],
        });
        self.call("PutCompositeAlarm", input).await;
        name
    }
}

async fn the_dashboard_is_deployed(variant: &Variant, alarms: &BTreeSet<String>) {
    let input = json!({ "DashboardName": variant.outputs["DashboardName"] });
    let target = format!("{CLOUDWATCH}.GetDashboard");
    let dashboard = variant.aws.json("monitoring", &target, &input).await;
    let body = dashboard["DashboardBody"].as_str().unwrap();
    assert!(!body.contains("${"), "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    let shown = body["widgets"][0]["properties"]["alarms"]
        .as_array()
        .unwrap();
    let shown: BTreeSet<String> = shown
        .iter()
        .map(|arn| arn.as_str().unwrap().rsplit(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(shown, *alarms);
}
