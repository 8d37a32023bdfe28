//! Parts that choose their own port: each listens before it prints its address.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::Service;

/// The printed address of a part, `http://host:port`.
pub(super) async fn address(service: &mut Service, what: &str) -> Result<String> {
    for _ in 0..1200 {
        if let Some(address) = service.log().lines().find_map(address_in) {
            return Ok(address);
        }
        if service.has_ended() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{what} did not start:\n{}", service.last_words())
}

fn address_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://")?;
    let authority = rest
        .split(|letter: char| letter.is_whitespace() || letter == '/')
        .next()?;
    authority
        .contains(':')
        .then(|| format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;
    use crate::process::Supervisor;

    #[tokio::test]
    async fn a_part_that_does_not_start_is_reported_with_its_output() {
        let run = std::env::temp_dir().join(format!("holdfast-part-{}", std::process::id()));
        std::fs::create_dir_all(&run).unwrap();
        let supervisor = Supervisor::start(&run).unwrap();
        let mut shell = Command::new("sh");
        let mut service = supervisor
            .serve("part", shell.args(["-c", "echo why >&2; exit 3"]))
            .unwrap();
        let failed = address(&mut service, "it").await.unwrap_err();
        assert!(failed.to_string().contains("why"), "{failed}");
    }

    #[test]
    fn an_address_is_found_in_any_sentence() {
        assert_eq!(
            address_in("http://127.0.0.1:80").unwrap(),
            "http://127.0.0.1:80"
        );
        assert_eq!(
            address_in(" * Running on http://127.0.0.1:4/ (Press)").unwrap(),
            "http://127.0.0.1:4"
        );
        assert_eq!(address_in("listens at 127.0.0.1:4"), None);
        assert_eq!(address_in("see http://example.com"), None);
    }
}
