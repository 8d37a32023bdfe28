//! The deployed API, called with a token. Every response is kept, for the search for secrets.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use holdfast_testing::stack;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Longest time of a job without progress.
const WITHOUT_PROGRESS: Duration = Duration::from_mins(3);

/// The caller.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    Admin,
    Creator,
    /// With a verified token without a role.
    Stranger,
    /// Without a token.
    Nobody,
    /// With an unsigned token.
    Forger,
}

/// A response of the API.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// The API of one stack.
pub(crate) struct Api {
    url: String,
    client: Client,
    heard: Mutex<Vec<String>>,
}

impl Api {
    pub(crate) fn new(url: &str) -> Self {
        let client = Client::builder()
            .timeout(Duration::from_secs(35))
            .build()
            .unwrap();
        Self {
            url: url.to_owned(),
            client,
            heard: Mutex::default(),
        }
    }

    pub(crate) async fn call(&self, caller: Caller, method: Method, path: &str) -> Answer {
        self.send(caller, method, path, None).await
    }

    /// As the administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Caller::Admin, Method::GET, path).await
    }

    /// With a body and its media type.
    pub(crate) async fn post(&self, path: &str, media_type: &str, body: &str) -> Answer {
        self.send(Caller::Admin, Method::POST, path, Some((media_type, body)))
            .await
    }

    /// Requests a database backup.
    pub(crate) async fn trigger(&self) -> Answer {
        self.trigger_of("database").await
    }

    /// Requests a backup: `database`, `content` or `full`.
    pub(crate) async fn trigger_of(&self, kind: &str) -> Answer {
        self.call(Caller::Admin, Method::POST, &format!("/api/backups/{kind}"))
            .await
    }

    /// Requests a database backup without an obstacle, and returns its id.
    pub(crate) async fn triggered(&self) -> String {
        self.triggered_of("database").await
    }

    /// The same of another kind.
    pub(crate) async fn triggered_of(&self, kind: &str) -> String {
        let answer = self.trigger_of(kind).await;
        assert_eq!(
            (answer.status, &answer.data()["status"]),
            (202, &"pending".into()),
            "{answer:?}"
        );
        answer.data()["backupId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        self.get(&format!("/api/backups/jobs/{id}"))
            .await
            .expect(200)
            .data()
            .clone()
    }

    /// The job, once it is settled. The limit is a time without progress, so that a slow machine
    /// only takes longer.
    pub(crate) async fn settled(&self, id: &str) -> Value {
        let mut seen = Value::Null;
        let mut changed_at = Instant::now();
        loop {
            let job = self.job(id).await;
            if ["completed", "failed", "cancelled"]
                .iter()
                .any(|status| job["status"] == *status)
            {
                return job;
            }
            let progress = json!([job["status"], job["items"], job["progress"]]);
            if progress != seen {
                (seen, changed_at) = (progress, Instant::now());
            }
            assert!(
                changed_at.elapsed() < WITHOUT_PROGRESS,
                "the job makes no progress: {job}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Backs up the database, and returns the completed job.
    pub(crate) async fn back_up(&self) -> Value {
        self.back_up_of("database").await
    }

    /// The same of another kind.
    pub(crate) async fn back_up_of(&self, kind: &str) -> Value {
        let job = self.settled(&self.triggered_of(kind).await).await;
        assert_eq!(job["status"], "completed", "{job}");
        job
    }

    /// All its responses.
    pub(crate) fn responses(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    async fn send(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        body: Option<(&str, &str)>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = caller.token() {
            request = request.bearer_auth(token);
        }
        if let Some((media_type, body)) = body {
            request = request
                .header("content-type", media_type)
                .body(body.to_owned());
        }
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        self.heard.lock().unwrap().push(text.clone());
        let body = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{path} answered {status}, no JSON: {text}"));
        Answer { status, body }
    }
}

impl Caller {
    fn token(self) -> Option<String> {
        let tokens = &stack().tokens;
        match self {
            Self::Admin => Some(tokens.admin.clone()),
            Self::Creator => Some(tokens.creator.clone()),
            Self::Stranger => Some(tokens.none.clone()),
            Self::Nobody => None,
            Self::Forger => {
                let (signed, _) = tokens.none.rsplit_once('.').unwrap();
                let (_, signature) = tokens.admin.rsplit_once('.').unwrap();
                Some(format!("{signed}.{signature}"))
            }
        }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// Asserts that the call was refused in the common shape of refusals.
    #[track_caller]
    pub(crate) fn expect_refusal(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, &self.body["code"]),
            (status, &code.into()),
            "{}",
            self.body
        );
        assert_eq!(self.body["success"], false, "{}", self.body);
        assert!(
            self.body["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{}",
            self.body
        );
    }
}
