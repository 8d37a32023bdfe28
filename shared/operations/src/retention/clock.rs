//! This machine's clock against the catalogue's server: age is judged by it. S3 refuses a clock that is wrong, a directory
//! does not.

use holdfast_catalog::Catalog;
use holdfast_domain::Timestamp;
use jiff::SignedDuration;

use crate::OperationError;

/// What S3 tolerates, too.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Refuses to judge by a clock that the catalogue's server does not share.
pub(super) async fn confirm(catalog: &Catalog) -> Result<(), OperationError> {
    let before = Timestamp::now();
    let Some(theirs) = catalog.server_time().await? else { return Ok(()) };
    judge(theirs, before, Timestamp::now())
}

/// `theirs` was told between `before` and `after`.
fn judge(theirs: Timestamp, before: Timestamp, after: Timestamp) -> Result<(), OperationError> {
    let ahead = before.duration_since(theirs);
    let behind = theirs.duration_since(after);
    let off = ahead.max(behind);
    if off <= TOLERANCE {
        return Ok(());
    }
    let side = if ahead > behind { "ahead of" } else { "behind" };
    Err(OperationError::Clock { seconds: off.as_secs().unsigned_abs(), side })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_judges_by_no_clock_that_is_a_month_off() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        for fine in [0, 899, -899] {
            assert!(judge(at(fine), at(0), at(0)).is_ok(), "{fine}");
        }
        assert!(judge(at(1000), at(0), at(600)).is_ok(), "the answer took its time");
        let month = 30 * 24 * 3600;
        let ahead = judge(at(-month), at(0), at(0)).unwrap_err().to_string();
        assert!(ahead.contains("2592000 seconds ahead of") && ahead.contains("nothing was deleted"), "{ahead}");
        assert!(judge(at(month), at(0), at(0)).unwrap_err().to_string().contains("behind"));
    }
}
