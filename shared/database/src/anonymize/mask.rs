//! The action `mask`: a text with covered characters, except some at its ends. A date keeps only
//! its year.

use bson::spec::ElementType;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::value::{Outcome, Unsupported, Value, string};

const COVER: char = '*';

/// Covered characters of a text with hidden length, without the kept ones.
const HIDDEN_CHARACTERS: usize = 8;

/// The visible part of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) keep_first: usize,
    pub(super) keep_last: usize,
    pub(super) hides_length: bool,
}

impl Mask {
    pub(super) fn apply(self, value: Value<'_>) -> Outcome {
        match ElementType::from(value.kind) {
            Some(ElementType::String) => Ok(string(&self.text(value.text().ok_or(Unsupported)?))),
            Some(ElementType::DateTime) => {
                year(value.bytes).map(|millis| millis.to_le_bytes().to_vec())
            }
            _ => Err(Unsupported),
        }
    }

    /// If more than half of a text would be visible, all of it is covered.
    fn text(self, text: &str) -> String {
        let count = text.chars().count();
        let shows_too_much = self.keep_first.saturating_add(self.keep_last) > count / 2;
        let (first, last) = if shows_too_much {
            (0, 0)
        } else {
            (self.keep_first, self.keep_last)
        };
        let covered = match (count, self.hides_length) {
            (0, _) => 0,
            (_, true) => HIDDEN_CHARACTERS,
            (count, false) => count - first - last,
        };
        let kept_first = text.chars().take(first);
        let kept_last = text.chars().skip(count - last);
        kept_first
            .chain(std::iter::repeat_n(COVER, covered))
            .chain(kept_last)
            .collect()
    }
}

/// The beginning of a date's year, UTC. For a date far outside a lifetime, the epoch.
fn year(bytes: &[u8]) -> Result<i64, Unsupported> {
    let millis = i64::from_le_bytes(bytes.try_into().map_err(|_| Unsupported)?);
    let year =
        Timestamp::from_millisecond(millis).map(|at| at.to_zoned_datetime(TimeZone::UTC).year());
    let first = year.and_then(|year| Date::new(year, 1, 1)?.to_zoned_datetime(TimeZone::UTC));
    Ok(first.map_or(0, |first| first.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(keep_first: usize, keep_last: usize) -> Mask {
        Mask {
            keep_first,
            keep_last,
            hides_length: false,
        }
    }

    #[test]
    fn a_mask_covers_all_but_what_is_kept() {
        assert_eq!(Mask::default().text("grünes Haus"), "***********");
        assert_eq!(mask(0, 4).text("4111111111111234"), "************1234");
        assert_eq!(mask(2, 1).text("Zürich"), "Zü***h");
        assert_eq!(
            Mask {
                hides_length: true,
                ..mask(1, 1)
            }
            .text("abcdef"),
            "a********f"
        );
        assert_eq!(
            Mask {
                hides_length: true,
                ..mask(1, 1)
            }
            .text(""),
            ""
        );
    }

    #[test]
    fn a_mask_never_shows_more_than_half() {
        assert_eq!(mask(0, 4).text("1234567"), "*******");
        assert_eq!(mask(usize::MAX, usize::MAX).text("abc"), "***");
        assert_eq!(mask(1, 0).text("a"), "*");
    }

    #[test]
    fn of_a_date_the_year_is_left() {
        let first_of = |millis: i64| year(&millis.to_le_bytes()).unwrap();
        assert_eq!(first_of(1_718_703_276_039), 1_704_067_200_000);
        assert_eq!(first_of(-1), -31_536_000_000);
        assert_eq!(first_of(i64::MAX), 0);
    }

    #[test]
    fn numbers_have_no_mask() {
        let value = Value {
            kind: ElementType::Int32 as u8,
            bytes: &[0; 4],
        };
        assert_eq!(mask(0, 0).apply(value), Err(Unsupported));
    }
}
