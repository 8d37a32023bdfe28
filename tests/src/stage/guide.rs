//! RESTORE.md, followed by a shell in an empty folder.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::Variant;

/// Follows a backup's guide with its keys, and returns the folder. The downloads by the AWS command
/// line are already done: the files of these keys exist.
pub(crate) async fn follow(
    variant: &Variant,
    id: &str,
    keys: &[String],
    encryption_key: &str,
) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for key in keys {
        let file = key.rsplit('/').next().unwrap();
        std::fs::write(folder.path().join(file), variant.object(key).await).unwrap();
    }
    let kind = if id.starts_with("db_") {
        "database"
    } else {
        "content"
    };
    let guide = variant.object(&format!("{kind}/{id}/RESTORE.md")).await;
    let repository: Value =
        serde_json::from_slice(&variant.object("repository.json").await).unwrap();
    let wrapped = repository["epochs"][0]["keys"][0]["wrapped"]
        .as_str()
        .unwrap_or_default();
    let script = script(
        std::str::from_utf8(&guide).unwrap(),
        encryption_key,
        wrapped,
    );
    let followed = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        followed.status.success(),
        "{}\n{}",
        script,
        String::from_utf8_lossy(&followed.stderr)
    );
    folder
}

/// The guide's own commands, with the two values that a person would paste.
fn script(guide: &str, key: &str, wrapped: &str) -> String {
    let blocks = guide.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|block| {
        block
            .strip_prefix("sh\n")
            .or_else(|| block.strip_prefix("bash\n"))
    });
    let lines = shell
        .filter(|block| !block.starts_with("aws "))
        .flat_map(str::lines);
    let filled = lines.map(|line| match line.split_once('=') {
        Some(("KEY", _)) if line.contains('#') => format!("KEY={key}"),
        Some(("WRAPPED", _)) if line.contains('#') => format!("WRAPPED={wrapped}"),
        _ => line.to_owned(),
    });
    ["set -eu".to_owned()]
        .into_iter()
        .chain(filled)
        .collect::<Vec<_>>()
        .join("\n")
}
