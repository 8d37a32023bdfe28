//! A password is rotated while a function is warm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use holdfast_lambda::{Function, InvocationError, Warm};
use holdfast_setup::Clients;
use holdfast_testing::{MongoServer, aws_config, unique};
use mongodb::bson::{Document, doc};

/// A server with logins, and a secret with a connection string for it.
struct Stage {
    server: MongoServer,
    arn: String,
}

impl Stage {
    async fn new(password: &str) -> Self {
        let server = MongoServer::start(&[]).await;
        let root = doc! { "createUser": "root", "pwd": "r", "roles": ["root"] };
        let user = doc! {
            "createUser": "holdfast",
            "pwd": password,
            "roles": [{ "role": "readWrite", "db": "holdfast" }],
        };
        for command in [root, user] {
            run(&server.uri("", ""), command).await;
        }
        let server = server.with_arguments(&["--auth"]).await;
        let uri = uri(&server, password);
        let created = secrets()
            .create_secret()
            .name(unique("rotation"))
            .secret_string(uri)
            .send();
        let arn = created.await.unwrap().arn.unwrap();
        Self { server, arn }
    }

    fn warm(&self) -> Warm {
        let variables = [
            ("MONGODB_URI", self.arn.as_str()),
            ("BACKUP_STORE", "s3://rotation"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Warm::new(Function::new(variables.into(), Clients::new(aws_config())))
    }

    /// The user gets another password. The restart ends the connections of the old one.
    async fn change_password(&mut self, password: &str) {
        let uri = self.server.uri("root:r@", "admin");
        run(&uri, doc! { "updateUser": "holdfast", "pwd": password }).await;
        self.server.stop();
        self.server.start_again().await;
    }

    async fn store(&self, text: String) {
        let stored = secrets().put_secret_value().secret_id(&self.arn);
        stored.secret_string(text).send().await.unwrap();
    }

    async fn remove(self) {
        let deleted = secrets().delete_secret().secret_id(&self.arn);
        deleted
            .force_delete_without_recovery(true)
            .send()
            .await
            .unwrap();
    }
}

fn secrets() -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&aws_config())
}

fn uri(server: &MongoServer, password: &str) -> String {
    format!(
        "{}&authSource=admin",
        server.uri(&format!("holdfast:{password}@"), "holdfast")
    )
}

async fn run(uri: &str, command: Document) {
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    client.database("admin").run_command(command).await.unwrap();
}

/// An invocation that reads from the catalogue. Its attempts are counted.
async fn invoke(warm: &Warm, attempts: &AtomicU32) -> Result<(), InvocationError> {
    let work = async |function: Arc<Function>| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let holdfast = function.holdfast().await?;
        let read = holdfast
            .catalog
            .policy(holdfast_domain::BackupType::Database);
        read.await
            .map_err(holdfast_operations::OperationError::from)?;
        Ok(())
    };
    warm.serve(work).await
}

async fn attempts_of(warm: &Warm) -> (bool, u32) {
    let attempts = AtomicU32::new(0);
    let mut outcome = invoke(warm, &attempts).await;
    // The first call after the restart may find a broken connection.
    for _ in 0..5 {
        let Err(InvocationError::Operation(error)) = &outcome else {
            break;
        };
        if !error.is_transient() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        attempts.store(0, Ordering::Relaxed);
        outcome = invoke(warm, &attempts).await;
    }
    (outcome.is_ok(), attempts.into_inner())
}

#[tokio::test]
async fn a_warm_function_uses_a_rotated_password_in_the_same_invocation() {
    let mut stage = Stage::new("first").await;
    let warm = stage.warm();
    assert_eq!(attempts_of(&warm).await, (true, 1));
    stage.change_password("second").await;
    let json = serde_json::json!({ "password": "second", "uri": uri(&stage.server, "second") });
    stage.store(json.to_string()).await;
    assert_eq!(attempts_of(&warm).await, (true, 2));
    assert_eq!(attempts_of(&warm).await, (true, 1));
    stage.remove().await;
}

#[tokio::test]
async fn a_refused_login_with_an_unchanged_secret_is_not_repeated() {
    let mut stage = Stage::new("first").await;
    let warm = stage.warm();
    assert_eq!(attempts_of(&warm).await, (true, 1));
    stage.change_password("second").await;
    assert_eq!(attempts_of(&warm).await, (false, 1));
    // The secret was read within the last minute, and is not read again.
    stage.store(uri(&stage.server, "second")).await;
    assert_eq!(attempts_of(&warm).await, (false, 1));
    stage.remove().await;
}
