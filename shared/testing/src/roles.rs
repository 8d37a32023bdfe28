//! The custom roles of docs/privileges.md, and a server whose users have exactly these.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use bson::{Document, doc};

const PAGE: &str = include_str!("../../../docs/privileges.md");
const BEGINNING: &str = "```js\ndb.getSiblingDB(\"admin\").createRole(";
const END: &str = ")\n```";

/// A role as a page documents it.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its privileges, as `createRole` has them.
    pub privileges: Vec<Document>,
}

/// Every custom role of docs/privileges.md.
#[must_use]
pub fn documented_roles() -> Vec<Role> {
    let blocks = PAGE.split(BEGINNING).skip(1);
    blocks
        .map(|block| parsed(block.split(END).next().expect("the end of a role")))
        .collect()
}

/// The role of this name in docs/privileges.md.
#[must_use]
pub fn documented_role(name: &str) -> Role {
    let found = documented_roles()
        .into_iter()
        .find(|role| role.name == name);
    found.unwrap_or_else(|| panic!("docs/privileges.md has no role {name}"))
}

fn parsed(text: &str) -> Role {
    let read: serde_json::Value = serde_json::from_str(text).expect("a role in JSON");
    let document = bson::serialize_to_document(&read).expect("a document");
    let privileges = document.get_array("privileges").expect("privileges").iter();
    Role {
        name: document.get_str("role").expect("a name").to_owned(),
        privileges: privileges
            .map(|one| one.as_document().expect("a privilege").clone())
            .collect(),
    }
}

impl Role {
    /// The command that creates it.
    #[must_use]
    pub fn creation(&self) -> Document {
        doc! { "createRole": &self.name, "privileges": self.privileges.clone(), "roles": [] }
    }

    /// The same role under another name, once for each of its actions: without that action. Each
    /// comes with the action and its resource.
    #[must_use]
    pub fn each_without_one(&self) -> Vec<(Self, String, Document)> {
        let mut all = Vec::new();
        for (at, privilege) in self.privileges.iter().enumerate() {
            let actions = privilege.get_array("actions").expect("actions");
            for (nth, action) in actions.iter().enumerate() {
                let mut rest = actions.clone();
                rest.remove(nth);
                let mut privileges = self.privileges.clone();
                privileges[at].insert("actions", rest);
                privileges.retain(|privilege| {
                    !privilege.get_array("actions").expect("actions").is_empty()
                });
                let role = Self {
                    name: format!("{}{}", self.name, all.len()),
                    privileges,
                };
                let resource = privilege
                    .get_document("resource")
                    .expect("a resource")
                    .clone();
                all.push((role, action.as_str().expect("text").to_owned(), resource));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_role_has_a_heading_and_is_read() {
        let names: Vec<String> = documented_roles()
            .into_iter()
            .map(|role| role.name)
            .collect();
        assert_eq!(
            names.len(),
            PAGE.matches("createRole({").count(),
            "{names:?}"
        );
        for name in names {
            let heading = PAGE
                .lines()
                .any(|line| line.starts_with("### ") && line.ends_with(&format!("`{name}`")));
            assert!(
                heading
                    && PAGE
                        .split("## The roles")
                        .next()
                        .unwrap_or_default()
                        .contains(&name),
                "{name}"
            );
        }
    }

    #[test]
    fn a_role_without_one_action_is_made_for_each_action() {
        let role = documented_role("holdfastDiscover");
        assert_eq!(
            role.privileges,
            [doc! {
                "resource": { "db": "web3platform", "collection": "contents" }, "actions": ["find"],
            }]
        );
        let [(without, action, _)] = &role.each_without_one()[..] else {
            panic!("one action")
        };
        assert_eq!((without.privileges.len(), action.as_str()), (0, "find"));
    }
}
