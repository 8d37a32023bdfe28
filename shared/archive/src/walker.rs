//! The walk through an archive, in pieces of any size. Complete documents are passed on without a
//! copy. Only a document split between two pieces is copied. So memory is bounded by the prelude
//! ([`MAX_PRELUDE_BYTES`]) and one document ([`MAX_DOCUMENT_BYTES`](crate::MAX_DOCUMENT_BYTES)).
//! After a fault, a walk never gives a summary.

use std::mem;

use crate::{
    ForeignFile, MAGIC, MAX_NAMESPACES, MAX_PRELUDE_BYTES, Prelude, PreludeNamespace, Summary,
    TERMINATOR, Visitor, WalkError, block::BlockHeader, flat, line_endings::LineEndings,
    namespaces::Namespaces, prelude::display_name,
};

/// A carry buffer above this size is freed.
const CARRY_KEPT_BYTES: usize = 1024 * 1024;

/// Walks one archive, proves it, and hands its documents to a [`Visitor`].
#[derive(Debug)]
pub struct Walker<V> {
    visitor: V,
    stage: Stage,
    prelude: Prelude,
    namespaces: Option<Namespaces>,
    /// The beginning of an item split between two pieces.
    carry: Vec<u8>,
    /// Bytes walked, without the carry.
    offset: u64,
    documents: u64,
    line_endings: LineEndings,
}

/// The expected next item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Magic,
    Header,
    NamespaceOrEnd,
    Block,
    DocumentOrEnd(usize),
    EndOf(usize),
    Failed,
}

impl<V: Visitor> Walker<V> {
    /// A walk from the beginning of an archive.
    pub fn new(visitor: V) -> Self {
        Self {
            visitor,
            stage: Stage::Magic,
            prelude: Prelude::default(),
            namespaces: None,
            carry: Vec::new(),
            offset: 0,
            documents: 0,
            line_endings: LineEndings::default(),
        }
    }

    /// Walks through the next bytes of the archive.
    ///
    /// # Errors
    /// The first fault. After it, always [`WalkError::AlreadyFailed`].
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), WalkError> {
        self.line_endings.observe(chunk);
        let result = self.walk(chunk);
        if result.is_err() {
            self.stage = Stage::Failed;
        }
        result.map_err(|fault| explained(fault, &self.line_endings))
    }

    /// Ends the walk at the archive's end.
    ///
    /// # Errors
    /// The archive is cut short, namespaces of its prelude are missing, or the walk failed before.
    pub fn finish(self) -> Result<(Summary, V), WalkError> {
        let bytes = self.bytes();
        let line_endings = self.line_endings;
        let ended = match (self.stage, self.namespaces) {
            (Stage::Failed, _) => Err(WalkError::AlreadyFailed),
            (Stage::Magic, _) if bytes == 0 => Err(WalkError::Empty),
            (Stage::Block, Some(namespaces)) if self.carry.is_empty() => {
                let namespaces = namespaces.into_summaries()?;
                Ok((
                    Summary {
                        prelude: self.prelude,
                        namespaces,
                        bytes,
                    },
                    self.visitor,
                ))
            }
            (stage, namespaces) => Err(WalkError::CutShort {
                offset: bytes,
                inside: place(stage, namespaces.as_ref()),
            }),
        };
        ended.map_err(|fault| explained(fault, &line_endings))
    }

    /// Documents seen so far.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Bytes of the archive seen so far.
    pub fn bytes(&self) -> u64 {
        self.offset + self.carry.len() as u64
    }

    /// The visitor.
    pub fn visitor(&self) -> &V {
        &self.visitor
    }

    fn walk(&mut self, mut chunk: &[u8]) -> Result<(), WalkError> {
        if self.stage == Stage::Failed {
            return Err(WalkError::AlreadyFailed);
        }
        if self.stage == Stage::Magic {
            self.refuse_foreign(chunk)?;
        }
        while !chunk.is_empty() {
            if self.stage == Stage::Block
                && self.namespaces.as_ref().is_some_and(Namespaces::all_ended)
            {
                return Err(WalkError::TrailingData {
                    offset: self.offset,
                });
            }
            chunk = if self.carry.is_empty() {
                self.step(chunk)?
            } else {
                self.step_through_carry(chunk)?
            };
        }
        Ok(())
    }

    /// Refuses a file with another magic number, while all bytes read so far are available for the
    /// message.
    fn refuse_foreign(&self, chunk: &[u8]) -> Result<(), WalkError> {
        let first = self.carry.iter().chain(chunk).zip(&MAGIC);
        if first.clone().all(|(found, expected)| found == expected) {
            return Ok(());
        }
        let head = [self.carry.as_slice(), chunk].concat();
        Err(WalkError::NotAnArchive {
            file: ForeignFile::from_head(&head),
        })
    }

    /// Takes the complete items at the beginning of the chunk. Without one, carries the chunk over.
    fn step<'a>(&mut self, chunk: &'a [u8]) -> Result<&'a [u8], WalkError> {
        if let Stage::DocumentOrEnd(number) = self.stage {
            let taken = self.take_documents(number, chunk)?;
            if taken > 0 {
                return Ok(&chunk[taken..]);
            }
        }
        match self.item_length(chunk)? {
            Some(length) if length <= chunk.len() => {
                let (item, rest) = chunk.split_at(length);
                self.take_item(item)?;
                Ok(rest)
            }
            _ => {
                self.carry.extend_from_slice(chunk);
                Ok(&[])
            }
        }
    }

    /// Completes the item carried over, first its length, then the rest.
    fn step_through_carry<'a>(&mut self, chunk: &'a [u8]) -> Result<&'a [u8], WalkError> {
        let wanted = self.item_length(&self.carry)?.unwrap_or(4);
        let missing = wanted - self.carry.len();
        let (more, rest) = chunk.split_at(missing.min(chunk.len()));
        self.carry.reserve_exact(missing);
        self.carry.extend_from_slice(more);
        if self.item_length(&self.carry)? == Some(self.carry.len()) {
            let mut item = mem::take(&mut self.carry);
            self.take_item(&item)?;
            if item.capacity() <= CARRY_KEPT_BYTES {
                item.clear();
                self.carry = item;
            }
        }
        Ok(rest)
    }

    /// Length of the document or terminator with this beginning, if its first four bytes are
    /// available.
    fn item_length(&self, bytes: &[u8]) -> Result<Option<usize>, WalkError> {
        match bytes.first_chunk() {
            None => Ok(None),
            Some(_) if self.stage == Stage::Magic => Ok(Some(MAGIC.len())),
            Some(&TERMINATOR) => Ok(Some(TERMINATOR.len())),
            Some(first) => flat::document_length(*first).map(Some).map_err(|length| {
                WalkError::DocumentLength {
                    offset: self.offset,
                    inside: place(self.stage, self.namespaces.as_ref()),
                    length,
                }
            }),
        }
    }

    fn take_item(&mut self, item: &[u8]) -> Result<(), WalkError> {
        let is_end = item == TERMINATOR;
        match self.stage {
            Stage::Magic => self.stage = Stage::Header,
            Stage::Header => self.take_header(item)?,
            Stage::NamespaceOrEnd if is_end => self.end_prelude()?,
            Stage::NamespaceOrEnd => self.take_namespace(item)?,
            Stage::Block => self.take_block_header(item)?,
            Stage::DocumentOrEnd(_) if is_end => self.stage = Stage::Block,
            Stage::DocumentOrEnd(number) => {
                self.take_documents(number, item)?;
                return Ok(());
            }
            Stage::EndOf(number) if is_end => self.end_namespace(number)?,
            Stage::EndOf(number) => {
                let namespace = self.namespaces()?.name(number);
                return Err(WalkError::DocumentInEndBlock {
                    offset: self.offset,
                    namespace,
                });
            }
            Stage::Failed => return Err(WalkError::AlreadyFailed),
        }
        self.offset += item.len() as u64;
        Ok(())
    }

    fn take_header(&mut self, item: &[u8]) -> Result<(), WalkError> {
        let bad = |reason| WalkError::BadPrelude {
            offset: self.offset,
            reason,
        };
        if item == TERMINATOR {
            return Err(bad("it ends before its header".to_owned()));
        }
        self.prelude = Prelude::parse_header(item).map_err(bad)?;
        self.stage = Stage::NamespaceOrEnd;
        Ok(())
    }

    fn take_namespace(&mut self, item: &[u8]) -> Result<(), WalkError> {
        if self.prelude.namespaces.len() == MAX_NAMESPACES {
            return Err(WalkError::LimitExceeded {
                what: "namespaces",
                limit: MAX_NAMESPACES as u64,
            });
        }
        if self.offset + item.len() as u64 > MAX_PRELUDE_BYTES {
            return Err(WalkError::LimitExceeded {
                what: "bytes of prelude",
                limit: MAX_PRELUDE_BYTES,
            });
        }
        let namespace =
            PreludeNamespace::parse(item, self.prelude.json_version()).map_err(|reason| {
                WalkError::BadPrelude {
                    offset: self.offset,
                    reason,
                }
            })?;
        self.prelude.namespaces.push(namespace);
        Ok(())
    }

    fn end_prelude(&mut self) -> Result<(), WalkError> {
        self.namespaces = Some(Namespaces::new(&self.prelude)?);
        self.stage = Stage::Block;
        self.visitor
            .prelude(&self.prelude)
            .map_err(WalkError::Visitor)
    }

    fn take_block_header(&mut self, item: &[u8]) -> Result<(), WalkError> {
        let offset = self.offset;
        if item == TERMINATOR {
            let reason = "a terminator replaces it".to_owned();
            return Err(WalkError::BadBlockHeader { offset, reason });
        }
        let header = BlockHeader::parse(item)
            .map_err(|reason| WalkError::BadBlockHeader { offset, reason })?;
        let namespaces = self.namespaces()?;
        let Some(number) = namespaces.number(header.db, header.collection) else {
            let namespace = display_name(header.db, header.collection);
            return Err(WalkError::UndeclaredNamespace { offset, namespace });
        };
        let namespace = namespaces.name(number);
        let state = namespaces.state(number);
        if state.has_ended() {
            return Err(WalkError::BlockAfterEnd { offset, namespace });
        }
        if header.end.is_some() && !state.has_begun() {
            return Err(WalkError::EndBeforeBegin { offset, namespace });
        }
        if let Some(expected) = header.end
            && expected != state.crc()
        {
            let (documents, found) = (state.documents(), state.crc());
            return Err(WalkError::CrcMismatch {
                namespace,
                documents,
                expected,
                found,
            });
        }
        let is_first = state.begin();
        self.stage = if header.end.is_some() {
            Stage::EndOf(number)
        } else {
            Stage::DocumentOrEnd(number)
        };
        if is_first {
            self.visitor.begin(number).map_err(WalkError::Visitor)?;
        }
        Ok(())
    }

    /// Takes all complete documents at the beginning of these bytes, and returns their number of
    /// bytes.
    fn take_documents(&mut self, number: usize, bytes: &[u8]) -> Result<usize, WalkError> {
        let Some(namespaces) = &mut self.namespaces else {
            return Err(WalkError::AlreadyFailed);
        };
        let mut taken = 0;
        while let Some(document) = first_document(&bytes[taken..]) {
            if document.last() != Some(&0) {
                let (offset, namespace) = (self.offset + taken as u64, namespaces.name(number));
                return Err(WalkError::DocumentEnd { offset, namespace });
            }
            namespaces.state(number).count_document(document);
            self.visitor
                .document(number, document)
                .map_err(WalkError::Visitor)?;
            self.documents += 1;
            taken += document.len();
        }
        namespaces.state(number).count_bytes(&bytes[..taken]);
        self.offset += taken as u64;
        Ok(taken)
    }

    fn end_namespace(&mut self, number: usize) -> Result<(), WalkError> {
        let Some(namespaces) = &mut self.namespaces else {
            return Err(WalkError::AlreadyFailed);
        };
        self.stage = Stage::Block;
        self.visitor
            .end(number, namespaces.end(number))
            .map_err(WalkError::Visitor)
    }

    /// They exist after the prelude's end.
    fn namespaces(&mut self) -> Result<&mut Namespaces, WalkError> {
        self.namespaces.as_mut().ok_or(WalkError::AlreadyFailed)
    }
}

/// Adds the cause to a fault, if the archive's bytes reveal it.
fn explained(fault: WalkError, line_endings: &LineEndings) -> WalkError {
    if fault.is_of_the_bytes() && line_endings.are_translated() {
        return WalkError::LineEndingsTranslated {
            fault: Box::new(fault),
        };
    }
    fault
}

/// The first document in these bytes, if it is complete.
fn first_document(bytes: &[u8]) -> Option<&[u8]> {
    let length = flat::document_length(*bytes.first_chunk()?).ok()?;
    bytes.get(..length)
}

fn place(stage: Stage, namespaces: Option<&Namespaces>) -> String {
    let name = |number| {
        namespaces
            .map(|namespaces| namespaces.name(number))
            .unwrap_or_default()
    };
    match stage {
        Stage::Magic | Stage::Failed => "the magic number".to_owned(),
        Stage::Header | Stage::NamespaceOrEnd => "the prelude".to_owned(),
        Stage::Block => "a block's header".to_owned(),
        Stage::DocumentOrEnd(number) => format!("the documents of {}", name(number)),
        Stage::EndOf(number) => format!("the end of {}", name(number)),
    }
}
