//! The MongoDB server of the stack: an external one, the machine's own `mongod`, or the stand-in.
//! On an external server, only databases with names of this run are used, and they are dropped at
//! the end.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, bail};
use mongodb::{Client, bson::doc};
use tokio::process::Command;

use crate::{
    process::{Service, Supervisor},
    tools::{MongoServer, StandIn, Tools},
};

/// The database of the job rows, if a run needs no other name.
const CATALOG: &str = "holdfast";

/// A running server.
pub(crate) struct Mongo {
    uri: Uri,
    product: &'static str,
    databases: Databases,
    service: Option<Service>,
}

/// The names of the databases of this run.
pub(crate) struct Databases {
    /// The database to back up.
    pub(crate) source: String,
    /// The target of the restore.
    pub(crate) restored: String,
    /// The database of the job rows, unless it is the default.
    catalog: Option<String>,
}

impl Mongo {
    /// Starts a server, or uses the external one.
    pub(crate) async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        match tools.mongo_server() {
            MongoServer::Given(uri) => Self::given(uri).await,
            MongoServer::Mongod(program) => Self::mongod(Command::new(program), supervisor).await,
            MongoServer::StandIn(stand_in) => Self::stand_in(stand_in, supervisor).await,
            MongoServer::None => bail!("no MongoDB server was installed"),
        }
    }

    async fn given(uri: &str) -> Result<Self> {
        let run = std::process::id();
        let databases = Databases {
            source: format!("holdfast_demo_{run}"),
            restored: format!("holdfast_demo_{run}_restored"),
            catalog: Some(format!("holdfast_demo_{run}_catalog")),
        };
        let mongo = Self {
            uri: Uri::parse(uri)?,
            product: "the server of MONGODB_URI",
            databases,
            service: None,
        };
        mongo
            .ping()
            .await
            .context("the server of MONGODB_URI does not respond")?;
        Ok(mongo)
    }

    async fn mongod(mut command: Command, supervisor: &Supervisor) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let data = data_folder(supervisor)?;
        command.args([
            "--replSet",
            "rs0",
            "--bind_ip",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--dbpath",
        ]);
        let service = supervisor.serve("mongodb", command.arg(data))?;
        let mongo = Self::own("mongod", port, service)?;
        mongo.wait().await?;
        let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
        let set = doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } };
        mongo
            .client()
            .await?
            .database("admin")
            .run_command(set)
            .await
            .context("the replica set was not created")?;
        Ok(mongo)
    }

    async fn stand_in(stand_in: &StandIn, supervisor: &Supervisor) -> Result<Self> {
        let mut command = stand_in.command(&data_folder(supervisor)?);
        command
            .env("HOME", supervisor.run_directory())
            .current_dir(supervisor.run_directory());
        let mut service = supervisor.serve("mongodb", &mut command)?;
        let port = announced_port(&mut service).await?;
        let mongo = Self::own(stand_in.name(), port, service)?;
        mongo.wait().await?;
        Ok(mongo)
    }

    fn own(product: &'static str, port: u16, service: Service) -> Result<Self> {
        let databases = Databases {
            source: "web3platform".into(),
            restored: "restored".into(),
            catalog: None,
        };
        let uri = Uri::parse(&format!(
            "mongodb://127.0.0.1:{port}/?directConnection=true"
        ))?;
        Ok(Self {
            uri,
            product,
            databases,
            service: Some(service),
        })
    }

    /// The name of the product.
    pub(crate) fn product(&self) -> &'static str {
        self.product
    }

    /// Its hosts, without credentials.
    pub(crate) fn address(&self) -> &str {
        self.uri.hosts()
    }

    pub(crate) fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Its connection string, without a database.
    pub(crate) fn server_uri(&self) -> String {
        self.uri.with_database("")
    }

    /// The connection string of the source.
    pub(crate) fn source_uri(&self) -> String {
        self.uri.with_database(&self.databases.source)
    }

    /// The connection string of the catalogue. The API's function reads no other.
    pub(crate) fn catalog_uri(&self) -> String {
        let catalog = self.databases.catalog.as_deref().unwrap_or(CATALOG);
        self.uri.with_database(catalog)
    }

    /// Drops the databases of this run on an external server.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        if self.service.is_some() {
            return Ok(());
        }
        let client = self.client().await?;
        for name in [&self.databases.source, &self.databases.restored]
            .into_iter()
            .chain(&self.databases.catalog)
        {
            client
                .database(name)
                .drop()
                .await
                .with_context(|| format!("the database {name} could not be dropped"))?;
        }
        Ok(())
    }

    async fn client(&self) -> Result<Client> {
        Client::with_uri_str(self.server_uri())
            .await
            .context("not a MongoDB connection string")
    }

    async fn ping(&self) -> Result<()> {
        self.client()
            .await?
            .database("admin")
            .run_command(doc! { "ping": 1 })
            .await?;
        Ok(())
    }

    async fn wait(&self) -> Result<()> {
        let answer = tokio::time::timeout(Duration::from_mins(1), async {
            while self.ping().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let last_words = || {
            self.service
                .as_ref()
                .map(Service::last_words)
                .unwrap_or_default()
        };
        answer
            .await
            .with_context(|| format!("{} does not answer:\n{}", self.product, last_words()))
    }
}

fn data_folder(supervisor: &Supervisor) -> Result<std::path::PathBuf> {
    let data = supervisor.run_directory().join("mongodb");
    std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
    Ok(data)
}

/// The port printed by the stand-in. It chooses a free one.
async fn announced_port(service: &mut Service) -> Result<u16> {
    for _ in 0..600 {
        let log = service.log();
        let announced = log
            .lines()
            .find_map(|line| line.split_once("listening on ")?.1.rsplit(':').next());
        if let Some(port) = announced.and_then(|port| port.trim().parse().ok()) {
            return Ok(port);
        }
        if service.has_ended() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!(
        "MongoDB's stand-in did not start:\n{}",
        service.last_words()
    )
}

/// A connection string, split at its database. Several hosts are not changed, although the syntax
/// of URLs does not allow them.
struct Uri {
    authority: String,
    options: String,
}

impl Uri {
    fn parse(uri: &str) -> Result<Self> {
        let (scheme, rest) = uri
            .split_once("://")
            .context("a MongoDB connection string begins with mongodb://")?;
        let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = before.split('/').next().unwrap_or_default();
        Ok(Self {
            authority: format!("{scheme}://{authority}"),
            options: options.to_owned(),
        })
    }

    fn hosts(&self) -> &str {
        self.authority.rsplit(['@', '/']).next().unwrap_or_default()
    }

    fn with_database(&self, database: &str) -> String {
        let options = if self.options.is_empty() {
            String::new()
        } else {
            format!("?{}", self.options)
        };
        format!("{}/{database}{options}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_put_where_it_belongs() {
        let changed = |uri| Uri::parse(uri).unwrap().with_database("x");
        assert_eq!(
            changed("mongodb://a:1/?directConnection=true"),
            "mongodb://a:1/x?directConnection=true"
        );
        assert_eq!(
            changed("mongodb://u:p@a:1,b:2/old?replicaSet=r"),
            "mongodb://u:p@a:1,b:2/x?replicaSet=r"
        );
        assert_eq!(changed("mongodb+srv://host"), "mongodb+srv://host/x");
    }

    #[test]
    fn no_credentials_are_among_the_hosts() {
        assert_eq!(
            Uri::parse("mongodb://u:secret@a:1,b:2/d").unwrap().hosts(),
            "a:1,b:2"
        );
    }
}
