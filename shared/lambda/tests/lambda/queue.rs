//! The download queue on two implementations of SQS, and on a strict server. Like AWS, it checks
//! the characters of a message and the size of a call. The other two do not.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use aws_sdk_sqs::Client;
use holdfast_domain::DownloadMessage;
use holdfast_lambda::SqsQueue;
use holdfast_operations::DownloadQueue;
use holdfast_testing::{aws_config, aws_config_at, parts, unique};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

fn message(content_id: &str) -> DownloadMessage {
    DownloadMessage {
        backup_id: "content_1_aa".parse().unwrap(),
        content_id: content_id.to_owned(),
    }
}

async fn queues() -> Vec<(Client, String)> {
    let mut queues = Vec::new();
    for config in [aws_config(), aws_config_at(&parts().s3_other_endpoint())] {
        let client = Client::new(&config);
        let created = client
            .create_queue()
            .queue_name(unique("queue"))
            .send()
            .await
            .unwrap();
        queues.push((client, created.queue_url().unwrap().to_owned()));
    }
    queues
}

/// The content ids of all messages in a queue, read as the deployed worker reads them.
async fn received(client: &Client, url: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    loop {
        let batch = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .send()
            .await
            .unwrap();
        if batch.messages().is_empty() {
            return ids;
        }
        for message in batch.messages() {
            let read: DownloadMessage = serde_json::from_str(message.body().unwrap()).unwrap();
            ids.insert(read.content_id);
            let receipt = message.receipt_handle().unwrap();
            client
                .delete_message()
                .queue_url(url)
                .receipt_handle(receipt)
                .send()
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn every_content_id_reaches_the_worker_as_it_is() {
    let odd = [
        "x\u{fffe}",
        "x\u{ffff}",
        "\u{1}\u{1f}",
        "a\0b",
        "\u{10ffff}",
        "é",
        "\"\\",
        "<&>",
        "\u{fdd0}",
        "7",
    ];
    let long = "\u{ffff}".repeat(200);
    let ids: BTreeSet<String> = odd
        .into_iter()
        .map(str::to_owned)
        .chain((8..40).map(|n| n.to_string()))
        .collect();
    let messages: Vec<_> = ids
        .iter()
        .map(String::as_str)
        .chain([long.as_str()])
        .map(message)
        .collect();
    for (client, url) in queues().await {
        let refused = SqsQueue::new(client.clone(), url.clone())
            .send(&messages)
            .await
            .unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        let expected: BTreeSet<String> = ids.iter().cloned().chain([long.clone()]).collect();
        assert_eq!(received(&client, &url).await, expected, "{url}");
    }
}

#[tokio::test]
async fn long_messages_are_sent_by_calls_that_fit_and_one_too_long_fails_alone() {
    let mut messages: Vec<_> = (0..12)
        .map(|number| message(&format!("{number}{}", "x".repeat(60_000))))
        .collect();
    messages.insert(3, message(&"y".repeat(2 << 20)));
    for (client, url) in queues().await {
        let refused = SqsQueue::new(client.clone(), url.clone())
            .send(&messages)
            .await
            .unwrap();
        assert!(
            refused.len() == 1 && refused[0].content_id.starts_with('y'),
            "{}",
            refused.len()
        );
        assert!(
            refused[0].reason.contains("262144"),
            "{}",
            refused[0].reason
        );
        assert_eq!(received(&client, &url).await.len(), 12, "{url}");
    }
}

/// The refusal of invalid characters by a strict queue: for the message or for the call.
#[derive(Clone, Copy)]
enum Blame {
    Entry,
    Call,
}

/// `SendMessageBatch` as AWS documents it: characters of XML 1.0 alone, and 256 KiB a call.
struct StrictQueue {
    client: Client,
    taken: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl StrictQueue {
    async fn start(blame: Blame) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let serving = tokio::spawn({
            let taken = Arc::clone(&taken);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    serve(connection, blame, &taken).await;
                }
            }
        });
        Self {
            client: Client::new(&aws_config_at(&format!("http://{address}"))),
            taken,
            serving,
        }
    }

    fn queue(&self) -> SqsQueue {
        SqsQueue::new(self.client.clone(), "http://127.0.0.1/queue".to_owned())
    }

    fn taken(&self) -> BTreeSet<String> {
        let bodies = self.taken.lock().unwrap();
        bodies
            .iter()
            .map(|body| {
                serde_json::from_str::<DownloadMessage>(body)
                    .unwrap()
                    .content_id
            })
            .collect()
    }
}

impl Drop for StrictQueue {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut connection: TcpStream, blame: Blame, taken: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let body = loop {
        if connection.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")
                .map(str::to_owned)
        });
        if body.len() == length.unwrap().trim().parse::<usize>().unwrap() {
            break body.to_owned();
        }
    };
    let (status, answer) = answer(&serde_json::from_str(&body).unwrap(), blame, taken);
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    connection
        .write_all(format!("{head}{answer}").as_bytes())
        .await
        .unwrap();
}

fn answer(call: &Value, blame: Blame, taken: &Mutex<Vec<String>>) -> (u16, Value) {
    let fault = |code: &str| {
        (
            400,
            json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": code }),
        )
    };
    let entries = call["Entries"].as_array().unwrap();
    let text = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
    if entries.iter().map(|entry| text(entry).len()).sum::<usize>() > 262_144 {
        return fault("BatchRequestTooLong");
    }
    let (good, bad): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_taken(&text(entry)));
    if !bad.is_empty() && matches!(blame, Blame::Call) {
        return fault("InvalidMessageContents");
    }
    taken
        .lock()
        .unwrap()
        .extend(good.iter().map(|entry| text(entry)));
    let sent =
        |entry: &&Value| json!({ "Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "" });
    let failed = |entry: &&Value| json!({ "Id": entry["Id"], "Code": "InvalidMessageContents", "SenderFault": true, "Message": "characters" });
    let (sent, failed): (Vec<_>, Vec<_>) = (
        good.iter().map(sent).collect(),
        bad.iter().map(failed).collect(),
    );
    (200, json!({ "Successful": sent, "Failed": failed }))
}

/// <https://www.w3.org/TR/REC-xml/#charsets>, and a word for any other refusal.
fn is_taken(body: &str) -> bool {
    let is_xml = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    body.chars().all(is_xml) && !body.contains("refuse-me")
}

#[tokio::test]
async fn a_strict_queue_takes_every_content_id() {
    let ids = [
        "x\u{fffe}",
        "x\u{ffff}",
        "\u{1}",
        "a\0b",
        "\u{10ffff}",
        "é",
        "7",
    ];
    for blame in [Blame::Entry, Blame::Call] {
        let strict = StrictQueue::start(blame).await;
        let messages = ids.map(message);
        assert_eq!(strict.queue().send(&messages).await.unwrap(), []);
        assert_eq!(strict.taken(), ids.map(str::to_owned).into());
    }
}

#[tokio::test]
async fn a_message_that_the_queue_refuses_is_answered_and_the_others_are_sent() {
    let ids = ["1", "2", "refuse-me", "3", "refuse-me too", "4"];
    for blame in [Blame::Entry, Blame::Call] {
        let strict = StrictQueue::start(blame).await;
        let refused = strict.queue().send(&ids.map(message)).await.unwrap();
        let names: Vec<&str> = refused
            .iter()
            .map(|refused| refused.content_id.as_str())
            .collect();
        assert_eq!(names, ["refuse-me", "refuse-me too"]);
        assert!(
            refused.iter().all(|refused| !refused.reason.is_empty()),
            "{refused:?}"
        );
        assert_eq!(
            strict.taken(),
            ["1", "2", "3", "4"].map(str::to_owned).into()
        );
    }
}
