//! The transformed template under given parameters: its conditions, and the references between its
//! resources.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_testing::stack;
use serde_json::{Map, Value};

use super::CLOUDFORMATION;
use crate::stage::{Aws, element};

/// The deployed template after the transformation of its functions.
pub(super) struct Template(Value);

impl Template {
    /// Reads it from the deployed stack.
    pub(super) async fn deployed() -> Self {
        let fields = [
            ("StackName", stack().stack.as_str()),
            ("TemplateStage", "Processed"),
        ];
        let xml = Aws::new()
            .query("cloudformation", CLOUDFORMATION, "GetTemplate", &fields)
            .await;
        let body = element(&xml, "TemplateBody");
        Self(serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// A section, by name.
    pub(super) fn section(&self, name: &str) -> &Map<String, Value> {
        self.0[name].as_object().unwrap()
    }

    /// The template under these parameters and the defaults of all others.
    pub(super) fn under(&self, given: &[(&str, &str)]) -> Resolved<'_> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut parameters: BTreeMap<String, String> = self
            .section("Parameters")
            .iter()
            .map(|(name, one)| {
                (
                    name.clone(),
                    one.get("Default").map(text).unwrap_or_default(),
                )
            })
            .collect();
        for (name, value) in given {
            let known = parameters.insert((*name).to_owned(), (*value).to_owned());
            assert!(known.is_some(), "there is no parameter {name}");
        }
        Resolved {
            template: self,
            parameters,
        }
    }
}

/// A template with the values of its parameters.
pub(super) struct Resolved<'a> {
    template: &'a Template,
    parameters: BTreeMap<String, String>,
}

impl Resolved<'_> {
    /// Whether a condition holds.
    pub(super) fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.template.section("Conditions")[condition])
    }

    fn is_true(&self, node: &Value) -> bool {
        let (name, argument) = call(node).unwrap_or_else(|| panic!("no condition: {node}"));
        let all = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match name {
            "Condition" => self.holds(argument.as_str().unwrap()),
            "Fn::Not" => !self.is_true(&all[0]),
            "Fn::And" => all.iter().all(|one| self.is_true(one)),
            "Fn::Or" => all.iter().any(|one| self.is_true(one)),
            "Fn::Equals" => self.text(&all[0]) == self.text(&all[1]),
            other => panic!("a condition by {other}"),
        }
    }

    /// The text of a literal, a parameter, or the first member of a list parameter.
    fn text(&self, node: &Value) -> String {
        match call(node) {
            Some(("Ref", name)) => self.parameters[name.as_str().unwrap()].clone(),
            Some(("Fn::Select", of)) => {
                let list = self.text(&of[1]);
                list.split(',').next().unwrap_or_default().to_owned()
            }
            Some((other, _)) => panic!("a value by {other}"),
            None => match node {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        }
    }

    /// Whether a resource or output is created.
    fn is_created(&self, one: &Value) -> bool {
        one.get("Condition")
            .is_none_or(|condition| self.holds(condition.as_str().unwrap()))
    }

    /// The created resources.
    pub(super) fn resources(&self) -> BTreeMap<&str, &Value> {
        self.created("Resources")
    }

    fn created(&self, section: &str) -> BTreeMap<&str, &Value> {
        self.template
            .section(section)
            .iter()
            .filter(|(_, one)| self.is_created(one))
            .map(|(name, one)| (name.as_str(), one))
            .collect()
    }

    /// A node without the branches of other conditions. `None` for `AWS::NoValue`.
    pub(super) fn chosen(&self, node: &Value) -> Option<Value> {
        match call(node) {
            Some(("Ref", name)) if name == "AWS::NoValue" => return None,
            Some(("Ref", name)) if self.parameters.contains_key(name.as_str().unwrap()) => {
                return Some(Value::String(
                    self.parameters[name.as_str().unwrap()].clone(),
                ));
            }
            Some(("Fn::If", branches)) => {
                let condition = branches[0].as_str().unwrap();
                let branch = if self.holds(condition) { 1 } else { 2 };
                return self.chosen(&branches[branch]);
            }
            _ => {}
        }
        Some(match node {
            Value::Array(all) => all.iter().filter_map(|one| self.chosen(one)).collect(),
            Value::Object(fields) => fields
                .iter()
                .filter_map(|(name, one)| Some((name.clone(), self.chosen(one)?)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        })
    }

    /// The chosen properties of a created resource.
    pub(super) fn properties(&self, resource: &str) -> Value {
        let resources = self.resources();
        let found = resources.get(resource);
        let found = found.unwrap_or_else(|| panic!("{resource} is not created"));
        self.chosen(&found["Properties"]).unwrap()
    }

    /// The resources before this one in the order of creation.
    pub(super) fn before(&self, resource: &str) -> BTreeSet<String> {
        let resources = self.resources();
        let (mut seen, mut open) = (BTreeSet::new(), vec![resource.to_owned()]);
        while let Some(next) = open.pop() {
            for name in self.direct(resources[next.as_str()]) {
                if resources.contains_key(name.as_str()) && seen.insert(name.clone()) {
                    open.push(name);
                }
            }
        }
        seen
    }

    /// The names in one resource: of resources, and of pseudo parameters.
    fn direct(&self, one: &Value) -> BTreeSet<String> {
        let mut names = names_in(&self.chosen(one).unwrap());
        match one.get("DependsOn") {
            Some(Value::Array(all)) => {
                names.extend(all.iter().map(|name| name.as_str().unwrap().to_owned()));
            }
            Some(name) => drop(names.insert(name.as_str().unwrap().to_owned())),
            None => {}
        }
        names
    }

    /// The references of created resources and outputs to resources that are not created.
    pub(super) fn dangling(&self) -> Vec<String> {
        let created = self.resources();
        let of = |(from, one): (&str, &Value)| {
            let names = self.direct(one).into_iter();
            let missing = names.filter(|name| {
                !created.contains_key(name.as_str())
                    && !self.parameters.contains_key(name)
                    && !name.starts_with("AWS::")
            });
            missing
                .map(|name| format!("{from} -> {name}"))
                .collect::<Vec<_>>()
        };
        let outputs = self.created("Outputs");
        created
            .iter()
            .chain(&outputs)
            .flat_map(|(name, one)| of((name, one)))
            .collect()
    }
}

/// The name and the argument of an intrinsic function.
fn call(node: &Value) -> Option<(&str, &Value)> {
    let fields = node.as_object().filter(|fields| fields.len() == 1)?;
    let (name, argument) = fields.iter().next()?;
    let is_function = name.starts_with("Fn::") || ["Ref", "Condition"].contains(&name.as_str());
    is_function.then_some((name.as_str(), argument))
}

/// The names in `Ref`, `Fn::GetAtt` and `Fn::Sub`.
pub(super) fn names_in(node: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(node, &mut names);
    names
}

fn collect(node: &Value, names: &mut BTreeSet<String>) {
    match call(node) {
        Some(("Ref", name)) => drop(names.insert(name.as_str().unwrap().to_owned())),
        Some(("Fn::GetAtt", Value::Array(path))) => {
            names.insert(path[0].as_str().unwrap().to_owned());
        }
        Some(("Fn::GetAtt", path)) => drop(names.insert(first_part(path.as_str().unwrap()))),
        Some(("Fn::Sub", Value::String(text))) => names.extend(variables(text)),
        Some(("Fn::Sub", parts)) => {
            let own = parts[1].as_object().unwrap();
            let others = variables(parts[0].as_str().unwrap()).filter(|it| !own.contains_key(it));
            names.extend(others);
            own.values().for_each(|one| collect(one, names));
        }
        _ => match node {
            Value::Array(all) => all.iter().for_each(|one| collect(one, names)),
            Value::Object(fields) => fields.values().for_each(|one| collect(one, names)),
            _ => {}
        },
    }
}

fn variables(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split("${").skip(1);
    parts.map(|part| first_part(part.split_once('}').unwrap().0))
}

fn first_part(path: &str) -> String {
    path.split('.').next().unwrap_or_default().to_owned()
}
