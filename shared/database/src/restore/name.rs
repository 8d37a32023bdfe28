//! Valid names of restore targets. Everything a server accepts is valid.

use super::RestoreFault;
use crate::{connection::SERVER_DATABASES, dump::is_servers_own, scratch_name::is_scratch};

/// Limits of bytes in a database's name, and in a namespace's.
const DATABASE_BYTES: usize = 63;
const NAMESPACE_BYTES: usize = 255;

/// Characters refused in a database's name by servers on Linux. Those on Windows also refuse
/// `*<>:|?`.
const REFUSED: [char; 7] = ['/', '\\', '.', ' ', '"', '$', '\0'];

/// Refuses names reserved for the server. An archive's own namespaces of this kind are left out, so
/// only a rename can lead there.
pub(super) fn refuse_reserved(db: &str, collection: &str) -> Result<(), RestoreFault> {
    let reason = if SERVER_DATABASES.contains(&db) {
        format!("cannot restore {db}.{collection}: {db} is a database of the server")
    } else if is_servers_own(collection) {
        format!("cannot restore {db}.{collection}: collections named system.* belong to the server")
    } else if is_scratch(collection) {
        format!(
            "cannot restore {db}.{collection}: names like this one are those of a restore's scratch collections"
        )
    } else {
        return Ok(());
    };
    Err(RestoreFault::Invalid(format!(
        "{reason}. Restore it under another name: --ns-from, --ns-to"
    )))
}

/// Reason why no server accepts the name.
pub(super) fn unusable(db: &str, collection: &str) -> Option<String> {
    if db.is_empty() || db.len() > DATABASE_BYTES || db.contains(REFUSED) {
        return Some(format!(
            "invalid database name {db:?}: expected 1 to {DATABASE_BYTES} bytes without / \\ . space \" $ and NUL. \
             Restore it under another name: --ns-from, --ns-to"
        ));
    }
    if collection.is_empty()
        || collection.contains('\0')
        || db.len() + 1 + collection.len() > NAMESPACE_BYTES
    {
        return Some(format!(
            "invalid collection name {collection:?}: expected at most {NAMESPACE_BYTES} bytes together with its \
             database, and no NUL. Restore it under another name: --ns-from, --ns-to"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_takes_is_taken() {
        for db in [
            "shop:eu",
            "a|b",
            "what?",
            "st*r",
            "a<b>",
            "ünïcödé",
            &"x".repeat(63),
        ] {
            assert_eq!(unusable(db, "a b.c/d\\e:$"), None, "{db}");
        }
        assert_eq!(unusable("shop", &"x".repeat(250)), None);
    }

    #[test]
    fn names_that_no_server_takes_are_refused_with_the_rule() {
        for db in [
            "",
            "a b",
            "a/b",
            "a\\b",
            "a.b",
            "a\"b",
            "a$b",
            "a\0b",
            &"x".repeat(64),
        ] {
            assert!(
                unusable(db, "c").is_some_and(|reason| reason.contains("invalid database name")),
                "{db}"
            );
        }
        for collection in ["", "a\0b", &"x".repeat(251)] {
            assert!(
                unusable("shop", collection).is_some_and(|reason| reason.contains("255")),
                "{collection}"
            );
        }
    }

    #[test]
    fn what_belongs_to_the_server_is_refused() {
        for (db, collection) in [
            ("admin", "c"),
            ("local", "c"),
            ("config", "c"),
            ("shop", "system.views"),
        ] {
            assert!(
                refuse_reserved(db, collection).is_err(),
                "{db}.{collection}"
            );
        }
        assert!(
            refuse_reserved("shop", "system.js").is_ok()
                && refuse_reserved("adminx", "systems").is_ok()
        );
    }
}
