//! The missing privilege of a refused command, and its place. MongoDB's message names the command
//! and its collection. MongoDB Atlas names the action.

/// The roles that have every privilege of a task. docs/privileges.md has the smallest ones, and a
/// test keeps both equal.
const ROLES: &str = "Grant it, or a role that has it: `backup` to dump, `restore` and `readAnyDatabase` to restore. \
                     docs/privileges.md has the smallest role of each task";

/// The text of an error of a user without a privilege.
pub(crate) fn denied(message: &str) -> String {
    match missing(message) {
        Some(Missing {
            what,
            actions,
            place,
        }) => {
            let privileges = if actions.len() == 1 {
                "privilege"
            } else {
                "privileges"
            };
            format!(
                "the user is not authorized to run `{what}`: it needs the {privileges} {} on {place}. {ROLES}",
                quoted(&actions)
            )
        }
        None => format!("the user is not authorized: it lacks a privilege. {ROLES}"),
    }
}

/// Whether a message of MongoDB Atlas is about a missing privilege, and not about the login.
pub(crate) fn is_about_privileges(message: &str) -> bool {
    message.contains(ATLAS_ACTION) || message.to_lowercase().contains("not authorized on")
}

const ATLAS_ACTION: &str = "not allowed to do action [";

#[derive(Debug, PartialEq, Eq)]
struct Missing {
    /// The command, or the action for MongoDB Atlas.
    what: String,
    actions: Vec<String>,
    place: String,
}

fn missing(message: &str) -> Option<Missing> {
    from_atlas(message).or_else(|| from_command(message))
}

/// `user is not allowed to do action [find] on [shop.things]`.
fn from_atlas(message: &str) -> Option<Missing> {
    let (action, rest) = message.split_once(ATLAS_ACTION)?.1.split_once(']')?;
    let place = rest
        .split_once('[')?
        .1
        .split_once(']')?
        .0
        .trim_end_matches('.');
    let is_name = !action.is_empty() && action.chars().all(char::is_alphanumeric);
    is_name.then(|| Missing {
        what: action.to_owned(),
        actions: vec![action.to_owned()],
        place: place.to_owned(),
    })
}

/// `not authorized on shop to execute command { find: "things", filter: … }`.
fn from_command(message: &str) -> Option<Missing> {
    let (database, command) = message
        .split_once("not authorized on ")?
        .1
        .split_once(" to execute command {")?;
    let (name, rest) = command.split_once(':')?;
    let name = name.trim().trim_matches('"');
    if name.is_empty() || !name.chars().all(char::is_alphanumeric) {
        return None;
    }
    let collection = rest
        .trim_start()
        .strip_prefix('"')
        .and_then(|rest| rest.split_once('"'))
        .map(|(first, _)| first);
    let place = match (name, collection) {
        ("renameCollection", Some(namespace)) => {
            format!(
                "the database {}",
                namespace
                    .split_once('.')
                    .map_or(namespace, |(database, _)| database)
            )
        }
        (_, Some(collection)) => format!("{database}.{collection}"),
        (_, None) => format!("the database {database}"),
    };
    Some(Missing {
        what: name.to_owned(),
        actions: actions(name, rest),
        place,
    })
}

/// The actions that a command needs:
/// <https://www.mongodb.com/docs/manual/reference/privilege-actions/>.
fn actions(command: &str, rest: &str) -> Vec<String> {
    let has = |option: &str| rest.replace('"', "").contains(&format!("{option}: true"));
    let mut actions = match command {
        "aggregate" | "count" | "distinct" => vec!["find"],
        "create" if has("capped") => vec!["createCollection", "convertToCapped"],
        "create" => vec!["createCollection"],
        "createIndexes" => vec!["createIndex"],
        "drop" => vec!["dropCollection"],
        "delete" => vec!["remove"],
        "update" if has("upsert") => vec!["update", "insert"],
        "findAndModify" if has("upsert") => vec!["find", "update", "insert"],
        "findAndModify" => vec!["find", "update"],
        "renameCollection" => vec!["renameCollectionSameDB", "dropCollection"],
        other => vec![other],
    };
    if has("bypassDocumentValidation") {
        actions.push("bypassDocumentValidation");
    }
    actions.into_iter().map(str::to_owned).collect()
}

fn quoted(actions: &[String]) -> String {
    if actions
        .first()
        .is_some_and(|first| first == "renameCollectionSameDB")
    {
        return RENAME.to_owned();
    }
    let quoted: Vec<String> = actions.iter().map(|action| format!("`{action}`")).collect();
    quoted.join(" and ")
}

/// A rename within one database needs the one or the other.
const RENAME: &str = "`renameCollectionSameDB` and `dropCollection`, or `find`, `dropCollection`, `insert` and \
                      `createIndex`,";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_privilege_and_the_place() {
        for (message, needed) in [
            (
                "not authorized on shop to execute command { find: \"things\", filter: { email: \"a@b.example\" } }",
                "`find`: it needs the privilege `find` on shop.things. ",
            ),
            (
                r#"not authorized on shop to execute command { "createIndexes": "things", "indexes": [] }"#,
                "`createIndexes`: it needs the privilege `createIndex` on shop.things. ",
            ),
            (
                "not authorized on shop to execute command { listCollections: 1, cursor: {} }",
                "`listCollections`: it needs the privilege `listCollections` on the database shop. ",
            ),
            (
                "not authorized on shop to execute command { insert: \"things\", bypassDocumentValidation: true }",
                "`insert`: it needs the privileges `insert` and `bypassDocumentValidation` on shop.things. ",
            ),
            (
                r#"not authorized on admin to execute command { renameCollection: "shop.a", to: "shop.b" }"#,
                "`insert` and `createIndex`, on the database shop. ",
            ),
            (
                "not authorized on shop to execute command { create: \"log\", capped: true, size: 4096 }",
                "`create`: it needs the privileges `createCollection` and `convertToCapped` on shop.log. ",
            ),
            (
                "user is not allowed to do action [find] on [test.auth_roles]",
                "`find`: it needs the privilege `find` on test.auth_roles. ",
            ),
            (
                "user is not allowed to do action [listCollections] on [shop.]",
                "`listCollections` on shop. ",
            ),
            (
                "Authorization failure",
                "the user is not authorized: it lacks a privilege. ",
            ),
        ] {
            let text = denied(message);
            assert!(
                text.contains(needed) && text.contains("docs/privileges.md"),
                "{text}"
            );
            assert!(!text.contains("b.example"), "{text}");
        }
    }

    #[test]
    fn a_missing_privilege_at_atlas_is_no_wrong_password() {
        assert!(is_about_privileges(
            "user is not allowed to do action [find] on [test.auth_roles]"
        ));
        assert!(is_about_privileges(
            "(Unauthorized) not authorized on admin to execute command { drop: \"x\" }"
        ));
        assert!(!is_about_privileges("bad auth : Authentication failed."));
        assert!(!is_about_privileges(
            "you are over your space quota, using 513 MB of 512 MB"
        ));
    }
}
