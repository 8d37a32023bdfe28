//! Alarms and functions use the same metrics. Original log lines of the functions are sent to
//! CloudWatch, and raise the deployed alarms.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::stage::{Deployment, Variant, until};

pub(crate) const CLOUDWATCH: &str = "GraniteServiceVersion20100801";

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_never_backed_up_is_overdue_and_so_is_one_whose_sweep_is_silent() {
    let variant = Deployment::named("overdue").deploy().await;
    for name in ["BackupOverdueAlarm", "ContentOverdueAlarm"] {
        let overdue = own_alarms(&variant)
            .await
            .into_iter()
            .find(|alarm| is(alarm, name))
            .unwrap();
        assert_eq!(overdue["TreatMissingData"], "breaching", "{overdue}");
        let hourly = (&overdue["Period"], &overdue["EvaluationPeriods"]);
        assert_eq!(
            hourly,
            (&json!(7200), &json!(1)),
            "the sweep is hourly: {overdue}"
        );
    }
    let swept = variant.sweep().await;
    assert_eq!(
        (
            &swept["databaseHoursOverdue"],
            &swept["contentHoursOverdue"]
        ),
        (&json!(24.0), &json!(24.0))
    );
    raised_by_what_was_emitted(&variant, &["BackupOverdueAlarm"]).await;
    raised_by_what_was_emitted(&variant, &["ContentOverdueAlarm"]).await;
    let job = variant.api.back_up().await;
    let swept = variant.sweep().await;
    assert_eq!(swept["databaseHoursOverdue"], 0.0, "{swept}");
    assert!(
        swept["contentHoursOverdue"].as_f64().unwrap() > 0.0,
        "one does not stand for the other: {swept}"
    );
    variant.api.back_up_of("content").await;
    assert_eq!(variant.sweep().await["contentHoursOverdue"], 0.0);
    variant.finish(job["backupId"].as_str().unwrap()).await;
}

/// Asserts that the metrics so far raise these alarms, and no other alarm of Holdfast for the same
/// type of backup.
pub(crate) async fn raised_by_what_was_emitted(variant: &Variant, expected: &[&str]) {
    let alarms = own_alarms(variant).await;
    let on_a_condition = |alarm: &&Value| {
        ["DrillOverdueAlarm", "CopyFailedAlarm", "CopiesOverdueAlarm"]
            .iter()
            .any(|name| is(alarm, name))
    };
    let on_a_condition = alarms.iter().filter(on_a_condition).count();
    assert_eq!(
        alarms.len() - on_a_condition,
        in_every_deployment(),
        "{alarms:?}"
    );
    let kind = alarms.iter().find(|alarm| is(alarm, expected[0])).unwrap()["Dimensions"].clone();
    for name in expected {
        let alarm = alarms.iter().find(|alarm| is(alarm, name)).unwrap();
        let read = read_by(alarm);
        until(
            &format!("{read} in a log"),
            Duration::from_secs(10),
            || async {
                emitted(variant)
                    .await
                    .iter()
                    .any(|datum| datum.what() == read)
                    .then_some(())
            },
        )
        .await;
    }
    // The local CloudWatch counts the values of every type for every alarm.
    for datum in emitted(variant)
        .await
        .iter()
        .filter(|datum| datum.dimensions() == kind)
    {
        datum.put(variant).await;
    }
    let in_alarm: BTreeSet<&str> = expected.iter().copied().collect();
    until(
        &format!("the alarms {in_alarm:?} and no other"),
        Duration::from_secs(10),
        || async {
            let alarms = own_alarms(variant).await;
            let right = |alarm: &Value| {
                in_alarm.iter().any(|name| is(alarm, name)) == (alarm["StateValue"] == "ALARM")
            };
            alarms
                .iter()
                .filter(|alarm| alarm["Dimensions"] == kind)
                .all(right)
                .then_some(())
        },
    )
    .await;
}

/// Number of alarms on Holdfast's own metrics in every deployment of the template.
fn in_every_deployment() -> usize {
    let resources = include_str!("../../template.yaml").split("\n\n");
    let own = resources.filter(|resource| resource.contains("Namespace: !Sub Holdfast/"));
    own.filter(|resource| !resource.contains("    Condition: "))
        .count()
}

/// The deployed alarms on Holdfast's own metrics.
async fn own_alarms(variant: &Variant) -> Vec<Value> {
    let prefix = json!({ "AlarmNamePrefix": format!("{}-", variant.name) });
    let described = variant
        .aws
        .json(
            "monitoring",
            &format!("{CLOUDWATCH}.DescribeAlarms"),
            &prefix,
        )
        .await;
    let all = described["MetricAlarms"].as_array().unwrap().iter();
    all.filter(|alarm| !alarm["Namespace"].as_str().unwrap().starts_with("AWS/"))
        .cloned()
        .collect()
}

fn is(alarm: &Value, name: &str) -> bool {
    alarm["AlarmName"].as_str().unwrap().contains(name)
}

/// Namespace, metric and dimensions, as one text.
fn read_by(alarm: &Value) -> String {
    let dimensions = alarm["Dimensions"].as_array().unwrap().iter();
    let dimensions: Vec<String> = dimensions
        .map(|dimension| {
            format!(
                "{}={}",
                dimension["Name"].as_str().unwrap(),
                dimension["Value"].as_str().unwrap()
            )
        })
        .collect();
    let text = |name: &str| alarm[name].as_str().unwrap();
    format!(
        "{} {} {}",
        text("Namespace"),
        text("MetricName"),
        dimensions.join(",")
    )
}

/// One value from a function.
struct Datum {
    namespace: String,
    name: String,
    dimensions: Vec<(String, String)>,
    value: Value,
}

impl Datum {
    fn what(&self) -> String {
        let dimensions: Vec<String> = self
            .dimensions
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{} {} {}", self.namespace, self.name, dimensions.join(","))
    }

    /// As alarms have them.
    fn dimensions(&self) -> Value {
        self.dimensions
            .iter()
            .map(|(name, value)| json!({ "Name": name, "Value": value }))
            .collect()
    }

    async fn put(&self, variant: &Variant) {
        let datum = json!({ "MetricName": self.name, "Dimensions": self.dimensions(), "Value": self.value });
        let input = json!({ "Namespace": self.namespace, "MetricData": [datum] });
        variant
            .aws
            .json("monitoring", &format!("{CLOUDWATCH}.PutMetricData"), &input)
            .await;
    }
}

/// Every value in the logs of the functions, by the rules of CloudWatch's embedded metric format.
async fn emitted(variant: &Variant) -> Vec<Datum> {
    let mut data = Vec::new();
    for function in variant.functions() {
        let lines = variant.log(function).await;
        let lines = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["_aws"].is_object())
            .for_each(|line| data.extend(data_of(&line)));
    }
    data
}

fn data_of(line: &Value) -> Vec<Datum> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut data = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for (metric, names) in directive["Metrics"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|metric| {
                directive["Dimensions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(move |names| (metric, names))
            })
        {
            let name = text(&metric["Name"]);
            let dimensions = names
                .as_array()
                .unwrap()
                .iter()
                .map(|name| (text(name), text(&line[text(name)])));
            data.push(Datum {
                namespace: text(&directive["Namespace"]),
                value: line[&name].clone(),
                dimensions: dimensions.collect(),
                name,
            });
        }
    }
    data
}
