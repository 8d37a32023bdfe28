//! Writes an archive from documents in any order of namespaces. Keeps the CRCs, but no documents.
//! An archive with an open namespace has no valid end, and [`BlockWriter::finish`] refuses it.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use crate::{Prelude, TERMINATOR, block::BlockHeader, crc::Crc64, flat, prelude::display_name};

/// The writer of one archive. Each call takes the output.
#[derive(Debug)]
pub struct BlockWriter {
    prelude: Prelude,
    is_begun: bool,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    /// The collection's name in the blocks.
    collection: String,
    crc: Crc64,
    documents: u64,
    bytes: u64,
    has_block: bool,
    is_closed: bool,
}

/// The written sums of each namespace, in the prelude's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One for each namespace of the prelude.
    pub namespaces: Vec<WrittenNamespace>,
}

/// The written sums of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenNamespace {
    /// Number of documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// CRC-64/XZ over these bytes.
    pub crc: u64,
}

/// Reason why an archive cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The writer failed. Its output is cut short.
    #[error("cannot write the archive: {0}")]
    Io(#[from] io::Error),
    /// Blocks came before the prelude.
    #[error("the archive has no prelude yet")]
    NotBegun,
    /// A second call to write the prelude.
    #[error("the archive's prelude is already written")]
    BegunTwice,
    /// The prelude names two namespaces with indistinguishable blocks.
    #[error("the archive's prelude would declare {0} twice")]
    DuplicateNamespace(String),
    /// The prelude has no namespace of this number.
    #[error("the archive's prelude has no namespace number {0}")]
    UnknownNamespace(usize),
    /// More documents for a closed namespace, or a second close.
    #[error("{0} is already closed in the archive")]
    AlreadyClosed(String),
    /// These namespaces are open at the archive's end.
    #[error("cannot end the archive: open namespaces {}", .0.join(", "))]
    NotClosed(Vec<String>),
    /// Bytes other than a sequence of complete BSON documents.
    #[error("the bytes read of {namespace} are not complete documents: at byte {at} {reason}")]
    BadDocuments {
        /// The namespace.
        namespace: String,
        /// Place in these bytes.
        at: usize,
        /// Reason.
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
            let collection = namespace
                .data_collection(&prelude.server_version)
                .into_owned();
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
        Ok(Self {
            prelude,
            is_begun: false,
            states,
        })
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

    /// Writes one block: complete BSON documents of one namespace, one after another. Without
    /// documents, writes nothing. Returns the number of documents.
    ///
    /// # Errors
    /// The writer's errors. The bytes are not complete documents. The namespace is unknown or
    /// closed. The prelude is missing.
    pub fn documents(
        &mut self,
        out: &mut impl Write,
        namespace: usize,
        bytes: &[u8],
    ) -> Result<u64, WriteError> {
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

    /// Writes the block that ends a namespace. Like mongodump, writes an empty block first if the
    /// namespace has none.
    ///
    /// # Errors
    /// The writer's errors. The namespace is unknown or closed. The prelude is missing.
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

    /// Checks the end of the archive. Nothing is left to write.
    ///
    /// # Errors
    /// [`WriteError::NotBegun`] or [`WriteError::NotClosed`]: the archive has no valid end.
    pub fn finish(self) -> Result<Written, WriteError> {
        if !self.is_begun {
            return Err(WriteError::NotBegun);
        }
        let open = self
            .states
            .iter()
            .enumerate()
            .filter(|(_, state)| !state.is_closed);
        let open: Vec<_> = open.map(|(number, _)| self.name(number)).collect();
        if !open.is_empty() {
            return Err(WriteError::NotClosed(open));
        }
        let namespaces = self.states.iter().map(|state| WrittenNamespace {
            documents: state.documents,
            bytes: state.bytes,
            crc: state.crc.value(),
        });
        Ok(Written {
            namespaces: namespaces.collect(),
        })
    }

    fn open_state(&self, namespace: usize) -> Result<&State, WriteError> {
        if !self.is_begun {
            return Err(WriteError::NotBegun);
        }
        let state = self
            .states
            .get(namespace)
            .ok_or(WriteError::UnknownNamespace(namespace))?;
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
        let (db, collection) = (
            &self.prelude.namespaces[namespace].db,
            &self.states[namespace].collection,
        );
        out.write_all(
            &BlockHeader {
                db,
                collection,
                end,
            }
            .to_bytes(),
        )?;
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
        let first = bytes[at..]
            .first_chunk()
            .ok_or((at, "a length is cut short"))?;
        let length = flat::document_length(*first)
            .map_err(|_| (at, "a document's length is out of range"))?;
        let document = bytes[at..]
            .get(..length)
            .ok_or((at, "a document is cut short"))?;
        if document.last() != Some(&0) {
            return Err((at, "a document does not end with a NUL"));
        }
        at += length;
        count += 1;
    }
    Ok(count)
}
