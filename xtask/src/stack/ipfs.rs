//! The IPFS gateway of the stack, also its Gaia origin. It chooses its port, and keeps no data.

use anyhow::{Context as _, Result};
use tokio::process::Command;

use super::announced;
use crate::{
    process::{Service, Supervisor},
    tools::Tools,
};

/// A running node.
pub(crate) struct IpfsNode {
    address: String,
    _service: Service,
}

impl IpfsNode {
    /// Starts it.
    pub(crate) async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        let program = tools.ipfs_node().context("no IPFS node was installed")?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", supervisor.run_directory())
            .current_dir(supervisor.run_directory());
        let mut service = supervisor.serve("ipfs-node", command.args(["--port", "0"]))?;
        let address = announced::address(&mut service, "the IPFS node").await?;
        Ok(Self {
            address,
            _service: service,
        })
    }

    /// Its address: `http://127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}
