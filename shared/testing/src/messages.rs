//! Messages of MongoDB's wire protocol, relayed one by one.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Relays messages, and changes them on the way. It ends by an error: the connection broke.
pub(crate) async fn relay_messages(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    alter: impl Fn(&mut Vec<u8>),
) -> io::Result<()> {
    loop {
        let mut message = read_message(from).await?;
        alter(&mut message);
        to.write_all(&message).await?;
    }
}

/// A message of the wire protocol, with its header: length, number, the number that it answers,
/// kind. For a length below that of the header, the header alone.
pub(crate) async fn read_message(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 16];
    from.read_exact(&mut message).await?;
    let length = i32_at(&message, 0);
    message.resize(usize::try_from(length).unwrap_or(16).max(16), 0);
    from.read_exact(&mut message[16..]).await?;
    Ok(message)
}

pub(crate) fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}
