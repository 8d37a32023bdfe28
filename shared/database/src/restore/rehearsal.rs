//! Tries the anonymising rules before the first write. They are assigned to the collections of the
//! archive, and applied to every document. The restore expects the same results.

use holdfast_archive::Prelude;

use super::{
    Existing, RestoreFault, RestoreOptions, RestoreProgress, RestoreReport, RestoreStep,
    feed::{Decision, Feed, Walked},
    target::Target,
};
use crate::anonymize::{Applied, MisfitPolicy};

/// The decision about the archive's documents.
///
/// # Errors
/// Rules for another archive, or for another kind of restore.
pub(super) fn decide(
    prelude: &Prelude,
    targets: &[Target],
    options: &RestoreOptions,
) -> Result<Decision, RestoreFault> {
    let mut wanted = vec![false; prelude.namespaces.len()];
    let mut ordered = vec![false; prelude.namespaces.len()];
    for target in targets {
        wanted[target.number] = target.refusal.is_none();
        ordered[target.number] = target.is_capped();
    }
    let Some(anonymizer) = &options.anonymizer else {
        return Ok(Decision {
            wanted,
            ordered,
            rules: None,
        });
    };
    if options.existing == Existing::Merge {
        let reason = "an anonymised restore does not merge: the target's own documents would not be anonymised";
        return Err(RestoreFault::Invalid(reason.to_owned()));
    }
    let misfits = if options.dry_run {
        MisfitPolicy::Count
    } else {
        MisfitPolicy::Refuse
    };
    let rules = Applied::new(anonymizer, prelude, &wanted, misfits).map_err(|problems| {
        RestoreFault::Invalid(format!(
            "the rules do not fit the archive: {}",
            problems.join("; ")
        ))
    })?;
    Ok(Decision {
        wanted,
        ordered,
        rules: Some(rules),
    })
}

/// Reads the archive to its end, applies the rules, and adds the results to the report.
pub(super) async fn rehearse(
    mut feed: Feed,
    decision: Decision,
    targets: &[Target],
    report: &mut RestoreReport,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<(), RestoreFault> {
    feed.resume(decision);
    let (mut documents, mut bytes) = (0, 0);
    while let Some(batch) = feed.next().await {
        documents += batch.documents.len() as u64;
        bytes += batch.bytes as u64;
        progress(&RestoreProgress {
            step: RestoreStep::Authenticating,
            documents,
            bytes,
        });
    }
    let Walked { summary, rules, .. } = feed.outcome().await?;
    for (target, namespace) in targets.iter().zip(&mut report.namespaces) {
        namespace.documents = summary.namespaces[target.number].documents;
    }
    report.anonymized = rules.as_ref().map(Applied::report);
    Ok(())
}
