//! The dashboard: valid for every combination of conditions, and without a metric or an alarm that
//! does not exist.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    metrics::assert_exists,
    parsed::{alarms, of_type, resources, text},
};

/// The dashboard after `Fn::Sub`, with every condition true or false. References to resources stay.
fn body(conditions: Condition) -> Value {
    let dashboards = of_type("AWS::CloudWatch::Dashboard");
    let [(_, dashboard)] = &dashboards[..] else {
        panic!("{dashboards:?}")
    };
    let [body, variables] = &dashboard["Properties"]["DashboardBody"].as_array().unwrap()[..]
    else {
        panic!("{dashboard}")
    };
    let mut body = text(body).to_owned();
    for (name, of_if) in variables.as_object().unwrap() {
        let value = match conditions {
            Condition::True => text(&of_if[1]),
            Condition::False => text(&of_if[2]),
        };
        let marker = format!("${{{name}}}");
        assert_eq!(body.matches(&marker).count(), 1, "{name}");
        body = body.replace(&marker, value);
    }
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[derive(Clone, Copy, PartialEq)]
enum Condition {
    True,
    False,
}

/// The names in `${…}`, with and without an attribute.
fn references(text: &str) -> BTreeSet<&str> {
    text.split("${")
        .skip(1)
        .map(|rest| rest.split_once('}').unwrap().0)
        .collect()
}

#[test]
fn the_dashboard_is_valid_with_and_without_each_condition() {
    for conditions in [Condition::True, Condition::False] {
        let body = body(conditions);
        let resources = resources();
        for reference in references(&body.to_string()) {
            let resource = reference.split('.').next().unwrap();
            assert!(
                reference.starts_with("AWS::") || resources.contains_key(resource),
                "{reference}"
            );
            let is_conditional = resources
                .get(resource)
                .is_some_and(|resource| resource["Condition"].is_string());
            assert!(
                conditions == Condition::True || !is_conditional,
                "{reference} does not exist without its condition"
            );
        }
        assert!(body.to_string().len() < 40_000, "the dashboard is too long");
    }
}

#[test]
fn every_metric_of_the_dashboard_exists_with_its_dimension() {
    let mut read = 0;
    for widget in widgets() {
        let title = text(&widget["properties"]["title"]).to_owned();
        for metric in widget["properties"]["metrics"]
            .as_array()
            .unwrap_or(&Vec::new())
        {
            let part = |at: usize| text(&metric[at]);
            let value = part(3).trim_start_matches("${").trim_end_matches('}');
            assert_exists(&title, part(0), part(1), [part(2), value]);
            read += 1;
        }
    }
    assert!(read > 60, "{read}");
}

#[test]
fn the_dashboard_shows_every_alarm() {
    let widgets = widgets();
    let shown = widgets
        .iter()
        .find(|widget| widget["type"] == "alarm")
        .unwrap();
    let shown: BTreeSet<&str> = shown["properties"]["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let all: Vec<String> = alarms()
        .into_iter()
        .map(|(name, _)| format!("${{{name}.Arn}}"))
        .collect();
    assert_eq!(shown, all.iter().map(String::as_str).collect());
}

#[test]
fn widgets_do_not_overlap() {
    let mut taken = BTreeSet::new();
    for widget in widgets() {
        let number = |name: &str| widget[name].as_u64().unwrap();
        for column in number("x")..number("x") + number("width") {
            assert!(column < 24, "{widget}");
            for line in number("y")..number("y") + number("height") {
                assert!(taken.insert((column, line)), "{widget}");
            }
        }
    }
}

/// The list of the last backups filters by messages of the log.
#[test]
fn the_list_of_backups_filters_by_messages_that_functions_log() {
    let code = [
        include_str!("../../src/report.rs"),
        include_str!("../../src/skipped.rs"),
        include_str!("../../../../functions/retention/src/handler.rs"),
    ];
    let widgets = widgets();
    let list = widgets
        .iter()
        .find(|widget| widget["type"] == "log")
        .unwrap();
    let query = text(&list["properties"]["query"]);
    let pattern = query.split('/').nth(1).unwrap();
    assert!(pattern.split('|').count() >= 4, "{pattern}");
    for message in pattern.split('|') {
        let logged = format!("\"{message}");
        assert!(code.iter().any(|code| code.contains(&logged)), "{message}");
    }
}

fn widgets() -> Vec<Value> {
    body(Condition::True)["widgets"].as_array().unwrap().clone()
}
