//! Pages of lists.

use serde::Serialize;
use utoipa::ToSchema;

/// Position of a page.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Pagination {
    /// Number of this page, counted from 1.
    page: u32,
    /// Maximum number of entries per page.
    limit: u32,
    /// Total number of entries.
    total: u64,
    /// Total number of pages.
    pages: u64,
}

impl Pagination {
    pub(crate) const fn new(page: u32, limit: u32, total: u64) -> Self {
        Self {
            page,
            limit,
            total,
            pages: total.div_ceil(limit as u64),
        }
    }
}

/// One page of a list. Pages after the last page are empty.
pub(crate) fn page_of<T>(all: Vec<T>, page: u32, limit: u32) -> (Vec<T>, Pagination) {
    let pagination = Pagination::new(page, limit, all.len() as u64);
    let skipped = usize::try_from(u64::from(page - 1) * u64::from(limit)).unwrap_or(usize::MAX);
    (
        all.into_iter().skip(skipped).take(limit as usize).collect(),
        pagination,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_on_one_page() {
        let page = |number| page_of((0..5).collect(), number, 2);
        assert_eq!(
            page(1),
            (
                vec![0, 1],
                Pagination {
                    page: 1,
                    limit: 2,
                    total: 5,
                    pages: 3
                }
            )
        );
        assert_eq!(
            (page(2).0, page(3).0, page(4).0),
            (vec![2, 3], vec![4], vec![])
        );
        assert_eq!(page(u32::MAX).0, Vec::<i32>::new());
    }
}
