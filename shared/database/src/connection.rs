//! A connection to a server or replica set: opened with short time-outs and classified errors,
//! described without its credentials.

use std::{net::Ipv6Addr, time::Duration};

use bson::{Document, doc};
use holdfast_domain::{Secret, Timestamp, settings};
use mongodb::{
    Client,
    options::{ClientOptions, ConnectionString, HostInfo, SelectionCriteria, ServerAddress},
};
use tokio::time::timeout;

use crate::{DatabaseError, Freshness, classify, reading::Reading};

/// Time limit for finding a server, and for connecting to it, unless the connection string sets
/// one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time limit for the first exchange with a found server. It bounds a server that accepts and stays
/// silent.
const FIRST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for finding a server without Holdfast's own bound on staleness. The driver already
/// knows the reachable servers.
const UNBOUNDED_TIMEOUT: Duration = Duration::from_secs(2);

/// Time limit for the DNS lookups of a `mongodb+srv` string.
const DNS_PATIENCE: Duration = Duration::from_secs(10);

/// One connection for each of the 32 collections read at a time, and some reserve.
const POOL_SIZE: u32 = 64;

/// Name of the collection and its only document with the time of the last beat.
const BEAT: &str = "beat";

/// Databases of the server itself.
pub(crate) const SERVER_DATABASES: [&str; 3] = ["admin", "local", "config"];

/// An open connection. Clones share one pool.
#[derive(Debug, Clone)]
pub struct Connection {
    client: Client,
    redacted_uri: String,
    server_version: String,
    default_database: Option<String>,
    reading: Reading,
}

impl Connection {
    /// Connects, authenticates, and reads the server's version. The read preference is this one, or
    /// else the connection string's, or else secondaries preferred. A secondary too far behind
    /// is not read.
    ///
    /// # Errors
    /// `Invalid` for a malformed connection string. `Unreachable` if no server answers within about
    /// five seconds, or the string's limit. `Denied` if the server refuses the credentials.
    pub async fn open(
        uri: &Secret,
        read_preference: impl Into<Option<settings::ReadPreference>>,
        app_name: &str,
    ) -> Result<Self, DatabaseError> {
        let described = describe(uri.expose())?;
        for warning in &described.ignored {
            tracing::warn!(connection = described.redacted, "{warning}");
        }
        let (options, reading) = options(
            &described.usable,
            &described.redacted,
            app_name,
            read_preference.into(),
        )
        .await?;
        let client = Client::with_options(options)
            .map_err(|error| at_opening(&error, &described.redacted))?;
        let (server_version, reading) = first_answer(&client, reading, &described.redacted).await?;
        Ok(Self {
            client,
            redacted_uri: described.redacted,
            server_version,
            default_database: described.default_database,
            reading,
        })
    }

    /// The connection string without credentials and options.
    #[must_use]
    pub fn redacted_uri(&self) -> &str {
        &self.redacted_uri
    }

    /// The server's version.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The database named in the connection string.
    #[must_use]
    pub fn default_database(&self) -> Option<&str> {
        self.default_database.as_deref()
    }

    /// The driver's client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The selection of members for reads.
    pub(crate) fn reading(&self) -> SelectionCriteria {
        self.reading.preference.clone().into()
    }

    /// The selection of members for reads, in the form of mongodump's `--readPreference`.
    #[must_use]
    pub fn read_preference_for_mongodump(&self) -> String {
        self.reading.for_mongodump()
    }

    /// Present age of the data of a member selected for reads.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn freshness(&self) -> Result<Freshness, DatabaseError> {
        Ok(Freshness::from_hello(
            &self.hello().await?,
            Timestamp::now(),
        ))
    }

    async fn hello(&self) -> Result<Document, DatabaseError> {
        hello(&self.client, &self.reading())
            .await
            .map_err(|error| classify(&error).during("reading its state"))
    }

    /// The database of the connection string, or else all except the server's own, sorted.
    ///
    /// # Errors
    /// The databases cannot be listed.
    pub async fn databases(&self) -> Result<Vec<String>, DatabaseError> {
        if let Some(database) = &self.default_database {
            return Ok(vec![database.clone()]);
        }
        let names = self.client.list_database_names().await;
        let mut names = names.map_err(|error| classify(&error).during("listing the databases"))?;
        names.retain(|name| !SERVER_DATABASES.contains(&name.as_str()));
        names.sort_unstable();
        Ok(names)
    }

    /// The databases with this prefix, sorted.
    ///
    /// # Errors
    /// The databases cannot be listed.
    pub async fn databases_beginning_with(
        &self,
        prefix: &str,
    ) -> Result<Vec<String>, DatabaseError> {
        let names = self.client.list_database_names().await;
        let mut names = names.map_err(|error| classify(&error).during("listing the databases"))?;
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }

    /// The server's time, if it reports one.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn time(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let answer = self.hello().await?;
        let time = answer.get_datetime("localTime").ok();
        Ok(time.and_then(|time| Timestamp::from_millisecond(time.timestamp_millis()).ok()))
    }

    /// Records a beat in a database, for the scratch databases of drills.
    ///
    /// # Errors
    /// The server refuses the write.
    pub async fn beat(&self, database: &str, of: &str, at: Timestamp) -> Result<(), DatabaseError> {
        let beat =
            doc! { "_id": BEAT, "of": of, "at": bson::DateTime::from_millis(at.as_millisecond()) };
        let beats = self.client.database(database).collection::<Document>(BEAT);
        let written = beats
            .replace_one(doc! { "_id": BEAT }, beat)
            .upsert(true)
            .await;
        written
            .map(drop)
            .map_err(|error| classify(&error).during(format!("writing to {database}")))
    }

    /// Time of the last beat, if any.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn last_beat(&self, database: &str) -> Result<Option<Timestamp>, DatabaseError> {
        let beats = self.client.database(database).collection::<Document>(BEAT);
        let found = beats.find_one(doc! { "_id": BEAT }).await;
        let found =
            found.map_err(|error| classify(&error).during(format!("reading from {database}")))?;
        let at = found.and_then(|beat| beat.get_datetime("at").ok().copied());
        Ok(at.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok()))
    }

    /// Drops a database: for the scratch databases of drills and tests.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn drop_database(&self, database: &str) -> Result<(), DatabaseError> {
        let dropped = self.client.database(database).drop().await;
        dropped
            .map_err(|error| classify(&error).during(format!("dropping the database {database}")))
    }
}

/// The connection string without credentials and options. `None` for a malformed string.
#[must_use]
pub fn redacted_uri(uri: &Secret) -> Option<String> {
    describe(uri.expose())
        .ok()
        .map(|described| described.redacted)
}

struct Described {
    /// Without the ignored options. Contains the credentials.
    usable: String,
    ignored: Vec<String>,
    redacted: String,
    default_database: Option<String>,
}

/// Shows only elements from the driver's own parser. A cut at `@` or `/` would show the end of an
/// unescaped password.
fn describe(uri: &str) -> Result<Described, DatabaseError> {
    let holdfast_domain::ConnectionString { usable, ignored } =
        holdfast_domain::ConnectionString::read(uri).map_err(|problem| {
            DatabaseError::Invalid(format!("the connection string is malformed: {problem}"))
        })?;
    let parsed = ConnectionString::parse(&usable)
        .map_err(|_| DatabaseError::Invalid(what_is_malformed(&usable)))?;
    let (scheme, hosts) = match &parsed.host_info {
        HostInfo::HostIdentifiers(hosts) => (
            "mongodb",
            hosts.iter().map(shown_host).collect::<Vec<_>>().join(","),
        ),
        HostInfo::DnsRecord(host) => ("mongodb+srv", host.clone()),
        _ => ("mongodb", String::new()),
    };
    let default_database = parsed.default_database.filter(|name| !name.is_empty());
    let path = default_database
        .as_deref()
        .map(|name| format!("/{name}"))
        .unwrap_or_default();
    Ok(Described {
        usable,
        ignored,
        redacted: format!("{scheme}://{hosts}{path}"),
        default_database,
    })
}

/// A host in the form of a connection string: an IPv6 address has brackets.
fn shown_host(host: &ServerAddress) -> String {
    match host {
        ServerAddress::Tcp {
            host: address,
            port: Some(port),
        } if address.parse::<Ipv6Addr>().is_ok() => {
            format!("[{address}]:{port}")
        }
        ServerAddress::Tcp {
            host: address,
            port: None,
        } if address.parse::<Ipv6Addr>().is_ok() => {
            format!("[{address}]:27017")
        }
        other => other.to_string(),
    }
}

fn what_is_malformed(uri: &str) -> String {
    let reason = if !uri.starts_with("mongodb://") && !uri.starts_with("mongodb+srv://") {
        "it begins with neither mongodb:// nor mongodb+srv://"
    } else if uri.matches('@').count() > 1 {
        "it contains more than one @: percent-encode those of the user name and the password as %40"
    } else {
        "a host, the database or an option is malformed: percent-encode : / ? # [ ] @ % in the user name and the \
         password"
    };
    format!("the connection string is malformed: {reason}")
}

async fn options(
    uri: &str,
    redacted: &str,
    app_name: &str,
    read_preference: Option<settings::ReadPreference>,
) -> Result<(ClientOptions, Reading), DatabaseError> {
    let parsed = timeout(DNS_PATIENCE, ClientOptions::parse(uri)).await;
    let mut options = parsed
        .map_err(|_| {
            DatabaseError::Unreachable(format!(
                "{redacted}: the host name could not be resolved in time"
            ))
        })?
        .map_err(|error| at_opening(&error, redacted))?;
    options.app_name.get_or_insert_with(|| app_name.to_owned());
    options.server_selection_timeout.get_or_insert(PATIENCE);
    options.connect_timeout.get_or_insert(PATIENCE);
    options.max_pool_size.get_or_insert(POOL_SIZE);
    let reading = Reading::new(read_preference, uri, &options);
    options.selection_criteria = Some(reading.preference.clone().into());
    Ok((options, reading))
}

/// The server's version, and the selection of members for reads. Some servers do not report their
/// last write, so no member satisfies a bound. Holdfast's own bound is then dropped, but never for
/// an outdated member.
async fn first_answer(
    client: &Client,
    reading: Reading,
    redacted: &str,
) -> Result<(String, Reading), DatabaseError> {
    let asked = server_version(client, &reading.preference.clone().into(), redacted).await;
    let refused = match asked {
        Err(error @ DatabaseError::Unreachable(_)) if reading.has_default_bound => error,
        asked => return Ok((asked?, reading)),
    };
    let unbounded = reading.unbounded();
    let selection = SelectionCriteria::from(unbounded.preference.clone());
    let Ok(Ok(member)) = timeout(UNBOUNDED_TIMEOUT, hello(client, &selection)).await else {
        return Err(refused);
    };
    if Freshness::from_hello(&member, Timestamp::now())
        .last_write_at
        .is_some()
    {
        return Err(DatabaseError::Unreachable(format!(
            "{redacted}: every eligible member is more than two minutes behind the primary: check the replication \
             lag, or set maxStalenessSeconds in the connection string"
        )));
    }
    tracing::warn!(
        server = redacted,
        "the server does not report its last write, so the age of the data is unknown"
    );
    Ok((
        server_version(client, &selection, redacted).await?,
        unbounded,
    ))
}

async fn hello(client: &Client, reading: &SelectionCriteria) -> mongodb::error::Result<Document> {
    client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .selection_criteria(reading.clone())
        .await
}

async fn server_version(
    client: &Client,
    reading: &SelectionCriteria,
    redacted: &str,
) -> Result<String, DatabaseError> {
    let admin = client.database("admin");
    let asked = async {
        admin
            .run_command(doc! { "ping": 1 })
            .selection_criteria(reading.clone())
            .await?;
        admin
            .run_command(doc! { "buildInfo": 1 })
            .selection_criteria(reading.clone())
            .await
    };
    // The driver has its own time limit for finding a server. This limit is for a found server
    // without an answer.
    let waited = timeout(FIRST_RESPONSE_TIMEOUT + PATIENCE, asked).await;
    let answer: Document = waited
        .map_err(|_| {
            DatabaseError::Unreachable(format!(
                "{redacted}: the server accepts connections but is silent"
            ))
        })?
        .map_err(|error| at_opening(&error, redacted))?;
    Ok(answer.get_str("version").unwrap_or("unknown").to_owned())
}

/// A connection lost during opening counts as unreachable.
fn at_opening(error: &mongodb::error::Error, redacted: &str) -> DatabaseError {
    if let mongodb::error::ErrorKind::InvalidArgument { .. } = error.kind.as_ref() {
        return DatabaseError::Invalid(format!(
            "{redacted}: an option of the connection string cannot be used"
        ));
    }
    match classify(error) {
        DatabaseError::Lost(text) => DatabaseError::Unreachable(text),
        other => other,
    }
    .during(redacted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_shown_without_credentials_and_options() {
        let uri = Secret::new("mongodb://ada:hunter2@a:1,b:2/shop?authSource=admin&appName=x");
        assert_eq!(
            redacted_uri(&uri).as_deref(),
            Some("mongodb://a:1,b:2/shop")
        );
        let uri = Secret::new("mongodb+srv://ada:hunter2@c.example.net");
        assert_eq!(
            redacted_uri(&uri).as_deref(),
            Some("mongodb+srv://c.example.net")
        );
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        let shown = |uri: &str| redacted_uri(&Secret::new(uri)).unwrap();
        assert_eq!(
            shown("mongodb://u:p@[::1]:27018,[fe80::2],h/x"),
            "mongodb://[::1]:27018,[fe80::2]:27017,h:27017/x"
        );
        assert_eq!(shown("mongodb://127.0.0.1:1"), "mongodb://127.0.0.1:1");
    }

    #[tokio::test]
    async fn what_drivers_of_other_languages_take_is_taken() {
        for given in [
            "useNewUrlParser=true&",
            "uuidRepresentation=standard",
            "compressors=zstd",
            "gssapiServiceName=x",
        ] {
            let described = describe(&format!("mongodb://ada:hunter2@h/shop?{given}")).unwrap();
            options(&described.usable, &described.redacted, "tests", None)
                .await
                .unwrap();
        }
        let Err(DatabaseError::Invalid(text)) =
            describe("mongodb://ada:hunter2@h/shop?tls=hunter2")
        else {
            panic!("a flag that is none was taken")
        };
        assert!(
            text.contains("option tls") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn what_is_malformed_is_never_shown() {
        for uri in [
            "http://ada:hunter2@h",
            "mongodb://ada:hun/ter2@h",
            "mongodb://ada:hunter2@h:port/x",
            "hunter2",
            "",
        ] {
            let Err(DatabaseError::Invalid(text)) = describe(uri) else {
                panic!("{uri} was taken")
            };
            assert!(
                !text.contains("hunter2") && !text.contains("ter2"),
                "{text}"
            );
        }
    }
}
