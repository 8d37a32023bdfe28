//! Applies rules to a document without decoding it: the walk uses the lengths of the fields. Fields
//! without a rule are copied byte by byte, and the order of fields stays.

use bson::spec::ElementType;

use super::{
    action::Action,
    key::Key,
    report::Tally,
    tree::{Node, Place},
    value::Value,
};
use crate::raw::value_length;

const DOCUMENT: u8 = ElementType::EmbeddedDocument as u8;
const ARRAY: u8 = ElementType::Array as u8;
const NULL: u8 = ElementType::Null as u8;

/// Servers nest no deeper than this.
const MAX_DEPTH: usize = 200;

/// Reason why a document cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadDocument {
    #[error("is not valid BSON")]
    NotBson,
    #[error("is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// The document after the rules of the tree. Results are counted rule by rule.
pub(super) fn rewrite(
    document: &[u8],
    tree: &Node,
    rules: &[Action],
    key: &Key,
    tallies: &mut [Tally],
) -> Result<Vec<u8>, BadDocument> {
    let mut walk = Walk {
        rules,
        key,
        tallies,
        out: Vec::with_capacity(document.len() + 64),
    };
    walk.document(document, &[tree], Place::Top, 0)?;
    Ok(walk.out)
}

struct Walk<'a> {
    rules: &'a [Action],
    key: &'a Key,
    tallies: &'a mut [Tally],
    out: Vec<u8>,
}

/// A field in the document's bytes.
#[derive(Clone, Copy)]
struct Element<'b> {
    /// The bytes before it, copied when something new is written for this field.
    before: &'b [u8],
    name: &'b [u8],
    value: Value<'b>,
    /// Beginning of the next field.
    end: usize,
}

impl Walk<'_> {
    fn document(
        &mut self,
        source: &[u8],
        active: &[&Node],
        place: Place,
        depth: usize,
    ) -> Result<(), BadDocument> {
        self.framed(source, depth, |walk, element| {
            let reached = Node::reach(active, element.name, place);
            match reached.iter().find_map(|node| node.rule) {
                Some(rule) => walk.apply(element, rule, depth).map(|()| true),
                None => walk.descend(element, &reached, depth),
            }
        })
    }

    /// An array on a path: the walk enters its documents, and the arrays inside it.
    fn array(&mut self, source: &[u8], active: &[&Node], depth: usize) -> Result<(), BadDocument> {
        self.framed(source, depth, |walk, element| {
            walk.descend(element, active, depth)
        })
    }

    /// Enters a field with a path below it. Returns whether it wrote the field.
    fn descend(
        &mut self,
        element: Element<'_>,
        active: &[&Node],
        depth: usize,
    ) -> Result<bool, BadDocument> {
        if active.is_empty() || !matches!(element.value.kind, DOCUMENT | ARRAY) {
            return Ok(false);
        }
        self.begin(element.value.kind, element);
        match element.value.kind {
            DOCUMENT => self.document(element.value.bytes, active, Place::Below, depth + 1)?,
            _ => self.array(element.value.bytes, active, depth + 1)?,
        }
        Ok(true)
    }

    /// Writes the result of the rule for a field, or nothing if the rule drops it.
    fn apply(
        &mut self,
        element: Element<'_>,
        rule: usize,
        depth: usize,
    ) -> Result<(), BadDocument> {
        match self.rules[rule] {
            Action::Drop => {
                self.out.extend_from_slice(element.before);
                self.tallies[rule].count(element.value.kind, || {
                    "nothing: the field is dropped".to_owned()
                });
            }
            Action::Null => {
                self.begin(NULL, element);
                self.tallies[rule].count(element.value.kind, || "null".to_owned());
            }
            action => self.replace(element, action, rule, depth)?,
        }
        Ok(())
    }

    /// In an array, each element is replaced.
    fn replace(
        &mut self,
        element: Element<'_>,
        action: Action,
        rule: usize,
        depth: usize,
    ) -> Result<(), BadDocument> {
        let value = element.value;
        if value.kind == ARRAY {
            self.begin(ARRAY, element);
            return self.framed(value.bytes, depth + 1, |walk, element| {
                walk.replace(element, action, rule, depth + 1)
                    .map(|()| true)
            });
        }
        let Ok(outcome) = action.apply(self.key, value) else {
            // The tally makes the restore fail. The null ensures that the value is not revealed in
            // any case.
            self.begin(NULL, element);
            self.tallies[rule].refuse(value.kind);
            return Ok(());
        };
        self.begin(value.kind, element);
        self.out.extend_from_slice(&outcome);
        self.tallies[rule].count(value.kind, || {
            Value {
                kind: value.kind,
                bytes: &outcome,
            }
            .shown()
        });
        Ok(())
    }

    fn begin(&mut self, kind: u8, element: Element<'_>) {
        self.out.extend_from_slice(element.before);
        self.out.push(kind);
        self.out.extend_from_slice(element.name);
        self.out.push(0);
    }

    /// Copies a document or array, except for the fields written by `field`, and sets its length.
    fn framed(
        &mut self,
        source: &[u8],
        depth: usize,
        mut field: impl FnMut(&mut Self, Element<'_>) -> Result<bool, BadDocument>,
    ) -> Result<(), BadDocument> {
        if depth > MAX_DEPTH {
            return Err(BadDocument::TooDeep);
        }
        let end = body_end(source).ok_or(BadDocument::NotBson)?;
        let start = self.out.len();
        let (mut at, mut copied) = (4, 0);
        while at < end {
            let mut element = element(&source[..end], at).ok_or(BadDocument::NotBson)?;
            element.before = &source[copied..at];
            if field(self, element)? {
                copied = element.end;
            }
            at = element.end;
        }
        self.out.extend_from_slice(&source[copied..]);
        let length = i32::try_from(self.out.len() - start).map_err(|_| BadDocument::NotBson)?;
        self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

/// The end of a document's fields, at its closing NUL. Checks its length and this byte.
fn body_end(document: &[u8]) -> Option<usize> {
    let length = usize::try_from(i32::from_le_bytes(*document.first_chunk()?)).ok()?;
    (length == document.len() && length >= 5 && document[length - 1] == 0).then(|| length - 1)
}

fn element(body: &[u8], at: usize) -> Option<Element<'_>> {
    let (kind, after) = body[at..].split_first()?;
    let name_length = after.iter().position(|byte| *byte == 0)?;
    let value = &after[name_length + 1..];
    let length = value_length(*kind, value)?;
    let value = Value {
        kind: *kind,
        bytes: &value[..length],
    };
    Some(Element {
        before: &[],
        name: &after[..name_length],
        value,
        end: at + 1 + name_length + 1 + length,
    })
}
