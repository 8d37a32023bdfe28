//! Evaluates policies as IAM does: an explicit denial first, then any permission. Wildcards and the
//! conditions of the template are supported, and every other condition is a failure of the test.

use serde_json::Value;

/// A request of a role.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
    /// The condition keys of the request, and their values.
    pub(super) context: &'a [(&'a str, &'a str)],
}

/// Whether these statements permit the request.
pub(super) fn permits(statements: &[Value], request: Request<'_>) -> bool {
    let applies = |effect: &str| {
        statements
            .iter()
            .any(|one| one["Effect"] == effect && covers_request(one, request))
    };
    !applies("Deny") && applies("Allow")
}

fn covers_request(statement: &Value, request: Request<'_>) -> bool {
    let known = ["Effect", "Action", "Resource", "Condition", "Sid"];
    for name in statement.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "unknown: {statement}");
    }
    let fits = |field: &str, value: &str| {
        words(&statement[field])
            .iter()
            .any(|pattern| covers(pattern, value))
    };
    fits("Action", request.action)
        && fits("Resource", request.resource)
        && statement
            .get("Condition")
            .is_none_or(|condition| holds(condition, request.context))
}

/// Every operator and every key must match. A key that the request lacks does not match.
fn holds(condition: &Value, context: &[(&str, &str)]) -> bool {
    condition
        .as_object()
        .unwrap()
        .iter()
        .all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, expected)| {
                let found = context.iter().find(|(name, _)| name == key);
                found.is_some_and(|(_, value)| {
                    words(expected).iter().any(|one| match operator.as_str() {
                        "StringEquals" => one == value,
                        "StringLike" | "ArnLike" => covers(one, value),
                        other => panic!("an unknown operator: {other}"),
                    })
                })
            })
        })
}

/// Whether a text fits a pattern with `*` for any text, and `?` for one letter.
pub(super) fn covers(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    if first == '*' {
        let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        return ends.any(|at| covers(rest, &text[at..]));
    }
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|letter| (first == '?' || first == letter) && covers(rest, letters.as_str()))
}

/// One text, or a list of texts.
pub(super) fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_denial_wins_and_a_condition_needs_its_key() {
        let allowed = json!({
            "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:b/database/db_*/m?n",
        });
        let get = |resource| Request {
            action: "s3:GetObject",
            resource,
            context: &[],
        };
        let own = std::slice::from_ref(&allowed);
        assert!(permits(own, get("arn:b/database/db_1_a/man")));
        for other in ["arn:b/database/db_1_a/mn", "arn:b/content/db_1_a/man"] {
            assert!(!permits(own, get(other)), "{other}");
        }
        let denied = json!({ "Effect": "Deny", "Action": "s3:*", "Resource": "*" });
        assert!(!permits(
            &[allowed.clone(), denied],
            get("arn:b/database/db_1_a/man")
        ));

        let mut conditional = allowed;
        conditional["Condition"] = json!({ "StringEquals": { "k": ["a", "b"] } });
        let with = |context| Request {
            context,
            ..get("arn:b/database/db_1_a/man")
        };
        let conditional = [conditional];
        assert!(permits(&conditional, with(&[("k", "b")])));
        for context in [&[("k", "c")][..], &[("other", "a")], &[]] {
            assert!(!permits(&conditional, with(context)), "{context:?}");
        }
    }
}
