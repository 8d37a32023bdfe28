//! The IPFS gateway of the stack, which is its Gaia origin too. It picks its port, and keeps nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{
    process::{Service, Supervisor},
    tools::Tools,
};

/// A node that answers.
pub(crate) struct IpfsNode {
    address: String,
    _service: Service,
}

impl IpfsNode {
    /// Starts it.
    pub(crate) async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        let program = tools.ipfs_node().context("no IPFS node was installed")?;
        let mut command = Command::new(program);
        command.env_clear().env("HOME", supervisor.run_directory()).current_dir(supervisor.run_directory());
        let mut service = supervisor.serve("ipfs-node", command.args(["--port", "0"]))?;
        let address = announced_address(&mut service).await?;
        Ok(Self { address, _service: service })
    }

    /// Where it listens: `http://127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// It listens before it says where.
async fn announced_address(service: &mut Service) -> Result<String> {
    for _ in 0..600 {
        if let Some(address) = service.log().lines().find(|line| line.starts_with("http://")) {
            return Ok(address.to_owned());
        }
        if service.has_ended() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the IPFS node did not start:\n{}", service.last_words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_that_does_not_start_is_told_with_what_it_said() {
        let run = std::env::temp_dir().join(format!("holdfast-ipfs-{}", std::process::id()));
        std::fs::create_dir_all(&run).unwrap();
        let supervisor = Supervisor::start(&run).unwrap();
        let mut shell = Command::new("sh");
        let mut service = supervisor.serve("ipfs-node", shell.args(["-c", "echo why >&2; exit 3"])).unwrap();
        let failed = announced_address(&mut service).await.unwrap_err();
        assert!(failed.to_string().contains("why"), "{failed}");
    }
}
