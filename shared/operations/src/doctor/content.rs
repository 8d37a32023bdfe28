//! The sources of content: a request to each gateway and each allowed origin.

use futures_util::future::join_all;
use holdfast_domain::settings::Settings;

use super::{Finding, Health};
use crate::backup::content::download::{Downloader, gateways};

const GATEWAY: &str = "IPFS gateway";
const ORIGIN: &str = "origin";

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    if !settings.content.enabled {
        return vec![Finding::good(
            "content",
            "not backed up: BACKUP_CONTENT_ENABLED is false",
        )];
    }
    let (downloader, gateways) = match (Downloader::new(settings), gateways(&settings.content)) {
        (Ok(downloader), Ok(gateways)) => (downloader, gateways),
        (Err(error), _) | (_, Err(error)) => return vec![Finding::failed("content", &error)],
    };
    let fetcher = downloader.fetcher();
    let asked = join_all(gateways.iter().map(|gateway| async move {
        match fetcher.try_gateway(gateway).await {
            Ok(()) if gateway.is_trustless() => Finding::good(GATEWAY, format!("{gateway} serves blocks")),
            Ok(()) => Finding::good(GATEWAY, format!("{gateway} serves only plain files, without verification")),
            Err(error) => {
                let advice = "the next gateway is used instead: remove it from BACKUP_IPFS_GATEWAYS, or allow \
                              this machine and the functions to reach it";
                Finding::warning(GATEWAY, format!("{gateway}: {error}"), advice)
            }
        }
    }));
    let origins = join_all(settings.content.allowed_origins.iter().map(|url| async move {
        match fetcher.try_origin(url).await {
            Ok(()) => Finding::good(ORIGIN, format!("{url} answers")),
            Err(error) => {
                let advice = "its files will fail: allow this machine and the functions to reach it, or remove it from \
                              BACKUP_CONTENT_ALLOWED_ORIGINS";
                Finding::warning(ORIGIN, error.to_string(), advice)
            }
        }
    }));
    let (mut findings, origins) = tokio::join!(asked, origins);
    if !findings.is_empty()
        && findings
            .iter()
            .all(|finding| finding.health != Health::Good)
    {
        let advice = "no file on IPFS can be backed up: check the network, or set other gateways in BACKUP_IPFS_GATEWAYS";
        findings.push(Finding::bad(
            GATEWAY,
            "no gateway answers correctly",
            Some(advice.to_owned()),
        ));
    }
    findings.extend(origins);
    findings
}
