//! One step of a path: the entry of a name in a plain or sharded directory. A sharded directory is
//! a tree. The next bits of the name's hash choose each level. Each link's name begins with its
//! slot number in hex.

use super::{
    Cid, DagFault,
    cid::{Codec, codec, read_whole},
    dag_pb::{self, Link, Node},
    murmur3,
    unixfs::{self, Kind, UnixFs},
};

/// The result of a step.
#[derive(Debug)]
pub(super) enum Step {
    /// The entry itself.
    Entry(Cid),
    /// The next level of the same sharded directory, reached by so many bits of the hash.
    Shard(Cid, u32),
}

/// The only hash of sharded directories.
const MURMUR3_X64_64: u64 = 0x22;

/// Maximum number of slots of a level, as in IPFS.
const MAX_FANOUT: u64 = 1024;

/// Searches a name in the directory of this block, or in a level of one, reached by `hash_bits` of
/// the name's hash.
pub(super) fn step(cid: &Cid, block: &[u8], name: &str, hash_bits: u32) -> Result<Step, DagFault> {
    let malformed = |reason| DagFault::malformed(cid, reason);
    let no_directory = |what| DagFault::NoDirectory {
        cid: cid.to_string(),
        name: name.to_owned(),
        what,
    };
    if codec(cid)? == Codec::Raw {
        return Err(no_directory("a file"));
    }
    let node = dag_pb::decode(block).map_err(malformed)?;
    let unixfs = unixfs::decode(block, &node).map_err(malformed)?;
    match unixfs.kind {
        Kind::Shard => shard_step(cid, block, (&node, &unixfs), name, hash_bits),
        Kind::Directory if hash_bits == 0 => {
            let link = node
                .links
                .iter()
                .find(|link| link.name.of(block) == name.as_bytes());
            entry(cid, block, link, name)
        }
        _ if hash_bits > 0 => Err(malformed("a level of the sharded directory is not a shard")),
        other => Err(no_directory(other.what())),
    }
}

fn shard_step(
    cid: &Cid,
    block: &[u8],
    (node, unixfs): (&Node, &UnixFs),
    name: &str,
    hash_bits: u32,
) -> Result<Step, DagFault> {
    let fanout = fanout(cid, unixfs)?;
    let bits = hash_bits + fanout.ilog2();
    if bits > u64::BITS {
        return Err(DagFault::malformed(
            cid,
            "it is sharded by more bits than a hash has",
        ));
    }
    let slot = (murmur3::hash(name.as_bytes()) << hash_bits) >> (u64::BITS - fanout.ilog2());
    let width = format!("{:X}", fanout - 1).len();
    let slot = format!("{slot:0width$X}");
    let link = node
        .links
        .iter()
        .find(|link| link.name.of(block).starts_with(slot.as_bytes()));
    match link {
        Some(link) if link.name.len() == width => Ok(Step::Shard(linked(cid, block, link)?, bits)),
        link => entry(
            cid,
            block,
            link.filter(|link| &link.name.of(block)[width..] == name.as_bytes()),
            name,
        ),
    }
}

fn fanout(cid: &Cid, unixfs: &UnixFs) -> Result<u64, DagFault> {
    match unixfs.hash {
        Some(MURMUR3_X64_64) => {}
        Some(hash) => {
            return Err(DagFault::Sharding {
                cid: cid.to_string(),
                hash,
            });
        }
        None => {
            return Err(DagFault::malformed(
                cid,
                "it is sharded without naming the hash",
            ));
        }
    }
    let fanout = unixfs
        .fanout
        .filter(|fanout| (8..=MAX_FANOUT).contains(fanout) && fanout.is_power_of_two());
    fanout.ok_or_else(|| {
        DagFault::malformed(
            cid,
            "its number of shard slots is not a power of two up to 1024",
        )
    })
}

fn entry(cid: &Cid, block: &[u8], link: Option<&Link>, name: &str) -> Result<Step, DagFault> {
    match link {
        Some(link) => linked(cid, block, link).map(Step::Entry),
        None => Err(DagFault::NoEntry {
            cid: cid.to_string(),
            name: name.to_owned(),
        }),
    }
}

fn linked(cid: &Cid, block: &[u8], link: &Link) -> Result<Cid, DagFault> {
    read_whole(link.cid.of(block))
        .ok_or_else(|| DagFault::malformed(cid, "one of its links is not a CID"))
}
