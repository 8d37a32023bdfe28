//! The steps after the documents: indexes, expiry, replacement of the targets by proved copies,
//! views, the conclusion.

use super::{Run, fail};
use crate::{
    DatabaseError,
    restore::{
        RestoreResult, TtlIndexes,
        compare::option_differences,
        definition::{
            create_indexes, expire_after, has_expiry, index_names, indexes_of, set_expiry,
            wanted_options,
        },
        swap::{Replacement, SwapFault},
        views,
    },
};

impl Run<'_> {
    pub(super) async fn create_indexes(&mut self) -> Result<(), DatabaseError> {
        for at in self.worth_indexes() {
            if let Err(error) = self.require_scratch(at).await {
                self.give_up_or_end(at, error)?;
                continue;
            }
            let wanted = indexes_of(&self.targets[at], self.ttl).lasting;
            self.create_these(at, &wanted).await?;
        }
        Ok(())
    }

    /// For a missing scratch collection, `createIndexes` would create a new one.
    async fn require_scratch(&self, at: usize) -> Result<(), DatabaseError> {
        let target = &self.targets[at];
        if target.is_replaced() {
            self.proofs[at].require_same(target).await
        } else {
            Ok(())
        }
    }

    /// All targets, except those with a copy that will not replace them.
    pub(super) fn worth_indexes(&self) -> Vec<usize> {
        let mut worth = self.at_work(|target| !target.is_view());
        worth.retain(|at| !self.targets[*at].is_replaced() || self.results[*at].is_faithful());
        worth
    }

    async fn create_these(
        &mut self,
        at: usize,
        indexes: &[bson::Document],
    ) -> Result<(), DatabaseError> {
        let target = &self.targets[at];
        for failure in create_indexes(target, target.filled(), indexes).await? {
            fail(&mut self.results[at], failure);
        }
        Ok(())
    }

    /// The last step for a collection: after it, the server deletes old documents.
    pub(super) async fn let_expire(&mut self) -> Result<(), DatabaseError> {
        for at in self.worth_indexes() {
            let target = &self.targets[at];
            if has_expiry(target) && self.ttl == TtlIndexes::Omit {
                let note = "`expireAfterSeconds` of the collection was left out, so documents never expire";
                self.results[at].notes.push(note.to_owned());
            }
            if target.is_copied() {
                continue;
            }
            let wanted = indexes_of(target, self.ttl).expiring;
            self.create_these(at, &wanted).await?;
            let Some(seconds) = expire_after(target, self.ttl).filter(|_| target.is_new()) else {
                continue;
            };
            match set_expiry(target, target.filled(), seconds).await {
                Ok(note) => self.results[at].notes.extend(note),
                Err(error) => self.give_up_or_end(at, error)?,
            }
        }
        Ok(())
    }

    /// Replaces each target with its proved copy. Without a proved copy, a target stays.
    pub(super) async fn replace_all(&mut self) {
        for at in self.at_work(|target| target.is_replaced() && !target.is_view()) {
            let target = &self.targets[at];
            if !self.results[at].is_faithful() {
                continue;
            }
            let Some(existing) = &target.existing else {
                continue;
            };
            if let Err(refusal) = self.confirm().await {
                self.give_up(at, refusal.to_string());
                continue;
            }
            let (connection, scratch, proof) = (self.connection, self.scratch, &self.proofs[at]);
            let replacement = Replacement {
                connection,
                scratch,
                proof,
                target,
            };
            match replacement.swap(existing, self.ttl).await {
                Ok(failures) => {
                    self.states[at].is_touched = true;
                    for failure in failures {
                        fail(&mut self.results[at], failure);
                    }
                }
                Err(fault) => self.not_replaced(at, fault),
            }
        }
    }

    fn not_replaced(&mut self, at: usize, fault: SwapFault) {
        self.states[at].is_touched |= !matches!(fault, SwapFault::Kept(_));
        match fault {
            SwapFault::Kept(failure) | SwapFault::Incomplete(failure) => self.give_up(at, failure),
            SwapFault::Lost(failure) => {
                let target = &self.targets[at];
                let (scratch, name) = (target.filled(), target.name());
                let remedy = if target.is_series() { "copy" } else { "rename" };
                let failure = format!(
                    "{failure}. Its documents are in the collection {scratch}: {remedy} it to {name}"
                );
                self.give_up(at, failure);
            }
        }
    }

    pub(super) async fn create_views(&mut self) {
        for at in views::in_order_of_creation(self.targets) {
            if self.states[at].is_given_up {
                continue;
            }
            let target = &self.targets[at];
            if target.is_replaced()
                && let Err(refusal) = self.confirm().await
            {
                self.give_up(at, refusal.to_string());
                continue;
            }
            let created = match (&target.existing, target.is_replaced()) {
                (Some(existing), true) => views::replace(target, existing).await,
                _ => views::create_and_read(target).await,
            };
            match created {
                Ok(()) => self.compare_view(at).await,
                Err(fault) => self.not_replaced(at, fault),
            }
        }
    }

    async fn compare_view(&mut self, at: usize) {
        let target = &self.targets[at];
        self.states[at].is_touched = true;
        match target.lister().collection(&target.collection).await {
            Ok(Some(found)) => {
                self.results[at]
                    .structure
                    .extend(option_differences(&wanted_options(target), &found.options));
            }
            Ok(None) => self.results[at]
                .structure
                .push("the view is missing".to_owned()),
            Err(error) => fail(&mut self.results[at], error.to_string()),
        }
    }

    /// Reports the result and the indexes of each target.
    pub(super) async fn conclude(&mut self) {
        for at in 0..self.targets.len() {
            let (target, state) = (&self.targets[at], self.states[at]);
            let indexes = if target.is_view() {
                Ok(Vec::new())
            } else {
                index_names(target).await
            };
            match indexes {
                Ok(indexes) => self.results[at].indexes = indexes,
                Err(error) if target.refusal.is_none() => {
                    fail(&mut self.results[at], error.to_string());
                }
                Err(_) => {}
            }
            let result = &mut self.results[at];
            result.result = match (result.is_faithful(), state.is_touched || target.is_merged()) {
                (true, _) => RestoreResult::Restored,
                (false, true) => RestoreResult::Incomplete,
                (false, false) => RestoreResult::Kept,
            };
        }
    }
}
