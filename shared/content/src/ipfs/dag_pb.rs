//! A dag-pb node: links, then data, as in <https://ipld.io/specs/codecs/dag-pb/spec/>. It is read
//! in place. Nothing is written in this form, because blocks are stored unchanged.

use super::protobuf::{Fields, Span, set_once};

/// A node, as places in its block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) links: Vec<Link>,
    pub(super) data: Option<Span>,
}

/// A link of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) cid: Span,
    pub(super) name: Span,
}

/// Reads a node. Links and data may come in either order, as writers used both. Unknown and
/// repeated fields are refused.
pub(super) fn decode(block: &[u8]) -> Result<Node, &'static str> {
    let mut node = Node {
        links: Vec::new(),
        data: None,
    };
    for field in Fields::new(block, Span::whole(block).ok_or("it is too large")?) {
        match field? {
            (1, value) => set_once(&mut node.data, value.bytes()?)?,
            (2, value) => node.links.push(decode_link(block, value.bytes()?)?),
            _ => return Err("it is not a dag-pb node"),
        }
    }
    Ok(node)
}

fn decode_link(block: &[u8], message: Span) -> Result<Link, &'static str> {
    let (mut cid, mut name, mut total_size) = (None, None, None);
    for field in Fields::new(block, message) {
        match field? {
            (1, value) => set_once(&mut cid, value.bytes()?)?,
            (2, value) => set_once(&mut name, value.bytes()?)?,
            (3, value) => set_once(&mut total_size, value.number()?)?,
            _ => return Err("one of its links is not a dag-pb link"),
        }
    }
    let cid = cid.ok_or("one of its links has no CID")?;
    Ok(Link {
        cid,
        name: name.unwrap_or_default(),
    })
}
