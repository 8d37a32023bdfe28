//! `holdfast decrypt`: one stored object, or a copy of one on this machine, without its encryption.
//! Compression stays.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use holdfast_domain::ObjectKey;
use holdfast_recovery::readers::Purpose;
use holdfast_repository::{decrypt_artifact, decrypt_file};
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    part_file::PartFile,
    reading,
    session::Session,
    text,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A key in the store, for example `database/<id>/dump.1.archive.gz.enc` or
    /// `content/<id>/items.1.ndjson.gz.enc`. With --key-of, a local file
    #[arg(value_name = "KEY or FILE")]
    what: String,
    /// The store key of the object. An encrypted artifact is bound to its key and opens under no
    /// other
    #[arg(long, value_name = "KEY")]
    key_of: Option<ObjectKey>,
    /// The output file. `-` is stdout, which must not be a terminal. A .gz object is still gzip
    /// after decryption
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    if arguments.output == Path::new("-") {
        let bytes = decrypt(arguments, session, output, stdout_for_data()?).await?;
        output.note(&format!("{} decrypted", text::size(bytes)));
        return Ok(Exit::Done);
    }
    let place = &arguments.output;
    let (part, file) =
        PartFile::create(place).map_err(|error| Failure::file("write", place, &error))?;
    let bytes = decrypt(arguments, session, output, file).await?;
    part.keep(output)
        .map_err(|error| Failure::file("write", place, &error))?;
    let document = json!({ "file": place, "bytes": bytes });
    output.result(&document, || {
        format!("{} decrypted to {}", text::size(bytes), place.display())
    })?;
    Ok(Exit::Done)
}

async fn decrypt(
    arguments: &Arguments,
    session: &Session,
    output: Output,
    out: File,
) -> Result<u64, Failure> {
    let repository = session.repository()?;
    let Some(key) = &arguments.key_of else {
        return decrypt_stored(&key_in_store(&arguments.what)?, session, output, out).await;
    };
    let out = BufWriter::with_capacity(1 << 20, out);
    let path = Path::new(&arguments.what);
    let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(decrypt_file(&repository, file, key, out).await?)
}

/// The artifact is read twice. A lease keeps retention from deleting the backup meanwhile.
async fn decrypt_stored(
    key: &ObjectKey,
    session: &Session,
    output: Output,
    out: File,
) -> Result<u64, Failure> {
    let lease = match key.backup() {
        Some(id) => {
            let lease = reading::protect(session, &id, Purpose::Decrypt).await?;
            if let Some(warning) = lease.protection().warning(&id) {
                output.note(&warning);
            }
            Some(lease)
        }
        None => None,
    };
    let decrypted = decrypt_artifact(
        &session.repository()?,
        key,
        BufWriter::with_capacity(1 << 20, out),
    )
    .await;
    if let Some(lease) = lease {
        lease.release().await;
    }
    Ok(decrypted?)
}

fn key_in_store(what: &str) -> Result<ObjectKey, Failure> {
    let key = what.parse::<ObjectKey>();
    if key.as_ref().map_or(true, |key| key.backup().is_none()) && Path::new(what).exists() {
        return Err(Failure::usage(format!(
            "{what} is a local file, and an artifact is bound to its store key"
        ))
        .hint("pass the store key of the object as --key-of"));
    }
    key.map_err(|error| Failure::usage(error.to_string()))
}

/// Stdout as a plain file, without line buffering. A terminal is refused, because binary data would
/// garble it.
pub(crate) fn stdout_for_data() -> Result<File, Failure> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Err(
            Failure::usage("stdout is a terminal, and the output is binary")
                .hint("name a file, or redirect"),
        );
    }
    let failed = |error: io::Error| Failure::failed(format!("cannot write to stdout: {error}"));
    stdout.lock().flush().map_err(failed)?;
    duplicate(&stdout).map(File::from).map_err(failed)
}

#[cfg(unix)]
fn duplicate(stdout: &io::Stdout) -> io::Result<std::os::fd::OwnedFd> {
    std::os::fd::AsFd::as_fd(stdout).try_clone_to_owned()
}

#[cfg(windows)]
fn duplicate(stdout: &io::Stdout) -> io::Result<std::os::windows::io::OwnedHandle> {
    std::os::windows::io::AsHandle::as_handle(stdout).try_clone_to_owned()
}
