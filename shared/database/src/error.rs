//! Errors of a database, by the caller's choices. The driver's errors are translated only here.
//! Texts depend on an error's kind, because the driver's own texts may contain pieces of a
//! connection string.

use mongodb::error::{CommandError, Error, ErrorKind};

use crate::{
    denied::{denied, is_about_privileges},
    values::without_values,
};

/// A failure of a database, or of a request to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The connection string cannot be used. Permanent.
    #[error("{0}")]
    Invalid(String),
    /// No server answered in time. Transient.
    #[error("{0}")]
    Unreachable(String),
    /// Wrong user or password, or a role without the privilege. Permanent.
    #[error("{0}")]
    Denied(String),
    /// The server went away during the operation and did not return in time. Transient.
    #[error("{0}")]
    Lost(String),
    /// A collection was dropped, renamed or recreated during a dump. Transient.
    #[error("{0}")]
    Changed(String),
    /// The server's disk is full, or its quota is exhausted. The written data is not at fault.
    /// Permanent until a person frees space.
    #[error("{0}")]
    NoRoom(String),
    /// The server or a rule of Holdfast refused it. Permanent.
    #[error("{0}")]
    Refused(String),
}

impl DatabaseError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Lost(_) | Self::Changed(_)
        )
    }

    /// Whether it affects the server, so that every further call would fail too.
    #[must_use]
    pub fn is_of_the_server(&self) -> bool {
        self.is_transient() || matches!(self, Self::NoRoom(_))
    }

    /// The same failure, with the operation before its text.
    pub(crate) fn during(self, what: impl std::fmt::Display) -> Self {
        let with = |text: String| format!("{what}: {text}");
        match self {
            Self::Invalid(text) => Self::Invalid(with(text)),
            Self::Unreachable(text) => Self::Unreachable(with(text)),
            Self::Denied(text) => Self::Denied(with(text)),
            Self::Lost(text) => Self::Lost(with(text)),
            Self::Changed(text) => Self::Changed(with(text)),
            Self::NoRoom(text) => Self::NoRoom(with(text)),
            Self::Refused(text) => Self::Refused(with(text)),
        }
    }
}

/// Translates an error of the driver. The text contains no user, no password and no option of the
/// connection string.
#[must_use]
pub(crate) fn classify(error: &Error) -> DatabaseError {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => DatabaseError::Denied(WRONG_PASSWORD.to_owned()),
        ErrorKind::Command(command) => by_code(command),
        ErrorKind::Io(cause) => DatabaseError::Lost(format!("the connection broke: {cause}")),
        ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Shutdown => DatabaseError::Lost(
            "the connection broke together with another one to the same server".to_owned(),
        ),
        ErrorKind::ServerSelection { message, .. } => DatabaseError::Unreachable(format!(
            "no server answered in time: {}",
            cause_of_silence(message)
        )),
        ErrorKind::DnsResolve { .. } => {
            DatabaseError::Unreachable("the host name could not be resolved".to_owned())
        }
        ErrorKind::InvalidTlsConfig { .. } => {
            DatabaseError::Invalid("the TLS options or their files cannot be used".to_owned())
        }
        ErrorKind::IncompatibleServer { .. } => {
            DatabaseError::Refused("the driver does not support the server's version".to_owned())
        }
        ErrorKind::InvalidResponse { .. } | ErrorKind::Bson(_) => {
            DatabaseError::Lost("the server's answer is malformed".to_owned())
        }
        _ => DatabaseError::Refused("the driver refused the call".to_owned()),
    }
}

const WRONG_PASSWORD: &str =
    "the server refused the user name or the password: check both, and authSource";

/// Limit of a server's own message.
const MESSAGE_CHARACTERS: usize = 300;

fn by_code(error: &CommandError) -> DatabaseError {
    match error.code {
        // AuthenticationFailed, UserNotFound.
        11 | 18 => DatabaseError::Denied(WRONG_PASSWORD.to_owned()),
        code if code == ATLAS && is_about_privileges(&error.message) => {
            DatabaseError::Denied(denied(&error.message))
        }
        code if code == ATLAS && is_of_credentials(&error.message) => {
            DatabaseError::Denied(WRONG_PASSWORD.to_owned())
        }
        code if has_no_room(code, &error.message) => no_room(&error.message),
        // Unauthorized.
        13 => DatabaseError::Denied(denied(&error.message)),
        code if IS_GONE.contains(&code) => DatabaseError::Lost(format!(
            "the server cancelled the operation: {}",
            error.code_name
        )),
        // QueryPlanKilled: the collection was dropped or renamed.
        175 => DatabaseError::Changed("it was dropped or renamed during the read".to_owned()),
        code => DatabaseError::Refused(format!(
            "the server refused: {} ({code}): {}",
            error.code_name,
            shortened(&error.message)
        )),
    }
}

/// Atlas's own code: wrong credentials, an exhausted quota, commands missing in its tiers.
const ATLAS: i32 = 8000;
const OUT_OF_DISK_SPACE: i32 = 14031;

fn is_of_credentials(message: &str) -> bool {
    message.to_lowercase().contains("auth")
}

/// Whether the code and message of a server report a full disk or an exhausted quota.
pub(crate) fn has_no_room(code: i32, message: &str) -> bool {
    code == OUT_OF_DISK_SPACE || (code == ATLAS && message.to_lowercase().contains("quota"))
}

/// The error of a server without free space.
pub(crate) fn no_room(message: &str) -> DatabaseError {
    DatabaseError::NoRoom(format!(
        "the server's disk is full, or its quota is exhausted: free space there, or use another server: {}",
        shortened(message)
    ))
}

/// Codes of a server that is stopping, stepping down, starting or unreachable through a router, and
/// of a lost cursor.
const IS_GONE: [i32; 21] = [
    6, 7, 43, 89, 91, 133, 134, 136, 150, 189, 234, 237, 262, 317, 358, 9001, 10107, 11600, 11602,
    13435, 13436,
];

/// A server's message without values of documents, cut to a readable length.
pub(crate) fn shortened(message: &str) -> String {
    let message = without_values(message);
    match message.char_indices().nth(MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// The driver describes the complete topology. Only the kind of trouble is reported.
fn cause_of_silence(message: &str) -> &'static str {
    const CAUSES: [(&str, &str); 7] = [
        (
            "connection refused",
            "the connection was refused: check the server and its port",
        ),
        ("failed to lookup", "the host name is unknown"),
        ("dns error", "the host name is unknown"),
        ("certificate", "its TLS certificate was not accepted"),
        ("tls", "the TLS negotiation failed"),
        ("unreachable", "there is no route to the host"),
        (
            "timed out",
            "no answer: check the network, the security groups and the server's access list",
        ),
    ];
    let message = message.to_lowercase();
    CAUSES.iter().find(|(sign, _)| message.contains(sign)).map_or(
        "no running server matches the connection string (host, replica set name, read preference)",
        |(_, cause)| cause,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_transient() {
        let text = || "x".to_owned();
        let transient = [
            DatabaseError::Unreachable(text()),
            DatabaseError::Lost(text()),
            DatabaseError::Changed(text()),
        ];
        let permanent = [
            DatabaseError::Invalid(text()),
            DatabaseError::Denied(text()),
            DatabaseError::NoRoom(text()),
            DatabaseError::Refused(text()),
        ];
        assert!(transient.iter().all(DatabaseError::is_transient));
        assert!(!permanent.iter().any(DatabaseError::is_transient));
        assert_eq!(
            permanent.map(|error| error.is_of_the_server()),
            [false, false, true, false]
        );
    }

    fn classified(code: i32, message: &str) -> DatabaseError {
        let command = bson::doc! { "code": code, "codeName": "x", "errmsg": message };
        by_code(&bson::deserialize_from_document(command).unwrap())
    }

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_no_wrong_password_and_no_refusal() {
        let quota = "you are over your space quota, using 513 MB of 512 MB";
        assert!(matches!(
            classified(14031, "available disk space is less than required"),
            DatabaseError::NoRoom(_)
        ));
        assert!(
            matches!(classified(8000, quota), DatabaseError::NoRoom(text) if text.contains("513 MB"))
        );
        assert_eq!(
            classified(8000, "bad auth : Authentication failed."),
            classified(18, "Authentication failed.")
        );
        assert!(matches!(
            classified(8000, "(CMD_NOT_ALLOWED): setParameter"),
            DatabaseError::Refused(_)
        ));
        let missing = classified(
            8000,
            "user is not allowed to do action [find] on [test.auth_roles]",
        );
        assert!(
            matches!(&missing, DatabaseError::Denied(text) if text.contains("`find` on test.auth_roles")),
            "{missing}"
        );
    }

    #[test]
    fn only_the_cause_of_a_topology_error_is_reported() {
        let topology =
            "Topology: { Address: h:1, Error: Kind: I/O error: Connection refused (os error 111) }";
        assert!(cause_of_silence(topology).starts_with("the connection was refused"));
        assert!(cause_of_silence("Topology: { Type: Unknown }").contains("replica set name"));
    }

    #[test]
    fn a_long_message_of_the_server_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(
            shortened(&"ü".repeat(400)).chars().count(),
            MESSAGE_CHARACTERS + 1
        );
    }
}
