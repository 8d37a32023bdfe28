//! Builds the Lambda layer that brings the official mongodump, from the vendor's archive, from a
//! file at hand, or without it. What was not proved to be the right program for the right processor
//! is not put into a layer.

mod archive;
mod elf;
mod error;
mod feed;
mod layer;
mod local;
mod lock;
mod note;
mod platform;
mod site;
mod vendor;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use error::Error;
use layer::Layer;
use platform::Architecture;

/// Builds the layer with the official mongodump.
#[derive(Parser)]
#[command(name = "holdfast-mongodump-layer")]
struct Arguments {
    /// Processor of the function.
    #[arg(long, value_enum)]
    architecture: Architecture,
    /// Release of the MongoDB Database Tools.
    #[arg(long)]
    tools_version: String,
    /// Folder that becomes the layer: new, empty, or one that was built before.
    #[arg(long)]
    out: PathBuf,
    /// File that holds the archives once taken.
    #[arg(long)]
    lock: PathBuf,
    /// Folder where checked archives are kept.
    #[arg(long)]
    downloads: PathBuf,
    /// A mongodump to take instead of the vendor's archive, or `none` for a layer without.
    #[arg(long, env = "MONGODUMP_BINARY", default_value = "")]
    binary: String,
    /// Address of the vendor's list of releases.
    #[arg(long, env = "MONGODUMP_FEED_URL", default_value = "")]
    feed: String,
}

const VENDORS_FEED: &str = "https://downloads.mongodb.org/tools/db/full.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match build(&Arguments::parse()).await {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds it, and says what is in it.
async fn build(arguments: &Arguments) -> Result<String, Error> {
    let layer = match arguments.binary.as_str() {
        "" => return from_vendor(arguments).await,
        "none" => Layer::without_mongodump(),
        path => local::take(path.as_ref(), arguments.architecture).await?,
    };
    layer.place(&arguments.out)?;
    Ok(layer.summary().to_owned())
}

async fn from_vendor(arguments: &Arguments) -> Result<String, Error> {
    // A variable that is set to nothing counts as unset.
    let feed = if arguments.feed.is_empty() {
        VENDORS_FEED
    } else {
        &arguments.feed
    };
    let release = vendor::release(feed, &arguments.tools_version, arguments.architecture).await?;
    let lock = lock::Lock::read(&arguments.lock)?;
    lock.allows(&release)?;
    let layer = vendor::take(&release, &arguments.downloads).await?;
    layer.place(&arguments.out)?;
    lock.keep(&release)?;
    Ok(layer.summary().to_owned())
}
