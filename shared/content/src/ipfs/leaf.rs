//! A file of one dag-pb block. The block is rebuilt from the file's bytes in each form of
//! importers, so that a file without its block can still be proved.

use bytes::Bytes;

use super::varint;

/// Types of `UnixFS` with a file's bytes: a file, and a raw leaf.
const TYPES: [u64; 2] = [2, 0];

/// The possible blocks of a one-leaf file, without modes and times.
pub(crate) fn single_leaves(file: &[u8]) -> impl Iterator<Item = Bytes> {
    TYPES.into_iter().flat_map(move |kind| {
        let with_data = message(kind, Some(file));
        // Some importers write the empty bytes of an empty file, others do not.
        let without = file.is_empty().then(|| message(kind, None));
        [Some(with_data), without]
            .into_iter()
            .flatten()
            .map(|message| node(&message))
    })
}

/// The message of `UnixFS`: type, data, size of the file.
fn message(kind: u64, data: Option<&[u8]>) -> Vec<u8> {
    let mut message = vec![0x08];
    varint::write(&mut message, kind);
    if let Some(data) = data {
        field(&mut message, 0x12, data);
    }
    message.push(0x18);
    varint::write(&mut message, data.map_or(0, <[u8]>::len) as u64);
    message
}

/// A node of dag-pb with data and no links.
fn node(data: &[u8]) -> Bytes {
    let mut node = Vec::with_capacity(data.len() + 8);
    field(&mut node, 0x0a, data);
    node.into()
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint::write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipfs::{Cid, cid::proves};

    #[test]
    fn the_empty_file_of_every_importer_is_among_them() {
        let empty: Cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
            .parse()
            .unwrap();
        assert!(single_leaves(b"").any(|block| proves(&empty, &block).unwrap()));
        assert!(!single_leaves(b"x").any(|block| proves(&empty, &block).unwrap()));
    }
}
