//! Packages the program of the functions, and the template that refers to it. The local AWS deploys
//! `template.yaml` itself, with its one `CodeUri` replaced by the address of the package.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::{aws::LocalAws, local_alarms};
use crate::{
    environment::Environment,
    files::{self, Build},
    process::Supervisor,
    progress,
    tools::Tools,
};

/// The package whose program runs every function.
const PACKAGE: &str = "holdfast-bootstrap";
const BUCKET: &str = "artifacts";
const CODE: &str = "CodeUri: functions/bootstrap\n";
const LAYER: &str = "ContentUri: !Sub infra/mongodump-layer/${Architecture}\n";
const DOWNLOADS_AT_A_TIME: &str = "MaximumConcurrency: !Ref ContentConcurrency";
/// Not compressed, because it stays on this machine.
const ZIP: &str =
    "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').write(sys.argv[2], 'bootstrap')";

/// Builds the functions, and the command line.
pub(crate) async fn build(
    environment: &Environment,
    supervisor: &Supervisor,
    build: Build,
) -> Result<()> {
    progress::announce(match build {
        Build::Light => {
            "Building the functions and the command line (the first time 5 to 10 minutes)"
        }
        Build::Release => "Building the functions and the command line for release",
    });
    let mut cargo = Command::new(environment.cargo());
    cargo
        .args([
            "build",
            "--locked",
            "--package",
            "holdfast",
            "--package",
            PACKAGE,
        ])
        .current_dir(files::workspace());
    if build == Build::Release {
        cargo.arg("--release");
    }
    supervisor.run(&mut cargo).await
}

/// Uploads functions and template. Returns the template's address.
pub(crate) async fn package(
    aws: &LocalAws,
    tools: &Tools,
    supervisor: &Supervisor,
    build: Build,
) -> Result<String> {
    aws.create_bucket(BUCKET).await?;
    let template = files::workspace().join("template.yaml");
    let mut template = fs::read_to_string(&template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    let key = format!("{PACKAGE}.zip");
    aws.put_object(BUCKET, &key, zipped(tools, supervisor, build).await?)
        .await?;
    template = replaced(&template, CODE, &format!("CodeUri: s3://{BUCKET}/{key}\n"))?;
    // A local AWS mounts no layers and gets none. The transform needs an address all the same.
    template = replaced(
        &template,
        LAYER,
        &format!("ContentUri: s3://{BUCKET}/mongodump-layer.zip\n"),
    )?;
    // The local AWS keeps a number parameter as text, and cannot compare it. The default replaces
    // all of them.
    template = replaced(&template, DOWNLOADS_AT_A_TIME, "MaximumConcurrency: 3")?;
    template = local_alarms::for_local_aws(&template)?;
    aws.put_object(BUCKET, "template.yaml", template.into_bytes())
        .await?;
    Ok(format!("{}/{BUCKET}/template.yaml", aws.endpoint()))
}

/// A package with the program as `bootstrap`, without debug symbols.
async fn zipped(tools: &Tools, supervisor: &Supervisor, build: Build) -> Result<Vec<u8>> {
    let program = files::built_programs(build)?.join(PACKAGE);
    let folder = supervisor.run_directory().join("tmp").join(PACKAGE);
    fs::create_dir_all(&folder)?;
    let (bootstrap, zip) = (folder.join("bootstrap"), folder.join("package.zip"));
    supervisor
        .output(
            Command::new("strip")
                .arg("-o")
                .arg(&bootstrap)
                .arg(&program),
        )
        .await?;
    supervisor
        .output(
            Command::new(tools.program("python"))
                .args(["-c", ZIP])
                .arg(&zip)
                .arg(&bootstrap),
        )
        .await?;
    let bytes = fs::read(&zip).with_context(|| format!("cannot read {}", zip.display()))?;
    fs::remove_dir_all(folder)?;
    Ok(bytes)
}

/// Replaces the one line of this text in the template.
fn replaced(template: &str, line: &str, by: &str) -> Result<String> {
    ensure!(
        template.matches(line).count() == 1,
        "template.yaml must have exactly one line `{}`",
        line.trim()
    );
    Ok(template.replace(line, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_names_the_code_of_all_functions_once() {
        let template = fs::read_to_string(files::workspace().join("template.yaml")).unwrap();
        let deployed = replaced(&template, CODE, "CodeUri: s3://bucket/key\n").unwrap();
        assert_eq!(deployed.matches("CodeUri:").count(), 1);
        let built = template.matches(&format!("Binary: {PACKAGE} ")).count();
        assert_eq!(
            built,
            template
                .matches("Type: AWS::Serverless::Function\n")
                .count()
        );
    }

    #[test]
    fn lines_replaced_for_a_local_aws_are_in_the_template_once() {
        let template = fs::read_to_string(files::workspace().join("template.yaml")).unwrap();
        let deployed = replaced(&template, LAYER, "ContentUri: s3://bucket/key\n").unwrap();
        assert!(!deployed.contains("infra/mongodump-layer"));
        assert!(replaced(&template, DOWNLOADS_AT_A_TIME, "MaximumConcurrency: 3").is_ok());
    }
}
