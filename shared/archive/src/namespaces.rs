//! The state of every declared namespace during a walk: not begun, open, or ended, with its sums so
//! far.

use std::collections::HashMap;

use crate::{
    ContentHash, NamespaceKind, NamespaceSummary, Prelude, PreludeNamespace, WalkError, crc::Crc64,
    prelude::display_name,
};

/// All namespaces, numbered as in the prelude.
#[derive(Debug)]
pub(crate) struct Namespaces {
    states: Vec<NamespaceState>,
    /// By database and by the collection in the blocks.
    numbers: HashMap<(String, String), usize>,
    unended: usize,
}

#[derive(Debug)]
pub(crate) struct NamespaceState {
    summary: NamespaceSummary,
    crc: Crc64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    NotBegun,
    Open,
    Ended,
}

impl Namespaces {
    pub(crate) fn new(prelude: &Prelude) -> Result<Self, WalkError> {
        let mut numbers = HashMap::with_capacity(prelude.namespaces.len());
        for (number, namespace) in prelude.namespaces.iter().enumerate() {
            let data = namespace
                .data_collection(&prelude.server_version)
                .into_owned();
            if numbers
                .insert((namespace.db.clone(), data), number)
                .is_some()
            {
                return Err(WalkError::DuplicateNamespace {
                    namespace: namespace.to_string(),
                });
            }
        }
        // The name of a time series' buckets depends on the server version. Both names are
        // accepted.
        for (number, series) in prelude.namespaces.iter().enumerate() {
            if series.kind == NamespaceKind::Timeseries {
                for name in [series.buckets_collection(), series.collection.clone()] {
                    numbers.entry((series.db.clone(), name)).or_insert(number);
                }
            }
        }
        let states: Vec<_> = prelude.namespaces.iter().map(NamespaceState::new).collect();
        Ok(Self {
            unended: states.len(),
            states,
            numbers,
        })
    }

    pub(crate) fn number(&self, db: &str, collection: &str) -> Option<usize> {
        self.numbers
            .get(&(db.to_owned(), collection.to_owned()))
            .copied()
    }

    pub(crate) fn all_ended(&self) -> bool {
        self.unended == 0
    }

    pub(crate) fn name(&self, number: usize) -> String {
        let summary = &self.states[number].summary;
        display_name(&summary.db, &summary.collection)
    }

    pub(crate) fn state(&mut self, number: usize) -> &mut NamespaceState {
        &mut self.states[number]
    }

    pub(crate) fn end(&mut self, number: usize) -> &NamespaceSummary {
        self.unended -= 1;
        let state = &mut self.states[number];
        state.stage = Stage::Ended;
        state.summary.crc = state.crc.value();
        &state.summary
    }

    /// The summaries, or the missing namespaces.
    pub(crate) fn into_summaries(self) -> Result<Vec<NamespaceSummary>, WalkError> {
        if self.all_ended() {
            return Ok(self.states.into_iter().map(|state| state.summary).collect());
        }
        let names_of = |stage| {
            let unended = self
                .states
                .iter()
                .enumerate()
                .filter(move |(_, state)| state.stage == stage);
            unended.map(|(number, _)| self.name(number)).collect()
        };
        Err(WalkError::Incomplete {
            never_begun: names_of(Stage::NotBegun),
            never_closed: names_of(Stage::Open),
        })
    }
}

impl NamespaceState {
    fn new(namespace: &PreludeNamespace) -> Self {
        let summary = NamespaceSummary {
            db: namespace.db.clone(),
            collection: namespace.collection.clone(),
            kind: namespace.kind,
            documents: 0,
            bytes: 0,
            crc: 0,
            content_hash: ContentHash::default(),
        };
        Self {
            summary,
            crc: Crc64::new(),
            stage: Stage::NotBegun,
        }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.stage != Stage::NotBegun
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Opens it. `true` at the first call.
    pub(crate) fn begin(&mut self) -> bool {
        let first = self.stage == Stage::NotBegun;
        if first {
            self.stage = Stage::Open;
        }
        first
    }

    pub(crate) fn count_document(&mut self, document: &[u8]) {
        self.summary.documents += 1;
        self.summary.content_hash.add_document(document);
    }

    /// Adds the bytes of documents already counted one by one: one CRC call for many is faster.
    pub(crate) fn count_bytes(&mut self, documents: &[u8]) {
        self.summary.bytes += documents.len() as u64;
        self.crc.update(documents);
    }

    pub(crate) fn documents(&self) -> u64 {
        self.summary.documents
    }

    pub(crate) fn crc(&self) -> u64 {
        self.crc.value()
    }
}
