//! A queue for the messages of alarms.

use std::collections::BTreeSet;

use holdfast_testing::unique;
use serde_json::{Value, json};

use super::Variant;

/// A queue with a subscription to a topic of alarms.
pub(crate) struct Inbox<'a> {
    variant: &'a Variant,
    url: String,
}

impl<'a> Inbox<'a> {
    pub(crate) async fn of(variant: &'a Variant, topic: &str) -> Self {
        let allowed = json!({
            "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*",
        });
        let policy = json!({ "Statement": [allowed] }).to_string();
        let attributes = json!({ "Policy": policy });
        let input = json!({ "QueueName": unique("alarms"), "Attributes": attributes });
        let created = variant
            .aws
            .json("sqs", "AmazonSQS.CreateQueue", &input)
            .await;
        let inbox = Self {
            variant,
            url: created["QueueUrl"].as_str().unwrap().to_owned(),
        };
        let named = inbox
            .call(
                "GetQueueAttributes",
                json!({ "AttributeNames": ["QueueArn"] }),
            )
            .await;
        let fields = [
            ("TopicArn", variant.outputs[topic].as_str()),
            ("Protocol", "sqs"),
            (
                "Endpoint",
                named["Attributes"]["QueueArn"].as_str().unwrap(),
            ),
        ];
        variant
            .aws
            .query("sns", "2010-03-31", "Subscribe", &fields)
            .await;
        inbox
    }

    async fn call(&self, action: &str, mut input: Value) -> Value {
        input["QueueUrl"] = json!(self.url);
        let target = format!("AmazonSQS.{action}");
        self.variant.aws.json("sqs", &target, &input).await
    }

    /// Expects one message of this state from each of these alarms, and no other message.
    pub(crate) async fn expect(&self, state: &str, alarms: &BTreeSet<String>) {
        let mut received = Vec::new();
        while received.len() < alarms.len() {
            let more = self.receive().await;
            assert!(!more.is_empty(), "{state}: only {received:?} of {alarms:?}");
            received.extend(more);
        }
        received.extend(self.receive().await);
        let expected: Vec<_> = alarms
            .iter()
            .map(|name| (name.clone(), state.to_owned()))
            .collect();
        received.sort();
        assert_eq!(received, expected);
    }

    /// The alarms and states of the messages of the next moment.
    async fn receive(&self) -> Vec<(String, String)> {
        let asked = json!({ "MaxNumberOfMessages": 10, "WaitTimeSeconds": 2 });
        let answer = self.call("ReceiveMessage", asked).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let mut received = Vec::new();
        for message in messages {
            let receipt = json!({ "ReceiptHandle": message["ReceiptHandle"] });
            self.call("DeleteMessage", receipt).await;
            let parsed = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap());
            let notice = parsed(&parsed(&message["Body"]).unwrap()["Message"]).unwrap();
            let text = |name: &str| notice[name].as_str().unwrap().to_owned();
            received.push((text("AlarmName"), text("NewStateValue")));
        }
        received
    }

    pub(crate) async fn remove(self) {
        self.call("DeleteQueue", json!({})).await;
    }
}
