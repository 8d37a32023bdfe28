//! The receiver of a walk's documents, one by one.

use crate::{NamespaceSummary, Prelude};

/// Why a visitor stopped the walk.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// Takes the walker's results, in the archive's order. Namespaces are numbered as in
/// [`Prelude::namespaces`], and their documents interleave. The default methods do nothing.
pub trait Visitor {
    /// The prelude is complete, and sound. Comes once, and first.
    ///
    /// # Errors
    /// Any stops the walk.
    fn prelude(&mut self, prelude: &Prelude) -> Result<(), VisitError> {
        let _ = prelude;
        Ok(())
    }

    /// The first block of a namespace begins.
    ///
    /// # Errors
    /// Any stops the walk.
    fn begin(&mut self, namespace: usize) -> Result<(), VisitError> {
        let _ = namespace;
        Ok(())
    }

    /// One document, with the database's bytes. Only its length and last byte are checked at this
    /// point. The CRC of its namespace is checked at [`end`](Self::end).
    ///
    /// # Errors
    /// Any error stops the walk.
    fn document(&mut self, namespace: usize, document: &[u8]) -> Result<(), VisitError> {
        let _ = (namespace, document);
        Ok(())
    }

    /// A namespace is complete, and its CRC is right.
    ///
    /// # Errors
    /// Any stops the walk.
    fn end(&mut self, namespace: usize, summary: &NamespaceSummary) -> Result<(), VisitError> {
        let _ = (namespace, summary);
        Ok(())
    }
}

/// Ignores all: the walk only makes its summary.
impl Visitor for () {}

impl<V: Visitor + ?Sized> Visitor for &mut V {
    fn prelude(&mut self, prelude: &Prelude) -> Result<(), VisitError> {
        (**self).prelude(prelude)
    }

    fn begin(&mut self, namespace: usize) -> Result<(), VisitError> {
        (**self).begin(namespace)
    }

    fn document(&mut self, namespace: usize, document: &[u8]) -> Result<(), VisitError> {
        (**self).document(namespace, document)
    }

    fn end(&mut self, namespace: usize, summary: &NamespaceSummary) -> Result<(), VisitError> {
        (**self).end(namespace, summary)
    }
}
