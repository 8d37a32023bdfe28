//! For tests alone: the local parts, fixtures, golden archives, injected faults.
//! Everything here panics where a test could not go on, and says what to do.

mod clock;
pub mod conformance;
mod exposed;
mod faults;
mod golden;
mod ipfs_node;
mod memory_store;
mod messages;
mod mongo_server;
mod mongodump;
pub mod origin;
mod parts;
pub mod proxy;
mod relay;
mod second;
mod store;
mod unsure;
mod wire;
mod wrong_clock;

pub use exposed::{EXPOSED_SECRETS, EXPOSING_SETTINGS};
pub use faults::{Fault, FaultStore, Operation};
pub use golden::{Expected, ExpectedCollection, definition, expected, golden, golden_stderr, no_archive};
pub use ipfs_node::{
    DirectoryShape, FileShape, GaiaRequests, GatewayRequests, ImportRefused, Imported, IpfsNode, Requests,
};
pub use memory_store::MemoryStore;
pub use mongo_server::MongoServer;
pub use mongodump::{StandIn, installed_mongodump};
pub use origin::Origin;
pub use parts::{
    Parts, Stack, Tokens, age_program, aws_config, aws_config_at, long_cases, mongodb_server_program, parts, s3_client,
    stack, unique,
};
pub use relay::Relay;
pub use second::{AZURE_ACCOUNT, AZURE_KEY, SecondStore, azure_store_with};
pub use store::{TestStore, fresh_bucket, fresh_versioned_bucket, quick_retry};
pub use unsure::UnsureWrites;
pub use wrong_clock::WrongClock;
