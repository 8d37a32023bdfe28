//! The error of a file after the failure of every gateway: the most informative one, with the
//! reason of each gateway.

use holdfast_domain::ItemFailureCode;

use crate::{FetchError, ipfs::IpfsPath};

/// Most characters of one gateway's reason, and of the path.
const LONGEST_REASON: usize = 220;

/// Maximum number of listed reasons.
const MAX_REASONS: usize = 6;

/// Temporary failures, the more informative first, then permanent ones. A file is missing only if
/// every gateway reported it.
const INFORMATIVE_CODES: [ItemFailureCode; 7] = [
    ItemFailureCode::InvalidAnswer,
    ItemFailureCode::TimedOut,
    ItemFailureCode::Unavailable,
    ItemFailureCode::Throttled,
    ItemFailureCode::TooLarge,
    ItemFailureCode::Refused,
    ItemFailureCode::Blocked,
];

/// The error of the fetch. The trustless gateways decide, or the plain ones if there are no others.
pub(super) fn verdict(
    path: &IpfsPath,
    trustless: &[FetchError],
    plain: &[FetchError],
) -> FetchError {
    let deciding = if trustless.is_empty() {
        plain
    } else {
        trustless
    };
    if deciding.is_empty() {
        return FetchError::new(
            ItemFailureCode::Unavailable,
            "no IPFS gateway is configured: set BACKUP_IPFS_GATEWAYS",
        );
    }
    let is_passing = deciding.iter().any(FetchError::is_transient);
    // A permanent failure decides nothing while another gateway may respond later.
    let heard: Vec<&FetchError> = deciding
        .iter()
        .filter(|error| error.is_transient() == is_passing)
        .collect();
    let is_given = |code: &ItemFailureCode| heard.iter().any(|error| error.code == *code);
    let code = INFORMATIVE_CODES
        .into_iter()
        .find(is_given)
        .unwrap_or_else(|| {
            let all_gone = heard
                .iter()
                .all(|error| error.code == ItemFailureCode::Gone);
            if all_gone {
                ItemFailureCode::Gone
            } else {
                ItemFailureCode::NotFound
            }
        });
    let wait = heard.iter().filter_map(|error| error.retry_after).min();
    let error =
        FetchError::new(code, message(path, trustless, plain)).after(wait.filter(|_| is_passing));
    let error = if is_passing { error } else { error.lasting() };
    let was_asked = trustless.iter().chain(plain).any(|error| error.was_asked);
    let best = trustless
        .iter()
        .chain(plain)
        .map(|error| error.host)
        .min()
        .unwrap_or_default();
    if was_asked {
        error
    } else {
        error.unasked().with_host(best)
    }
}

fn message(path: &IpfsPath, trustless: &[FetchError], plain: &[FetchError]) -> String {
    let reasons: Vec<String> = trustless
        .iter()
        .chain(plain)
        .take(MAX_REASONS)
        .map(|error| cut(&error.message))
        .collect();
    let omitted = (trustless.len() + plain.len()).saturating_sub(MAX_REASONS);
    let rest = if omitted == 0 {
        String::new()
    } else {
        format!(", and {omitted} more")
    };
    format!(
        "no gateway served {}: {}{rest}",
        cut(&path.to_string()),
        reasons.join("; ")
    )
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdfast_domain::HostState;

    use super::{ItemFailureCode as Code, *};

    fn of(trustless: &[Code], plain: &[Code]) -> Code {
        let path = IpfsPath {
            cid: "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
                .parse()
                .unwrap(),
            path: Vec::new(),
        };
        let errors = |codes: &[Code]| {
            codes
                .iter()
                .map(|code| FetchError::new(*code, "x".repeat(5_000)))
                .collect::<Vec<_>>()
        };
        let error = verdict(&path, &errors(trustless), &errors(plain));
        assert!(error.message.len() < 2_000);
        error.code
    }

    #[test]
    fn a_file_is_nowhere_only_when_every_trustless_gateway_said_so() {
        assert_eq!(of(&[Code::NotFound, Code::NotFound], &[]), Code::NotFound);
        assert_eq!(of(&[Code::NotFound, Code::Gone], &[]), Code::NotFound);
        assert_eq!(of(&[Code::Gone, Code::Gone], &[]), Code::Gone);
        assert_eq!(of(&[Code::NotFound], &[Code::Unavailable]), Code::NotFound);
        assert_eq!(of(&[], &[Code::NotFound]), Code::NotFound);
        for passing in [
            Code::Unavailable,
            Code::TimedOut,
            Code::Throttled,
            Code::InvalidAnswer,
        ] {
            assert_eq!(
                of(&[Code::NotFound, passing, Code::Gone], &[Code::NotFound]),
                passing
            );
            assert_eq!(of(&[passing, Code::Refused], &[]), passing);
        }
        assert_eq!(of(&[Code::NotFound, Code::Refused], &[]), Code::Refused);
        assert_eq!(of(&[], &[]), Code::Unavailable);
        assert_eq!(of(&[Code::NotFound; 50], &[]), Code::NotFound);
    }

    #[test]
    fn an_answer_that_lasts_decides_only_where_no_gateway_may_answer_otherwise() {
        let path = IpfsPath {
            cid: "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
                .parse()
                .unwrap(),
            path: Vec::new(),
        };
        let lasting = || FetchError::new(Code::InvalidAnswer, "203").lasting();
        let alone = verdict(
            &path,
            &[lasting(), FetchError::new(Code::NotFound, "404")],
            &[],
        );
        assert_eq!(
            (alone.code, alone.is_transient()),
            (Code::InvalidAnswer, false)
        );
        let other = verdict(
            &path,
            &[lasting(), FetchError::new(Code::Unavailable, "500")],
            &[],
        );
        assert_eq!(
            (other.code, other.is_transient()),
            (Code::Unavailable, true)
        );
    }

    #[test]
    fn the_shortest_requested_wait_is_reported() {
        let path = IpfsPath {
            cid: "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
                .parse()
                .unwrap(),
            path: Vec::new(),
        };
        let asked = |s| FetchError::new(Code::Throttled, "429").after(Some(Duration::from_secs(s)));
        assert_eq!(
            verdict(&path, &[asked(9), asked(3)], &[]).retry_after,
            Some(Duration::from_secs(3))
        );
    }

    #[test]
    fn no_request_is_reported_only_if_every_gateway_was_paused() {
        let path = IpfsPath {
            cid: "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
                .parse()
                .unwrap(),
            path: Vec::new(),
        };
        let asked = || FetchError::new(Code::Unavailable, "500");
        let left_alone = || asked().unasked();
        let was_asked = |trustless: &[_], plain: &[_]| verdict(&path, trustless, plain).was_asked;
        assert!(!was_asked(&[left_alone(), left_alone()], &[]));
        assert!(!was_asked(&[left_alone()], &[left_alone()]));
        assert!(was_asked(&[left_alone(), asked()], &[]));
        assert!(was_asked(&[left_alone()], &[asked()]));
        assert!(
            was_asked(&[], &[]),
            "that none is configured does not pass by itself"
        );
        let [down, failing] = [HostState::Down, HostState::Failing]
            .map(|state| move || left_alone().with_host(state));
        let host =
            |trustless: &[FetchError], plain: &[FetchError]| verdict(&path, trustless, plain).host;
        assert_eq!(host(&[down(), down()], &[down()]), HostState::Down);
        assert_eq!(
            host(&[down(), failing()], &[down()]),
            HostState::Failing,
            "one may be back soon"
        );
        assert_eq!(
            host(&[down(), left_alone()], &[]),
            HostState::Working,
            "one is only paused"
        );
        assert_eq!(host(&[down()], &[asked()]), HostState::Working);
    }
}
