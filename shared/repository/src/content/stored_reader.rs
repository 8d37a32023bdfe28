//! Reads a content object by its record. If the object was stored again, its own proof replaces the
//! record. The reader sees the same content in either case.

use std::io::{self, Read};

use tokio::runtime::Handle;

use crate::{
    artifact_reader::{ArtifactReader, Depth},
    content::{
        proof::ContentObject,
        read::{ObjectSource, ReadFault},
    },
};

/// The content of an object, for a blocking thread. Read it to its end, because the last checks
/// happen there.
pub struct StoredReader {
    source: ObjectSource,
    object: ContentObject,
    handle: Handle,
    reader: ArtifactReader,
    released_bytes: u64,
    is_by_record: bool,
}

impl ObjectSource {
    /// Opens an object of a file. Call it inside a runtime.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] if the object is missing, or its record names another segment size.
    /// [`ReadFault::Other`] if the store is unavailable, or no key at hand opens the object.
    pub async fn open_stored(&self, object: ContentObject) -> Result<StoredReader, ReadFault> {
        let reader = self.open_to(&object.stored, Depth::Plain).await?;
        let (source, handle) = (self.clone(), Handle::current());
        Ok(StoredReader {
            source,
            object,
            handle,
            reader,
            released_bytes: 0,
            is_by_record: true,
        })
    }
}

impl StoredReader {
    /// Continues with the present form of the object. The bytes read so far came from authentic
    /// segments of the recorded form, so they are the beginning of the same content.
    fn switch_to_present_form(&mut self, problem: String) -> Result<(), ReadFault> {
        let form = self
            .handle
            .block_on(self.source.prove_or(&self.object, problem))?;
        let mut reader = self
            .handle
            .block_on(self.source.open_to(&form, Depth::Plain))?;
        let skipped = io::copy(
            &mut reader.by_ref().take(self.released_bytes),
            &mut io::sink(),
        );
        skipped.map_err(|error| ReadFault::of(&error, self.object.key()))?;
        (self.reader, self.is_by_record) = (reader, false);
        Ok(())
    }
}

impl Read for StoredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let error = match self.reader.read(buffer) {
                Ok(count) => {
                    self.released_bytes += count as u64;
                    return Ok(count);
                }
                Err(error) => error,
            };
            match ReadFault::of(&error, self.object.key()) {
                ReadFault::Damaged(problem)
                    if self.is_by_record && self.object.has_other_forms() =>
                {
                    match self.switch_to_present_form(problem) {
                        Ok(()) => {}
                        Err(ReadFault::Damaged(_)) => return Err(error),
                        Err(fault) => return Err(fault.into_io()),
                    }
                }
                _ => return Err(error),
            }
        }
    }
}
