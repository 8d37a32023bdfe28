//! Packages the functions built by cargo, and the template: the deployed file is `template.yaml` itself, with each
//! `CodeUri` set to a package.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::aws::LocalAws;
use crate::{
    environment::Environment,
    files::{self, Build},
    process::Supervisor,
    progress,
    tools::Tools,
};

/// The packages with the functions' programs.
const PACKAGES: [&str; 8] = [
    "holdfast-api",
    "holdfast-content-backup",
    "holdfast-content-download",
    "holdfast-content-finalize",
    "holdfast-database-backup",
    "holdfast-replication",
    "holdfast-retention",
    "holdfast-verification",
];
const BUCKET: &str = "artifacts";
const LAYER: &str = "ContentUri: !Sub infra/mongodump-layer/${Architecture}\n";
const DOWNLOADS_AT_A_TIME: &str = "MaximumConcurrency: !Ref ContentConcurrency";
/// Not compressed, because it stays on this machine.
const ZIP: &str = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').write(sys.argv[2], 'bootstrap')";

/// Builds the functions, and the command line.
pub(crate) async fn build(environment: &Environment, supervisor: &Supervisor, build: Build) -> Result<()> {
    progress::announce(match build {
        Build::Light => "Building the functions and the command line (the first time 5 to 10 minutes)",
        Build::Release => "Building the functions and the command line for release",
    });
    let mut cargo = Command::new(environment.cargo());
    cargo.args(["build", "--locked", "--package", "holdfast"]).current_dir(files::workspace());
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    if build == Build::Release {
        cargo.arg("--release");
    }
    supervisor.run(&mut cargo).await
}

/// Uploads functions and template. Returns the template's address.
pub(crate) async fn package(aws: &LocalAws, tools: &Tools, supervisor: &Supervisor, build: Build) -> Result<String> {
    aws.create_bucket(BUCKET).await?;
    let template = files::workspace().join("template.yaml");
    let mut template = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    for package in PACKAGES {
        let key = format!("{package}.zip");
        aws.put_object(BUCKET, &key, zipped(tools, supervisor, package, build).await?).await?;
        template = with_code(&template, package, &format!("s3://{BUCKET}/{key}"))?;
    }
    // A local AWS mounts no layers and gets none. The transform needs an address all the same.
    template = replaced(&template, LAYER, &format!("ContentUri: s3://{BUCKET}/mongodump-layer.zip\n"))?;
    // The local AWS keeps a number parameter as text, and cannot compare it. The default replaces all of them.
    template = replaced(&template, DOWNLOADS_AT_A_TIME, "MaximumConcurrency: 3")?;
    aws.put_object(BUCKET, "template.yaml", template.into_bytes()).await?;
    Ok(format!("{}/{BUCKET}/template.yaml", aws.endpoint()))
}

/// A package with the program as `bootstrap`, without debug symbols.
async fn zipped(tools: &Tools, supervisor: &Supervisor, package: &str, build: Build) -> Result<Vec<u8>> {
    let program = files::built_programs(build)?.join(package);
    let folder = supervisor.run_directory().join("tmp").join(package);
    fs::create_dir_all(&folder)?;
    let (bootstrap, zip) = (folder.join("bootstrap"), folder.join("package.zip"));
    supervisor.output(Command::new("strip").arg("-o").arg(&bootstrap).arg(&program)).await?;
    supervisor.output(Command::new(tools.program("python")).args(["-c", ZIP]).arg(&zip).arg(&bootstrap)).await?;
    let bytes = fs::read(&zip).with_context(|| format!("cannot read {}", zip.display()))?;
    fs::remove_dir_all(folder)?;
    Ok(bytes)
}

/// The template with one function's code replaced.
fn with_code(template: &str, package: &str, code: &str) -> Result<String> {
    let folder = package.trim_start_matches("holdfast-");
    replaced(template, &format!("CodeUri: functions/{folder}\n"), &format!("CodeUri: {code}\n"))
}

/// Replaces the one line of this text in the template.
fn replaced(template: &str, line: &str, by: &str) -> Result<String> {
    ensure!(template.matches(line).count() == 1, "template.yaml must have exactly one line `{}`", line.trim());
    Ok(template.replace(line, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_names_the_code_of_every_function() {
        let mut template = fs::read_to_string(files::workspace().join("template.yaml")).unwrap();
        for package in PACKAGES {
            template = with_code(&template, package, "s3://bucket/key").unwrap();
            assert!(with_code(&template, package, "s3://bucket/key").is_err());
        }
        assert!(!template.contains("CodeUri: functions/"));
    }

    #[test]
    fn lines_replaced_for_a_local_aws_are_in_the_template_once() {
        let template = fs::read_to_string(files::workspace().join("template.yaml")).unwrap();
        let deployed = replaced(&template, LAYER, "ContentUri: s3://bucket/key\n").unwrap();
        assert!(!deployed.contains("infra/mongodump-layer"));
        assert!(replaced(&template, DOWNLOADS_AT_A_TIME, "MaximumConcurrency: 3").is_ok());
    }
}
