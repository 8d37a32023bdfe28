//! The stages between the engine and the store, stacked on one blocking thread: `meter → inspect → artifact writer`.
//!
//! Memory, whatever the size of the backup: the archive walker's one document, and what the artifact writer has. Only
//! [`Stages::finish`] sends the end of the data: a stack that is dropped leaves an upload that cannot be completed.

use std::io::{self, Write};

use holdfast_archive::{Inspector, Summary};
use holdfast_codec::ArtifactDigest;
use holdfast_storage::upload::PartSink;

use holdfast_repository::artifact_writer::{ArtifactWriter, Meter, Meters, Recipe};

/// What the stream was, once it is whole.
pub(super) struct Proof {
    pub(super) summary: Summary,
    pub(super) artifact: ArtifactDigest,
}

/// The stack. Implements `Write` for the engine.
pub(super) struct Stages(Meter<Inspector<ArtifactWriter>>);

impl Stages {
    pub(super) fn new(recipe: &Recipe, meters: &Meters, sink: PartSink) -> io::Result<Self> {
        Ok(Self(Meter::new(Inspector::new(ArtifactWriter::new(recipe, meters, sink)?), &meters.read)))
    }

    /// Proves the archive whole, ends every stage, and tells the uploader that this was all.
    pub(super) fn finish(self) -> io::Result<Proof> {
        let (writer, summary) = self.0.into_inner().finish()?;
        Ok(Proof { summary, artifact: writer.finish()? })
    }
}

impl Write for Stages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
