//! Rules applied to one archive: their collections, their results, and the new content of the
//! changed documents.

use holdfast_archive::{NamespaceKind, Prelude, PreludeNamespace};

use super::{
    Anonymizer,
    action::Action,
    key::Key,
    report::{AnonymizeReport, AppliedRule, Tally},
    rewrite::rewrite,
    rules::FieldRule,
    tree::Node,
};
use crate::CollectionContent;

/// Behaviour for values of an unsupported type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MisfitPolicy {
    /// The first one fails the restore.
    Refuse,
    /// They are counted. The results are not used.
    Count,
}

/// Rules in use.
#[derive(Debug)]
pub(crate) struct Applied {
    key: Key,
    actions: Vec<Action>,
    rules: Vec<AppliedRule>,
    tallies: Vec<Tally>,
    /// By the number of the namespace.
    trees: Vec<Option<Node>>,
    contents: Vec<CollectionContent>,
    names: Vec<String>,
    unchanged: Vec<String>,
    misfits: MisfitPolicy,
}

/// A document to which the rules cannot be applied, or must not be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RuleFailure(String);

impl Applied {
    /// Assigns the rules to an archive. The namespaces with these numbers are restored.
    ///
    /// # Errors
    /// Each rule that matches nothing in the archive, a place outside the reach of rules, or a
    /// value of another rule.
    pub(crate) fn new(
        anonymizer: &Anonymizer,
        prelude: &Prelude,
        is_restored: &[bool],
        misfits: MisfitPolicy,
    ) -> Result<Self, Vec<String>> {
        let fields = &anonymizer.rules.fields;
        let mut applied = Self {
            key: anonymizer.key.clone(),
            actions: fields.iter().map(|field| field.action).collect(),
            rules: fields.iter().map(unapplied).collect(),
            tallies: vec![Tally::default(); fields.len()],
            trees: prelude.namespaces.iter().map(|_| None).collect(),
            contents: vec![CollectionContent::default(); prelude.namespaces.len()],
            names: prelude.namespaces.iter().map(ToString::to_string).collect(),
            unchanged: Vec::new(),
            misfits,
        };
        let mut problems = Vec::new();
        for (number, field) in fields.iter().enumerate() {
            if let Err(problem) = applied.lay(number, field, prelude, is_restored) {
                problems.push(format!("{} {problem}", applied.rules[number]));
            }
        }
        let is_unchanged = |number: &usize| {
            is_restored[*number]
                && applied.trees[*number].is_none()
                && prelude.namespaces[*number].kind != NamespaceKind::View
        };
        let unchanged = (0..prelude.namespaces.len()).filter(is_unchanged);
        applied.unchanged = unchanged
            .map(|number| applied.names[number].clone())
            .collect();
        if problems.is_empty() {
            Ok(applied)
        } else {
            Err(problems)
        }
    }

    fn lay(
        &mut self,
        number: usize,
        field: &FieldRule,
        prelude: &Prelude,
        is_restored: &[bool],
    ) -> Result<(), String> {
        let is_meant = |namespace: &PreludeNamespace| {
            !namespace.is_oplog() && is_for(&field.namespace, namespace)
        };
        let meant: Vec<_> = prelude
            .namespaces
            .iter()
            .enumerate()
            .filter(|(_, namespace)| is_meant(namespace))
            .collect();
        let mut with_documents = meant
            .iter()
            .filter(|(_, namespace)| namespace.kind != NamespaceKind::View)
            .peekable();
        if with_documents.peek().is_none() && !field.optional {
            return Err(match meant.first() {
                Some((_, view)) => {
                    format!("names the view {view}: name its source collection instead")
                }
                None => "matches no collection of the archive".to_owned(),
            });
        }
        for (at, namespace) in with_documents.filter(|(at, _)| is_restored[*at]) {
            if namespace.kind == NamespaceKind::Timeseries {
                return Err(format!(
                    "names the time series {namespace}: rules cannot change measurements. Exclude it: name the \
                     other collections with --only"
                ));
            }
            let tree = self.trees[*at].get_or_insert_default();
            tree.insert(&field.path, number).map_err(|other| {
                format!(
                    "changes the same value of {namespace} as {}",
                    self.rules[other]
                )
            })?;
            self.rules[number].applied_to.push(namespace.to_string());
        }
        Ok(())
    }

    /// Whether rules change documents of this namespace.
    pub(crate) fn changes(&self, namespace: usize) -> bool {
        self.trees[namespace].is_some()
    }

    /// The document after the rules. `None` if no rule is for its namespace.
    pub(crate) fn rewrite(
        &mut self,
        namespace: usize,
        document: &[u8],
    ) -> Result<Option<Vec<u8>>, RuleFailure> {
        let Self {
            key,
            actions,
            tallies,
            ..
        } = self;
        let Some(tree) = &self.trees[namespace] else {
            return Ok(None);
        };
        let rewritten = rewrite(document, tree, actions, key, tallies).map_err(|fault| {
            RuleFailure(format!("a document of {} {fault}", self.names[namespace]))
        })?;
        if self.misfits == MisfitPolicy::Refuse && self.tallies.iter().any(Tally::has_refused) {
            return Err(RuleFailure(self.report().problems().join("; ")));
        }
        self.contents[namespace].add_document(&rewritten);
        Ok(Some(rewritten))
    }

    /// Content of a namespace's changed documents.
    pub(crate) fn content(&self, namespace: usize) -> CollectionContent {
        self.contents[namespace]
    }

    pub(crate) fn report(&self) -> AnonymizeReport {
        let mut rules = self.rules.clone();
        for (rule, tally) in rules.iter_mut().zip(&self.tallies) {
            tally.add_to(rule);
        }
        AnonymizeReport {
            rules,
            unchanged: self.unchanged.clone(),
        }
    }
}

fn unapplied(field: &FieldRule) -> AppliedRule {
    AppliedRule {
        line: field.line,
        namespace: field.namespace.clone(),
        path: field.path.join("."),
        action: field.action.to_string(),
        optional: field.optional,
        applied_to: Vec::new(),
        values: 0,
        refused: std::collections::BTreeMap::new(),
        samples: Vec::new(),
    }
}

/// `collection`, `database.collection`, or a pattern over the latter, with `*` for any text.
fn is_for(wanted: &str, namespace: &PreludeNamespace) -> bool {
    let name = namespace.to_string();
    match wanted.split_once('*') {
        None => namespace.collection == wanted || name == wanted,
        Some((first, rest)) => name
            .strip_prefix(first)
            .is_some_and(|name| ends_as(rest, name)),
    }
}

/// Whether a name matches the rest of a pattern after one of its stars.
fn ends_as(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => name.ends_with(pattern),
        Some((literal, rest)) => name
            .find(literal)
            .is_some_and(|at| ends_as(rest, &name[at + literal.len()..])),
    }
}
