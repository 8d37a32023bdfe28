//! Maps each namespace to its target: pairs of patterns with `*`, in the form of mongorestore's
//! `--nsFrom` and `--nsTo`. `\*` is an asterisk of the name itself, and `\\` a backslash.

use std::collections::HashMap;

/// Pairs of patterns over `database.collection`. The first match determines a namespace's target. A
/// namespace without a match keeps its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceMap {
    rules: Vec<Rule>,
}

/// Both sides split at their stars, so that the stars correspond.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// The source pattern, as given.
    pattern: String,
    from: Vec<String>,
    to: Vec<String>,
}

/// Unusable patterns, or patterns with an invalid target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// One list is longer than the other.
    #[error("--ns-from and --ns-to must come in pairs: {from} and {to} were given")]
    NotPaired {
        /// Number of source patterns.
        from: usize,
        /// Number of target patterns.
        to: usize,
    },
    /// The two patterns of a pair have different numbers of stars.
    #[error("{from} and {to} must hold the same number of *")]
    StarsDiffer {
        /// The source pattern.
        from: String,
        /// The target pattern.
        to: String,
    },
    /// A pattern without the form `database.collection`.
    #[error("{pattern:?} is not of the form database.collection")]
    NotANamespace {
        /// The pattern, or the resulting name.
        pattern: String,
    },
    /// A pattern has a typing error. Its namespace would overwrite the original.
    #[error("{pattern:?} matches nothing in the archive")]
    Unmatched {
        /// The source pattern.
        pattern: String,
    },
    /// Two namespaces would become one.
    #[error("{first} and {second} would both be restored to {target}")]
    Collision {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// The common target.
        target: String,
    },
}

impl NamespaceMap {
    /// A map of pairs: `from[i]` becomes `to[i]`. Each `*` matches as few characters as possible,
    /// dots included. The text of the first star replaces the first star in the target, and so
    /// on.
    ///
    /// # Errors
    /// [`MapError`]: the unusable pattern.
    pub fn parse(from: &[String], to: &[String]) -> Result<Self, MapError> {
        if from.len() != to.len() {
            return Err(MapError::NotPaired {
                from: from.len(),
                to: to.len(),
            });
        }
        let rules = from
            .iter()
            .zip(to)
            .map(|(from, to)| Rule::parse(from, to))
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// The pattern for this name alone.
    #[must_use]
    pub fn literal(name: &str) -> String {
        name.replace('\\', "\\\\").replace('*', "\\*")
    }

    /// The target of a namespace.
    ///
    /// # Errors
    /// [`MapError::NotANamespace`] if the result is not `database.collection`.
    pub fn apply(&self, db: &str, collection: &str) -> Result<(String, String), MapError> {
        let name = format!("{db}.{collection}");
        let Some(target) = self.rules.iter().find_map(|rule| rule.apply(&name)) else {
            return Ok((db.to_owned(), collection.to_owned()));
        };
        match target.split_once('.') {
            Some((db, collection)) if !db.is_empty() && !collection.is_empty() => {
                Ok((db.to_owned(), collection.to_owned()))
            }
            _ => Err(MapError::NotANamespace { pattern: target }),
        }
    }

    /// The targets of these namespaces, all different.
    ///
    /// # Errors
    /// [`MapError`]: an unmatched pattern, or two colliding namespaces.
    pub(super) fn apply_to_all<'a>(
        &self,
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Vec<(String, String)>, MapError> {
        let names: Vec<_> = names.into_iter().collect();
        self.refuse_unmatched(&names)?;
        let mut sources = HashMap::new();
        let mut targets = Vec::new();
        for (db, collection) in names {
            let target = self.apply(db, collection)?;
            let source = format!("{db}.{collection}");
            if let Some(first) = sources.insert(target.clone(), source.clone()) {
                let target = format!("{}.{}", target.0, target.1);
                return Err(MapError::Collision {
                    first,
                    second: source,
                    target,
                });
            }
            targets.push(target);
        }
        Ok(targets)
    }

    /// An archive without namespaces matches nothing, and needs no error.
    fn refuse_unmatched(&self, names: &[(&str, &str)]) -> Result<(), MapError> {
        let names: Vec<String> = names
            .iter()
            .map(|(db, collection)| format!("{db}.{collection}"))
            .collect();
        let is_unmatched = |rule: &&Rule| names.iter().all(|name| rule.apply(name).is_none());
        match self.rules.iter().find(is_unmatched) {
            Some(rule) if !names.is_empty() => Err(MapError::Unmatched {
                pattern: rule.pattern.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl Rule {
    fn parse(from: &str, to: &str) -> Result<Self, MapError> {
        let rule = Self {
            pattern: from.to_owned(),
            from: literals(from),
            to: literals(to),
        };
        for (pattern, literals) in [(from, &rule.from), (to, &rule.to)] {
            let is_namespace = pattern
                .split_once('.')
                .is_some_and(|(db, rest)| !db.is_empty() && !rest.is_empty());
            // A star can match the dot.
            if !is_namespace && literals.len() == 1 {
                return Err(MapError::NotANamespace {
                    pattern: pattern.to_owned(),
                });
            }
        }
        if rule.from.len() != rule.to.len() {
            return Err(MapError::StarsDiffer {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        Ok(rule)
    }

    fn apply(&self, name: &str) -> Option<String> {
        let stood_for = self.captures(name)?;
        let mut target = self.to[0].clone();
        for (star, literal) in stood_for.iter().zip(&self.to[1..]) {
            target.push_str(star);
            target.push_str(literal);
        }
        Some(target)
    }

    /// The text of each star, as short as possible. `None` if the name does not match.
    fn captures<'n>(&self, name: &'n str) -> Option<Vec<&'n str>> {
        let (first, others) = self.from.split_first()?;
        let mut rest = name.strip_prefix(first.as_str())?;
        let Some((last, middle)) = others.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        let mut stood_for = Vec::with_capacity(others.len());
        for literal in middle {
            let at = rest.find(literal.as_str())?;
            stood_for.push(&rest[..at]);
            rest = &rest[at + literal.len()..];
        }
        stood_for.push(rest.strip_suffix(last.as_str())?);
        Some(stood_for)
    }
}

/// The texts between the stars of a pattern.
fn literals(pattern: &str) -> Vec<String> {
    let mut literals = vec![String::new()];
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\')
            .then(|| characters.next_if(|next| matches!(next, '*' | '\\')))
            .flatten();
        match (escaped, literals.last_mut()) {
            (None, _) if character == '*' => literals.push(String::new()),
            (escaped, Some(literal)) => literal.push(escaped.unwrap_or(character)),
            (_, None) => {}
        }
    }
    literals
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(from: &str, to: &str) -> Result<NamespaceMap, MapError> {
        NamespaceMap::parse(&[from.to_owned()], &[to.to_owned()])
    }

    fn target(map: &NamespaceMap, db: &str, collection: &str) -> String {
        let (db, collection) = map.apply(db, collection).unwrap();
        format!("{db}.{collection}")
    }

    #[test]
    fn stars_take_their_places_in_order() {
        let renamed = map("prod.*", "copy.*").unwrap();
        assert_eq!(target(&renamed, "prod", "a.b"), "copy.a.b");
        assert_eq!(target(&renamed, "other", "a"), "other.a");
        let swapped = map("*.log_*", "logs_*.*").unwrap();
        assert_eq!(target(&swapped, "shop", "log_2026"), "logs_shop.2026");
        assert_eq!(
            target(&map("*", "copy_*").unwrap(), "shop", "a"),
            "copy_shop.a"
        );
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let from = ["a.x".to_owned(), "a.*".to_owned()];
        let to = ["b.y".to_owned(), "c.*".to_owned()];
        let map = NamespaceMap::parse(&from, &to).unwrap();
        assert_eq!(target(&map, "a", "x"), "b.y");
        assert_eq!(target(&map, "a", "z"), "c.z");
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused() {
        assert_eq!(
            NamespaceMap::parse(&["a.b".to_owned()], &[]),
            Err(MapError::NotPaired { from: 1, to: 0 })
        );
        assert!(matches!(
            map("a.*", "b.c"),
            Err(MapError::StarsDiffer { .. })
        ));
        assert!(matches!(map("a", "b"), Err(MapError::NotANamespace { .. })));
        assert!(matches!(
            map("*.x", "*").map(|map| map.apply("a", "x")),
            Ok(Err(MapError::NotANamespace { .. }))
        ));
    }

    #[test]
    fn two_namespaces_never_become_one() {
        let map = map("*.x", "*.y").unwrap();
        let names = [("a", "y"), ("a", "x")];
        assert!(
            matches!(map.apply_to_all(names), Err(MapError::Collision { target, .. }) if target == "a.y")
        );
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_a_typing_error() {
        let map = map("web3platfrom.*", "copy.*").unwrap();
        let error = map.apply_to_all([("web3platform", "users")]).unwrap_err();
        assert_eq!(
            error,
            MapError::Unmatched {
                pattern: "web3platfrom.*".to_owned()
            }
        );
        assert_eq!(map.apply_to_all([]), Ok(vec![]));
    }

    #[test]
    fn a_name_that_contains_an_asterisk_is_given_with_a_backslash() {
        let renamed = map(r"st\*r.*", r"new\*.*").unwrap();
        assert_eq!(target(&renamed, "st*r", "a"), "new*.a");
        assert_eq!(target(&renamed, "star", "a"), "star.a");
        assert_eq!(
            target(&map(r"a.x\\*", r"b.\*\y*").unwrap(), "a", r"x\z"),
            r"b.*\yz"
        );
        assert!(matches!(
            map(r"a\*", r"b.c"),
            Err(MapError::NotANamespace { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_map_onto_itself_changes_nothing(db in "[a-z]{1,5}", collection in "[a-z.*]{1,9}", pattern in "[a-z*]{1,4}\\.[a-z.*]{1,4}") {
            let map = map(&pattern, &pattern).unwrap();
            prop_assert_eq!(target(&map, &db, &collection), format!("{db}.{collection}"));
        }

        #[test]
        fn renaming_a_database_forth_and_back_changes_nothing(
            db in r"[a-z*:\\]{1,5}",
            collection in "[^\u{0}]{1,9}",
        ) {
            let pattern = format!("{}.*", NamespaceMap::literal(&db));
            let there = map(&pattern, "elsewhere.*").unwrap();
            let back = map("elsewhere.*", &pattern).unwrap();
            let (moved_db, moved) = there.apply(&db, &collection).unwrap();
            prop_assert_eq!(&moved_db, "elsewhere");
            prop_assert_eq!(back.apply(&moved_db, &moved).unwrap(), (db, collection));
        }
    }
}
