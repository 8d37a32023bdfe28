//! Writes an archive from documents that come in any order of namespaces. Keeps the CRCs; holds no documents. An
//! archive whose namespaces are not all closed has no valid end, and [`BlockWriter::finish`] says so.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use crate::{Prelude, TERMINATOR, block::BlockHeader, crc::Crc64, flat, prelude::display_name};

/// The writer of one archive. Where it is written to is handed in with each call.
#[derive(Debug)]
pub struct BlockWriter {
    prelude: Prelude,
    is_begun: bool,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    /// The collection under whose name the blocks stand.
    collection: String,
    crc: Crc64,
    documents: u64,
    bytes: u64,
    has_block: bool,
    is_closed: bool,
}

/// What was written, namespace by namespace in the prelude's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One for each namespace of the prelude.
    pub namespaces: Vec<WrittenNamespace>,
}

/// What was written of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenNamespace {
    /// How many documents.
    pub documents: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// CRC-64/XZ over these bytes.
    pub crc: u64,
}

/// Why an archive cannot be written (on).
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The writer failed; what it has is cut short.
    #[error("the archive could not be written: {0}")]
    Io(#[from] io::Error),
    /// Blocks came before the prelude.
    #[error("the archive has no prelude yet")]
    NotBegun,
    /// The prelude was to be written twice.
    #[error("the archive's prelude is written already")]
    BegunTwice,
    /// The prelude names two namespaces whose blocks could not be told apart.
    #[error("the archive's prelude would declare {0} twice")]
    DuplicateNamespace(String),
    /// The prelude has no namespace of this number.
    #[error("the archive's prelude has no namespace number {0}")]
    UnknownNamespace(usize),
    /// A namespace that was closed got more documents, or was closed again.
    #[error("{0} is closed already in the archive")]
    AlreadyClosed(String),
    /// The archive was to end, and these namespaces were not closed.
    #[error("the archive cannot end: not closed are {}", .0.join(", "))]
    NotClosed(Vec<String>),
    /// What was given as documents is not whole BSON documents one after another.
    #[error("what was read of {namespace} is not whole documents: at byte {at} {reason}")]
    BadDocuments {
        /// Of which namespace.
        namespace: String,
        /// Where in the bytes given.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidInput, other),
        }
    }
}

impl BlockWriter {
    /// A writer of an archive with this prelude.
    ///
    /// # Errors
    /// [`WriteError::DuplicateNamespace`].
    pub fn new(prelude: Prelude) -> Result<Self, WriteError> {
        let mut seen = HashSet::new();
        let mut states = Vec::with_capacity(prelude.namespaces.len());
        for namespace in &prelude.namespaces {
            let collection = namespace.data_collection(&prelude.server_version).into_owned();
            if !seen.insert((&namespace.db, collection.clone())) {
                return Err(WriteError::DuplicateNamespace(namespace.to_string()));
            }
            states.push(State {
                collection,
                crc: Crc64::new(),
                documents: 0,
                bytes: 0,
                has_block: false,
                is_closed: false,
            });
        }
        Ok(Self { prelude, is_begun: false, states })
    }

    /// Writes the prelude.
    ///
    /// # Errors
    /// The writer's, or [`WriteError::BegunTwice`].
    pub fn begin(&mut self, out: &mut impl Write) -> Result<(), WriteError> {
        if self.is_begun {
            return Err(WriteError::BegunTwice);
        }
        self.prelude.write_to(out)?;
        self.is_begun = true;
        Ok(())
    }

    /// Writes one block: whole BSON documents of one namespace, one after another. Without any, writes nothing. Says
    /// how many they were.
    ///
    /// # Errors
    /// The writer's; the bytes are not whole documents; the namespace is unknown or closed; there is no prelude yet.
    pub fn documents(&mut self, out: &mut impl Write, namespace: usize, bytes: &[u8]) -> Result<u64, WriteError> {
        self.open_state(namespace)?;
        let count = count_documents(bytes).map_err(|(at, reason)| WriteError::BadDocuments {
            namespace: self.name(namespace),
            at,
            reason,
        })?;
        if count > 0 {
            self.write_block(out, namespace, None, bytes)?;
            let state = &mut self.states[namespace];
            state.has_block = true;
            state.crc.update(bytes);
            state.documents += count;
            state.bytes += bytes.len() as u64;
        }
        Ok(count)
    }

    /// Writes the block that ends a namespace, and before it an empty one where it had none, as mongodump does.
    ///
    /// # Errors
    /// The writer's; the namespace is unknown or closed; there is no prelude yet.
    pub fn close(&mut self, out: &mut impl Write, namespace: usize) -> Result<(), WriteError> {
        let state = self.open_state(namespace)?;
        let (crc, has_block) = (state.crc.value(), state.has_block);
        if !has_block {
            self.write_block(out, namespace, None, &[])?;
        }
        self.write_block(out, namespace, Some(crc), &[])?;
        self.states[namespace].is_closed = true;
        Ok(())
    }

    /// Ends the archive; nothing is left to write.
    ///
    /// # Errors
    /// [`WriteError::NotBegun`] or [`WriteError::NotClosed`]: the archive has no valid end.
    pub fn finish(self) -> Result<Written, WriteError> {
        if !self.is_begun {
            return Err(WriteError::NotBegun);
        }
        let open = self.states.iter().enumerate().filter(|(_, state)| !state.is_closed);
        let open: Vec<_> = open.map(|(number, _)| self.name(number)).collect();
        if !open.is_empty() {
            return Err(WriteError::NotClosed(open));
        }
        let namespaces = self.states.iter().map(|state| WrittenNamespace {
            documents: state.documents,
            bytes: state.bytes,
            crc: state.crc.value(),
        });
        Ok(Written { namespaces: namespaces.collect() })
    }

    fn open_state(&self, namespace: usize) -> Result<&State, WriteError> {
        if !self.is_begun {
            return Err(WriteError::NotBegun);
        }
        let state = self.states.get(namespace).ok_or(WriteError::UnknownNamespace(namespace))?;
        if state.is_closed {
            return Err(WriteError::AlreadyClosed(self.name(namespace)));
        }
        Ok(state)
    }

    fn write_block(
        &self,
        out: &mut impl Write,
        namespace: usize,
        end: Option<u64>,
        documents: &[u8],
    ) -> Result<(), WriteError> {
        let (db, collection) = (&self.prelude.namespaces[namespace].db, &self.states[namespace].collection);
        out.write_all(&BlockHeader { db, collection, end }.to_bytes())?;
        out.write_all(documents)?;
        out.write_all(&TERMINATOR)?;
        Ok(())
    }

    fn name(&self, namespace: usize) -> String {
        let declared = &self.prelude.namespaces[namespace];
        display_name(&declared.db, &declared.collection)
    }
}

fn count_documents(bytes: &[u8]) -> Result<u64, (usize, &'static str)> {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let first = bytes[at..].first_chunk().ok_or((at, "a length is cut short"))?;
        let length = flat::document_length(*first).map_err(|_| (at, "a document's length is out of range"))?;
        let document = bytes[at..].get(..length).ok_or((at, "a document is cut short"))?;
        if document.last() != Some(&0) {
            return Err((at, "a document does not end with a NUL"));
        }
        at += length;
        count += 1;
    }
    Ok(count)
}
