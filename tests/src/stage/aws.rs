//! The local AWS by plain HTTP, as its root user: the few calls that Holdfast itself does not make.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// A client of the local AWS.
#[derive(Clone)]
pub(crate) struct Aws {
    endpoint: String,
    client: Client,
}

/// The response of an invocation.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Whether the function ended with an error.
    pub(crate) failed: bool,
    pub(crate) payload: Value,
}

impl Aws {
    pub(crate) fn new() -> Self {
        let client = Client::builder()
            .timeout(Duration::from_mins(5))
            .build()
            .unwrap();
        Self {
            endpoint: holdfast_testing::parts().aws_endpoint.clone(),
            client,
        }
    }

    /// A call of the query protocol, with a response in XML.
    pub(crate) async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) -> String {
        let request = self.form(service, version, action, fields);
        said(request, action).await
    }

    /// A call of the query protocol that may be refused. Then the answer is the message.
    pub(crate) async fn try_query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, String> {
        let request = self.form(service, version, action, fields);
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        if status.is_success() {
            return Ok(text);
        }
        Err(element(&text, "Message"))
    }

    fn form(
        &self,
        service: &str,
        version: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) -> RequestBuilder {
        let all = [("Action", action), ("Version", version)];
        let pairs = all
            .iter()
            .chain(fields)
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        let form = pairs.collect::<Vec<_>>().join("&");
        let request = self.request(Method::POST, "/", service);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }

    /// A call of the JSON protocol, `target` as in `x-amz-target`.
    pub(crate) async fn json(&self, service: &str, target: &str, input: &Value) -> Value {
        let request = self
            .request(Method::POST, "/", service)
            .header("x-amz-target", target);
        let request = request
            .header("content-type", "application/x-amz-json-1.1")
            .body(input.to_string());
        let answer = said(request, target).await;
        if answer.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&answer).unwrap()
        }
    }

    /// Invokes a function and waits for its response.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Invocation {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let request = self
            .request(Method::POST, &path, "lambda")
            .body(event.to_string());
        let response = request.send().await.unwrap();
        let (status, failed) = (
            response.status(),
            response.headers().contains_key("x-amz-function-error"),
        );
        let text = response.text().await.unwrap();
        assert!(
            status.is_success(),
            "{function} was not invoked: {status} {text}"
        );
        Invocation {
            failed,
            payload: serde_json::from_str(&text).unwrap(),
        }
    }

    /// Sends a function an event as EventBridge does: without waiting, and again after the death of
    /// the function.
    pub(crate) async fn deliver(&self, function: &str, event: &Value) {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let request = self
            .request(Method::POST, &path, "lambda")
            .header("x-amz-invocation-type", "Event");
        said(request.body(event.to_string()), "Invoke").await;
    }

    /// The physical names of a stack's resources of one type, by their names in the template.
    pub(crate) async fn resources(&self, stack: &str, kind: &str) -> BTreeMap<String, String> {
        let xml = self
            .query(
                "cloudformation",
                "2010-05-15",
                "DescribeStackResources",
                &[("StackName", stack)],
            )
            .await;
        let members = xml
            .split("<member>")
            .skip(1)
            .filter(|member| element(member, "ResourceType") == kind);
        members
            .map(|member| {
                (
                    element(member, "LogicalResourceId"),
                    element(member, "PhysicalResourceId"),
                )
            })
            .collect()
    }

    /// Changes how an event source invokes its function.
    pub(crate) async fn change_event_source(&self, uuid: &str, change: &Value) {
        let path = format!("/2015-03-31/event-source-mappings/{uuid}");
        let request = self
            .request(Method::PUT, &path, "lambda")
            .body(change.to_string());
        said(request, "UpdateEventSourceMapping").await;
    }

    /// Sends messages to a queue, ten a call.
    pub(crate) async fn send_messages(&self, queue_url: &str, bodies: &[String]) {
        for batch in bodies.chunks(10) {
            let entries: Vec<Value> = (0..)
                .zip(batch)
                .map(|(place, body): (u32, _)| json!({ "Id": place.to_string(), "MessageBody": body }))
                .collect();
            let input = json!({ "QueueUrl": queue_url, "Entries": entries });
            let answer = self.json("sqs", "AmazonSQS.SendMessageBatch", &input).await;
            assert_eq!(
                answer["Successful"].as_array().map(Vec::len),
                Some(batch.len()),
                "{answer}"
            );
        }
    }

    /// The contents of a log group, line by line.
    pub(crate) async fn log(&self, group: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut input = json!({ "logGroupName": group });
        loop {
            let page = self
                .json("logs", "Logs_20140328.FilterLogEvents", &input)
                .await;
            let events = page["events"].as_array().unwrap().iter();
            lines.extend(events.map(|event| event["message"].as_str().unwrap().to_owned()));
            match page.get("nextToken").filter(|token| token.is_string()) {
                Some(token) => input["nextToken"] = token.clone(),
                None => return lines,
            }
        }
    }

    /// The root key's signature is not checked. The credential's scope names the service.
    fn request(&self, method: Method, path: &str, service: &str) -> RequestBuilder {
        let scope = format!("test/20260101/us-east-1/{service}/aws4_request");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=0"
        );
        let request = self
            .client
            .request(method, format!("{}{path}", self.endpoint));
        request
            .header("authorization", authorization)
            .header("x-amz-date", "20260101T000000Z")
    }
}

async fn said(request: RequestBuilder, call: &str) -> String {
    let response = request
        .send()
        .await
        .unwrap_or_else(|error| panic!("{call}: {error}"));
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{call} answered {status}: {text}");
    text
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The text of the first element of this name.
#[track_caller]
pub(crate) fn element(xml: &str, name: &str) -> String {
    elements(xml, name)
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("there is no {name} in {xml}"))
}

/// The texts of all elements of this name, in order.
pub(crate) fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml
        .split(&open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(&close)?.0));
    texts.map(unescaped).collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}
