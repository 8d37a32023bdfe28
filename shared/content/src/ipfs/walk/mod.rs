//! The walk through the DAG of one file, depth first: the blocks of the path, then those of the
//! file, in the order of its bytes. Each block is proved against its CID before it is read. The
//! file's bytes come out as their blocks come in. The caller supplies the blocks, including
//! repeated ones.

mod file_node;

use std::{fmt, vec};

use bytes::Bytes;

use self::file_node::{FileNode, Part, Place};
use super::{
    Cid, DagFault, DagRecord, IpfsPath, MAX_BLOCK_BYTES, WalkError, WalkLimits,
    cid::{check_supported, inline_block, is_identity, proves, read_whole},
    directory::{self, Step},
    record::Recorder,
};

/// A walk. It requests one block after the other, and keeps only those of its present levels.
pub struct Walk {
    path: IpfsPath,
    limits: WalkLimits,
    /// Never a block under an identity CID: those are visited at once.
    wanted: Option<Visit>,
    failed: bool,
    /// Blocks from the root of the path to the file's.
    path_levels: usize,
    levels: Vec<Level>,
    visited: u64,
    recorder: Recorder,
    file: Option<(Cid, u64)>,
}

/// A completely walked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedFile {
    /// Bytes of the file.
    pub size: u64,
    /// The file's own CID: the end of the path.
    pub file_cid: Cid,
    /// The record that rebuilds its blocks from its bytes.
    pub record: DagRecord,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    cid: Cid,
    role: Role,
}

/// Purpose of a block.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// The directory of the next name, after this number of bits of its hash.
    Directory { names_found: usize, hash_bits: u32 },
    /// The end of the path.
    File,
    /// A part of the file, of so many bytes.
    Part { size: u64 },
}

/// A node whose parts are being visited.
struct Level {
    block: Bytes,
    parts: vec::IntoIter<Part>,
}

impl Walk {
    /// Begins at the root of the path. It also returns the bytes in identity CIDs before any block.
    ///
    /// # Errors
    /// [`DagFault`] if the root's CID is not supported, or contains something other than a file.
    pub fn begin(path: &IpfsPath, limits: WalkLimits) -> Result<(Self, Vec<Bytes>), DagFault> {
        let mut walk = Self {
            path: path.clone(),
            limits,
            wanted: None,
            failed: false,
            path_levels: 0,
            levels: Vec::new(),
            visited: 0,
            recorder: Recorder::new(limits.inner_bytes),
            file: None,
        };
        let mut out = Vec::new();
        let root = Visit {
            cid: path.cid,
            role: walk.role_after(0),
        };
        walk.advance(Some(root), &mut out)?;
        Ok((walk, out))
    }

    /// The block to supply next. Nothing once the walk is complete, or has failed.
    #[must_use]
    pub fn wanted(&self) -> Option<&Cid> {
        self.wanted.as_ref().map(|visit| &visit.cid)
    }

    /// Size of the file according to its root, once that was read. The parts must match it.
    #[must_use]
    pub fn file_size(&self) -> Option<u64> {
        self.file.as_ref().map(|(_, size)| *size)
    }

    /// Takes the wanted block, and returns the next bytes of the file.
    ///
    /// # Errors
    /// [`WalkError::WrongBlock`] for another block: the walk is unchanged. [`WalkError::Dag`] for a
    /// fault of the DAG, [`WalkError::Ended`] after the end.
    pub fn supply(&mut self, block: &Bytes) -> Result<Vec<Bytes>, WalkError> {
        let visit = self.wanted.take().ok_or(WalkError::Ended)?;
        if !proves(&visit.cid, block)? {
            self.wanted = Some(visit);
            return Err(WalkError::WrongBlock {
                cid: visit.cid.to_string(),
            });
        }
        let mut out = Vec::new();
        let walked = self
            .visit(&visit, block, &mut out)
            .and_then(|next| self.advance(next, &mut out));
        self.failed = walked.is_err();
        walked.map(|()| out).map_err(WalkError::Dag)
    }

    /// Ends the walk.
    ///
    /// # Errors
    /// [`WalkError::Incomplete`] if a block is still wanted, [`WalkError::Ended`] if the walk had
    /// failed.
    pub fn finish(self) -> Result<WalkedFile, WalkError> {
        match (self.wanted, self.file) {
            (Some(visit), _) => Err(WalkError::Incomplete {
                cid: visit.cid.to_string(),
            }),
            (None, Some((file_cid, size))) if !self.failed => Ok(WalkedFile {
                size,
                file_cid,
                record: self.recorder.finish(self.path, file_cid, size),
            }),
            _ => Err(WalkError::Ended),
        }
    }

    /// Visits everything that needs no block, up to the next wanted block or the end of the walk.
    fn advance(&mut self, mut next: Option<Visit>, out: &mut Vec<Bytes>) -> Result<(), DagFault> {
        loop {
            if next.is_none() {
                next = self.next_part()?;
            }
            let Some(visit) = next else { return Ok(()) };
            self.admit(&visit.cid)?;
            let Some(block) = inline_block(&visit.cid) else {
                self.wanted = Some(visit);
                return Ok(());
            };
            next = self.visit(&visit, &block, out)?;
        }
    }

    fn next_part(&mut self) -> Result<Option<Visit>, DagFault> {
        while let Some(level) = self.levels.last_mut() {
            if let Some(part) = level.parts.next() {
                let cid = read_whole(part.cid.of(&level.block));
                let cid = cid.ok_or_else(|| self.fault_of_file("a link in it is not a CID"))?;
                return Ok(Some(Visit {
                    cid,
                    role: Role::Part { size: part.size },
                }));
            }
            self.levels.pop();
        }
        Ok(None)
    }

    fn fault_of_file(&self, reason: &'static str) -> DagFault {
        DagFault::malformed(
            self.file.as_ref().map_or(&self.path.cid, |(cid, _)| cid),
            reason,
        )
    }

    /// Counts a node before its request.
    fn admit(&mut self, cid: &Cid) -> Result<(), DagFault> {
        check_supported(cid)?;
        if self.path_levels + self.levels.len() >= self.limits.depth {
            return Err(DagFault::TooDeep {
                cid: cid.to_string(),
                limit: self.limits.depth,
            });
        }
        if self.visited == self.limits.blocks {
            return Err(DagFault::TooManyBlocks {
                limit: self.limits.blocks,
            });
        }
        self.visited += 1;
        Ok(())
    }

    /// Reads a proved block. Returns its successor, unless that is a part of a file.
    fn visit(
        &mut self,
        visit: &Visit,
        block: &Bytes,
        out: &mut Vec<Bytes>,
    ) -> Result<Option<Visit>, DagFault> {
        if block.len() > MAX_BLOCK_BYTES {
            return Err(DagFault::LargeBlock {
                cid: visit.cid.to_string(),
                size_bytes: block.len(),
            });
        }
        match visit.role {
            Role::Directory {
                names_found,
                hash_bits,
            } => {
                self.record(&visit.cid, block, &FileNode::default())?;
                self.path_levels += 1;
                let step =
                    directory::step(&visit.cid, block, &self.path.path[names_found], hash_bits)?;
                Ok(Some(match step {
                    Step::Entry(cid) => Visit {
                        cid,
                        role: self.role_after(names_found + 1),
                    },
                    Step::Shard(cid, hash_bits) => Visit {
                        cid,
                        role: Role::Directory {
                            names_found,
                            hash_bits,
                        },
                    },
                }))
            }
            Role::File => {
                let node = file_node::read(&visit.cid, block, Place::EndOfPath)?;
                self.begin_file(&visit.cid, node.size)?;
                self.deliver(&visit.cid, block, node, out).map(|()| None)
            }
            Role::Part { size } => {
                let node =
                    file_node::read(&visit.cid, block, Place::Within { stated_bytes: size })?;
                self.deliver(&visit.cid, block, node, out).map(|()| None)
            }
        }
    }

    fn role_after(&self, names_found: usize) -> Role {
        if names_found == self.path.path.len() {
            Role::File
        } else {
            Role::Directory {
                names_found,
                hash_bits: 0,
            }
        }
    }

    fn begin_file(&mut self, cid: &Cid, size: u64) -> Result<(), DagFault> {
        if size > self.limits.file_bytes {
            let limit_bytes = self.limits.file_bytes;
            return Err(DagFault::TooLarge {
                cid: cid.to_string(),
                size_bytes: size,
                limit_bytes,
            });
        }
        self.file = Some((*cid, size));
        Ok(())
    }

    /// Returns the file's bytes in the node itself, and descends into its parts.
    fn deliver(
        &mut self,
        cid: &Cid,
        block: &Bytes,
        node: FileNode,
        out: &mut Vec<Bytes>,
    ) -> Result<(), DagFault> {
        self.record(cid, block, &node)?;
        if !node.data.is_empty() {
            out.push(block.slice(node.data.clone()));
        }
        if !node.parts.is_empty() {
            // A copy, since the block given may be a small piece of a large buffer, and this one
            // stays.
            let block = Bytes::copy_from_slice(block);
            self.levels.push(Level {
                block,
                parts: node.parts.into_iter(),
            });
        }
        Ok(())
    }

    /// Records a block. A block under an identity CID is in the recorded block that links to it.
    fn record(&mut self, cid: &Cid, block: &[u8], node: &FileNode) -> Result<(), DagFault> {
        if is_identity(cid) {
            Ok(())
        } else {
            self.recorder.add(block, node.data.clone())
        }
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted().map(ToString::to_string);
        let path = self.path.to_string();
        f.debug_struct("Walk")
            .field("path", &path)
            .field("wanted", &wanted)
            .finish_non_exhaustive()
    }
}
