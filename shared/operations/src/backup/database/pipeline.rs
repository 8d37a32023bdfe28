//! The stages between the engine and the store, stacked on one blocking thread: `meter → inspect →
//! artifact writer`.
//!
//! Memory does not depend on the size of the backup: one document in the archive walker, and the
//! buffers of the artifact writer. Only [`Stages::finish`] sends the end of the data. The upload of
//! a dropped stack cannot be completed.

use std::io::{self, Write};

use holdfast_archive::{Inspector, Summary};
use holdfast_codec::ArtifactDigest;
use holdfast_repository::artifact_writer::{ArtifactWriter, Meter, Meters, Recipe};
use holdfast_storage::upload::PartSink;

/// Summary and digests of a complete stream.
pub(super) struct Proof {
    pub(super) summary: Summary,
    pub(super) artifact: ArtifactDigest,
}

/// The stack. Implements `Write` for the engine.
pub(super) struct Stages(Meter<Inspector<ArtifactWriter>>);

impl Stages {
    pub(super) fn new(recipe: &Recipe, meters: &Meters, sink: PartSink) -> io::Result<Self> {
        Ok(Self(Meter::new(
            Inspector::new(ArtifactWriter::new(recipe, meters, sink)?),
            &meters.read,
        )))
    }

    /// Proves the archive complete, ends every stage, and sends the end of the data to the upload.
    pub(super) fn finish(self) -> io::Result<Proof> {
        let (writer, summary) = self.0.into_inner().finish()?;
        Ok(Proof {
            summary,
            artifact: writer.finish()?,
        })
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
