//! Reads the objects of a content backup item by item, if one function's time is too short for all
//! of them.

use futures_util::future::try_join_all;
use holdfast_domain::{ItemCounts, ItemRecord, Manifest, VerificationLevel};
use holdfast_recovery::verification::content::{
    CONCURRENT_READS, count_differences, objects::Objects, proofs::Proofs, shorten_by_half,
};
use holdfast_repository::content::stored::StoredContent;

use super::steps::{StepEnd, Steps};
use crate::OperationError;

/// Resumes at the last run's item. Each run reads the list from its beginning, so the counts, and
/// those of unproved files, are complete at the end.
pub(super) async fn read_items(
    steps: &mut Steps<'_>,
    manifest: &Manifest,
) -> Result<StepEnd, OperationError> {
    let backup = StoredContent::of(steps.repository, manifest.clone())?;
    let objects = Objects::new(steps.repository, &backup, VerificationLevel::Checksum);
    let (mut counts, mut proofs) = (ItemCounts::default(), Proofs::default());
    let mut items = backup.items().await?;
    let (mut seen, other_forms) = (0, steps.so_far.other_forms);
    loop {
        let mut batch = Vec::new();
        while batch.len() < CONCURRENT_READS {
            let Some(record) = items.recv().await.transpose()? else {
                break;
            };
            counts.add(&record);
            proofs.count(&record);
            seen += 1;
            if seen > steps.so_far.items {
                batch.push(record);
            }
        }
        if batch.is_empty() {
            steps
                .so_far
                .problems
                .extend(count_differences(&backup, counts));
            steps.note = proofs.note();
            return Ok(StepEnd::Complete);
        }
        read_batch(steps, &objects, &batch).await?;
        steps.so_far.other_forms = other_forms + backup.source.other_forms();
        if steps.is_out_of_time().await? {
            return Ok(StepEnd::OutOfTime);
        }
    }
}

async fn read_batch(
    steps: &mut Steps<'_>,
    objects: &Objects,
    batch: &[ItemRecord],
) -> Result<(), OperationError> {
    let found = try_join_all(batch.iter().map(|record| objects.problems_of(record))).await?;
    let so_far = &mut steps.so_far;
    so_far.items += batch.len() as u64;
    so_far.bytes += batch
        .iter()
        .filter_map(|record| Some(record.file.as_ref()?.size))
        .sum::<u64>();
    so_far.problems.extend(found.into_iter().flatten());
    shorten_by_half(&mut so_far.problems);
    Ok(())
}
