//! The one alarm that wakes a person.

use serde_json::Value;

use crate::parsed::{COMPOSITE, alarms, of_type, resources, text};

/// Alarms of no haste: the backups are good, and tomorrow is soon enough.
const NOTICES: [&str; 5] = [
    "ContentPartialAlarm",
    "StorageGrowthAlarm",
    "ContentStorageGrowthAlarm",
    "DumpEngineFallbackAlarm",
    "DatabaseBackupSlowAlarm",
];

/// The names of the alarms in the rule, with the condition of each.
fn rule() -> Vec<(String, Option<String>)> {
    let pages = of_type(COMPOSITE);
    let [(_, page)] = &pages[..] else {
        panic!("{pages:?}")
    };
    let [separator, terms] = &page["Properties"]["AlarmRule"].as_array().unwrap()[..] else {
        panic!("{page}")
    };
    assert_eq!(separator, " OR ");
    terms.as_array().unwrap().iter().map(term).collect()
}

fn term(term: &Value) -> (String, Option<String>) {
    let (text_of, condition) = match term {
        Value::Array(of_if) => {
            assert_eq!(of_if[2], "FALSE", "{term}");
            (&of_if[1], Some(text(&of_if[0]).to_owned()))
        }
        always => (always, None),
    };
    let name = text(text_of)
        .strip_prefix("ALARM(\"${")
        .and_then(|rest| rest.strip_suffix("}\")"));
    (
        name.unwrap_or_else(|| panic!("{term}")).to_owned(),
        condition,
    )
}

#[test]
fn the_page_has_every_alarm_except_the_notices() {
    let rule = rule();
    for (name, _) in alarms() {
        let times = rule.iter().filter(|(listed, _)| *listed == name).count();
        let expected = usize::from(!NOTICES.contains(&name.as_str()));
        assert_eq!(times, expected, "{name}");
    }
    assert_eq!(rule.len() + NOTICES.len(), alarms().len());
    let text: usize = rule.iter().map(|(name, _)| name.len() + 60).sum();
    assert!(text < 10_240, "CloudWatch refuses a longer rule: {text}");
}

/// An alarm without its resource is no part of the rule, nor is one with its actions switched off.
#[test]
fn the_page_leaves_out_what_is_switched_off() {
    for (name, condition) in rule() {
        let alarm = &resources()[&name];
        let switch = alarm["Properties"]["ActionsEnabled"][0].as_str();
        let expected = match (alarm["Condition"].as_str(), switch) {
            (Some("HasDrillUri"), Some("SystemIsEnabled")) => Some("DrillsAreHeld"),
            (condition, None) => condition,
            // CopiesAreMade is a part of CloudIsEnabled.
            (_, switch) => switch,
        };
        assert_eq!(condition.as_deref(), expected, "{name}");
    }
}
