//! Permissions of callers. Only claims verified by the front of the process are trusted, never
//! headers, query or body.

use axum::http::Method;
use holdfast_domain::settings::{CreatorAccess, Reading};
use serde_json::{Map, Value};

use crate::answer::Failure;

/// Maximum length of a recorded subject in characters.
const MAX_SUBJECT: usize = 200;

/// The verified claims of the call's token, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims(Option<Map<String, Value>>);

impl Claims {
    /// Verified claims. `None` for a call without a verified token.
    #[must_use]
    pub const fn new(claims: Option<Map<String, Value>>) -> Self {
        Self(claims)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Creator,
    Admin,
}

/// A caller with permission for this call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The token's subject.
    pub(crate) subject: Option<String>,
}

/// The effective permissions.
#[derive(Debug)]
pub(crate) struct Access {
    role_claim: String,
    creator: CreatorAccess,
}

impl Access {
    /// Reads the permissions from the settings. If the settings are invalid, only `/config`
    /// answers, and the shown values are enough to check its callers.
    pub(crate) fn of(reading: &Reading) -> Self {
        if let Ok(settings) = &reading.settings {
            return Self {
                role_claim: settings.access.role_claim.clone(),
                creator: settings.access.creator,
            };
        }
        let shown = |name: &str| {
            reading
                .shown
                .iter()
                .find(|(shown, _)| *shown == name)
                .map(|(_, value)| value.clone())
        };
        let creator = match shown("BACKUP_CREATOR_ACCESS").as_deref() {
            Some("full" | "read") => CreatorAccess::Read,
            _ => CreatorAccess::None,
        };
        Self {
            role_claim: shown("BACKUP_ROLE_CLAIM").unwrap_or_default(),
            creator,
        }
    }

    /// Returns the caller if the role permits the call.
    pub(crate) fn check(
        &self,
        claims: Option<&Claims>,
        method: &Method,
    ) -> Result<Caller, Failure> {
        let claims = claims
            .and_then(|claims| claims.0.as_ref())
            .ok_or_else(Failure::unauthorized)?;
        let changes = !matches!(*method, Method::GET | Method::HEAD);
        let role = claims.get(&self.role_claim).and_then(role);
        match (role, self.creator) {
            (None, _) => Err(Failure::forbidden(
                "the token has neither the role admin nor the role creator",
            )),
            (Some(Role::Creator), CreatorAccess::None) => {
                Err(Failure::forbidden("this call requires the role admin"))
            }
            (Some(Role::Creator), CreatorAccess::Read) if changes => {
                Err(Failure::forbidden("the role creator has read-only access"))
            }
            _ => Ok(Caller {
                subject: subject(claims),
            }),
        }
    }
}

fn subject(claims: &Map<String, Value>) -> Option<String> {
    let subject = claims.get("sub")?.as_str()?;
    Some(
        subject
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_SUBJECT)
            .collect(),
    )
}

/// The strongest role in a claim. A claim is one value, a JSON array, the text of a JSON array, or
/// an array in the form of HTTP APIs: `[a b]`.
///
/// In the last form, the value `x admin` cannot be distinguished from the values `x` and `admin`.
fn role(claim: &Value) -> Option<Role> {
    match claim {
        Value::Array(values) => strongest(values.iter().filter_map(Value::as_str)),
        Value::String(text) => match text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
        {
            None => word(text),
            Some(many) => match serde_json::from_str::<Vec<String>>(text) {
                Ok(values) => strongest(values.iter().map(String::as_str)),
                Err(_) => strongest(many.split(' ')),
            },
        },
        _ => None,
    }
}

fn strongest<'a>(values: impl Iterator<Item = &'a str>) -> Option<Role> {
    values.filter_map(word).max()
}

fn word(text: &str) -> Option<Role> {
    match text {
        "admin" => Some(Role::Admin),
        "creator" => Some(Role::Creator),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;

    fn status(claims: &Value, creator: CreatorAccess, method: &Method) -> u16 {
        let claims = Claims::new(claims.as_object().cloned());
        let access = Access {
            role_claim: "role".to_owned(),
            creator,
        };
        let outcome = access.check(Some(&claims), method);
        outcome
            .map_or_else(|failure| failure.status(), |_| StatusCode::OK)
            .as_u16()
    }

    #[test]
    fn a_role_is_one_value_or_many() {
        for (claim, expected) in [
            (json!("admin"), Some(Role::Admin)),
            (json!("creator"), Some(Role::Creator)),
            (json!("[creator admin]"), Some(Role::Admin)),
            (json!("[creator]"), Some(Role::Creator)),
            (json!("[\"viewer\",\"creator\"]"), Some(Role::Creator)),
            (json!(["viewer", "admin"]), Some(Role::Admin)),
            (json!("[viewer creator]"), Some(Role::Creator)),
            (json!("Admin"), None),
            (json!("administrator"), None),
            (json!("admin creator"), None),
            (json!("[]"), None),
            (json!(true), None),
            (json!({ "admin": true }), None),
        ] {
            assert_eq!(role(&claim), expected, "{claim}");
        }
    }

    #[test]
    fn a_group_whose_name_contains_a_role_grants_nothing_if_the_form_shows_it() {
        for claim in [
            json!(["x admin"]),
            json!("[\"x admin\",\"viewer\"]"),
            json!("[\"x\",\"x,admin\"]"),
            json!("[x,admin]"),
            json!("[x\"admin\"]"),
            json!("x admin"),
        ] {
            assert_eq!(role(&claim), None, "{claim}");
        }
    }

    #[test]
    fn without_verified_claims_every_call_is_refused() {
        let access = Access {
            role_claim: "role".to_owned(),
            creator: CreatorAccess::Full,
        };
        for claims in [None, Some(&Claims::new(None))] {
            let refused = access.check(claims, &Method::GET).unwrap_err();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn creators_have_the_permission_of_the_setting() {
        let creator = json!({ "role": "creator" });
        for (access, get, post) in [
            (CreatorAccess::Full, 200, 200),
            (CreatorAccess::Read, 200, 403),
            (CreatorAccess::None, 403, 403),
        ] {
            assert_eq!(status(&creator, access, &Method::GET), get, "{access}");
            assert_eq!(status(&creator, access, &Method::POST), post, "{access}");
            assert_eq!(
                status(&json!({ "role": "admin" }), access, &Method::POST),
                200
            );
        }
        assert_eq!(
            status(
                &json!({ "role": "viewer" }),
                CreatorAccess::Full,
                &Method::GET
            ),
            403
        );
        assert_eq!(status(&json!({}), CreatorAccess::Full, &Method::GET), 403);
    }

    #[test]
    fn wrong_settings_never_open_the_door_wider() {
        let rules = |creator: &str| {
            let variables = [
                ("BACKUP_FROBNICATE", "1"),
                ("BACKUP_CREATOR_ACCESS", creator),
                ("BACKUP_ROLE_CLAIM", "groups"),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Access::of(&holdfast_domain::settings::read(variables))
        };
        assert_eq!(rules("full").role_claim, "groups");
        assert_eq!(rules("full").creator, CreatorAccess::Read);
        assert_eq!(rules("none").creator, CreatorAccess::None);
        assert_eq!(rules("everything").creator, CreatorAccess::None);
    }
}
