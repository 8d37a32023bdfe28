//! The paths of one collection's rules, as a tree. It is walked together with the documents.

use std::collections::HashMap;

/// The identifying field of a document. `*` never matches it.
const ID: &[u8] = b"_id";

/// A field, and the fields below it. A path ends with its rule's number.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) rule: Option<usize>,
    named: HashMap<Box<[u8]>, Node>,
    /// The branch for `*`.
    any: Option<Box<Node>>,
}

impl Node {
    /// Adds the path of a rule.
    ///
    /// # Errors
    /// The earlier rule for the same value.
    pub(super) fn insert(&mut self, path: &[String], rule: usize) -> Result<(), usize> {
        let Some((step, rest)) = path.split_first() else {
            let other = self.first_rule();
            self.rule = self.rule.or(Some(rule));
            return other.map_or(Ok(()), Err);
        };
        if let Some(other) = self.rule.or_else(|| self.in_the_way(step, rest)) {
            return Err(other);
        }
        let next = if step == "*" {
            self.any.get_or_insert_default()
        } else {
            self.named.entry(step.as_bytes().into()).or_default()
        };
        next.insert(rest, rule)
    }

    /// A rule that ends with `*` excludes rules below the matched fields.
    fn in_the_way(&self, step: &str, rest: &[String]) -> Option<usize> {
        if step == "*" && rest.is_empty() {
            return self
                .named
                .values()
                .filter(|node| node.rule.is_none())
                .find_map(Node::first_rule);
        }
        if step == "*" || rest.is_empty() {
            None
        } else {
            self.any.as_ref()?.rule
        }
    }

    /// The smallest number, so that errors are deterministic.
    fn first_rule(&self) -> Option<usize> {
        let below = self
            .named
            .values()
            .chain(self.any.as_deref())
            .filter_map(Self::first_rule);
        self.rule.into_iter().chain(below).min()
    }

    /// The branches for the field of this name. The named branch precedes the one for `*`.
    pub(super) fn reach<'n>(active: &[&'n Self], name: &[u8], place: Place) -> Vec<&'n Self> {
        let takes_any = !(place == Place::Top && name == ID);
        let any = |node: &&'n Self| node.any.as_deref().filter(|_| takes_any);
        let mut reached = Vec::new();
        reached.extend(active.iter().filter_map(|node| node.named.get(name)));
        reached.extend(active.iter().filter_map(any));
        reached
    }
}

/// Place of a field in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    Below,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Result<Node, usize> {
        let mut tree = Node::default();
        for (number, path) in paths.iter().enumerate() {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            tree.insert(&path, number)?;
        }
        Ok(tree)
    }

    #[test]
    fn no_value_has_two_rules() {
        for paths in [
            ["a.b", "a.b"],
            ["a", "a.b"],
            ["a.b", "a"],
            ["a.*", "a.b.c"],
            ["a.b.c", "a.*"],
            ["*", "a.b"],
        ] {
            assert_eq!(tree(&paths).err(), Some(0), "{paths:?}");
        }
        assert!(tree(&["a.b", "a.c", "a.*", "*.b.c", "b"]).is_ok());
    }

    #[test]
    fn a_name_goes_before_a_star() {
        let tree = tree(&["a.*", "a.b"]).unwrap();
        let below = Node::reach(&[&tree], b"a", Place::Top);
        let rules = |name: &[u8]| -> Vec<_> {
            Node::reach(&below, name, Place::Below)
                .iter()
                .filter_map(|node| node.rule)
                .collect()
        };
        assert_eq!((rules(b"b"), rules(b"c")), (vec![1, 0], vec![0]));
    }

    #[test]
    fn a_star_never_matches_the_id() {
        let tree = tree(&["*"]).unwrap();
        assert!(Node::reach(&[&tree], b"_id", Place::Top).is_empty());
        assert_eq!(Node::reach(&[&tree], b"_id", Place::Below).len(), 1);
    }
}
