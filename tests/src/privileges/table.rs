//! The table of privileges in `docs/threat-model.md`: each right, and the roles that have it. The
//! page is the expectation: the table of the template must equal it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{
    policy::{Request, permits},
    roles::{BUCKET, KEY, SECOND},
};

/// One right: its words in the table, the action, the resource, and the request's conditions.
struct Right {
    words: &'static str,
    on: &'static str,
    actions: &'static [&'static str],
    resource: String,
    context: Vec<(&'static str, String)>,
}

fn right(
    words: &'static str,
    on: &'static str,
    actions: &'static [&'static str],
    resource: impl Into<String>,
) -> Right {
    Right {
        words,
        on,
        actions,
        resource: resource.into(),
        context: Vec::new(),
    }
}

/// The objects of the bucket, with one example each.
const OBJECTS: [(&str, &str); 10] = [
    ("dumps of databases", "database/db_1_a/dump.1.archive.gz"),
    ("manifests of databases", "database/db_1_a/manifest.json"),
    ("`RESTORE.md` of databases", "database/db_1_a/RESTORE.md"),
    (
        "item lists of content",
        "content/content_1_a/items.1.ndjson",
    ),
    (
        "archives of content",
        "content/content_1_a/content_1_a.1.tar",
    ),
    ("manifests of content", "content/content_1_a/manifest.json"),
    (
        "content files: `content/objects/`, `content/dags/`",
        "content/objects/ab/abcd.gz",
    ),
    ("`content/incoming/`", "content/incoming/ab"),
    ("`repository.json` and its copy", "repository.json"),
    ("`exports/`", "exports/backup_metadata_1.json"),
];

const SECRETS: [(&str, &str); 4] = [
    ("the source's connection string", "secret:source"),
    ("the catalogue's connection string", "secret:catalogue"),
    ("the drill server's connection string", "secret:drills"),
    ("the encryption key", "secret:encryption-key"),
];

const EVENTS: [&str; 5] = [
    "Backup Requested",
    "Backup Handed On",
    "Backup State Changed",
    "Cleanup Requested",
    "Verification Requested",
];

fn rights() -> Vec<Right> {
    let mut rights = Vec::new();
    for (words, actions) in [
        ("list", &["s3:ListBucket"][..]),
        (
            "change its policy, lifecycle or versioning",
            &[
                "s3:PutBucketPolicy",
                "s3:PutLifecycleConfiguration",
                "s3:PutBucketVersioning",
                "s3:DeleteBucket",
            ],
        ),
    ] {
        rights.push(right(words, "the bucket", actions, BUCKET));
    }
    rights.push(right(
        "delete versions, change locks",
        "any object",
        &["s3:DeleteObjectVersion", "s3:PutObjectRetention"],
        format!("{BUCKET}/{}", OBJECTS[0].1),
    ));
    for (on, example) in OBJECTS {
        let resource = format!("{BUCKET}/{example}");
        rights.push(right("read", on, &["s3:GetObject"], &*resource));
        rights.push(right("write", on, &["s3:PutObject"], &*resource));
        rights.push(right("delete", on, &["s3:DeleteObject"], &*resource));
    }
    let copy = format!("{SECOND}/holdfast/{}", OBJECTS[0].1);
    for (words, action) in [
        ("read", &["s3:GetObject"]),
        ("write", &["s3:PutObject"]),
        ("delete", &["s3:DeleteObject"]),
    ] {
        rights.push(right(words, "the second bucket", action, &*copy));
    }
    for (on, secret) in SECRETS {
        let action = &["secretsmanager:GetSecretValue"];
        rights.push(right("read", on, action, secret));
    }
    rights.extend(of_keys());
    rights.extend(of_messages());
    rights.extend(of_network());
    rights
}

fn of_keys() -> Vec<Right> {
    let wrapped = || {
        vec![(
            "kms:EncryptionContext:holdfast:repository",
            "0a1b".to_owned(),
        )]
    };
    [
        ("unwrap a master key", &["kms:Decrypt"], wrapped()),
        ("wrap a master key", &["kms:Encrypt"], wrapped()),
        ("decrypt other data", &["kms:Decrypt"], Vec::new()),
        ("encrypt other data", &["kms:Encrypt"], Vec::new()),
    ]
    .map(|(words, actions, context)| Right {
        context,
        ..right(words, "the KMS key", actions, KEY)
    })
    .into()
}

fn of_messages() -> Vec<Right> {
    let (send, receive) = (&["sqs:SendMessage"], &["sqs:ReceiveMessage"]);
    let mut rights: Vec<Right> = [
        ("send", "the queue of files", &send[..], "arn:ContentQueue"),
        ("receive", "the queue of files", receive, "arn:ContentQueue"),
        (
            "receive",
            "its dead letters",
            receive,
            "arn:ContentDeadLetters",
        ),
        ("send", "the queue of copies", send, "arn:CopyQueue"),
        ("receive", "the queue of copies", receive, "arn:CopyQueue"),
        (
            "send",
            "dead letters of invocations",
            send,
            "arn:InvocationDeadLetters",
        ),
        (
            "send",
            "dead letters of schedules",
            send,
            "arn:ScheduleDeadLetters",
        ),
        (
            "invoke",
            "the functions of schedules",
            &["lambda:InvokeFunction"],
            "arn:RetentionFunction",
        ),
    ]
    .map(|(words, on, actions, resource)| right(words, on, actions, resource))
    .into();
    rights.extend(EVENTS.map(|event| Right {
        context: vec![
            ("events:source", "holdfast".to_owned()),
            ("events:detail-type", event.to_owned()),
        ],
        ..right("publish", event, &["events:PutEvents"], "arn:EventBus")
    }));
    rights
}

/// Lambda makes the network interfaces of a function, with the function's role.
fn of_network() -> [Right; 2] {
    let code = format!(
        "arn:aws:lambda:eu-west-1:{}:function:holdfast-api",
        super::roles::ACCOUNT
    );
    let interfaces = "network interfaces of the VPC";
    let action = &["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"];
    [
        right("create, delete (Lambda itself)", interfaces, action, "*"),
        Right {
            context: vec![("lambda:SourceFunctionArn", code)],
            ..right("create, delete (the code)", interfaces, action, "*")
        },
    ]
}

/// The table in Markdown. A role has a right if it may do all its actions. Only some of them are a
/// fault of the template.
pub(super) fn table(roles: &BTreeMap<String, Vec<Value>>) -> String {
    let mut table = "| on | right | roles |\n|---|---|---|\n".to_owned();
    let mut before = "";
    for right in rights() {
        let on = if right.on == before {
            String::new()
        } else {
            format!(" {}", right.on)
        };
        before = right.on;
        let having = having(roles, &right);
        let having = if having.is_empty() { "–" } else { &having };
        // Writing to a text cannot fail.
        let _ = writeln!(table, "|{on} | {} | {having} |", right.words);
    }
    table
}

fn having(roles: &BTreeMap<String, Vec<Value>>, right: &Right) -> String {
    let context: Vec<(&str, &str)> = right
        .context
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let may = |statements: &[Value], action| {
        let request = Request {
            action,
            resource: &right.resource,
            context: &context,
        };
        permits(statements, request)
    };
    let mut having = Vec::new();
    for (role, statements) in roles {
        let count = right
            .actions
            .iter()
            .filter(|action| may(statements, action))
            .count();
        assert!(
            count == 0 || count == right.actions.len(),
            "{role} may do only some of {:?} on {}",
            right.actions,
            right.resource
        );
        if count > 0 {
            having.push(role.as_str());
        }
    }
    having.join(", ")
}
