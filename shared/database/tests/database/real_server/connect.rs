//! Failed connections are distinguished, in seconds and without secrets.

use std::time::{Duration, Instant};

use super::support::{Server, connect, dump_of, everything};
use bson::doc;
use holdfast_database::{Connection, DatabaseError};
use holdfast_domain::{Secret, settings::ReadPreference};

async fn refused(uri: &str) -> DatabaseError {
    let begun = Instant::now();
    let opened = Connection::open(
        &Secret::new(uri),
        ReadPreference::SecondaryPreferred,
        "tests",
    )
    .await;
    let error = opened.err().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    for secret in ["hunter2", "ada", "authSource"] {
        assert!(
            !error.to_string().contains(secret) || error.to_string().contains("check both"),
            "{error}"
        );
    }
    error
}

#[tokio::test]
async fn an_unreachable_server_is_reported_in_seconds() {
    let error = refused("mongodb://ada:hunter2@127.0.0.1:9/shop?authSource=admin").await;
    assert!(matches!(error, DatabaseError::Unreachable(_)), "{error:?}");
    assert!(
        error.to_string().contains("mongodb://127.0.0.1:9/shop")
            && error.to_string().contains("refused"),
        "{error}"
    );
    let error = refused("mongodb://ada:hunter2@no-such-host.invalid/shop").await;
    assert!(matches!(error, DatabaseError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_unreachable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = refused(&format!(
        "mongodb://127.0.0.1:{port}/shop?directConnection=true"
    ))
    .await;
    assert!(matches!(error, DatabaseError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_malformed_connection_string_is_invalid() {
    for uri in [
        "mongodb://ada:hunter2@",
        "postgres://ada:hunter2@h/shop",
        "mongodb://ada:hun@ter2@h/shop",
    ] {
        assert!(
            matches!(refused(uri).await, DatabaseError::Invalid(_)),
            "{uri}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_denied() {
    let server = Server::start(&[]).await;
    let admin = connect(&server.uri("", "")).await;
    let user = doc! { "createUser": "ada", "pwd": "hunter2", "roles": ["root"] };
    admin
        .client()
        .database("admin")
        .run_command(user)
        .await
        .unwrap();
    drop(admin);
    let server = server.with_arguments(&["--auth"]).await;
    let error = refused(
        &server
            .uri("ada:wrong-hunter2@", "shop")
            .replace('?', "?authSource=admin&"),
    )
    .await;
    assert!(matches!(error, DatabaseError::Denied(_)), "{error:?}");
    let right = connect(
        &server
            .uri("ada:hunter2@", "shop")
            .replace('?', "?authSource=admin&"),
    )
    .await;
    assert_eq!(right.redacted_uri().matches("hunter2").count(), 0);
    assert_eq!(right.default_database(), Some("shop"));
    let anonymous = Secret::new(server.uri("", "shop"));
    let denied = match Connection::open(&anonymous, ReadPreference::Primary, "tests").await {
        Ok(connection) => match dump_of(&connection, &everything()).await {
            Err(holdfast_database::DumpError::Database(error)) => error,
            other => panic!(
                "dumped without credentials: {:?}",
                other.map(|(_, report)| report)
            ),
        },
        Err(error) => error,
    };
    assert!(matches!(denied, DatabaseError::Denied(_)), "{denied:?}");
}
