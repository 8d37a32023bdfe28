//! The services for functions in a VPC: two documents and the template must name the same ones.

use crate::{files, sources::read};

const PLACES: [&str; 3] = ["docs/deploy.md", "docs/operations.md", "template.yaml"];
const SERVICES: [&str; 7] = [
    "S3",
    "SQS",
    "EventBridge",
    "Secrets Manager",
    "KMS",
    "Content backups",
    "gateways and origins",
];
const LONGEST: usize = 300;

#[test]
fn every_text_about_subnets_names_every_service() {
    for place in PLACES {
        let text = read(&files::workspace().join(place)).unwrap();
        let words: Vec<_> = text.split_whitespace().collect();
        let text = words.join(" ");
        let (_, rest) = text.split_once("subnets need ").unwrap();
        let sentence: String = rest.chars().take(LONGEST).collect();
        for service in SERVICES {
            assert!(sentence.contains(service), "{place}: {service}: {sentence}");
        }
    }
}
