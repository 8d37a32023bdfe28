//! The template as data. Tags are dropped: `!Ref X` is `X`, `!GetAtt X.Arn` is `X.Arn`, and `!If` is
//! its list of three.

use std::sync::LazyLock;

use serde_json::{Map, Value};

pub(crate) const ALARM: &str = "AWS::CloudWatch::Alarm";
pub(crate) const COMPOSITE: &str = "AWS::CloudWatch::CompositeAlarm";

static TEMPLATE: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../../../template.yaml")).unwrap());

/// All resources of the template.
pub(crate) fn resources() -> &'static Map<String, Value> {
    TEMPLATE["Resources"].as_object().unwrap()
}

/// The names and resources of one type.
pub(crate) fn of_type(kind: &str) -> Vec<(String, Value)> {
    let all = resources().iter();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.clone(), resource.clone()))
        .collect()
}

/// The metric alarms, with their names and properties.
pub(crate) fn alarms() -> Vec<(String, Value)> {
    let alarms = of_type(ALARM).into_iter();
    let alarms: Vec<_> = alarms
        .map(|(name, alarm)| (name, alarm["Properties"].clone()))
        .collect();
    assert!(alarms.len() >= 30, "{}", alarms.len());
    alarms
}

pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}
