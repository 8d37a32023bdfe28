//! Only for tests: the local parts, fixtures, golden archives, injected faults. All functions panic
//! if a test cannot continue, with the remedy.

mod clock;
pub mod conformance;
mod deployment;
mod environment;
mod events;
mod exposed;
mod faults;
mod golden;
mod ipfs_node;
pub mod memory;
mod memory_store;
mod messages;
mod mongo_proxy;
mod mongo_server;
mod mongodump;
pub mod origin;
mod parts;
pub mod proxy;
mod relay;
mod roles;
mod second_store;
mod store;
mod unsure;
mod wire;
mod wire_fault;
mod wrong_clock;

pub use deployment::TestDeployment;
pub use events::event;
pub use exposed::{EXPOSED_SECRETS, EXPOSING_SETTINGS};
pub use faults::{Fault, FaultStore, Operation};
pub use golden::{
    Expected, ExpectedCollection, definition, expected, golden, golden_stderr, no_archive,
};
pub use ipfs_node::{
    DirectoryShape, FileShape, GaiaRequests, GatewayRequests, ImportRefused, Imported, IpfsNode,
    Requests,
};
pub use memory_store::MemoryStore;
pub use mongo_proxy::{MongoProxy, Rule, losing_position, server_error};
pub use mongo_server::MongoServer;
pub use mongodump::{StandIn, installed_mongodump};
pub use origin::Origin;
pub use parts::{
    Parts, Stack, Tokens, age_program, aws_config, aws_config_at, database_uri, long_cases,
    mongodb_server_program, parts, s3_client, stack, unique,
};
pub use relay::Relay;
pub use roles::{Role, documented_role, documented_roles};
pub use second_store::{AZURE_ACCOUNT, AZURE_KEY, SecondStore, azure_store_with};
pub use store::{TestStore, fresh_bucket, fresh_versioned_bucket, quick_retry};
pub use unsure::UnsureWrites;
pub use wrong_clock::WrongClock;
