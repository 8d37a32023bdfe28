//! Each alarm reads an existing metric, can fire and clear, notifies both, and names its chapter of
//! the runbook.

use serde_json::{Value, json};

use crate::{
    metrics::assert_exists,
    parsed::{COMPOSITE, alarms, of_type, resources, text},
};

/// A metric with its statistic and period, as an alarm reads it.
struct Read {
    id: String,
    namespace: String,
    metric: String,
    dimension: [String; 2],
    statistic: String,
    period: u64,
}

/// The metrics of an alarm: its own, or those of its expression.
fn read_by(alarm: &Value) -> Vec<Read> {
    let Some(queries) = alarm["Metrics"].as_array() else {
        return vec![read("", alarm, &alarm["Statistic"], &alarm["Period"])];
    };
    let queries = queries.iter().filter_map(query);
    let stats = queries.filter(|query| query["MetricStat"].is_object());
    stats
        .map(|query| {
            let stat = &query["MetricStat"];
            let id = text(&query["Id"]);
            read(id, &stat["Metric"], &stat["Stat"], &stat["Period"])
        })
        .collect()
}

/// A query, or the query of its `!If`.
fn query(query: &Value) -> Option<&Value> {
    match query {
        Value::Array(of_if) => of_if.iter().find(|branch| branch.is_object()),
        query => Some(query),
    }
}

fn read(id: &str, metric: &Value, statistic: &Value, period: &Value) -> Read {
    let dimensions = metric["Dimensions"].as_array().unwrap();
    assert_eq!(dimensions.len(), 1, "{metric}");
    Read {
        id: id.to_owned(),
        namespace: text(&metric["Namespace"]).to_owned(),
        metric: text(&metric["MetricName"]).to_owned(),
        dimension: ["Name", "Value"].map(|part| text(&dimensions[0][part]).to_owned()),
        statistic: text(statistic).to_owned(),
        period: period.as_u64().unwrap(),
    }
}

#[test]
fn every_alarm_reads_a_metric_that_exists_with_its_dimension() {
    for (name, alarm) in alarms() {
        for read in read_by(&alarm) {
            let [dimension, value] = &read.dimension;
            assert_exists(
                &name,
                &read.namespace,
                &read.metric,
                [dimension.as_str(), value.as_str()],
            );
        }
    }
}

#[test]
fn every_alarm_notifies_its_beginning_and_its_end() {
    let topic = json!(["AlarmDetailsTopic"]);
    for (name, alarm) in alarms() {
        let told = (&alarm["AlarmActions"], &alarm["OKActions"]);
        assert_eq!(told, (&topic, &topic), "{name}");
    }
    for (name, page) in of_type(COMPOSITE) {
        let topic = json!(["AlarmTopic"]);
        let told = (
            &page["Properties"]["AlarmActions"],
            &page["Properties"]["OKActions"],
        );
        assert_eq!(told, (&topic, &topic), "{name}");
    }
}

#[test]
fn every_description_names_a_chapter_of_the_runbook() {
    let guide = include_str!("../../../../docs/operations.md");
    let headings = guide.lines().filter_map(|line| line.strip_prefix('#'));
    let anchors: Vec<String> = headings.map(anchor).collect();
    let page = of_type(COMPOSITE).into_iter();
    let page = page.map(|(name, page)| (name, page["Properties"].clone()));
    for (name, alarm) in alarms().into_iter().chain(page) {
        let description = text(&alarm["AlarmDescription"]);
        let (_, chapter) = description
            .split_once("Runbook - docs/operations.md#")
            .unwrap_or_else(|| panic!("{name} names no chapter: {description}"));
        assert!(
            anchors.iter().any(|anchor| anchor == chapter),
            "{name}: docs/operations.md has no chapter {chapter}: {anchors:?}"
        );
        assert!(
            guide.contains(&format!("`{name}`")),
            "docs/operations.md does not explain {name}"
        );
    }
}

/// As GitHub makes them from headings.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let is_kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
    let kept: String = heading.chars().filter(is_kept).collect();
    kept.replace(' ', "-")
}

/// Missing values end an alarm, with two exceptions: reports that come hourly with 0 too, and the
/// report of retention, which decides until the next one.
#[test]
fn every_alarm_can_clear_and_a_silent_report_is_an_alarm_only_after_a_warm_up() {
    for (name, alarm) in alarms() {
        let read = read_by(&alarm);
        let hourly = ["HoursOverdue", "DrillHoursOverdue", "CopiesOverdue"];
        let (expected, warms_up) = match read[0].metric.as_str() {
            metric if hourly.contains(&metric) => ("breaching", true),
            "RetentionViolated" => ("ignore", false),
            _ => ("notBreaching", false),
        };
        assert_eq!(alarm["TreatMissingData"], expected, "{name}");
        let warm_up = alarm["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"].as_u64();
        assert_eq!(warm_up.is_some(), warms_up, "{name}");
        assert!(
            warm_up.is_none_or(|minutes| minutes * 60 > read[0].period),
            "{name}"
        );
        let window = read[0].period * alarm["EvaluationPeriods"].as_u64().unwrap();
        assert!(window <= 86_400, "CloudWatch refuses the window of {name}");
    }
}

/// The depth of a queue clears by itself only if a function empties the queue, or its letters
/// expire soon.
#[test]
fn no_dead_letter_holds_an_alarm_for_longer_than_a_day() {
    let resources = resources();
    let consumed: Vec<&str> = resources
        .values()
        .filter_map(|resource| resource["Properties"]["EventSourceArn"].as_str())
        .filter_map(|arn| arn.strip_suffix(".Arn"))
        .collect();
    let mut looked_at = 0;
    for (name, alarm) in alarms() {
        let depth = |read: &Read| read.metric.starts_with("ApproximateNumberOfMessages");
        for read in read_by(&alarm).into_iter().filter(depth) {
            let queue = read.dimension[1].strip_suffix(".QueueName").unwrap();
            let kept = &resources[queue]["Properties"]["MessageRetentionPeriod"];
            let is_short = kept.as_u64().is_some_and(|seconds| seconds <= 86_400);
            assert!(is_short || consumed.contains(&queue), "{name}: {queue}");
            looked_at += 1;
        }
    }
    assert_eq!(looked_at, 3, "two states of one queue, one of another");
}

#[test]
fn an_expression_uses_each_of_its_metrics_in_one_period_and_returns_one_series() {
    let mut found = 0;
    for (name, alarm) in alarms() {
        let Some(queries) = alarm["Metrics"].as_array() else {
            continue;
        };
        let queries: Vec<&Value> = queries.iter().filter_map(query).collect();
        let returned = queries.iter().filter(|query| query["ReturnData"] != false);
        let returned: Vec<_> = returned.collect();
        assert_eq!(returned.len(), 1, "{name}");
        let expression = text(&returned[0]["Expression"]);
        for read in read_by(&alarm) {
            let is_used = expression == "SUM(METRICS())"
                || expression.contains(&format!("FILL({}, 0)", read.id));
            assert!(is_used, "{name}: {expression} leaves out {}", read.id);
            assert_eq!(read.period, read_by(&alarm)[0].period, "{name}");
            assert!(read.id.starts_with(char::is_lowercase), "{name}");
        }
        found += 1;
    }
    assert_eq!(found, 2);
}

/// A letter that the finalizer cannot settle is hidden for the visibility timeout, and then visible
/// for a moment.
#[test]
fn a_retried_dead_letter_counts_in_both_of_its_states() {
    let alarms = alarms();
    let (_, alarm) = alarms
        .iter()
        .find(|(name, _)| name == "ContentDeadLettersAlarm")
        .unwrap();
    let states: Vec<_> = read_by(alarm)
        .into_iter()
        .map(|read| (read.metric, read.statistic))
        .collect();
    let maximum = |metric: &str| (metric.to_owned(), "Maximum".to_owned());
    assert_eq!(
        states,
        [
            maximum("ApproximateNumberOfMessagesVisible"),
            maximum("ApproximateNumberOfMessagesNotVisible")
        ]
    );
    let seconds = 300 * alarm["DatapointsToAlarm"].as_u64().unwrap();
    let hidden = resources()["ContentDeadLetters"]["Properties"]["VisibilityTimeout"].as_u64();
    assert!(seconds > 3 * hidden.unwrap(), "three attempts come first");
}

#[test]
fn every_function_has_an_alarm_on_its_errors() {
    let alarms = alarms();
    let read: Vec<Read> = alarms
        .iter()
        .flat_map(|(_, alarm)| read_by(alarm))
        .collect();
    for (function, resource) in of_type("AWS::Serverless::Function") {
        // Its callers get each error as 5xx.
        let (metric, of) = match function.as_str() {
            "ApiFunction" => ("5xx", "Api"),
            function => ("Errors", function),
        };
        for metric in [metric, "Throttles"] {
            let of = if metric == "Throttles" { &function } else { of };
            assert!(
                read.iter()
                    .any(|read| read.metric == metric && read.dimension[1] == *of),
                "no alarm reads {metric} of {function}"
            );
        }
        let slow = read
            .iter()
            .position(|read| read.metric == "Duration" && read.dimension[1] == function);
        assert_eq!(slow.is_some(), function == "DatabaseBackupFunction");
        let limit = resource["Properties"]["Timeout"].as_u64().unwrap() * 1000 * 8 / 10;
        let threshold = alarms
            .iter()
            .find(|(_, alarm)| slow.is_some() && alarm["MetricName"] == "Duration");
        assert!(threshold.is_none_or(|(_, alarm)| alarm["Threshold"] == limit));
    }
}

#[test]
fn the_cost_of_alarms_in_the_guide_counts_the_metrics_of_all_alarms() {
    let metrics: usize = alarms().iter().map(|(_, alarm)| read_by(alarm).len()).sum();
    let guide = include_str!("../../../../docs/operations.md");
    assert!(
        guide.contains(&format!("up to {metrics} metrics in alarms")),
        "{metrics}"
    );
}
