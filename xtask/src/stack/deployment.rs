//! Creates the CloudFormation stack, waits for it, and reads its outputs. The error of a failed
//! creation has the reasons of every failed resource.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::aws::LocalAws;

const PATIENCE: Duration = Duration::from_mins(2);

/// Creates a stack from a template in S3 and returns its outputs.
pub(crate) async fn create(
    aws: &LocalAws,
    stack: &str,
    template_url: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut fields = BTreeMap::from([
        ("StackName".to_owned(), stack.to_owned()),
        ("TemplateURL".to_owned(), template_url.to_owned()),
        (
            "Capabilities.member.1".to_owned(),
            "CAPABILITY_IAM".to_owned(),
        ),
        (
            "Capabilities.member.2".to_owned(),
            "CAPABILITY_AUTO_EXPAND".to_owned(),
        ),
    ]);
    for (number, (name, value)) in (1..).zip(parameters) {
        fields.insert(
            format!("Parameters.member.{number}.ParameterKey"),
            name.clone(),
        );
        fields.insert(
            format!("Parameters.member.{number}.ParameterValue"),
            value.clone(),
        );
    }
    aws.cloudformation("CreateStack", &fields).await?;
    wait(aws, stack).await
}

async fn wait(aws: &LocalAws, stack: &str) -> Result<BTreeMap<String, String>> {
    let began = Instant::now();
    let named = BTreeMap::from([("StackName".to_owned(), stack.to_owned())]);
    while began.elapsed() < PATIENCE {
        let said = aws.cloudformation("DescribeStacks", &named).await?;
        let status =
            element(&said, "StackStatus").context("DescribeStacks answered without a status")?;
        match status.as_str() {
            "CREATE_COMPLETE" => return Ok(outputs(&said)),
            "CREATE_IN_PROGRESS" | "REVIEW_IN_PROGRESS" => {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            _ => {
                let events = aws.cloudformation("DescribeStackEvents", &named).await?;
                bail!(
                    "the stack {stack} is {status}:\n{}",
                    failures(&events).join("\n")
                );
            }
        }
    }
    bail!(
        "the stack {stack} was not created in {} s",
        PATIENCE.as_secs()
    )
}

fn outputs(xml: &str) -> BTreeMap<String, String> {
    let members = xml.split("<OutputKey>").skip(1);
    members
        .filter_map(|member| {
            let (key, rest) = member.split_once("</OutputKey>")?;
            Some((unescaped(key), element(rest, "OutputValue")?))
        })
        .collect()
}

fn failures(xml: &str) -> Vec<String> {
    let failed = xml
        .split("<StackEvents>")
        .flat_map(|events| events.split("<member>"));
    let failed = failed
        .filter(|event| element(event, "ResourceStatus").is_some_and(|s| s.ends_with("FAILED")));
    failed
        .map(|event| {
            let part = |name| element(event, name).unwrap_or_default();
            format!(
                "  {}: {}",
                part("LogicalResourceId"),
                part("ResourceStatusReason")
            )
        })
        .collect()
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(unescaped(text))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_by_their_keys() {
        let xml = "<Outputs><member><OutputKey>A</OutputKey><OutputValue>x&amp;y</OutputValue></member>\
                   <member><OutputKey>B</OutputKey><Description>d</Description><OutputValue/></member></Outputs>";
        assert_eq!(
            outputs(xml),
            BTreeMap::from([("A".to_owned(), "x&y".to_owned())])
        );
    }

    #[test]
    fn a_failed_stack_names_the_resources_that_failed() {
        let xml = "<StackEvents><member><LogicalResourceId>Api</LogicalResourceId>\
                   <ResourceStatus>CREATE_FAILED</ResourceStatus>\
                   <ResourceStatusReason>no such thing</ResourceStatusReason></member>\
                   <member><LogicalResourceId>Bus</LogicalResourceId>\
                   <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member></StackEvents>";
        assert_eq!(failures(xml), ["  Api: no such thing"]);
    }
}
