//! Content backups with the real parts: a MongoDB server, S3, an IPFS gateway and a Gaia origin.
//! Also with a faulty origin.

mod discovery;
mod downloads;
mod fairness;
mod finalize;
mod finalize_killed;
mod forms;
mod full;
mod guide;
mod killed;
mod misbehaving;
mod odd_items;
mod one_process;
mod outages;
mod reaper;
mod restored;
mod resumed;
mod switched;
mod unavailable_hosts;
mod verified;
