//! Compares the written content with the expected one: documents first, then options and indexes.

use futures_util::{StreamExt, stream};
use holdfast_archive::Summary;

use super::Run;
use crate::{
    CollectionContent, DatabaseError,
    restore::{
        Comparison, Expected, RestoreStep, TtlIndexes,
        adjust::comes_with_the_collection,
        compare::{
            Wanted, content_difference, found_in, index_differences, manifest_difference,
            option_differences,
        },
        definition::{indexes_of, wanted_options},
        feed::Walked,
        target::Target,
    },
};

/// Number of collections read back at a time.
const MAX_CONCURRENT_COMPARISONS: usize = 4;

impl Run<'_> {
    pub(super) fn note_generated_ids(&mut self, walked: &Walked) {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            let generated = walked.sent[target.number].with_id.documents;
            if generated > 0 {
                let note = format!(
                    "documents without `_id` in the archive, each given a new ObjectId: {generated}"
                );
                result.notes.push(note);
            }
        }
    }

    /// Compares the archive with its manifest.
    pub(super) fn compare_with_manifest(
        &mut self,
        summary: &Summary,
        expected: Option<Expected<'_>>,
    ) {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            let held = &summary.namespaces[target.number];
            result.documents = held.documents;
            if let Some(expected) = &expected {
                result.comparison = manifest_difference(held, expected)
                    .map_or(Comparison::Equal, Comparison::Differs);
            }
        }
    }

    /// Compares the target with the archive.
    pub(super) async fn compare_with_archive(
        &mut self,
        walked: &Walked,
    ) -> Result<(), DatabaseError> {
        let (connection, targets) = (self.connection, self.targets);
        let numbers = self.at_work(|target| !target.is_view() && !target.is_merged());
        let mut reading = stream::iter(numbers)
            .map(|at| async move {
                (
                    at,
                    found_in(connection, &targets[at], targets[at].filled()).await,
                )
            })
            .buffer_unordered(MAX_CONCURRENT_COMPARISONS);
        (self.documents, self.bytes) = (0, 0);
        while let Some((at, found)) = reading.next().await {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    self.give_up_or_end(at, error)?;
                    continue;
                }
            };
            self.proofs[at].content = Some(found.content);
            let (wanted, is_anonymized) = self.wanted_of(at, walked);
            let result = &mut self.results[at];
            if let Some(difference) = content_difference(&targets[at], &wanted, &found) {
                result.comparison = Comparison::Differs(difference);
            } else if !matches!(result.comparison, Comparison::Differs(_)) {
                result.comparison = if is_anonymized {
                    Comparison::Anonymized
                } else {
                    Comparison::Equal
                };
            }
            self.documents += found.content.documents;
            self.bytes += found.content.bytes;
            self.report_step(RestoreStep::Comparing);
        }
        Ok(())
    }

    /// The expected content of a target, and whether the rules changed it.
    fn wanted_of<'w>(&self, at: usize, walked: &'w Walked) -> (Wanted<'w>, bool) {
        let number = self.targets[at].number;
        let (held, sent) = (&walked.summary.namespaces[number], &walked.sent[number]);
        let changed = walked
            .rules
            .as_ref()
            .filter(|rules| rules.changes(number))
            .map(|rules| rules.content(number));
        let content = match changed {
            Some(changed) => changed,
            None if self.targets[at].takes_measurements() => self.measurements[at],
            None => CollectionContent {
                documents: held.documents,
                bytes: held.bytes,
                content_hash: held.content_hash,
            },
        };
        (
            Wanted {
                content,
                sent,
                is_anonymized: changed.is_some(),
            },
            changed.is_some(),
        )
    }

    /// Compares the server's options and indexes with the requested ones.
    pub(super) async fn compare_structure(&mut self) -> Result<(), DatabaseError> {
        for at in self.worth_indexes() {
            if self.targets[at].is_merged() {
                continue;
            }
            let found = structure_differences(&self.targets[at], self.ttl).await;
            match found {
                Ok(differences) => {
                    let known = &self.results[at].failures;
                    let is_new = |what: &String| {
                        !known
                            .iter()
                            .any(|failure| failure.contains(missing_index(what)))
                    };
                    let differences: Vec<String> = differences.into_iter().filter(is_new).collect();
                    self.results[at].structure.extend(differences);
                }
                Err(error) => self.give_up_or_end(at, error)?,
            }
        }
        Ok(())
    }
}

async fn structure_differences(
    target: &Target,
    ttl: TtlIndexes,
) -> Result<Vec<String>, DatabaseError> {
    let lister = target.lister();
    let Some(found) = lister.collection(target.filled()).await? else {
        return Ok(vec!["the collection is missing".to_owned()]);
    };
    let mut differences = option_differences(&wanted_options(target), &found.options);
    let present = lister.indexes(target.filled()).await?.unwrap_or_default();
    let indexes = indexes_of(target, ttl);
    let expiring = if target.is_copied() {
        Vec::new()
    } else {
        indexes.expiring
    };
    let wanted = [indexes.lasting, expiring].concat();
    // A time series has an index from the server.
    let comes_by_itself =
        |index: &bson::Document| target.is_series() || comes_with_the_collection(index);
    differences.extend(index_differences(&wanted, &present, comes_by_itself));
    Ok(differences)
}

/// The common part of a difference and a failure about the same index.
fn missing_index(difference: &str) -> &str {
    difference.strip_suffix(" is missing").unwrap_or(difference)
}
