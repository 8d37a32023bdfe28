//! Requests: query, path and body. Each is validated before use.

mod body;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use holdfast_catalog::JobFilter;
use holdfast_domain::BackupId;

pub(crate) use self::body::{CleanupRequest, JsonBody, NoFields, VerifyRequest};
use crate::answer::Failure;

/// Maximum page number: the maximum of the contract's type.
pub(crate) const MAX_PAGE: u32 = 2_147_483_647;

/// The query of a call without parameters.
#[derive(Debug)]
pub(crate) struct NoQuery;

/// Query for a page of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobsQuery {
    pub(crate) page: u32,
    pub(crate) limit: u32,
    pub(crate) filter: JobFilter,
}

/// Query for a page of a list, with `DEFAULT` entries unless the query sets `limit`, and at most
/// `MAX` entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageQuery<const DEFAULT: u32, const MAX: u32> {
    pub(crate) page: u32,
    pub(crate) limit: u32,
}

/// The backup ID in the path.
#[derive(Debug)]
pub(crate) struct BackupPath(pub(crate) BackupId);

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        pairs(parts, state)
            .await?
            .first()
            .map_or(Ok(Self), |(name, _)| Err(unknown(name)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobsQuery {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Self::parse(&pairs(parts, state).await?)
    }
}

impl<S: Send + Sync, const DEFAULT: u32, const MAX: u32> FromRequestParts<S>
    for PageQuery<DEFAULT, MAX>
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Self::parse(&pairs(parts, state).await?)
    }
}

impl<const DEFAULT: u32, const MAX: u32> PageQuery<DEFAULT, MAX> {
    fn parse(pairs: &[(String, String)]) -> Result<Self, Failure> {
        refuse_repeated(pairs)?;
        let mut query = Self {
            page: 1,
            limit: DEFAULT,
        };
        for (name, value) in pairs {
            match name.as_str() {
                "page" => query.page = number(name, value, u32::MAX)?,
                "limit" => query.limit = number(name, value, MAX)?,
                _ => return Err(unknown(name)),
            }
        }
        Ok(query)
    }
}

fn refuse_repeated(pairs: &[(String, String)]) -> Result<(), Failure> {
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(Failure::invalid(name, "given more than once"));
        }
    }
    Ok(())
}

impl JobsQuery {
    fn parse(pairs: &[(String, String)]) -> Result<Self, Failure> {
        refuse_repeated(pairs)?;
        let mut query = Self {
            page: 1,
            limit: 20,
            filter: JobFilter::default(),
        };
        for (name, value) in pairs {
            match name.as_str() {
                "page" => query.page = number(name, value, MAX_PAGE)?,
                "limit" => query.limit = number(name, value, 100)?,
                "type" => {
                    query.filter.backup_type = Some(
                        value
                            .parse()
                            .map_err(|error| Failure::invalid(name, error))?,
                    );
                }
                "status" => {
                    query.filter.status = Some(
                        value
                            .parse()
                            .map_err(|error| Failure::invalid(name, error))?,
                    );
                }
                _ => return Err(unknown(name)),
            }
        }
        Ok(query)
    }
}

/// Accepts only digits. `parse` would also accept a `+`.
fn number(name: &str, value: &str, maximum: u32) -> Result<u32, Failure> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value
        .parse()
        .ok()
        .filter(|number| digits && (1..=maximum).contains(number));
    number.ok_or_else(|| {
        Failure::invalid(name, format!("expected a whole number from 1 to {maximum}"))
    })
}

fn unknown(name: &str) -> Failure {
    Failure::invalid(&shown(name), "unknown parameter")
}

/// A field name that is safe to return to the caller. The caller can send any text.
fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

async fn pairs<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>, Failure> {
    match Query::from_request_parts(parts, state).await {
        Ok(Query(pairs)) => Ok(pairs),
        Err(error) => Err(Failure::invalid("query", error.body_text())),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BackupPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let invalid = |problem: String| Failure::invalid("backupId", problem);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|e| invalid(e.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: holdfast_domain::IdError| invalid(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupType, JobStatus};

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<JobsQuery, Failure> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        JobsQuery::parse(&pairs)
    }

    #[test]
    fn a_page_has_no_more_entries_than_the_call_allows() {
        let parse = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            PageQuery::<10, 50>::parse(&pairs)
        };
        assert_eq!(parse(&[]).unwrap(), PageQuery { page: 1, limit: 10 });
        assert_eq!(
            parse(&[("limit", "50"), ("page", "3")]).unwrap(),
            PageQuery { page: 3, limit: 50 }
        );
        for wrong in [
            &[("limit", "51")][..],
            &[("page", "0")],
            &[("type", "database")],
            &[("page", "1"), ("page", "1")],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_default_is_the_first_page_of_twenty() {
        assert_eq!(
            parse(&[]).unwrap(),
            JobsQuery {
                page: 1,
                limit: 20,
                filter: JobFilter::default()
            }
        );
    }

    #[test]
    fn given_query_parameters_are_used() {
        let query = parse(&[
            ("page", "3"),
            ("limit", "100"),
            ("type", "database"),
            ("status", "failed"),
        ])
        .unwrap();
        let filter = JobFilter {
            backup_type: Some(BackupType::Database),
            status: Some(JobStatus::Failed),
        };
        assert_eq!(
            query,
            JobsQuery {
                page: 3,
                limit: 100,
                filter
            }
        );
    }

    #[test]
    fn every_value_out_of_form_is_refused() {
        for pair in [
            ("page", "0"),
            ("page", "-1"),
            ("page", "+1"),
            ("page", ""),
            ("page", "1e3"),
            ("page", "2147483648"),
            ("page", "99999999999"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "ten"),
            ("type", "Database"),
            ("type", ""),
            ("status", "done"),
            ("sort", "asc"),
        ] {
            assert!(parse(&[pair]).is_err(), "{pair:?}");
        }
        assert!(parse(&[("page", "1"), ("page", "1")]).is_err());
        assert!(
            parse(&[("page", "2147483647")]).is_ok(),
            "the largest page of the contract"
        );
    }
}
