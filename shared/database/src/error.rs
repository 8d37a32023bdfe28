//! What can go wrong with a database, by what the caller can do about it. The driver's errors are translated here and
//! nowhere else: texts are built from an error's kind, because the driver's own may hold pieces of a connection string.

use mongodb::error::{CommandError, Error, ErrorKind};

use crate::{
    denied::{denied, is_about_privileges},
    values::without_values,
};

/// A failure of a database, or of what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The connection string cannot be used. Permanent.
    #[error("{0}")]
    Invalid(String),
    /// No server answered in time. Transient.
    #[error("{0}")]
    Unreachable(String),
    /// Wrong user or password, or a role that does not suffice. Permanent.
    #[error("{0}")]
    Denied(String),
    /// The server went away in the middle and did not come back in time. Transient.
    #[error("{0}")]
    Lost(String),
    /// A collection was dropped, renamed or created anew while it was dumped. Transient.
    #[error("{0}")]
    Changed(String),
    /// The server's disk is full, or its quota is used up. It says nothing about what is written. Permanent until a person
    /// makes room.
    #[error("{0}")]
    NoRoom(String),
    /// The server, or a rule of Holdfast, said no. Permanent.
    #[error("{0}")]
    Refused(String),
}

impl DatabaseError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_) | Self::Changed(_))
    }

    /// Whether it concerns the server as a whole, so that every further call would fail too.
    #[must_use]
    pub fn is_of_the_server(&self) -> bool {
        self.is_transient() || matches!(self, Self::NoRoom(_))
    }

    /// The same failure, with what was being done before its text.
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

/// What an error of the driver means. Its text names no user, no password and no option of the connection string.
#[must_use]
pub fn classify(error: &Error) -> DatabaseError {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => DatabaseError::Denied(WRONG_PASSWORD.to_owned()),
        ErrorKind::Command(command) => by_code(command),
        ErrorKind::Io(cause) => DatabaseError::Lost(format!("the connection broke: {cause}")),
        ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Shutdown => {
            DatabaseError::Lost("the connection broke together with another one to the same server".to_owned())
        }
        ErrorKind::ServerSelection { message, .. } => {
            DatabaseError::Unreachable(format!("no server answered in time: {}", cause_of_silence(message)))
        }
        ErrorKind::DnsResolve { .. } => DatabaseError::Unreachable("the host name could not be resolved".to_owned()),
        ErrorKind::InvalidTlsConfig { .. } => {
            DatabaseError::Invalid("the TLS options or their files cannot be used".to_owned())
        }
        ErrorKind::IncompatibleServer { .. } => {
            DatabaseError::Refused("the server is of a version that the driver does not speak to".to_owned())
        }
        ErrorKind::InvalidResponse { .. } | ErrorKind::Bson(_) => {
            DatabaseError::Lost("the server's answer makes no sense".to_owned())
        }
        _ => DatabaseError::Refused("the driver refused the call".to_owned()),
    }
}

const WRONG_PASSWORD: &str = "the server refused the user name or the password: check both, and authSource";

/// How much of a server's own message is passed on.
const MESSAGE_CHARACTERS: usize = 300;

fn by_code(error: &CommandError) -> DatabaseError {
    match error.code {
        // AuthenticationFailed, UserNotFound.
        11 | 18 => DatabaseError::Denied(WRONG_PASSWORD.to_owned()),
        code if code == ATLAS && is_about_privileges(&error.message) => DatabaseError::Denied(denied(&error.message)),
        code if code == ATLAS && is_of_credentials(&error.message) => DatabaseError::Denied(WRONG_PASSWORD.to_owned()),
        code if has_no_room(code, &error.message) => no_room(&error.message),
        // Unauthorized.
        13 => DatabaseError::Denied(denied(&error.message)),
        code if IS_GONE.contains(&code) => DatabaseError::Lost(format!("the server broke off: {}", error.code_name)),
        // QueryPlanKilled: what was read was dropped or renamed.
        175 => DatabaseError::Changed("it was dropped or renamed while it was read".to_owned()),
        code => DatabaseError::Refused(format!(
            "the server refused: {} ({code}): {}",
            error.code_name,
            shortened(&error.message)
        )),
    }
}

/// What Atlas answers for itself: wrong credentials, a quota that is used up, commands that its tiers do not have.
const ATLAS: i32 = 8000;
const OUT_OF_DISK_SPACE: i32 = 14031;

fn is_of_credentials(message: &str) -> bool {
    message.to_lowercase().contains("auth")
}

/// Whether a code, with the server's message, says that the disk is full or a quota is used up.
pub(crate) fn has_no_room(code: i32, message: &str) -> bool {
    code == OUT_OF_DISK_SPACE || (code == ATLAS && message.to_lowercase().contains("quota"))
}

/// The error of a server that has no room.
pub(crate) fn no_room(message: &str) -> DatabaseError {
    DatabaseError::NoRoom(format!(
        "the server's disk is full, or its quota is used up: make room there, or take another server: {}",
        shortened(message)
    ))
}

/// Codes of a server that is stopping, stepping down, starting or unreachable through a router, and of a cursor that
/// did not outlive it.
const IS_GONE: [i32; 21] =
    [6, 7, 43, 89, 91, 133, 134, 136, 150, 189, 234, 237, 262, 317, 358, 9001, 10107, 11600, 11602, 13435, 13436];

/// A server's message without values of documents, cut to a readable length.
pub(crate) fn shortened(message: &str) -> String {
    let message = without_values(message);
    match message.char_indices().nth(MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// The driver describes the whole topology; only what kind of trouble it saw is told.
fn cause_of_silence(message: &str) -> &'static str {
    const CAUSES: [(&str, &str); 7] = [
        ("connection refused", "the connection was refused; is the server running, and the port right?"),
        ("failed to lookup", "the host name is not known"),
        ("dns error", "the host name is not known"),
        ("certificate", "its TLS certificate was not accepted"),
        ("tls", "TLS could not be agreed on"),
        ("unreachable", "there is no route to the host"),
        ("timed out", "no answer; is the network open, security groups and the server's access list included?"),
    ];
    let message = message.to_lowercase();
    CAUSES.iter().find(|(sign, _)| message.contains(sign)).map_or(
        "none fits what the connection string asks for (host, replica set name, read preference), or none is up",
        |(_, cause)| cause,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_transient() {
        let text = || "x".to_owned();
        let transient =
            [DatabaseError::Unreachable(text()), DatabaseError::Lost(text()), DatabaseError::Changed(text())];
        let permanent = [
            DatabaseError::Invalid(text()),
            DatabaseError::Denied(text()),
            DatabaseError::NoRoom(text()),
            DatabaseError::Refused(text()),
        ];
        assert!(transient.iter().all(DatabaseError::is_transient));
        assert!(!permanent.iter().any(DatabaseError::is_transient));
        assert_eq!(permanent.map(|error| error.is_of_the_server()), [false, false, true, false]);
    }

    fn classified(code: i32, message: &str) -> DatabaseError {
        let command = bson::doc! { "code": code, "codeName": "x", "errmsg": message };
        by_code(&bson::deserialize_from_document(command).unwrap())
    }

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_no_wrong_password_and_no_refusal() {
        let quota = "you are over your space quota, using 513 MB of 512 MB";
        assert!(matches!(classified(14031, "available disk space is less than required"), DatabaseError::NoRoom(_)));
        assert!(matches!(classified(8000, quota), DatabaseError::NoRoom(text) if text.contains("513 MB")));
        assert_eq!(classified(8000, "bad auth : Authentication failed."), classified(18, "Authentication failed."));
        assert!(matches!(classified(8000, "(CMD_NOT_ALLOWED): setParameter"), DatabaseError::Refused(_)));
        let missing = classified(8000, "user is not allowed to do action [find] on [test.auth_roles]");
        assert!(
            matches!(&missing, DatabaseError::Denied(text) if text.contains("`find` on test.auth_roles")),
            "{missing}"
        );
    }

    #[test]
    fn a_topology_is_told_as_a_cause_only() {
        let topology = "Topology: { Address: h:1, Error: Kind: I/O error: Connection refused (os error 111) }";
        assert!(cause_of_silence(topology).starts_with("the connection was refused"));
        assert!(cause_of_silence("Topology: { Type: Unknown }").contains("replica set name"));
    }

    #[test]
    fn a_long_message_of_the_server_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ü".repeat(400)).chars().count(), MESSAGE_CHARACTERS + 1);
    }
}
