//! A mongodump that is at hand: its processor is read from the file, and where it can run here, it
//! says what it is.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::{
    error::Error,
    layer::{self, Layer},
    note::{Answer, Origin},
    platform::Architecture,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The layer with that file.
pub(crate) async fn take(path: &Path, architecture: Architecture) -> Result<Layer, Error> {
    let program = fs::read(path).map_err(Error::at("read MONGODUMP_BINARY", path))?;
    let name = path.display().to_string();
    // Before it is run: what is for another processor is no reason to wonder why it does not.
    layer::checked(&name, &program, architecture)?;
    let answer = if architecture.runs_here() {
        version_of(path).await?
    } else {
        Answer::None(format!("this machine is no {architecture}"))
    };
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Layer::with_mongodump(
        &name,
        program,
        Vec::new(),
        &Origin::Local { file, answer },
        architecture,
    )
}

async fn version_of(path: &Path) -> Result<Answer, Error> {
    // A bare name would be looked for on the PATH.
    let program = fs::canonicalize(path).map_err(Error::at("read MONGODUMP_BINARY", path))?;
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let heard = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => heard(&output),
        Ok(Err(error)) => Ok(Answer::None(error.to_string())),
        Err(_) => Err(format!("did not end within {} seconds", PATIENCE.as_secs())),
    };
    heard.map_err(|said| Error::NotMongodump {
        file: path.display().to_string(),
        said,
    })
}

/// A library that only this machine lacks is no fault of the file; all else but a version is.
fn heard(output: &Output) -> Result<Answer, String> {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let complaint = stderr.lines().next().unwrap_or_default();
    match stdout
        .lines()
        .find_map(|line| line.strip_prefix("mongodump version:"))
    {
        Some(version) if output.status.success() => Ok(Answer::Version(version.trim().to_owned())),
        _ if complaint.contains("error while loading shared libraries") => {
            Ok(Answer::None(complaint.to_owned()))
        }
        _ => Err(format!(
            "names no version of mongodump ({}; {complaint:?})",
            output.status
        )),
    }
}
