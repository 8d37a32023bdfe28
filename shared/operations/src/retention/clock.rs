//! Compares this machine's clock with the clock of the catalogue's server, because retention
//! depends on age. S3 refuses a wrong clock. A directory does not.

use holdfast_catalog::Catalog;
use holdfast_domain::Timestamp;
use jiff::SignedDuration;

use crate::OperationError;

/// The same tolerance as S3's.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Returns an error if this machine's clock disagrees with the catalogue's server.
pub(super) async fn confirm(catalog: &Catalog) -> Result<(), OperationError> {
    let before = Timestamp::now();
    let Some(theirs) = catalog.server_time().await? else {
        return Ok(());
    };
    judge(theirs, before, Timestamp::now())
}

/// The server returned `theirs` between `before` and `after`.
fn judge(theirs: Timestamp, before: Timestamp, after: Timestamp) -> Result<(), OperationError> {
    let ahead = before.duration_since(theirs);
    let behind = theirs.duration_since(after);
    let off = ahead.max(behind);
    if off <= TOLERANCE {
        return Ok(());
    }
    let side = if ahead > behind { "ahead of" } else { "behind" };
    Err(OperationError::Clock {
        seconds: off.as_secs().unsigned_abs(),
        side,
    })
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
        assert!(
            judge(at(1000), at(0), at(600)).is_ok(),
            "the answer took its time"
        );
        let month = 30 * 24 * 3600;
        let ahead = judge(at(-month), at(0), at(0)).unwrap_err().to_string();
        assert!(
            ahead.contains("2592000 seconds ahead of") && ahead.contains("nothing was deleted"),
            "{ahead}"
        );
        assert!(
            judge(at(month), at(0), at(0))
                .unwrap_err()
                .to_string()
                .contains("behind")
        );
    }
}
